"""Drafts: a response in the syntax of who sent what it is about, not signed yet."""

from __future__ import annotations

from datetime import datetime

import msgspec
from lxml import etree

from gateway import security, syntax
from gateway.handbook import Handbook
from gateway.model import Entity, Route, Segment
from gateway.model.secured import Received
from gateway.outbound.response import About

RESPONSE_TABLE = "RES"
CUSRES_FALLBACK = ("D", "96B")
PLAIN_SYNTAX = ("UNOB", "3")
"""Level and version that any partner can read."""
SECURED_VERSION = "4"
"""The only version with security segments: who writes in it may want its answers signed so."""


class Draft(msgspec.Struct, frozen=True):
    """An unsigned message: an XML document, the same in its canonical octets, or an EDIFACT interchange.

    ``profile``: how an interchange is secured where it is by its own segments.  ``received``: what an AUTACK in it
    is to acknowledge.
    """

    document: etree._Element | None = None
    canonical: bytes = b""
    interchange: bytes = b""
    profile: security.EdifactProfile | None = None
    received: tuple[Received, ...] = ()


def drafted(
    root: Entity, about: About, route: Route, handbook: Handbook, number: str, now: datetime
) -> Draft:
    """The response as an XML document, or as a CUSRES of the message's own directory where that has one.

    Raises LookupError where the handbook has no table to answer with.
    """
    if route.syntax == "xml":
        return Draft(document=handbook.mappings.xml(RESPONSE_TABLE).write(root))
    version, release = about.version, about.release
    table = handbook.mappings.edifact("CUSRES", version, release)
    if table is None:
        version, release = CUSRES_FALLBACK
        table = handbook.mappings.edifact("CUSRES", version, release)
    if table is None:
        raise LookupError("no CUSRES table to answer with")
    written = table.write(root)
    octets = _interchange(written.segments, version, release, route, number, now)
    return Draft(interchange=octets, profile=handbook.edifact_security)


def _interchange(
    segments: tuple[Segment, ...], version: str, release: str, route: Route, number: str, now: datetime
) -> bytes:
    level, _, syntax_version = route.syntax_identifier.partition(":")

    def written(level: str, syntax_version: str, said: tuple[Segment, ...]) -> bytes:
        message = syntax.OutMessage(
            type="CUSRES",
            version=version,
            release=release,
            agency="UN",
            association="",
            reference="1",
            segments=said,
        )
        return syntax.write(
            (message,),
            syntax=(level, syntax_version),
            sender=route.recipient,
            recipient=route.sender,
            reference=number,
            now=now,
            test=route.test,
        )

    try:
        return written(level, syntax_version, segments)
    except ValueError:
        # Our own words (an officer's, or in Vietnamese) do not fit the level that the sender wrote in.
        level, syntax_version = _writable(level, syntax_version)
        return written(level, syntax_version, tuple(_folded(s, level) for s in segments))


def _writable(level: str, version: str) -> tuple[str, str]:
    """The sender's syntax level and version where they need nothing that the route does not know."""
    try:
        syntax.fold("", level)
    except ValueError:
        return PLAIN_SYNTAX[0], version if version == SECURED_VERSION else PLAIN_SYNTAX[1]
    return level, version


def _folded(segment: Segment, level: str) -> Segment:
    """The segment as the level's repertoire can say it: a mark less is better than no answer."""
    elements = tuple(tuple(syntax.fold(c, level) for c in element) for element in segment.elements)
    return msgspec.structs.replace(segment, elements=elements)
