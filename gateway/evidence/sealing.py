"""Raw signatures over octets: as ``openssl dgst -verify`` checks them, with no octet that says nothing."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15

_CURVES: dict[int, hashes.HashAlgorithm] = {384: hashes.SHA384(), 521: hashes.SHA512()}


def is_signed(certificate: x509.Certificate, signature: bytes, octets: bytes) -> bool:
    """Whether the signature over the octets is that of the certificate's key: RSA (PKCS #1 v1.5, or PSS
    with a salt as long as the digest) with SHA-256, ECDSA with the digest of its curve, Ed25519."""
    key = certificate.public_key()
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, octets)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            digest = _CURVES.get(key.curve.key_size, hashes.SHA256())
            key.verify(signature, octets, ec.ECDSA(digest))
        elif isinstance(key, rsa.RSAPublicKey):
            _rsa(key, signature, octets)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _rsa(key: rsa.RSAPublicKey, signature: bytes, octets: bytes) -> None:
    digest = hashes.SHA256()
    try:
        key.verify(signature, octets, PKCS1v15(), digest)
    except InvalidSignature:
        key.verify(signature, octets, PSS(MGF1(digest), digest.digest_size), digest)
