"""The door of verification: from a body and its media type to what was signed, or a refusal.

A body is opened layer by layer, each as its type says: decrypted first, then the signature around it, then the
one that a document has of its own.  What stands inside the innermost signature is what is read.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from cryptography.hazmat.asn1 import TLV
from cryptography.x509 import ObjectIdentifier
from lxml import etree

from gateway.security.certificates.trust import Trust
from gateway.security.cms.decrypting import Decrypter, open_enveloped, undecipherable
from gateway.security.cms.enveloped_structures import AUTH_ENVELOPED_DATA, COMPRESSED_DATA, ENVELOPED_DATA
from gateway.security.cms.structures import SIGNED_DATA
from gateway.security.cms.verifying import (
    Content,
    Signed,
    attached_content,
    read_content_info,
    verify_cms,
    verify_signed_data,
)
from gateway.security.content import XML_TYPES, kind_named, kind_of, octets_inside
from gateway.security.mime import (
    MICALG,
    Entity,
    MediaType,
    body_of,
    from_base64,
    media_type,
    read_entity,
    split_signed,
    with_crlf,
)
from gateway.security.policy import MimeLimits, Policy
from gateway.security.refused import Held, Refused, refusal
from gateway.security.verified import MULTIPART_SIGNED, PKCS7_MIME, SEAL, XML, Verified
from gateway.security.xmldsig.reference import verify_by_both, verify_by_reference
from gateway.security.xmldsig.signature import DS
from gateway.security.xmldsig.v5 import is_v5
from gateway.security.xmldsig.verifying import read_document, verify_beside, verify_xml

_LOG = logging.getLogger("gateway.security")

_ENGINES = {"fast": verify_xml, "signxml": verify_by_reference, "both": verify_by_both}

PKCS7_TYPES = frozenset({PKCS7_MIME, "application/x-pkcs7-mime"})
CMS_TYPES = PKCS7_TYPES | {MULTIPART_SIGNED}
SIGNATURE_TYPES = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})
MIME_FILE = re.compile(rb"MIME-Version:", re.IGNORECASE)

MAX_LAYERS: Final = 3
"""Signed inside encrypted inside signed (RFC 2634, 1.1) is the most that anybody has a use for."""

SIGNED: Final = "signed-data"
_SMIME_TYPES: Final = {
    SIGNED_DATA: SIGNED,
    ENVELOPED_DATA: "enveloped-data",
    AUTH_ENVELOPED_DATA: "authenveloped-data",
    COMPRESSED_DATA: "compressed-data",
}


def verify(
    body: bytes,
    media_type: str,
    trust: Trust,
    policy: Policy,
    now: datetime,
    decrypters: Sequence[Decrypter] = (),
) -> Verified:
    """Prove who signed a message, and return what they signed.

    ``media_type``: the full Content-Type value.  ``application/xml`` and ``text/xml`` carry an XML signature,
    ``multipart/signed`` a detached one (CMS or XML), ``application/pkcs7-mime`` an attached CMS signature or
    an encrypted message with a signed one inside; everything else is unsigned.  ``now``: aware, the time at
    which the signer's chain must hold.  ``decrypters``: the gateway's own decryption keys.  Raises Refused
    (SIG and XML codes).
    """
    if len(body) > policy.max_bytes:
        raise refusal("SIG051", str(policy.max_bytes), str(len(body)), "body")
    media = _media(media_type)
    if MIME_FILE.match(body):
        media, body = _unwrap(body, media, policy.mime)
    return Layers(trust, policy, now, decrypters).open(body, media, 1)


_media = lru_cache(maxsize=256)(media_type)
"""Senders name few types, and name them in every message."""


def unproven(body: bytes, media_type: str, policy: Policy) -> tuple[bytes, str]:
    """(octets, type) inside a CMS envelope without a look at its signature: for a partner's own desk,
    never for the journey.  Raises Refused."""
    media = _media(media_type)
    if MIME_FILE.match(body):
        media, body = _unwrap(body, media, policy.mime)
    if media.essence == MULTIPART_SIGNED:
        octets = split_signed(body, media.parameters.get("boundary", ""), policy.mime).first
    elif media.essence in PKCS7_TYPES:
        octets = attached_content(_der(body))
    else:
        raise _unsigned(media)
    return octets_inside(octets, policy.mime)


class Layers:
    """The layers of one body, opened from the outside."""

    def __init__(
        self, trust: Trust, policy: Policy, now: datetime, decrypters: Sequence[Decrypter] = ()
    ) -> None:
        self.trust, self.policy, self.now = trust, policy, now
        self._decrypters = decrypters

    def open(self, body: bytes, media: MediaType, depth: int) -> Verified:
        """The innermost content of a body of a type, ``depth`` layers below the whole (from 1)."""
        if depth > MAX_LAYERS:
            raise refusal("SIG234", f"<= {MAX_LAYERS}", str(depth), "body")
        if media.essence in XML_TYPES:
            return _ENGINES[self.policy.engine](body, self.trust, self.policy, self.now)
        if media.essence == MULTIPART_SIGNED:
            return self._open_parts(body, media, depth)
        if media.essence in PKCS7_TYPES:
            return self._open_cms(read_content_info(_der(body)), media, depth)
        raise _unsigned(media)

    def _open_parts(self, body: bytes, media: MediaType, depth: int) -> Verified:
        protocol = media.parameters.get("protocol", "").lower()
        parts = split_signed(body, media.parameters.get("boundary", ""), self.policy.mime)
        signature = read_entity(parts.second, self.policy.mime)
        same = next((t for t in (SIGNATURE_TYPES, XML_TYPES) if protocol in t), frozenset[str]())
        if signature.media.essence not in same:
            raise refusal("SIG053", "application/pkcs7-signature", protocol, "protocol")
        if same is XML_TYPES:
            return self._open_beside(parts.first, body_of(signature), depth)
        signed = verify_cms(body_of(signature), _forms(parts.first), self.trust, self.policy, self.now)
        check_micalg(media, signed.digest)
        return self.inside(signed, MULTIPART_SIGNED, depth)

    def _open_beside(self, first: bytes, signature: bytes, depth: int) -> Verified:
        """A part whose signature is an XML document of its own; the part's header is not signed, so that its
        type is not asked."""
        entity = read_entity(first, self.policy.mime)
        content = body_of(entity)
        forms = list(dict.fromkeys((content, with_crlf(content))))
        proven = verify_beside(signature, forms, entity.content_id, self.trust, self.policy, self.now)
        signed = Signed(proven.content.octets, "", proven.signer, proven.proof, proven.findings)
        return self.inside(signed, MULTIPART_SIGNED, depth)

    def _open_cms(self, info: Content, media: MediaType, depth: int) -> Verified:
        kind = _SMIME_TYPES.get(info.type, info.type.dotted_string)
        announced = media.parameters.get("smime-type", kind).lower()
        if announced != kind:
            raise refusal("SIG041", kind, announced, "smime-type")
        if info.type == COMPRESSED_DATA:
            raise refusal("SIG235", "signed-data", kind, "ContentInfo")
        if info.content is not None and info.type in (ENVELOPED_DATA, AUTH_ENVELOPED_DATA):
            return self._open_encrypted(info.type, info.content, depth)
        signed = verify_signed_data(info, None, self.trust, self.policy, self.now)
        return self.inside(signed, PKCS7_MIME, depth)

    def _open_encrypted(self, kind: ObjectIdentifier, content: TLV, depth: int) -> Verified:
        """The signed message inside an encrypted one.

        A cipher that proves nothing (CBC) lets anybody change what is inside: then whatever goes wrong below,
        a fault of ours as well, is answered as the decryption's, so that nothing tells what stood there.
        """
        opened = open_enveloped(kind, content, self._decrypters, self.policy)
        try:
            entity = read_entity(opened.content, self.policy.mime)
            if entity.media.essence not in XML_TYPES | CMS_TYPES:
                raise refusal("SIG233", "signed-data", entity.media.essence, "content")
            return self.open(body_of(entity), entity.media, depth + 1)
        except Held:
            raise
        except Exception as fault:
            if opened.authentic:
                raise
            if not isinstance(fault, Refused):
                _LOG.exception("an encrypted message that proves nothing failed in a way of its own")
            raise undecipherable() from None

    def inside(self, signed: Signed[bytes], envelope: str, depth: int) -> Verified:
        """What signed octets hold, and the signature that it has of its own: then the outer one is the
        carrier's."""
        octets, kind = signed.content, kind_of(signed.content)
        if not kind:
            entity = read_entity(octets, self.policy.mime)
            octets = body_of(entity)
            if entity.media.essence in CMS_TYPES:
                return carried(self.open(octets, entity.media, depth + 1), signed)
            kind = kind_named(entity.media.essence, octets)
        document: etree._Element | None = None
        if kind == XML:
            document = read_document(octets, self.policy)
            if _is_signed(document):
                engine = _ENGINES[self.policy.engine]
                return carried(engine(octets, self.trust, self.policy, self.now), signed)
        return Verified(
            octets,
            kind,
            document,
            signed.signer,
            envelope,
            signed.proof,
            findings=signed.findings,
            seal=SEAL,
        )


def _forms(part: bytes) -> Iterator[bytes]:
    """The octets that a part may have been signed in: as they came, and with MIME's line ends, which are only
    made where they are wanted."""
    yield part
    yield with_crlf(part)


def carried(inner: Verified, outer: Signed[Any]) -> Verified:
    """The inner message with the outer signature as its carrier's.  Raises Refused (SIG236) for a third."""
    if inner.carrier is not None:
        raise refusal("SIG236", "<= 2", "3", "signatures")
    return Verified(
        inner.content,
        inner.media_type,
        inner.document,
        inner.signer,
        inner.envelope,
        inner.proof,
        outer.signer,
        outer.proof,
        (*inner.findings, *outer.findings),
        stretch=inner.stretch,
        outline=inner.outline,
        seal=SEAL,
    )


def _is_signed(document: etree._Element) -> bool:
    """Whether a document has, or pretends to have, a signature of its own."""
    return is_v5(document) or next(document.iter(f"{{{DS}}}Signature"), None) is not None


def _unsigned(media: MediaType) -> Refused:
    return refusal("SIG002", ", ".join((XML, MULTIPART_SIGNED, PKCS7_MIME)), media.essence, "Content-Type")


def _unwrap(body: bytes, media: MediaType, limits: MimeLimits) -> tuple[MediaType, bytes]:
    """A whole MIME file, as ``openssl cms -outform SMIME`` writes it: its own header counts, and
    must name the type that the transport named."""
    entity = read_entity(body, limits)
    return unwrapped(entity, media), body_of(entity)


def unwrapped(entity: Entity, media: MediaType) -> MediaType:
    """The type of a MIME file's entity.  Raises Refused (SIG050) where it is not the transport's."""
    if entity.media.essence != media.essence:
        raise refusal("SIG050", media.essence, entity.media.essence, "Content-Type")
    return entity.media


def check_micalg(media: MediaType, digest: str) -> None:
    """The announced digest (RFC 8551, 3.5.3.2) is the one that was used; older names have no dash."""
    found = media.parameters.get("micalg", "").lower()
    if found not in (MICALG[digest], digest):
        raise refusal("SIG054", MICALG[digest], found, "micalg")


def _der(body: bytes) -> bytes:
    """The ContentInfo of a body that may be base64: a ContentInfo is longer than 127 octets, and the
    second octet of such a one is none of base64."""
    return body if body[:1] == b"0" and body[1:2] >= b"\x80" else from_base64(body)
