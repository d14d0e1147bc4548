"""Verification of a body that stays in its file: as ``verification``, with what was signed never held.

What cannot be proven in pieces (a document whose canonical form, or whose signature, needs its tree; an encrypted
message; quoted-printable) is read whole, up to the policy's bound of octets.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
from lxml import etree
from msgspec.structs import replace

from gateway.longxml import Odd, outline
from gateway.safexml import XmlLimits, XmlRefused
from gateway.security import base64
from gateway.security.certificates.trust import Trust
from gateway.security.cms.hollow import hollow
from gateway.security.cms.verifying import Signed, read_content_info, verify_beside_file
from gateway.security.content import XML_TYPES, kind_named, kind_of
from gateway.security.mime import Entity, MediaType, body_of, media_type, read_entity
from gateway.security.parts import in_crlf, split_parts
from gateway.security.policy import Policy
from gateway.security.refused import Refused, refusal
from gateway.security.stretch import Stretch, overlapping
from gateway.security.verification import (
    CMS_TYPES,
    MAX_LAYERS,
    MIME_FILE,
    SIGNATURE_TYPES,
    SIGNED,
    Layers,
    carried,
    check_micalg,
    unwrapped,
)
from gateway.security.verified import EDIFACT, MULTIPART_SIGNED, PKCS7_MIME, SEAL, XML, XMLDSIG, Verified
from gateway.security.xmldsig.plain import plain_in
from gateway.security.xmldsig.v5 import is_v5
from gateway.security.xmldsig.verifying import prove_in_file, read_document

_AS_IT_IS = frozenset({"7bit", "8bit", "binary"})
_BASE64_UNIT = 4
_BLANK = b" \t\r\n\v\f"
_SIGNATURES = (b"<Signature", b":Signature")
"""How the start tags of elements begin that sign, whatever their namespace."""


def verify_file(body: Path, content_type: str, layers: Layers) -> Verified:
    """As ``verification.verify``, for a body in a file; ``layers``: what it is proven by.

    What is decoded on the way is kept beside the file, in files without a name.  The content of an interchange
    is in ``Verified.stretch``.  Raises Refused, and OSError where there is no room.
    """
    return _Files(layers, body.parent).verify(Stretch.of_file(body), media_type(content_type))


def document(stretch: Stretch, policy: Policy) -> etree._Element:
    """The whole of a document.  Raises Refused (XML codes, SIG051)."""
    return read_document(whole(stretch, policy), policy)


def roomy(limits: XmlLimits, stretch: Stretch) -> XmlLimits:
    """The limits of a document as large as the door let in: that was agreed with whoever sent it."""
    return replace(limits, max_bytes=max(limits.max_bytes, stretch.size))


def whole(stretch: Stretch, policy: Policy) -> bytes:
    """All octets.  Raises Refused (SIG051) where they are more than the policy holds in memory."""
    if stretch.size > policy.max_bytes:
        raise refusal("SIG051", str(policy.max_bytes), str(stretch.size), "body")
    return b"".join(stretch.pieces())


class _Files:
    """The layers of one body in a file, opened from the outside."""

    def __init__(self, layers: Layers, folder: Path) -> None:
        self._layers = layers
        self._policy = layers.policy
        self._folder = folder

    def verify(self, body: Stretch, media: MediaType) -> Verified:
        head = body.head(self._policy.mime.max_header + 1)
        if MIME_FILE.match(head):
            entity, body = self._entity(body, head)
            media = unwrapped(entity, media)
        return self._open(body, media, 1)

    def _open(self, body: Stretch, media: MediaType, depth: int) -> Verified:
        if media.essence in CMS_TYPES and depth <= MAX_LAYERS:
            body = body.solid(self._folder)
            opened = self._parts if media.essence == MULTIPART_SIGNED else self._cms
            found = opened(body, media, depth)
            if found is not None:
                return found
        if media.essence in XML_TYPES and depth == 1:
            proven = self._signed_in_itself(body.solid(self._folder))
            if proven is not None:
                return proven
        return self._layers.open(whole(body, self._policy), media, depth)

    def _signed_in_itself(self, body: Stretch) -> Verified | None:
        """None where a document or its signature is such that its canonical form needs its tree."""
        left = self._outline(body) if self._policy.engine == "fast" else None
        plain = None if left is None or is_v5(left) else plain_in(body)
        found = None if plain is None else prove_in_file(plain, *self._by)
        if left is None or plain is None or found is None:
            return None
        left.remove(left[-1])
        return Verified(
            b"", XML, None, found[0], XMLDSIG, found[1], stretch=plain.unsigned(), outline=left, seal=SEAL
        )

    def _parts(self, body: Stretch, media: MediaType, depth: int) -> Verified | None:
        """None where the signature is no CMS one."""
        if media.parameters.get("protocol", "").lower() not in SIGNATURE_TYPES:
            return None
        first, second = split_parts(body, media.parameters.get("boundary", ""), self._policy.mime)
        signature = read_entity(whole(second, self._policy), self._policy.mime)
        if signature.media.essence not in SIGNATURE_TYPES:
            return None
        info = read_content_info(body_of(signature))
        signed = verify_beside_file(info, self._forms(first), *self._by)
        check_micalg(media, signed.digest)
        return self._inside(signed, MULTIPART_SIGNED, depth)

    def _cms(self, body: Stretch, media: MediaType, depth: int) -> Verified | None:
        """None where it is something else than signed, or has no content inside."""
        body = self._der(body)
        found = hollow(body)
        if found is None or found[1] is None:
            return None
        around, content = found[0], found[1]
        announced = media.parameters.get("smime-type", SIGNED).lower()
        if announced != SIGNED:
            raise refusal("SIG041", SIGNED, announced, "smime-type")
        signed = verify_beside_file(read_content_info(around), (content,), *self._by)
        return self._inside(signed, PKCS7_MIME, depth)

    def _inside(self, signed: Signed[Stretch], envelope: str, depth: int) -> Verified:
        body = signed.content
        head = body.head(self._policy.mime.max_header + 1)
        kind = kind_of(head)
        if not kind:
            entity, body = self._entity(body, head)
            if entity.media.essence in CMS_TYPES:
                return carried(self._open(body, entity.media, depth + 1), signed)
            kind = kind_named(entity.media.essence, body.head(self._policy.mime.max_header))
        left = None if kind != XML or may_hold_signature(body) else self._outline(body)
        if kind != EDIFACT and left is None:
            held = Signed(whole(signed.content, self._policy), *msgspec.structs.astuple(signed)[1:])
            return self._layers.inside(held, envelope, depth)
        return Verified(
            b"",
            kind,
            None,
            signed.signer,
            envelope,
            signed.proof,
            findings=signed.findings,
            stretch=body,
            outline=left,
            seal=SEAL,
        )

    def _outline(self, body: Stretch) -> etree._Element | None:
        """Of a document; None where that has to be read whole.  Raises Refused where it is too large for that."""
        limits, size = roomy(self._policy.xml, body), body.size
        try:
            return outline(body.pieces(limits.piece), limits)
        except XmlRefused as error:
            if size > self._policy.max_bytes:
                raise Refused(error.findings) from None
        except Odd as odd:
            if size > self._policy.max_bytes:
                raise refusal("XML048", str(self._policy.max_bytes), odd.what, "content") from None
        return None

    @property
    def _by(self) -> tuple[Trust, Policy, datetime]:
        return self._layers.trust, self._policy, self._layers.now

    def _forms(self, part: Stretch) -> Iterator[Stretch]:
        """The octets that a part may have been signed in: as they came, and with MIME's line ends."""
        yield part
        yield Stretch.of_pieces(in_crlf(part.pieces()), self._folder)

    def _entity(self, body: Stretch, head: bytes) -> tuple[Entity, Stretch]:
        """The entity that begins with this head, and its body without its transfer encoding."""
        entity = read_entity(head, self._policy.mime)
        solid = body.solid(self._folder)
        inner = solid.cut((len(head) - len(entity.body), solid.size))
        if entity.encoding in _AS_IT_IS:
            return entity, inner
        if entity.encoding == "base64":
            return entity, self._decoded(inner)
        held = msgspec.structs.replace(entity, body=whole(inner, self._policy))
        return entity, Stretch.of_pieces([body_of(held)], self._folder)

    def _der(self, body: Stretch) -> Stretch:
        """As ``verification``: a ContentInfo is base64 or not by its second octet."""
        head = body.head(2)
        return body if head[:1] == b"0" and head[1:] >= b"\x80" else self._decoded(body)

    def _decoded(self, text: Stretch) -> Stretch:
        try:
            return Stretch.of_pieces(_from_base64(text.pieces()), self._folder)
        except ValueError:
            raise refusal("SIG055", "base64", "", "Content-Transfer-Encoding") from None


def may_hold_signature(body: Stretch) -> bool:
    """Whether a document has, or could have, a signature of its own; in a stretch of one span."""
    body_windows = overlapping(body, len(_SIGNATURES[0]))
    return any(mark in window for _, window in body_windows for mark in _SIGNATURES)


def _from_base64(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Strict base64, as ``security.base64`` has it, in pieces.  Raises ValueError."""
    kept = b""
    for piece in pieces:
        kept += piece.translate(None, _BLANK)
        ready = (len(kept) - 1) // _BASE64_UNIT * _BASE64_UNIT  # the last group may be padded: it waits
        if b"=" in kept[:ready]:
            raise ValueError("padding before the end")
        yield base64.from_base64(kept[:ready])
        kept = kept[ready:]
    yield base64.from_base64(kept)
