"""The door of verification: from a body and its media type to what was signed, or a refusal."""

from __future__ import annotations

import re
from datetime import datetime

from lxml import etree

from gateway.security.certificates.trust import Trust
from gateway.security.cms.verifying import Signed, attached_content, verify_cms
from gateway.security.mime import (
    MediaType,
    body_of,
    from_base64,
    media_type,
    read_entity,
    split_signed,
    with_crlf,
)
from gateway.security.policy import MimeLimits, Policy
from gateway.security.refused import refusal
from gateway.security.verified import EDIFACT, MULTIPART_SIGNED, PKCS7_MIME, SEAL, XML, Verified
from gateway.security.xmldsig.reference import verify_by_both, verify_by_reference
from gateway.security.xmldsig.verifying import read_document, verify_xml

_ENGINES = {"fast": verify_xml, "signxml": verify_by_reference, "both": verify_by_both}

_XML_TYPES = frozenset({XML, "text/xml"})
_PKCS7_TYPES = frozenset({PKCS7_MIME, "application/x-pkcs7-mime"})
_SIGNATURE_TYPES = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})
_EDIFACT_TYPES = frozenset({EDIFACT})
_UNTYPED = frozenset({"", "application/edi-consent", "application/octet-stream", "text/plain"})
"""Types that senders' tools put on any content; what it is shows in its first octets."""

_MICALG = {"sha256": "sha-256", "sha384": "sha-384", "sha512": "sha-512"}
_INTERCHANGE = re.compile(rb"\s*UN[AB]")
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<")
_MIME_FILE = re.compile(rb"MIME-Version:", re.IGNORECASE)


def verify(body: bytes, media_type: str, trust: Trust, policy: Policy, now: datetime) -> Verified:
    """Prove who signed a message, and return what they signed.

    ``media_type``: the full Content-Type value.  ``application/xml`` and ``text/xml`` carry an
    enveloped XML signature, ``multipart/signed`` a detached and ``application/pkcs7-mime`` an
    attached CMS signature; everything else is unsigned.  ``now``: aware, the time at which the
    signer's chain must hold.  Raises Refused (SIG and XML codes).
    """
    if len(body) > policy.max_bytes:
        raise refusal("SIG051", str(policy.max_bytes), str(len(body)), "body")
    media = _media(media_type)
    if media.essence in _XML_TYPES:
        return _ENGINES[policy.engine](body, trust, policy, now)
    if _MIME_FILE.match(body):
        media, body = _unwrap(body, media, policy.mime)
    if media.essence == MULTIPART_SIGNED:
        return _verify_detached(body, media, trust, policy, now)
    if media.essence in _PKCS7_TYPES:
        return _verify_attached(body, media, trust, policy, now)
    raise refusal("SIG002", ", ".join((XML, MULTIPART_SIGNED, PKCS7_MIME)), media.essence, "Content-Type")


_media = media_type


def unproven(body: bytes, media_type: str, policy: Policy) -> tuple[bytes, str]:
    """(octets, type) inside a CMS envelope without a look at its signature: for a partner's own desk,
    never for the journey.  Raises Refused."""
    media = _media(media_type)
    if _MIME_FILE.match(body):
        media, body = _unwrap(body, media, policy.mime)
    if media.essence == MULTIPART_SIGNED:
        octets = split_signed(body, media.parameters.get("boundary", ""), policy.mime).first
    elif media.essence in _PKCS7_TYPES:
        octets = attached_content(_der(body))
    else:
        raise refusal("SIG002", ", ".join((XML, MULTIPART_SIGNED, PKCS7_MIME)), media.essence, "Content-Type")
    return _octets_inside(octets, policy)


def _unwrap(body: bytes, media: MediaType, limits: MimeLimits) -> tuple[MediaType, bytes]:
    """A whole MIME file, as ``openssl cms -outform SMIME`` writes it: its own header counts, and
    must name the type that the transport named."""
    entity = read_entity(body, limits)
    if entity.media.essence != media.essence:
        raise refusal("SIG050", media.essence, entity.media.essence, "Content-Type")
    return entity.media, body_of(entity)


def _verify_detached(body: bytes, media: MediaType, trust: Trust, policy: Policy, now: datetime) -> Verified:
    protocol = media.parameters.get("protocol", "")
    if protocol.lower() not in _SIGNATURE_TYPES:
        raise refusal("SIG053", "application/pkcs7-signature", protocol, "protocol")
    parts = split_signed(body, media.parameters.get("boundary", ""), policy.mime)
    signature = read_entity(parts.second, policy.mime)
    if signature.media.essence not in _SIGNATURE_TYPES:
        raise refusal("SIG053", "application/pkcs7-signature", signature.media.essence, "signature part")
    forms = list(dict.fromkeys((parts.first, with_crlf(parts.first))))
    signed = verify_cms(body_of(signature), forms, trust, policy, now)
    _check_micalg(media, signed)
    return _content_of(signed, MULTIPART_SIGNED, policy)


def _check_micalg(media: MediaType, signed: Signed) -> None:
    """The announced digest (RFC 8551, 3.5.3.2) is the one that was used; older names have no dash."""
    found = media.parameters.get("micalg", "").lower()
    if found not in (_MICALG[signed.digest], signed.digest):
        raise refusal("SIG054", _MICALG[signed.digest], found, "micalg")


def _verify_attached(body: bytes, media: MediaType, trust: Trust, policy: Policy, now: datetime) -> Verified:
    kind = media.parameters.get("smime-type", "signed-data").lower()
    if kind != "signed-data":
        raise refusal("SIG041", "signed-data", kind, "smime-type")
    signed = verify_cms(_der(body), (), trust, policy, now)
    return _content_of(signed, PKCS7_MIME, policy)


def _der(body: bytes) -> bytes:
    """The ContentInfo of a body that may be base64: a ContentInfo is longer than 127 octets, and the
    second octet of such a one is none of base64."""
    return body if body[:1] == b"0" and body[1:2] >= b"\x80" else from_base64(body)


def _octets_inside(octets: bytes, policy: Policy) -> tuple[bytes, str]:
    """(octets, type) of a bare interchange or document, or of one in a MIME entity."""
    kind = _kind(octets)
    if kind:
        return octets, kind
    entity = read_entity(octets, policy.mime)
    octets = body_of(entity)
    return octets, _kind_named(entity.media.essence, octets)


def _content_of(signed: Signed, envelope: str, policy: Policy) -> Verified:
    """What the signed octets hold."""
    octets, kind = _octets_inside(signed.content, policy)
    document: etree._Element | None = None
    if kind == XML:
        document = read_document(octets, policy)
    return Verified(octets, kind, document, signed.signer, envelope, seal=SEAL)


def _kind(octets: bytes) -> str:
    """What octets without a MIME header are, by how they begin; "" where that does not show."""
    if _INTERCHANGE.match(octets):
        return EDIFACT
    return XML if _MARKUP.match(octets) else ""


def _kind_named(essence: str, octets: bytes) -> str:
    if essence in _EDIFACT_TYPES:
        return EDIFACT
    if essence in _XML_TYPES:
        return XML
    kind = _kind(octets) if essence in _UNTYPED else ""
    if not kind:
        raise refusal("SIG053", ", ".join((EDIFACT, XML)), essence, "content")
    return kind
