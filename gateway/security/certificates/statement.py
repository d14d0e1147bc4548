"""What is said of a certificate's revocation, and of which certificate: the words of this subject."""

from __future__ import annotations

import hashlib
from datetime import datetime

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID

SERIAL_OCTETS = 20
"""RFC 5280, 4.1.2.2: no serial number is longer."""

HOLD = "certificate_hold"
"""The one reason that may be taken back (RFC 5280, 5.3.1)."""

REASONS = {
    1: "key_compromise",
    2: "ca_compromise",
    3: "affiliation_changed",
    4: "superseded",
    5: "cessation_of_operation",
    6: HOLD,
    8: "remove_from_crl",
    9: "privilege_withdrawn",
    10: "aa_compromise",
}
"""CRLReason; 0 and an absent one are "", unspecified."""


class Link(msgspec.Struct, frozen=True):
    """One certificate of a path, as statements about revocation name it.

    ``issuer``: `issuer_key` of the certificate above it.  ``serial``: SERIAL_OCTETS octets, empty where it
    is longer than that.  ``points``: names of its CRL distribution points.
    """

    subject: str
    issuer_name: str
    issuer: bytes
    serial: bytes
    authority: bool
    points: frozenset[str]
    not_after: datetime


class Statement(msgspec.Struct, frozen=True):
    """A verified statement on one certificate: good, or revoked since ``revoked_at`` for ``reason``.

    ``this_update``: as of when it is said; ``until``: for how long.  ``archive``: certificates that expired
    since then are still spoken of (archiveCutoff, expiredCertsOnCRL); None: none that had expired.  ``evidence``:
    the OCSP response or CRLs, in DER, that say it.
    """

    this_update: datetime
    until: datetime
    evidence: tuple[bytes, ...]
    revoked_at: datetime | None = None
    reason: str = ""
    archive: datetime | None = None

    @property
    def permanent(self) -> bool:
        """A revocation that no later statement takes back."""
        return self.revoked_at is not None and self.reason != HOLD

    def covers(self, link: Link, when: datetime) -> bool:
        """True where it speaks of the certificate as it was at a time."""
        if when > self.until:
            return False
        return (self.archive or self.this_update) <= link.not_after


def issuer_key(certificate: x509.Certificate) -> bytes:
    """An authority by its name and public key, whatever certificate it has: 32 octets."""
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(certificate.subject.public_bytes() + key).digest()


def serial_key(serial: int) -> bytes:
    """A serial number in SERIAL_OCTETS octets; empty where it needs more or is negative."""
    if serial < 0 or serial.bit_length() > 8 * SERIAL_OCTETS:
        return b""
    return serial.to_bytes(SERIAL_OCTETS, "big")


def link_of(certificate: x509.Certificate, issuer: x509.Certificate) -> Link:
    """The certificate as one that this issuer issued."""
    return Link(
        subject=certificate.subject.rfc4514_string(),
        issuer_name=issuer.subject.rfc4514_string(),
        issuer=issuer_key(issuer),
        serial=serial_key(certificate.serial_number),
        authority=_is_authority(certificate),
        points=points_of(certificate),
        not_after=certificate.not_valid_after_utc,
    )


def points_of(certificate: x509.Certificate) -> frozenset[str]:
    """The names of the certificate's CRL distribution points, as `name_of` writes them."""
    try:
        points = certificate.extensions.get_extension_for_oid(ExtensionOID.CRL_DISTRIBUTION_POINTS).value
    except x509.ExtensionNotFound:
        return frozenset()
    if not isinstance(points, x509.CRLDistributionPoints):
        return frozenset()
    return frozenset(name_of(name) for point in points for name in point.full_name or ())


def name_of(name: x509.GeneralName) -> str:
    """A general name as text that compares: ``uri:``, ``dir:`` ..."""
    if isinstance(name, x509.DirectoryName):
        return f"dir:{name.value.rfc4514_string()}"
    if isinstance(name, x509.UniformResourceIdentifier):
        return f"uri:{name.value}"
    return f"{type(name).__name__}:{name.value}"


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
