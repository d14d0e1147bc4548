"""Authorities that publish revocation, for tests: certificates, CRLs and OCSP responses of any shape."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from .signing_kit import NOW

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
_serials = count(1_000)
Extensions = Sequence[tuple[x509.ExtensionType, bool]]


def usage(*names: str) -> x509.KeyUsage:
    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in names for name in every})


class Party:
    """A key and its certificate."""

    def __init__(
        self,
        name: str,
        issuer: Party | None = None,
        *,
        ca: bool = False,
        key: Any = None,
        extra: Extensions = (),
        days: tuple[int, int] = (-30, 365),
        use: x509.KeyUsage | None = None,
        digest: Any = hashes.SHA256(),  # noqa: B008
        path_length: int | None = None,
    ) -> None:
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name.from_rfc4514_string(name)
        signer = issuer or self
        default = (
            usage("key_cert_sign", "crl_sign") if ca else usage("digital_signature", "content_commitment")
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(signer.name)
            .public_key(self.key.public_key())
            .serial_number(next(_serials))
            .not_valid_before(NOW + days[0] * DAY)
            .not_valid_after(NOW + days[1] * DAY)
            .add_extension(x509.BasicConstraints(ca, path_length if ca else None), critical=True)
            .add_extension(use or default, critical=True)
        )
        for extension, critical in extra:
            builder = builder.add_extension(extension, critical=critical)
        self.certificate = builder.sign(signer.key, digest)
        self.der = self.certificate.public_bytes(Encoding.DER)

    @property
    def serial(self) -> int:
        return self.certificate.serial_number

    def crl(
        self,
        *revoked: tuple[int, datetime, x509.ReasonFlags | None],
        at: datetime = NOW,
        until: datetime | None = NOW + DAY,
        number: int = 1,
        extra: Extensions = (),
        name: x509.Name | None = None,
        digest: Any = hashes.SHA256(),  # noqa: B008
        entry_extra: Extensions = (),
    ) -> bytes:
        """A CRL of this authority's in DER."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(name or self.name).last_update(at)
        builder = builder.next_update(until or at + DAY)
        builder = builder.add_extension(x509.CRLNumber(number), critical=False)
        for extension, critical in extra:
            builder = builder.add_extension(extension, critical=critical)
        for serial, since, reason in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since)
            if reason is not None:
                entry = entry.add_extension(x509.CRLReason(reason), critical=False)
            for extension, critical in entry_extra:
                entry = entry.add_extension(extension, critical=critical)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, digest).public_bytes(Encoding.DER)

    def says(
        self,
        about: Party,
        *,
        signer: Party | None = None,
        status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
        at: datetime = NOW,
        until: datetime | None = NOW + HOUR,
        since: datetime | None = None,
        reason: x509.ReasonFlags | None = None,
        named: Any = hashes.SHA1(),  # noqa: B008
        digest: Any = hashes.SHA256(),  # noqa: B008
        nonce: bytes | None = None,
        certificates: Sequence[Party] | None = None,
        encoding: ocsp.OCSPResponderEncoding = ocsp.OCSPResponderEncoding.HASH,
    ) -> bytes:
        """An OCSP response of this authority's, or of its delegate ``signer``, in DER."""
        by = signer or self
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=about.certificate,
            issuer=self.certificate,
            algorithm=named,
            cert_status=status,
            this_update=at,
            next_update=until,
            revocation_time=since,
            revocation_reason=reason,
        )
        builder = builder.responder_id(encoding, by.certificate)
        sent = certificates if certificates is not None else ([signer] if signer else [])
        if sent:
            builder = builder.certificates([p.certificate for p in sent])
        if nonce is not None:
            builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
        return builder.sign(by.key, digest).public_bytes(Encoding.DER)


def responder(
    issuer: Party, *, nocheck: bool = True, purpose: bool = True, days: tuple[int, int] = (-30, 365)
) -> Party:
    """A delegated OCSP responder."""
    extra: list[tuple[x509.ExtensionType, bool]] = []
    if purpose:
        extra.append((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False))
    if nocheck:
        extra.append((x509.OCSPNoCheck(), False))
    return Party("CN=Responder", issuer, extra=extra, days=days)
