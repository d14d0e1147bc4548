"""The gateway's own keys as values that sign and decrypt; never shown or logged."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.model import Signer
from gateway.security.algorithms import ED25519, HASHES, Algorithm, PrivateKey, arguments_of, pss
from gateway.security.certificates.certificate import signer_of
from gateway.security.keystore.files import KeyUnusable, read_certificates, read_key, write_private
from gateway.security.keystore.files import read_private as read_private

__all__ = [
    "DecryptionKey",
    "KeyUnusable",
    "Padding",
    "Signatory",
    "SigningKey",
    "read_private",
    "write_private",
]

Padding = Literal["pkcs1", "pss"]

_DIGESTS = {"secp256r1": "sha256", "secp384r1": "sha384", "secp521r1": "sha512"}


class Signatory(Protocol):
    """Who has a key to sign with, by the time: a keystore, or a key for itself."""

    def signing(self, now: datetime) -> SigningKey: ...


@dataclass(frozen=True)
class SigningKey:
    """A private key and the chain of its certificate, the key's own first.

    ``padding``: for RSA keys, ``pkcs1`` or ``pss``.  PKCS #1 v1.5 is the default, because receivers'
    XML libraries of today (libxmlsec 1.2 among them) do not know PSS.  ``remote``: True where signing
    asks another device, which may take its time: not on the reactor's thread.
    """

    certificates: tuple[x509.Certificate, ...]
    padding: Padding
    _private: PrivateKey = field(repr=False)
    remote: bool = False

    @classmethod
    def load(cls, key: Path, certificate: Path, padding: Padding = "pkcs1") -> SigningKey:
        """Read a PEM key and a PEM certificate (its chain may follow it).

        Raises ValueError where the key file is open to others than its owner, is not ours, is
        none of RSA, EC and Ed25519, or is not the certificate's.
        """
        private = read_key(key).private
        chain = read_certificates(certificate)
        if chain[0].public_key() != private.public_key():
            raise KeyUnusable(f"{certificate}: not the certificate of {key}")
        return cls(chain, padding, private)

    def signing(self, now: datetime) -> SigningKey:
        """This key, whatever the time: a keystore of one."""
        return self

    @cached_property
    def algorithm(self) -> Algorithm:
        """What this key signs with: the digest is as strong as the key."""
        if isinstance(self._private, rsa.RSAPrivateKey):
            return pss("sha256") if self.padding == "pss" else Algorithm("rsa", "sha256")
        if isinstance(self._private, ed25519.Ed25519PrivateKey):
            return ED25519
        return Algorithm("ecdsa", _DIGESTS[self._private.curve.name])

    @cached_property
    def signer(self) -> Signer:
        """How receivers will see us."""
        return signer_of(self.certificates[0], self.algorithm.name)

    @cached_property
    def der(self) -> tuple[bytes, ...]:
        """The chain in DER."""
        return tuple(c.public_bytes(Encoding.DER) for c in self.certificates)

    @cached_property
    def base64(self) -> tuple[str, ...]:
        """The chain in base64, as XML signatures carry it."""
        return tuple(base64.b64encode(der).decode("ascii") for der in self.der)

    @cached_property
    def _validity(self) -> tuple[datetime, datetime]:
        own = self.certificates[0]
        return own.not_valid_before_utc, own.not_valid_after_utc

    @cached_property
    def order_size(self) -> int:
        """Octets of the curve's order where the signature is a pair of numbers (ECDSA); 0 for others."""
        private = self._private
        return (private.curve.key_size + 7) // 8 if isinstance(private, ec.EllipticCurvePrivateKey) else 0

    def sign(self, data: bytes, now: datetime) -> bytes:
        """The signature value over the data; ECDSA in DER.

        Raises KeyUnusable where the certificate is not valid at ``now`` (aware): no receiver would
        accept the signature; and where the device that has the key does not sign.
        """
        start, end = self._validity
        if not start <= now <= end:
            raise KeyUnusable(f"the signing certificate is not valid at {now.isoformat()}")
        return raw_signature(self._private, self.algorithm, data)


def raw_signature(private: PrivateKey, algorithm: Algorithm, data: bytes) -> bytes:
    """The private-key operation; ECDSA in DER."""
    operation: Callable[..., bytes] = private.sign
    return operation(data, *arguments_of(algorithm))


class Undecipherable(Exception):
    """What was encrypted to us cannot be read.  There is one text for every reason: more would help who
    probes the padding (Bleichenbacher)."""

    def __init__(self) -> None:
        super().__init__("decryption failed")


@dataclass(frozen=True)
class DecryptionKey:
    """An RSA key that content keys are encrypted to, or a curve's that they are agreed with, and its
    certificate's chain, its own first."""

    certificates: tuple[x509.Certificate, ...]
    _private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = field(repr=False)
    remote: bool = False

    def agree(self, peer: bytes) -> bytes:
        """The secret shared with a point of the key's curve (SEC 1, 3.3.1 and 2.3.3).

        Raises as `decrypt`.
        """
        if not isinstance(self._private, ec.EllipticCurvePrivateKey):
            raise Undecipherable
        try:
            point = ec.EllipticCurvePublicKey.from_encoded_point(self._private.curve, peer)
            return self._private.exchange(ec.ECDH(), point)
        except KeyUnusable:
            raise
        except ValueError:
            raise Undecipherable from None

    def decrypt(self, wrapped: bytes, digest: str = "sha256") -> bytes:
        """A content key that was encrypted with RSA-OAEP (RFC 8017, 7.1), MGF1 over the same digest.

        Raises Undecipherable; KeyUnusable where the device that has the key does not answer.
        """
        if not isinstance(self._private, rsa.RSAPrivateKey):
            raise Undecipherable
        hashed = HASHES[digest]
        try:
            return self._private.decrypt(wrapped, OAEP(MGF1(hashed), hashed, None))
        except KeyUnusable:
            raise
        except ValueError:
            raise Undecipherable from None
