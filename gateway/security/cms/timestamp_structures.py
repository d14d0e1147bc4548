"""The structures of the time-stamp protocol (RFC 3161, RFC 5816), as strict DER."""

from __future__ import annotations

from typing import Annotated, Final

from cryptography.hazmat import asn1
from cryptography.hazmat.asn1 import TLV, BitString, Default, Explicit, GeneralizedTime, Implicit
from cryptography.x509 import ObjectIdentifier

TST_INFO: Final = ObjectIdentifier("1.2.840.113549.1.9.16.1.4")


@asn1.sequence
class MessageImprint:
    """A digest and the algorithm it was made with."""

    algorithm: TLV
    digest: bytes


@asn1.sequence
class Accuracy:
    """How far the time may be off, on either side."""

    seconds: int | None
    millis: Annotated[int | None, Implicit(0)]
    micros: Annotated[int | None, Implicit(1)]


@asn1.sequence
class TstInfo:
    """What a time-stamp authority signs.  ``tsa`` is one GeneralName under an explicit tag, which has
    the same octets as an implicit sequence of one."""

    version: int
    policy: ObjectIdentifier
    imprint: MessageImprint
    serial: int
    time: GeneralizedTime
    accuracy: Accuracy | None
    ordering: Annotated[bool, Default(False)]
    nonce: int | None
    tsa: Annotated[list[TLV] | None, Implicit(0)]
    extensions: Annotated[list[TLV] | None, Implicit(1)]


@asn1.sequence
class Extension:
    """An extension of a TstInfo, as X.509 writes it."""

    name: ObjectIdentifier
    critical: Annotated[bool, Default(False)]
    value: bytes


@asn1.sequence
class TimeStampRequest:
    """TimeStampReq, as it is asked: always with the authority's certificate in the answer."""

    version: int
    imprint: MessageImprint
    policy: ObjectIdentifier | None
    nonce: int | None
    certificate_wanted: Annotated[bool, Default(False)]
    extensions: Annotated[list[TLV] | None, Implicit(0)]


@asn1.sequence
class StatusInfo:
    """PKIStatusInfo."""

    status: int
    text: list[str] | None
    failure: BitString | None


@asn1.sequence
class AnswerContent:
    """The token's ContentInfo, of whatever kind."""

    content_type: ObjectIdentifier
    content: Annotated[TLV, Explicit(0)]


@asn1.sequence
class TimeStampAnswer:
    """TimeStampResp."""

    status: StatusInfo
    token: AnswerContent | None
