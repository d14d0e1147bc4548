"""What signed octets hold: an interchange or a document, bare or in one MIME entity."""

from __future__ import annotations

import re

from gateway.security.mime import body_of, read_entity
from gateway.security.policy import MimeLimits
from gateway.security.refused import refusal
from gateway.security.verified import EDIFACT, XML

XML_TYPES = frozenset({XML, "text/xml"})
_EDIFACT_TYPES = frozenset({EDIFACT})
_UNTYPED = frozenset({"", "application/edi-consent", "application/octet-stream", "text/plain"})
"""Types that senders' tools put on any content; what it is shows in its first octets."""

_INTERCHANGE = re.compile(rb"\s*UN[AB]")
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<")


def octets_inside(octets: bytes, limits: MimeLimits) -> tuple[bytes, str]:
    """(octets, type) of a bare interchange or document, or of one in a MIME entity.  Raises Refused (SIG050,
    SIG051, SIG053, SIG055)."""
    kind = kind_of(octets)
    if kind:
        return octets, kind
    entity = read_entity(octets, limits)
    octets = body_of(entity)
    return octets, kind_named(entity.media.essence, octets)


def kind_of(octets: bytes) -> str:
    """What octets without a MIME header are, by how they begin; "" where that does not show."""
    if _INTERCHANGE.match(octets):
        return EDIFACT
    return XML if _MARKUP.match(octets) else ""


def kind_named(essence: str, octets: bytes) -> str:
    """What octets of a named type are.  Raises Refused (SIG053)."""
    if essence in _EDIFACT_TYPES:
        return EDIFACT
    if essence in XML_TYPES:
        return XML
    kind = kind_of(octets) if essence in _UNTYPED else ""
    if not kind:
        raise refusal("SIG053", ", ".join((EDIFACT, XML)), essence, "content")
    return kind
