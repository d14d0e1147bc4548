"""Signature algorithms, each bound to a type of key, and their names in XML (RFC 9231).

Which algorithm a message names is never reason enough to use it: the policy admits it, and the
certificate's key must be of its type.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from functools import lru_cache

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from gateway.security.policy import Policy
from gateway.security.refused import refusal

HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
    "sha3-256": hashes.SHA3_256(),
    "sha3-384": hashes.SHA3_384(),
    "sha3-512": hashes.SHA3_512(),
    "sha1": hashes.SHA1(),  # noqa: S303 - admitted by a legacy profile only
}
DIGESTERS: Mapping[str, Callable[[bytes], hashlib._Hash]] = {
    "sha256": hashlib.sha256,
    "sha384": hashlib.sha384,
    "sha512": hashlib.sha512,
    "sha3-256": hashlib.sha3_256,
    "sha3-384": hashlib.sha3_384,
    "sha3-512": hashlib.sha3_512,
    "sha1": hashlib.sha1,
}
"""``sha1`` can be computed, and is believed only where a legacy profile says so: see `admitted`."""

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class Algorithm(msgspec.Struct, frozen=True):
    """``scheme``: ``rsa`` (PKCS #1 v1.5), ``rsa-pss``, ``ecdsa`` or ``ed25519``; ``digest``:
    ``sha256`` ... (with ``ed25519`` that of the content beside it); ``salt``: octets, PSS only."""

    scheme: str
    digest: str
    salt: int = 0

    @property
    def name(self) -> str:
        """As the policy names it: ``rsa-pss-sha256``, ``ed25519``."""
        return self.scheme if self.scheme == "ed25519" else f"{self.scheme}-{self.digest}"


ED25519 = Algorithm("ed25519", "sha512")
"""It hashes with SHA-512 itself (RFC 8032), so the content beside it is digested as strongly
(RFC 8419, 3.1)."""


def pss(digest: str, salt: int | None = None) -> Algorithm:
    """RSA-PSS with MGF1 over the same digest and, unless given, a salt as long as the digest."""
    return Algorithm("rsa-pss", digest, HASHES[digest].digest_size if salt is None else salt)


_XMLDSIG = "http://www.w3.org/2000/09/xmldsig#"
_MORE_2001 = "http://www.w3.org/2001/04/xmldsig-more#"
_MORE_2007 = "http://www.w3.org/2007/05/xmldsig-more#"
_MORE_2021 = "http://www.w3.org/2021/04/xmldsig-more#"
_XMLENC = "http://www.w3.org/2001/04/xmlenc#"
_SHA2 = ("sha256", "sha384", "sha512")
_SHA3 = ("sha3-256", "sha3-384", "sha3-512")

RSA_PSS_DEFAULTS = f"{_MORE_2007}rsa-pss"
"""RFC 9231, 2.3.9; without parameters: SHA-256, MGF1 with SHA-256, salt of 32."""

XML_SIGNATURES: Mapping[str, Algorithm] = {
    **{f"{_MORE_2001}rsa-{d}": Algorithm("rsa", d) for d in _SHA2},
    **{f"{_MORE_2007}{d}-rsa-MGF1": pss(d) for d in (*_SHA2, *_SHA3, "sha1")},
    **{f"{_MORE_2001}ecdsa-{d}": Algorithm("ecdsa", d) for d in (*_SHA2, "sha1")},
    **{f"{_MORE_2021}ecdsa-{d}": Algorithm("ecdsa", d) for d in _SHA3},
    f"{_MORE_2021}eddsa-ed25519": ED25519,
    f"{_XMLDSIG}rsa-sha1": Algorithm("rsa", "sha1"),
    RSA_PSS_DEFAULTS: pss("sha256"),
}
"""PKCS #1 v1.5 with SHA-3 has no name in XML; DSA and HMAC are not here, so nothing admits them."""

UNKNOWN_TO_REFERENCE = frozenset({RSA_PSS_DEFAULTS, f"{_MORE_2021}eddsa-ed25519"})
"""Names that the reference engine does not know: where it is asked, nobody may use them."""

XML_DIGESTS: Mapping[str, str] = {
    f"{_XMLENC}sha256": "sha256",
    f"{_MORE_2001}sha384": "sha384",
    f"{_XMLENC}sha512": "sha512",
    **{f"{_MORE_2007}{d}": d for d in _SHA3},
    f"{_XMLDSIG}sha1": "sha1",
}


def admitted(
    algorithm: Algorithm, digests: Collection[str], policy: Policy, now: datetime, part: str, shape: str = ""
) -> str:
    """The legacy profile that admits a signature, "" where the policy itself does.

    ``digests``: all that the signature relies on; ``shape``: an XML signature's.  A legacy profile
    widens the policy, it does not replace it.  Raises Refused: SIG006 (algorithm), SIG007 (digest), SIG100
    (a shape that only a profile admits), SIG101 (the profile has ended).
    """
    plain = not shape or shape in policy.shapes
    if plain and algorithm.name in policy.algorithms and policy.digests.issuperset(digests):
        return ""
    used = frozenset(digests)
    ended = ""
    for legacy in policy.legacy:
        if (
            algorithm.name not in legacy.algorithms | policy.algorithms
            or not used <= legacy.digests | policy.digests
            or not (shape in legacy.shapes or (plain and not legacy.shapes))
        ):
            continue
        if now.astimezone(UTC).date() <= legacy.until:
            return legacy.name
        ended = ended or f"{legacy.name}: {legacy.until.isoformat()}"
    if ended:
        raise refusal("SIG101", ended, now.astimezone(UTC).date().isoformat(), part)
    if not plain:
        raise refusal("SIG100", ", ".join(sorted(policy.shapes)), shape, part)
    if algorithm.name not in policy.algorithms:
        raise refusal("SIG006", ", ".join(sorted(policy.algorithms)), algorithm.name, part)
    weak = ", ".join(sorted(used - policy.digests))
    raise refusal("SIG007", ", ".join(sorted(policy.digests)), weak, part)


def check_key(key: object, policy: Policy, part: str) -> PublicKey:
    """The key, where it is strong enough.  Raises Refused (SIG026)."""
    if isinstance(key, rsa.RSAPublicKey):
        if not policy.min_rsa_bits <= key.key_size <= policy.max_rsa_bits:
            wanted = f"RSA {policy.min_rsa_bits}..{policy.max_rsa_bits}"
            raise refusal("SIG026", wanted, f"RSA {key.key_size}", part)
        # FIPS 186-5, A.1.1: 2^16 < e < 2^256; larger ones only serve to burn time.
        if not 2**16 < key.public_numbers().e < 2**64:
            raise refusal("SIG026", "65537", f"e = {key.public_numbers().e}", part)
        return key
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in policy.curves:
            raise refusal("SIG026", ", ".join(sorted(policy.curves)), key.curve.name, part)
        return key
    if isinstance(key, ed25519.Ed25519PublicKey) and ED25519.name in policy.algorithms:
        return key
    raise refusal("SIG026", "RSA, EC, Ed25519", type(key).__name__, part)


@lru_cache(maxsize=64)
def arguments_of(algorithm: Algorithm) -> tuple[object, ...]:
    """What a key's operation takes behind its data: made once, for making it costs more than a microsecond."""
    digest = HASHES[algorithm.digest]
    if algorithm.scheme == "ed25519":
        return ()
    if algorithm.scheme == "ecdsa":
        return (ec.ECDSA(digest),)
    return PKCS1v15() if algorithm.scheme == "rsa" else PSS(MGF1(digest), algorithm.salt), digest


def check_signature(key: PublicKey, algorithm: Algorithm, value: bytes, data: bytes, part: str) -> None:
    """The public-key operation.  An ECDSA ``value`` is DER here.

    Raises Refused: SIG030 where the algorithm is not one of the key's type, SIG012 where the
    signature is not the key's over the data.
    """
    if algorithm.scheme not in _schemes_of(type(key)):
        raise refusal("SIG030", expected=", ".join(_schemes_of(type(key))), found=algorithm.name, part=part)
    operation: Callable[..., None] = key.verify
    try:
        operation(value, data, *arguments_of(algorithm))
    except InvalidSignature:
        raise refusal("SIG012", part=part) from None


def der_of_raw(key: PublicKey, value: bytes, part: str) -> bytes:
    """An XML signature's ECDSA value (r and s, each as long as the curve's order; RFC 9231, 2.3.6)
    in DER.  Values of other keys pass unchanged.  Raises Refused (SIG013)."""
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return value
    half = (key.curve.key_size + 7) // 8
    if len(value) != 2 * half:
        raise refusal("SIG013", expected=f"{2 * half} octets", found=f"{len(value)} octets", part=part)
    r, s = int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big")
    return encode_dss_signature(r, s)


@lru_cache(maxsize=16)
def _schemes_of(kind: type[PublicKey]) -> tuple[str, ...]:
    """The schemes of a type of key."""
    if issubclass(kind, rsa.RSAPublicKey):
        return ("rsa", "rsa-pss")
    return ("ecdsa",) if issubclass(kind, ec.EllipticCurvePublicKey) else ("ed25519",)
