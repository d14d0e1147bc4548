"""X.509 certificates as far as a message's signature needs them."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.model import Signer
from gateway.security.refused import refusal

STRONG_DIGESTS = frozenset({"sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"})
"""With which certificates and what is said of them are signed; Ed25519 (RFC 8410) names none."""

MAX_CERTIFICATE = 16_384
"""Octets of one DER certificate; qualified certificates with many policies take about 3,000."""


def read_certificate(der: bytes) -> x509.Certificate:
    """A DER certificate whose names, key and extensions can be read.  Raises Refused (SIG021)."""
    if len(der) > MAX_CERTIFICATE:
        raise refusal("SIG021", f"<= {MAX_CERTIFICATE} octets", f"{len(der)} octets", "certificate")
    try:
        certificate = x509.load_der_x509_certificate(der)
        if certificate.version is not x509.Version.v3:
            raise refusal("SIG021", "X.509 v3", certificate.version.name, "certificate")
        certificate.subject.rfc4514_string()
        certificate.issuer.rfc4514_string()
        _ = certificate.extensions
    except (ValueError, TypeError, x509.DuplicateExtension, x509.InvalidVersion):
        # A name in a bit string is a TypeError of the library's.
        raise refusal("SIG021", "X.509 v3", "", "certificate") from None
    if certificate.serial_number <= 0:
        found = f"serial number {certificate.serial_number}"
        raise refusal("SIG021", "a serial number above 0 (RFC 5280, 4.1.2.2)", found, "certificate")
    return certificate


def public_key_of(certificate: x509.Certificate) -> object:
    """The certificate's public key, of whatever type.  Raises Refused (SIG026)."""
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise refusal("SIG026", "RSA, EC, Ed25519", "", "certificate") from None


def signer_of(certificate: x509.Certificate, algorithm: str = "") -> Signer:
    """Who signed, as the model says it."""
    return Signer(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        algorithm=algorithm,
        certificate=certificate.public_bytes(Encoding.DER),
    )


def subject_of(certificate_der: bytes) -> str:
    """The subject of a DER certificate in RFC 4514 form.  Raises Refused (SIG021)."""
    return read_certificate(certificate_der).subject.rfc4514_string()


def end_entity(certificates: list[x509.Certificate]) -> x509.Certificate:
    """The one certificate that issued no other of a bundle.  Raises Refused (SIG028).

    XML signatures carry a bundle in no order (XML-Signature, 4.5.4); the signer's is at its end.
    """
    issuers = [c.issuer.public_bytes() for c in certificates]
    ends = [
        c
        for i, c in enumerate(certificates)
        if c.subject.public_bytes() not in issuers[:i] + issuers[i + 1 :]
    ]
    if len(ends) != 1:
        raise refusal("SIG028", "1", str(len(ends)), "KeyInfo")
    return ends[0]
