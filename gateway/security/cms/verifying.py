"""CMS SignedData with exactly one signer (RFC 5652), read strictly.

What is believed is only what the signature covers: the content through its message digest, and the
signed attributes as the octets that were received.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from cryptography.hazmat.asn1 import TLV, decode_der
from cryptography.x509 import ObjectIdentifier

from gateway.model import Signer
from gateway.security.algorithms import DIGESTERS, check_signature
from gateway.security.certificates.signer_id import SignerId
from gateway.security.certificates.trust import Trust
from gateway.security.cms.ber import NotBer, enclose, to_der
from gateway.security.cms.structures import (
    CONTENT_TYPE,
    DATA,
    MESSAGE_DIGEST,
    SEQUENCE,
    SET,
    SIGNED_DATA,
    SIGNING_TIME,
    Attribute,
    ContentInfo,
    DigestAttribute,
    IssuerAndSerial,
    LateTimeAttribute,
    SignedData,
    SignerInfo,
    TimeAttribute,
    TypeAttribute,
    algorithm_of,
    digest_of,
)
from gateway.security.policy import Policy
from gateway.security.refused import refusal

_ONCE = frozenset({CONTENT_TYPE, MESSAGE_DIGEST})


class Signed(msgspec.Struct, frozen=True):
    """The content that a CMS signature covers, the digest's name, and its signer."""

    content: bytes
    digest: str
    signer: Signer


class _Attributes(msgspec.Struct, frozen=True):
    message_digest: bytes
    signed_at: datetime | None
    octets: bytes


def verify_cms(body: bytes, detached: Sequence[bytes], trust: Trust, policy: Policy, now: datetime) -> Signed:
    """Verify a ContentInfo (DER, or BER of definite meaning).

    ``detached``: empty where the content is inside; otherwise the forms that the content outside may
    have been signed in (as transmitted, and with MIME's line ends), of which the first that has the
    signed digest is the content.  Raises Refused (SIG and certificate codes).
    """
    signed = _signed_data(body)
    contents = _contents(signed, detached)
    infos = signed.signer_infos.as_list()
    if len(infos) != 1:
        raise refusal("SIG042", "1", str(len(infos)), "SignerInfo")
    try:
        return _verify_signer(signed, infos[0].parse(SignerInfo), contents, trust, policy, now)
    except ValueError:
        raise refusal("SIG040", "DER", "", "SignerInfo") from None


def attached_content(body: bytes) -> bytes:
    """The content inside a ContentInfo, whoever signed it and whether or not it is true.

    Raises Refused where there is none."""
    (content,) = _contents(_signed_data(body), ())
    return content


def _signed_data(body: bytes) -> SignedData:
    """Strict DER first; what is no DER is made definite and read strictly again."""
    try:
        return _decode(body)
    except ValueError:
        pass
    try:
        return _decode(to_der(body))
    except (NotBer, ValueError):
        raise refusal("SIG040", "DER", "", "SignedData") from None


def _decode(body: bytes) -> SignedData:
    info = decode_der(ContentInfo, body)
    if info.content_type != SIGNED_DATA:
        raise refusal("SIG041", SIGNED_DATA.dotted_string, info.content_type.dotted_string, "ContentInfo")
    signed: SignedData = info.content.parse(SignedData)
    return signed


def _contents(signed: SignedData, detached: Sequence[bytes]) -> Sequence[bytes]:
    """The forms of the content, which must be in one place only."""
    inside = signed.encapsulated.content
    if signed.encapsulated.content_type != DATA:
        found = signed.encapsulated.content_type.dotted_string
        raise refusal("SIG044", DATA.dotted_string, found, "encapContentInfo")
    if detached and inside is not None:
        raise refusal("SIG046", "no eContent", "eContent", "encapContentInfo")
    if detached:
        return detached
    if inside is None:
        raise refusal("SIG046", "eContent", "", "encapContentInfo")
    return (inside,)


def _verify_signer(
    signed: SignedData,
    info: SignerInfo,
    contents: Sequence[bytes],
    trust: Trust,
    policy: Policy,
    now: datetime,
) -> Signed:
    digest = digest_of(info.digest_algorithm)
    algorithm = algorithm_of(info.signature_algorithm, digest)
    if digest not in policy.digests:
        raise refusal("SIG007", ", ".join(sorted(policy.digests)), digest, "SignerInfo")
    if algorithm.name not in policy.algorithms:
        raise refusal("SIG006", ", ".join(sorted(policy.algorithms)), algorithm.name, "SignerInfo")
    attributes = _attributes(info)
    chain = trust.certify(_certificates(signed, policy), policy, now, _signer_id(info))
    check_signature(chain.key, algorithm, info.signature, attributes.octets, "SignerInfo")
    content = _matching(contents, digest, attributes.message_digest)
    if attributes.signed_at is not None and attributes.signed_at > now + policy.clock_skew:
        latest = (now + policy.clock_skew).isoformat()
        raise refusal("SIG048", f"<= {latest}", attributes.signed_at.isoformat(), "signingTime")
    signer = msgspec.structs.replace(chain.signer, algorithm=algorithm.name, signed_at=attributes.signed_at)
    return Signed(content, digest, signer)


def _matching(contents: Sequence[bytes], digest: str, wanted: bytes) -> bytes:
    for content in contents:
        if DIGESTERS[digest](content).digest() == wanted:
            return content
    raise refusal("SIG011", part="messageDigest")


def _attributes(info: SignerInfo) -> _Attributes:
    """The signed attributes; without them a signature over an attribute set could pass for one over
    content (RFC 5652, 5.4 and the confusion it allows)."""
    if info.signed_attributes is None:
        raise refusal("SIG043", "signedAttrs", "", "SignerInfo")
    received = info.signed_attributes.as_list()
    by_type: dict[ObjectIdentifier, TLV] = {}
    for attribute in received:
        name = attribute.parse(Attribute).type
        if name in by_type:
            raise refusal("SIG045", "1", name.dotted_string, "signedAttrs")
        by_type[name] = attribute
    missing = _ONCE - by_type.keys()
    if missing:
        raise refusal("SIG043", ", ".join(sorted(m.dotted_string for m in missing)), "", "signedAttrs")
    types = by_type[CONTENT_TYPE].parse(TypeAttribute).values.as_list()
    if types != [DATA]:
        raise refusal("SIG044", DATA.dotted_string, _dotted(types), "contentType")
    digests = by_type[MESSAGE_DIGEST].parse(DigestAttribute).values.as_list()
    if len(digests) != 1:
        raise refusal("SIG045", "1", str(len(digests)), "messageDigest")
    octets = b"".join(enclose(a.tag_bytes, bytes(a.data)) for a in received)
    return _Attributes(digests[0], _signed_at(by_type.get(SIGNING_TIME)), enclose(SET, octets))


def _dotted(names: Sequence[ObjectIdentifier]) -> str:
    return ", ".join(name.dotted_string for name in names)


def _signed_at(attribute: TLV | None) -> datetime | None:
    if attribute is None:
        return None
    kind = LateTimeAttribute if _is_late(attribute) else TimeAttribute
    times = attribute.parse(kind).values.as_list()
    if len(times) != 1:
        raise refusal("SIG045", "1", str(len(times)), "signingTime")
    moment: datetime = times[0].as_datetime()
    return moment.replace(tzinfo=UTC)


def _is_late(attribute: TLV) -> bool:
    values = attribute.parse(Attribute).values.as_list()
    return bool(values) and values[0].tag_bytes == b"\x18"


def _certificates(signed: SignedData, policy: Policy) -> tuple[bytes, ...]:
    found = signed.certificates or []
    if len(found) > policy.max_certificates:
        raise refusal("SIG028", f"<= {policy.max_certificates}", str(len(found)), "certificates")
    if any(c.tag_bytes != SEQUENCE for c in found):
        raise refusal("SIG021", "X.509", "", "certificates")
    return tuple(enclose(SEQUENCE, bytes(c.data)) for c in found)


def _signer_id(info: SignerInfo) -> SignerId:
    if isinstance(info.sid, IssuerAndSerial):
        issuer = enclose(info.sid.issuer.tag_bytes, bytes(info.sid.issuer.data))
        return SignerId(issuer=issuer, serial=info.sid.serial)
    return SignerId(key_id=info.sid)
