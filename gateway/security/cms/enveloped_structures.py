"""The structures of encrypted CMS messages (RFC 5652, 5083, 5084, 5753), as strict DER."""

from __future__ import annotations

from typing import Annotated, Final

from cryptography.hazmat import asn1
from cryptography.hazmat.asn1 import TLV, BitString, Default, Explicit, Implicit, SetOf
from cryptography.x509 import ObjectIdentifier

from gateway.security.cms.identifiers import AlgorithmIdentifier, MaskGenerator
from gateway.security.cms.structures import IssuerAndSerial

ENVELOPED_DATA: Final = ObjectIdentifier("1.2.840.113549.1.7.3")
AUTH_ENVELOPED_DATA: Final = ObjectIdentifier("1.2.840.113549.1.9.16.1.23")
COMPRESSED_DATA: Final = ObjectIdentifier("1.2.840.113549.1.9.16.1.9")


@asn1.sequence
class EncryptedContent:
    """EncryptedContentInfo."""

    content_type: ObjectIdentifier
    algorithm: TLV
    content: Annotated[bytes | None, Implicit(0)]


@asn1.sequence
class EncryptedPieces:
    """EncryptedContentInfo as senders that stream write it: the octets in pieces."""

    content_type: ObjectIdentifier
    algorithm: TLV
    content: Annotated[list[bytes], Implicit(0)]


@asn1.sequence
class AuthEnvelopedData:
    """AuthEnvelopedData, as it is written."""

    version: int
    originator: Annotated[list[TLV] | None, Implicit(0)]
    recipients: SetOf[TLV]
    encrypted: TLV
    attributes: Annotated[SetOf[TLV] | None, Implicit(1)]
    mac: bytes
    unauthenticated: Annotated[list[TLV] | None, Implicit(2)]


@asn1.sequence
class KeyTransport:
    """KeyTransRecipientInfo."""

    version: int
    recipient: IssuerAndSerial | Annotated[bytes, Implicit(0)]
    algorithm: TLV
    wrapped: bytes


@asn1.sequence
class OriginatorKey:
    """OriginatorPublicKey: the sender's ephemeral key."""

    algorithm: TLV
    point: BitString


@asn1.sequence
class Originator:
    """OriginatorIdentifierOrKey in the only form that is read, a key made for this message: a choice under an
    explicit tag has the octets of a structure of one field under an implicit one."""

    key: Annotated[OriginatorKey, Implicit(1)]


@asn1.sequence
class RecipientKeyId:
    """RecipientKeyIdentifier."""

    key_id: bytes


@asn1.sequence
class RecipientKey:
    """RecipientEncryptedKey."""

    recipient: IssuerAndSerial | Annotated[RecipientKeyId, Implicit(0)]
    wrapped: bytes


@asn1.sequence
class KeyAgreement:
    """KeyAgreeRecipientInfo, without the implicit tag that it stands under."""

    version: int
    originator: Annotated[Originator, Implicit(0)]
    user_material: Annotated[bytes | None, Explicit(1)]
    algorithm: TLV
    keys: list[RecipientKey]


@asn1.sequence
class Parameters:
    """An algorithm whose parameters are an octet string (an AES-CBC vector)."""

    algorithm: ObjectIdentifier
    vector: bytes


@asn1.sequence
class GcmParameters:
    """GCMParameters (RFC 5084, 3.2)."""

    nonce: bytes
    tag_size: Annotated[int, Default(12)]


@asn1.sequence
class GcmIdentifier:
    """AES-GCM with its parameters."""

    algorithm: ObjectIdentifier
    parameters: GcmParameters


@asn1.sequence
class AgreementIdentifier:
    """A key agreement and the algorithm that wraps the content's key (RFC 5753, 7.1.4)."""

    algorithm: ObjectIdentifier
    wrap: AlgorithmIdentifier


@asn1.sequence
class OaepParameters:
    """RSAES-OAEP-params (RFC 4055, 4.1); SHA-1 where one is left out."""

    digest: Annotated[AlgorithmIdentifier | None, Explicit(0)]
    mask: Annotated[MaskGenerator | None, Explicit(1)]
    label: Annotated[list[TLV] | None, Implicit(2)]


@asn1.sequence
class OaepIdentifier:
    """id-RSAES-OAEP with its parameters."""

    algorithm: ObjectIdentifier
    parameters: OaepParameters


@asn1.sequence
class SharedInfo:
    """ECC-CMS-SharedInfo (RFC 5753, 7.2)."""

    wrap: TLV
    user_material: Annotated[bytes | None, Explicit(0)]
    size: Annotated[bytes, Explicit(2)]
