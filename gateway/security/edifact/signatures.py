"""The public-key operation on a digest, and signature values as S508 carries them."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)

from gateway.model.secured import Values
from gateway.security.algorithms import HASHES, Algorithm, PublicKey, pss
from gateway.security.edifact.filters import filtered, unfiltered

UNIQUE = "1"  # 0563: the one value of a signature, or a digest
R, S = "2", "3"  # 0563: the two values of DSA, and of ECDSA

_RIPEMD160 = bytes.fromhex("3021300906052b2403020105000414")
"""DigestInfo of RIPEMD-160 (RFC 8017, 9.2): no library makes it any more."""


def algorithm_of(scheme: str, digest: str) -> Algorithm:
    """The algorithm of a signature scheme with a digest."""
    if scheme == "rsa-pss" and digest in HASHES:
        return pss(digest)
    return Algorithm(scheme, digest)


def fits(key: PublicKey, scheme: str) -> bool:
    """True where the scheme is one of the key's type."""
    if isinstance(key, rsa.RSAPublicKey):
        return scheme in ("rsa", "rsa-pss")
    return scheme == ("ecdsa" if isinstance(key, ec.EllipticCurvePublicKey) else "ed25519")


def holds(key: PublicKey, algorithm: Algorithm, value: bytes, digest: bytes) -> bool:
    """True where the value is the key's signature on what has this digest; ECDSA in DER.

    An Ed25519 key signs the digest's octets, so that nothing has to be read twice.
    """
    try:
        if algorithm.digest == "ripemd160":
            return (
                isinstance(key, rsa.RSAPublicKey)
                and algorithm.scheme == "rsa"
                and key.recover_data_from_signature(value, PKCS1v15(), None) == _RIPEMD160 + digest
            )
        made = HASHES[algorithm.digest]
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(value, digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(value, digest, ec.ECDSA(Prehashed(made)))
        elif algorithm.scheme == "rsa":
            key.verify(value, digest, PKCS1v15(), Prehashed(made))
        else:
            key.verify(value, digest, PSS(MGF1(made), algorithm.salt), Prehashed(made))
    except InvalidSignature:
        return False
    return True


def value_of(values: Values, filter_: str, key: PublicKey) -> bytes | None:
    """The signature in S508: r and s of an ECDSA key, one value of others; None where it has another form."""
    found = [(name, unfiltered(text, filter_)) for name, text in values]
    octets = [value for _, value in found if value is not None]
    if len(octets) != len(values):
        return None
    names = [name for name, _ in found]
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return octets[0] if names == [UNIQUE] else None
    size = (key.curve.key_size + 7) // 8
    if names != [R, S] or any(len(number) > size for number in octets):
        return None
    return encode_dss_signature(*(int.from_bytes(number, "big") for number in octets))


def digest_of(values: Values, filter_: str) -> bytes | None:
    """The digest in S508; None where it has another form."""
    return unfiltered(values[0][1], filter_) if [name for name, _ in values] == [UNIQUE] else None


def values_of(value: bytes, filter_: str, order_size: int) -> Values:
    """A signature as S508: ``order_size``: octets of the curve's order, 0 for other keys.

    Raises ValueError where 0560 cannot hold it.
    """
    if not order_size:
        return ((UNIQUE, filtered(value, filter_)),)
    numbers = zip((R, S), decode_dss_signature(value), strict=True)
    return tuple((name, filtered(number.to_bytes(order_size, "big"), filter_)) for name, number in numbers)
