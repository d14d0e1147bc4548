"""Signing-certificate attributes (RFC 2634, RFC 5035, RFC 5816): which certificate the signer meant.

They stand among the signed attributes, so nobody can put another certificate of the same key, or of the
same issuer and serial number, in the place of the one that was meant.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.asn1 import TLV, SetOf, decode_der, encode_der
from cryptography.x509 import ObjectIdentifier

from gateway.security.algorithms import DIGESTERS
from gateway.security.cms.ber import enclose
from gateway.security.cms.identifiers import DIGEST_OF, OID_OF, AlgorithmIdentifier
from gateway.security.cms.signer_info import Attributes, only
from gateway.security.cms.structures import SEQUENCE, Attribute, elements_of, octets_of
from gateway.security.policy import DIGESTS
from gateway.security.refused import refusal

SIGNING_CERTIFICATE: Final = ObjectIdentifier("1.2.840.113549.1.9.16.2.12")
_REMEMBERED_SIZE: Final = 2_048
"""Octets of an attribute's value that are remembered; one certificate's name takes 200."""
SIGNATURE_POLICY: Final = ObjectIdentifier("1.2.840.113549.1.9.16.2.15")
SIGNING_CERTIFICATE_V2: Final = ObjectIdentifier("1.2.840.113549.1.9.16.2.47")


@asn1.sequence
class IssuerSerial:
    """IssuerSerial: general names, and the serial number."""

    issuer: list[TLV]
    serial: int


@asn1.sequence
class CertificateId:
    """ESSCertID: a SHA-1 digest of the certificate."""

    digest: bytes
    issuer_serial: IssuerSerial | None


@asn1.sequence
class CertificateIdV2:
    """ESSCertIDv2: a digest of the certificate, SHA-256 where the algorithm is left out."""

    algorithm: AlgorithmIdentifier | None
    digest: bytes
    issuer_serial: IssuerSerial | None


@asn1.sequence
class SigningCertificate:
    """SigningCertificate; the signer's own certificate is the first."""

    certificates: list[CertificateId]
    policies: list[TLV] | None


@asn1.sequence
class SigningCertificateV2:
    """SigningCertificateV2; the signer's own certificate is the first."""

    certificates: list[CertificateIdV2]
    policies: list[TLV] | None


def check_certificate_named(attributes: Attributes, der: bytes, part: str) -> bool:
    """True where signed attributes name the certificate that signed, False where they name none.

    Both versions are held to what they say where both are there.  Raises ValueError where unreadable,
    Refused (SIG045, SIG202) where the certificate is another.
    """
    named = False
    for name in (SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2):
        if name not in attributes.by_type:
            continue
        small = len(attributes.by_type[name]) <= _REMEMBERED_SIZE
        check = _check_attribute if small else _check_attribute.__wrapped__
        check(attributes.by_type[name], der, part, name)
        named = True
    return named


@lru_cache(maxsize=1_024)
def _check_attribute(attribute: bytes, der: bytes, part: str, name: ObjectIdentifier) -> None:
    """One attribute.  A signer writes the same in every message; what is refused is not remembered."""
    value = octets_of(only(decode_der(Attribute, attribute).values.as_list(), part))
    read: SigningCertificate | SigningCertificateV2
    if name == SIGNING_CERTIFICATE:
        read = decode_der(SigningCertificate, value)
    else:
        read = decode_der(SigningCertificateV2, value)
    if not read.certificates:
        raise refusal("SIG202", "1", "0", part)
    _check_named(read.certificates[0], der, part)


def signature_policy(attributes: Attributes) -> str:
    """The signature policy that the signer names (EN 319 122-1, 5.2.9), which is not fetched; ``implied``, or
    "" where none is.  Raises ValueError where unreadable, Refused (SIG045)."""
    values = attributes.values(SIGNATURE_POLICY)
    if values is None:
        return ""
    value = only(values, "signature-policy-identifier")
    if value[:1] != SEQUENCE:
        return "implied"
    named: ObjectIdentifier = elements_of(value)[0].parse(ObjectIdentifier)
    return named.dotted_string


def signing_certificate(der: bytes, digest: str = "sha256") -> Attribute:
    """The attribute that names a certificate, to be signed."""
    algorithm = None if digest == "sha256" else AlgorithmIdentifier(algorithm=OID_OF[digest], parameters=None)
    identity = CertificateIdV2(
        algorithm=algorithm, digest=DIGESTERS[digest](der).digest(), issuer_serial=_issuer_serial(der)
    )
    value = SigningCertificateV2(certificates=[identity], policies=None)
    written = decode_der(TLV, encode_der(value))
    return Attribute(type=SIGNING_CERTIFICATE_V2, values=SetOf([written]))


def _issuer_serial(der: bytes) -> IssuerSerial:
    certificate = x509.load_der_x509_certificate(der)
    issuer = decode_der(TLV, enclose(b"\xa4", certificate.issuer.public_bytes()))
    return IssuerSerial(issuer=[issuer], serial=certificate.serial_number)


def _check_named(identity: CertificateId | CertificateIdV2, der: bytes, part: str) -> None:
    if isinstance(identity, CertificateId):
        # SHA-1 names the certificate here and nothing more: the chain and the signature prove it.
        found = hashlib.sha1(der, usedforsecurity=False).digest()
    else:
        digest = "sha256" if identity.algorithm is None else DIGEST_OF.get(identity.algorithm.algorithm)
        if digest is None or digest == "sha1":
            wanted = identity.algorithm.algorithm.dotted_string if identity.algorithm else ""
            raise refusal("SIG007", ", ".join(sorted(DIGESTS)), wanted, part)
        found = DIGESTERS[digest](der).digest()
    if found != identity.digest:
        raise refusal("SIG202", identity.digest.hex(), found.hex(), part)
    named = identity.issuer_serial
    # The digest is of the whole certificate; the issuer's name is often written in other string types here.
    if named is not None and named.serial != x509.load_der_x509_certificate(der).serial_number:
        raise refusal("SIG202", f"serial {named.serial:x}", "another serial number", part)
