"""One SignerInfo (RFC 5652, 5.3): its signed attributes, whom it names, and its signature.

Messages and time stamps are both SignedData; what holds for the signer of either is here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from cryptography.hazmat.asn1 import TLV, GeneralizedTime, SetOf, UTCTime
from cryptography.x509 import ObjectIdentifier

from gateway.security.certificates.signer_id import SignerId
from gateway.security.cms.ber import elements_in, parts_of
from gateway.security.cms.structures import (
    CONTENT_TYPE,
    MESSAGE_DIGEST,
    SET,
    SIGNING_TIME,
    IssuerAndSerial,
    SignedData,
    SignerInfo,
    octets_of,
)
from gateway.security.refused import refusal

T = TypeVar("T")

_ONCE = frozenset({CONTENT_TYPE, MESSAGE_DIGEST})
_LATE = b"\x18"


class OneSigner(msgspec.Struct, frozen=True):
    """SignedData of exactly one signer, and its parts as they stood in the DER, which has one form only.

    ``certificates`` and ``crls``: of any kind.  ``fields``: of the SignerInfo.
    """

    signed: SignedData
    info: SignerInfo
    certificates: tuple[bytes, ...]
    crls: tuple[bytes, ...]
    fields: tuple[bytes, ...]

    @property
    def digest_algorithm(self) -> bytes:
        """The identifier."""
        return self.fields[2]

    @property
    def signature_algorithm(self) -> bytes:
        """The identifier."""
        return self.fields[3 if self.info.signed_attributes is None else 4]


class Attributes(msgspec.Struct, frozen=True):
    """Signed attributes: what they say, each by its type as it stands in DER, and the ``octets`` that were
    signed."""

    message_digest: bytes
    signed_at: datetime | None
    by_type: Mapping[ObjectIdentifier, bytes]
    octets: bytes

    def values(self, kind: ObjectIdentifier) -> tuple[bytes, ...] | None:
        """An attribute's values in DER; None where it is not there."""
        attribute = self.by_type.get(kind)
        if attribute is None:
            return None
        _, (values, _) = elements_in(attribute, 0)
        return parts_of(attribute, values)


def one_signer(signed: SignedData, part: str = "SignerInfo") -> OneSigner:
    """The parts of SignedData.

    Raises ValueError where unreadable, Refused (SIG042) where there is not exactly one signer."""
    infos = signed.signer_infos.as_list()
    if len(infos) != 1:
        raise refusal("SIG042", "1", str(len(infos)), part)
    info: SignerInfo = infos[0].parse(SignerInfo)
    certificates, crls = (tuple(map(octets_of, held or ())) for held in (signed.certificates, signed.crls))
    return OneSigner(signed, info, certificates, crls, parts_of(octets_of(infos[0])))


def read_attributes(one: OneSigner, content_type: ObjectIdentifier) -> Attributes:
    """The signed attributes; without them a signature over an attribute set could pass for one over
    content (RFC 5652, 5.4 and the confusion it allows).

    Raises ValueError where unreadable, Refused (SIG043, SIG044, SIG045).
    """
    if one.info.signed_attributes is None:
        raise refusal("SIG043", "signedAttrs", "", "SignerInfo")
    written = one.fields[3]
    read = one.info.signed_attributes.as_list()
    by_type: dict[ObjectIdentifier, bytes] = {}
    values: dict[ObjectIdentifier, SetOf[TLV]] = {}
    for attribute, octets in zip(read, parts_of(written), strict=True):
        kind = attribute.type
        if kind in by_type:
            raise refusal("SIG045", "1", kind.dotted_string, "signedAttrs")
        by_type[kind], values[kind] = octets, attribute.values
    missing = _ONCE - by_type.keys()
    if missing:
        raise refusal("SIG043", ", ".join(sorted(m.dotted_string for m in missing)), "", "signedAttrs")
    types = [value.parse(ObjectIdentifier) for value in values[CONTENT_TYPE].as_list()]
    if types != [content_type]:
        found = ", ".join(name.dotted_string for name in types)
        raise refusal("SIG044", content_type.dotted_string, found, "contentType")
    digest = only(values[MESSAGE_DIGEST].as_list(), "messageDigest").parse(bytes)
    times = values.get(SIGNING_TIME)
    signed_at = None if times is None else _time(only(times.as_list(), "signingTime"))
    # RFC 5652, 5.4: signed is the set, whatever tag it stands under.
    return Attributes(digest, signed_at, by_type, SET + written[1:])


def only(values: Sequence[T], part: str) -> T:
    """An attribute's only value.  Raises Refused (SIG045)."""
    if len(values) != 1:
        raise refusal("SIG045", "1", str(len(values)), part)
    return values[0]


def signer_id(one: OneSigner) -> SignerId:
    """Whom the SignerInfo names."""
    sid = one.info.sid
    if isinstance(sid, IssuerAndSerial):
        return SignerId(issuer=octets_of(sid.issuer), serial=sid.serial)
    return SignerId(key_id=sid)


def _time(value: TLV) -> datetime:
    kind = GeneralizedTime if value.tag_bytes == _LATE else UTCTime
    moment: datetime = value.parse(kind).as_datetime()
    return moment.replace(tzinfo=UTC)
