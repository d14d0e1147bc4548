"""An XML document through the stages: its schema, its translation, the rules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lxml import etree

from gateway import routing, security
from gateway.handbook import Handbook
from gateway.inbound.examined import IN_USE, Examined, Judge, Unreadable, judged, ruled
from gateway.inbound.steps import Steps, at_once
from gateway.longxml import Invalid, Odd, faults
from gateway.mapping import Reading
from gateway.model import Finding, Judged, Place
from gateway.model.finding import worst
from gateway.safexml import XmlLimits, xpath_of
from gateway.schema import SchemaEntry


def examine_xml(document: etree._Element, handbook: Handbook, judge: Judge) -> Examined:
    """Validate, translate and judge one XML document: it is one message.  Raises Unreadable."""
    return at_once(examining_xml(document, handbook, judge))


def examining_xml(document: etree._Element, handbook: Handbook, judge: Judge) -> Steps[Examined]:
    """The same in steps."""
    entry = handbook.schemas.find(document)
    if entry is None:
        raise Unreadable((handbook.schemas.unknown(document),))
    table = handbook.mappings.xml(entry.table)
    findings = handbook.schemas.validate(document, entry)
    reading = Reading()
    yield
    if not worst(findings):
        reading = table.read(document)
        yield
        findings += reading.findings + ruled(reading.declarations, judge, table.locator(document))
        if not reading.declarations and not worst(findings):
            place = Place(xpath=xpath_of(document), line=document.sourceline or 0)
            findings += (Finding("PAR006", place, IN_USE, entry.type),)
    yield
    message = judged(1, entry.type, "", reading, findings)
    reference = message.lrn or handbook.schemas.reference(document, entry)
    return Examined(entry.type, reference, (message,), table=entry.table)


def examining_long(
    verified: security.Verified, handbook: Handbook, judge: Judge, folder: Path
) -> Steps[Examined]:
    """The same of a document that stays in its file; ``folder``: for what is put by of it.

    It is valid and plain where it is read at all.  What is not is read whole as far as that may be held, so that
    what is wrong is told as ever.
    """
    outline, stretch, policy = verified.outline, verified.stretch, handbook.policy
    assert outline is not None
    assert stretch is not None
    entry = handbook.schemas.find(outline)
    if entry is None:
        raise Unreadable((handbook.schemas.unknown(outline),))
    source = _Source(stretch, security.roomy(policy.xml, stretch), handbook.schemas.schema(entry))
    reference = handbook.schemas.reference(outline, entry)
    try:
        message = _long(source, entry, handbook, judge, folder)
        return Examined(entry.type, message.lrn or reference, (message,), table=entry.table)
    except (Invalid, Odd) as fault:
        why = str(fault)
    yield
    if stretch.size <= policy.max_bytes:
        return (yield from examining_xml(security.document(stretch, policy), handbook, judge))
    found = faults(source.pieces, source.limits, source.schema)
    if found is not None:
        findings = handbook.schemas.told(found.log, (line for _, line in found.fed))
    else:
        findings = (Finding("XML048", Place(), str(policy.max_bytes), why),)
    message = judged(1, entry.type, "", Reading(), findings)
    return Examined(entry.type, reference, (message,), table=entry.table)


class _Source(NamedTuple):
    """A document in a file, the bounds of what is read of it, and its schema."""

    stretch: security.Stretch
    limits: XmlLimits
    schema: etree.XMLSchema

    def pieces(self) -> Iterator[bytes]:
        """Its octets, from the first."""
        return self.stretch.pieces(self.limits.piece)


def _long(source: _Source, entry: SchemaEntry, handbook: Handbook, judge: Judge, folder: Path) -> Judged:
    """What is made of a document that is valid, and of which nothing has to be told."""
    table, limits = handbook.mappings.xml(entry.table), source.limits
    reading = table.read_long(source.pieces(), limits, source.schema, folder)
    found = tuple(finding for declaration in reading.declarations for finding in judge(declaration))
    if found:
        locate = table.locator_long(source.pieces(), limits, (f.place.pointer for f in found))
        found = tuple(routing.placed(f, locate(f.place.pointer)) for f in found)
    return judged(1, entry.type, "", reading, found)
