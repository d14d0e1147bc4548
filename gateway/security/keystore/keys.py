"""The gateway's own keys: read from files that only their owner can read, never shown or logged."""

from __future__ import annotations

import base64
import os
import stat
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from gateway.model import Signer
from gateway.security.algorithms import HASHES, Algorithm, PrivateKey, pss
from gateway.security.certificates.certificate import signer_of

Padding = Literal["pkcs1", "pss"]

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True)
class SigningKey:
    """A private key and the chain of its certificate, the key's own first.

    ``padding``: for RSA keys, ``pkcs1`` or ``pss``.  PKCS #1 v1.5 is the default, because receivers'
    XML libraries of today (libxmlsec 1.2 among them) do not know PSS.
    """

    certificates: tuple[x509.Certificate, ...]
    padding: Padding
    _private: PrivateKey = field(repr=False)

    @classmethod
    def load(cls, key: Path, certificate: Path, padding: Padding = "pkcs1") -> SigningKey:
        """Read a PEM key and a PEM certificate (its chain may follow it).

        Raises ValueError where the key file is open to others than its owner, is not ours, is
        neither RSA nor EC, or is not the certificate's.
        """
        private = load_pem_private_key(read_private(key), password=None)
        if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key}: neither an RSA nor an EC key")
        chain = x509.load_pem_x509_certificates(certificate.read_bytes())
        if chain[0].public_key() != private.public_key():
            raise ValueError(f"{certificate}: not the certificate of {key}")
        return cls(tuple(chain), padding, private)

    @cached_property
    def algorithm(self) -> Algorithm:
        """What this key signs with: the digest is as strong as the key."""
        if isinstance(self._private, rsa.RSAPrivateKey):
            return pss("sha256") if self.padding == "pss" else Algorithm("rsa", "sha256")
        digests = {"secp256r1": "sha256", "secp384r1": "sha384", "secp521r1": "sha512"}
        return Algorithm("ecdsa", digests[self._private.curve.name])

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
    def order_size(self) -> int:
        """Octets of the curve's order; 0 for an RSA key."""
        private = self._private
        return 0 if isinstance(private, rsa.RSAPrivateKey) else (private.curve.key_size + 7) // 8

    def sign(self, data: bytes, now: datetime) -> bytes:
        """The signature value over the data; ECDSA in DER.

        Raises ValueError where the certificate is not valid at ``now`` (aware): no receiver would
        accept the signature.
        """
        own = self.certificates[0]
        if not own.not_valid_before_utc <= now <= own.not_valid_after_utc:
            raise ValueError(f"the signing certificate is not valid at {now.isoformat()}")
        algorithm, private = self.algorithm, self._private
        digest = HASHES[algorithm.digest]
        if isinstance(private, ec.EllipticCurvePrivateKey):
            return private.sign(data, ec.ECDSA(digest))
        padding = PKCS1v15() if algorithm.scheme == "rsa" else PSS(MGF1(digest), algorithm.salt)
        return private.sign(data, padding, digest)


def read_private(path: Path) -> bytes:
    """The file's octets; mode and owner are those of the file that was opened, not of its name."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path}: not a regular file")
        if status.st_mode & _OTHERS:
            raise ValueError(f"{path}: mode {stat.S_IMODE(status.st_mode):04o} is wider than 0600")
        if status.st_uid not in (os.geteuid(), 0):
            raise ValueError(f"{path}: belongs to user {status.st_uid}, not to the gateway's")
        return file.read()


def write_private(path: Path, octets: bytes) -> None:
    """Write a secret with mode 0600, whole or not at all; it replaces what was there."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
