"""Decryption keys as the opening of messages asks them: keys held here, and keys of the keystore."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15

from gateway.security.algorithms import HASHES
from gateway.security.cms.ciphers import KeyWrapping
from gateway.security.keystore.keys import DecryptionKey, Undecipherable


@dataclass(frozen=True)
class HeldKey:
    """A private key in memory, RSA or of a curve, and its certificate's chain, its own first."""

    certificates: tuple[x509.Certificate, ...]
    _private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = field(repr=False)

    def unwrap(self, wrapped: bytes, wrapping: KeyWrapping) -> bytes:
        """See Decrypter.  A wrong PKCS #1 v1.5 padding gives octets that mean nothing rather than a fault:
        OpenSSL's implicit rejection."""
        private = self._private
        try:
            if isinstance(private, rsa.RSAPrivateKey):
                return _decrypted(private, wrapped, wrapping)
            if wrapping.scheme == "ecdh":
                peer = ec.EllipticCurvePublicKey.from_encoded_point(private.curve, wrapping.peer)
                return private.exchange(ec.ECDH(), peer)
        except ValueError:
            pass
        raise Undecipherable


@dataclass(frozen=True)
class KeptKey:
    """A decryption key of the keystore, in a file or in a token: RSA-OAEP, or agreement with a curve's key."""

    key: DecryptionKey

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """The key's own certificate first."""
        return self.key.certificates

    def unwrap(self, wrapped: bytes, wrapping: KeyWrapping) -> bytes:
        """See Decrypter."""
        if wrapping.scheme == "ecdh":
            return self.key.agree(wrapping.peer)
        if wrapping.scheme != "rsa-oaep":
            raise Undecipherable
        return self.key.decrypt(wrapped, wrapping.digest)


def _decrypted(private: rsa.RSAPrivateKey, wrapped: bytes, wrapping: KeyWrapping) -> bytes:
    if wrapping.scheme == "rsa-oaep":
        digest = HASHES[wrapping.digest]
        return private.decrypt(wrapped, OAEP(MGF1(digest), digest, None))
    if wrapping.scheme == "rsa-pkcs1":
        return private.decrypt(wrapped, PKCS1v15())
    raise Undecipherable
