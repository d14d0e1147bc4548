"""Signature algorithms, each bound to a type of key, and their names in XML (RFC 9231) and CMS."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from gateway.security.policy import Policy
from gateway.security.refused import refusal

HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
DIGESTERS: Mapping[str, Callable[[bytes], hashlib._Hash]] = {
    "sha256": hashlib.sha256,
    "sha384": hashlib.sha384,
    "sha512": hashlib.sha512,
}
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class Algorithm(msgspec.Struct, frozen=True):
    """``scheme``: ``rsa`` (PKCS #1 v1.5), ``rsa-pss`` or ``ecdsa``; ``digest``: ``sha256`` ...;
    ``salt``: octets, PSS only."""

    scheme: str
    digest: str
    salt: int = 0

    @property
    def name(self) -> str:
        """As the policy names it: ``rsa-pss-sha256``."""
        return f"{self.scheme}-{self.digest}"


def pss(digest: str, salt: int | None = None) -> Algorithm:
    """RSA-PSS with MGF1 over the same digest and, unless given, a salt as long as the digest."""
    return Algorithm("rsa-pss", digest, HASHES[digest].digest_size if salt is None else salt)


_MORE_2001 = "http://www.w3.org/2001/04/xmldsig-more#"
_MORE_2007 = "http://www.w3.org/2007/05/xmldsig-more#"
_XMLENC = "http://www.w3.org/2001/04/xmlenc#"

RSA_PSS_DEFAULTS = f"{_MORE_2007}rsa-pss"
"""RFC 9231, 2.3.9; accepted without parameters only: SHA-256, MGF1 with SHA-256, salt of 32."""

XML_SIGNATURES: Mapping[str, Algorithm] = {
    **{f"{_MORE_2001}rsa-{d}": Algorithm("rsa", d) for d in HASHES},
    **{f"{_MORE_2007}{d}-rsa-MGF1": pss(d) for d in HASHES},
    **{f"{_MORE_2001}ecdsa-{d}": Algorithm("ecdsa", d) for d in HASHES},
    RSA_PSS_DEFAULTS: pss("sha256"),
}
XML_DIGESTS: Mapping[str, str] = {
    f"{_XMLENC}sha256": "sha256",
    f"{_MORE_2001}sha384": "sha384",
    f"{_XMLENC}sha512": "sha512",
}


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
    raise refusal("SIG026", "RSA, EC", type(key).__name__, part)


def check_signature(key: PublicKey, algorithm: Algorithm, value: bytes, data: bytes, part: str) -> None:
    """The public-key operation.  An ECDSA ``value`` is DER here.

    Raises Refused: SIG030 where the algorithm is not one of the key's type, SIG012 where the
    signature is not the key's over the data.
    """
    digest = HASHES[algorithm.digest]
    try:
        if isinstance(key, rsa.RSAPublicKey) and algorithm.scheme == "rsa":
            key.verify(value, data, PKCS1v15(), digest)
        elif isinstance(key, rsa.RSAPublicKey) and algorithm.scheme == "rsa-pss":
            key.verify(value, data, PSS(MGF1(digest), algorithm.salt), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm.scheme == "ecdsa":
            key.verify(value, data, ec.ECDSA(digest))
        else:
            raise refusal("SIG030", expected=_kind(key), found=algorithm.name, part=part)
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


def _kind(key: PublicKey) -> str:
    return "rsa, rsa-pss" if isinstance(key, rsa.RSAPublicKey) else "ecdsa"
