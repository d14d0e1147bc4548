"""A small certificate authority for development and tests: it signs what the gateway can verify.

Its keys lie unencrypted in a folder; a production network pins the national authorities instead.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.security.algorithms import PrivateKey, PublicKey
from gateway.security.keystore.keys import read_private, write_private

KeyAlgorithm = Literal["rsa", "p256"]
Use = Literal["sign", "tls", "decrypt"]

_KEY = "authority.key"
_CERTIFICATE = "authority.pem"
_YEARS = timedelta(days=3650)
_BACKDATED = timedelta(hours=1)
"""New certificates are valid a little before now, for receivers whose clocks are behind."""


@dataclass(frozen=True)
class Authority:
    """An authority: its certificate (pin ``certificate_path`` as an anchor) and its key."""

    folder: Path
    certificate: x509.Certificate
    _private: PrivateKey = field(repr=False)

    @property
    def certificate_path(self) -> Path:
        """The PEM file to pin."""
        return self.folder / _CERTIFICATE

    @classmethod
    def create(cls, folder: Path, name: str, algorithm: KeyAlgorithm = "p256") -> Authority:
        """Make a new authority in the folder; ``name``: its common name.

        Raises FileExistsError where the folder has one: certificates would lose their issuer.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / _KEY).exists():
            raise FileExistsError(folder / _KEY)
        private = _generate(algorithm)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC).replace(microsecond=0)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(now + _YEARS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True, tls=False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
            .sign(private, hashes.SHA256())
        )
        _write_key(folder / _KEY, private)
        (folder / _CERTIFICATE).write_bytes(certificate.public_bytes(Encoding.PEM))
        return cls(folder, certificate, private)

    @classmethod
    def load(cls, folder: Path) -> Authority:
        """Read an authority that was created before.  Raises ValueError, FileNotFoundError."""
        private = load_pem_private_key(read_private(folder / _KEY), password=None)
        if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise ValueError(f"{folder / _KEY}: neither an RSA nor an EC key")
        certificate = x509.load_pem_x509_certificate((folder / _CERTIFICATE).read_bytes())
        return cls(folder, certificate, private)

    def issue(
        self,
        subject: str,
        key_path: Path,
        certificate_path: Path,
        days: int = 365,
        algorithm: KeyAlgorithm = "rsa",
        server_names: Sequence[str] = (),
        use: Use = "sign",
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> x509.Certificate:
        """Make a key and a certificate for it, and write both in PEM.

        ``subject``: an RFC 4514 string.  ``use``: ``sign`` (messages: digitalSignature and
        nonRepudiation) or ``tls`` (client and server authentication; ``server_names``, host names or
        addresses, imply it).  ``not_before``, ``not_after`` (aware) override ``days``.
        """
        private = _generate(algorithm)
        certificate = self.certify(
            private.public_key(), subject, days, server_names, use, not_before, not_after
        )
        _write_key(key_path, private)
        certificate_path.write_bytes(certificate.public_bytes(Encoding.PEM))
        return certificate

    def certify(
        self,
        public: PublicKey,
        subject: str,
        days: int = 365,
        server_names: Sequence[str] = (),
        use: Use = "sign",
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> x509.Certificate:
        """A certificate for a key that lies elsewhere; the rest as with `issue`.  ``use`` may be
        ``decrypt``: others encrypt to it."""
        tls = use == "tls" or bool(server_names)
        start = not_before or datetime.now(UTC).replace(microsecond=0) - _BACKDATED
        own = x509.SubjectKeyIdentifier.from_public_key(public)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._private.public_key())
        agreeing = isinstance(public, ec.EllipticCurvePublicKey)
        usage = _usage(authority=False, tls=tls, decrypting=use == "decrypt", agreeing=agreeing)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name.from_rfc4514_string(subject))
            .issuer_name(self.certificate.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(not_after or start + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(own, critical=False)
            .add_extension(issuer, critical=False)
        )
        return (_for_tls(builder, server_names) if tls else builder).sign(self._private, hashes.SHA256())


def _generate(algorithm: KeyAlgorithm) -> PrivateKey:
    if algorithm == "p256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, 2048)


def _write_key(path: Path, private: PrivateKey) -> None:
    write_private(path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _usage(*, authority: bool, tls: bool, decrypting: bool = False, agreeing: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority and not decrypting,
        content_commitment=not authority and not tls and not decrypting,
        key_encipherment=decrypting and not agreeing,
        data_encipherment=False,
        key_agreement=decrypting and agreeing,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _for_tls(builder: x509.CertificateBuilder, names: Sequence[str]) -> x509.CertificateBuilder:
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if names:
        purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    return builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
