"""The structures of CMS SignedData that are read and written (RFC 5652), as strict DER."""

from __future__ import annotations

from typing import Annotated, Final

from cryptography.hazmat import asn1
from cryptography.hazmat.asn1 import TLV, Explicit, Implicit, SetOf, decode_der
from cryptography.x509 import ObjectIdentifier

from gateway.security.cms.ber import enclose

DATA: Final = ObjectIdentifier("1.2.840.113549.1.7.1")
SIGNED_DATA: Final = ObjectIdentifier("1.2.840.113549.1.7.2")
CONTENT_TYPE: Final = ObjectIdentifier("1.2.840.113549.1.9.3")
MESSAGE_DIGEST: Final = ObjectIdentifier("1.2.840.113549.1.9.4")
SIGNING_TIME: Final = ObjectIdentifier("1.2.840.113549.1.9.5")

SET: Final = b"\x31"
SEQUENCE: Final = b"\x30"


@asn1.sequence
class EncapsulatedContent:
    """EncapsulatedContentInfo; ``content`` is absent in a detached signature."""

    content_type: ObjectIdentifier
    content: Annotated[bytes | None, Explicit(0)]


@asn1.sequence
class SignedData:
    """SignedData.  Certificates come in any order, so that set is read as a list."""

    version: int
    digest_algorithms: SetOf[TLV]
    encapsulated: EncapsulatedContent
    certificates: Annotated[list[TLV] | None, Implicit(0)]
    crls: Annotated[list[TLV] | None, Implicit(1)]
    signer_infos: SetOf[TLV]


@asn1.sequence
class ContentInfo:
    """ContentInfo; its content is decoded only where the type is SignedData."""

    content_type: ObjectIdentifier
    content: Annotated[TLV, Explicit(0)]


@asn1.sequence
class IssuerAndSerial:
    """IssuerAndSerialNumber; the issuer's name as received."""

    issuer: TLV
    serial: int


@asn1.sequence
class Attribute:
    """Attribute of any type."""

    type: ObjectIdentifier
    values: SetOf[TLV]


@asn1.sequence
class SignerInfo:
    """SignerInfo; signed attributes as received, which must be a DER set."""

    version: int
    sid: IssuerAndSerial | Annotated[bytes, Implicit(0)]
    digest_algorithm: TLV
    signed_attributes: Annotated[SetOf[Attribute] | None, Implicit(0)]
    signature_algorithm: TLV
    signature: bytes
    unsigned_attributes: Annotated[list[TLV] | None, Implicit(1)]


@asn1.sequence
class _Elements:
    """A SEQUENCE of anything as the only field of a structure: the library reads no bare SEQUENCE OF."""

    values: list[TLV]


def elements_of(sequence: bytes) -> list[TLV]:
    """What stands in a SEQUENCE.  Raises ValueError where it is none."""
    return decode_der(_Elements, enclose(SEQUENCE, sequence)).values


def octets_of(element: TLV) -> bytes:
    """The element as it stood in the DER."""
    return enclose(element.tag_bytes, bytes(element.data))
