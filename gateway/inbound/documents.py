"""An XML document through the stages: its schema, its translation, the rules."""

from __future__ import annotations

from lxml import etree

from gateway.handbook import Handbook
from gateway.inbound.examined import IN_USE, Examined, Judge, Unreadable, judged, ruled
from gateway.inbound.steps import Steps, at_once
from gateway.mapping import Reading
from gateway.model import Finding, Place
from gateway.model.finding import worst
from gateway.safexml import xpath_of


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
