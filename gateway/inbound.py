"""The inbound journey: bytes in, verdict out.  Pure: no clock, network, disk, database or randomness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import msgspec
from lxml import etree

from gateway import routing, rules, security, syntax
from gateway.handbook import Handbook
from gateway.mapping import Reading
from gateway.model import (
    Declaration,
    Finding,
    Judged,
    Outcome,
    Partner,
    Place,
    Submission,
    Verdict,
)
from gateway.model.finding import worst
from gateway.safexml import xpath_of

IN_USE = "a message type in use here"

Judge = Callable[[Declaration], tuple[Finding, ...]]


@dataclass(frozen=True, slots=True)
class Examined:
    """What was read and how it was judged, whoever sent it.

    ``name``: the name space of ``reference``; ``table``: the mapping table of an XML document;
    ``interchange``: for EDIFACT, what a CONTRL must quote.
    """

    name: str
    reference: str
    messages: tuple[Judged, ...]
    findings: tuple[Finding, ...] = ()
    table: str = ""
    interchange: syntax.Interchange | None = None


@dataclass(frozen=True, slots=True)
class Inspected:
    """The verdict on a submission and what it rests on."""

    verdict: Verdict
    interchange: syntax.Interchange | None = None


class Unreadable(Exception):
    """Nothing can be answered in the sender's syntax; ``findings`` say why."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__(", ".join(f.code for f in findings))
        self.findings = findings


def inspect(submission: Submission, handbook: Handbook, now: datetime) -> Inspected:
    """Prove, read, translate and judge one submission; every message gets an outcome of its own.

    Raises security.Refused where the sender is not proven and Unreadable where no answer can be
    addressed: then there is no verdict and no receipt, only the transport's refusal.
    """
    verified = security.verify(submission.body, submission.media_type, handbook.trust, handbook.policy, now)
    filer = handbook.register.partners[submission.partner]
    signer = handbook.register.by_subject(verified.signer.subject)
    if signer is None:
        place = Place(part="signature")
        raise security.Refused((Finding("PAR001", place, "a registered subject", verified.signer.subject),))

    def judge(declaration: Declaration) -> tuple[Finding, ...]:
        return rules.judge(declaration, handbook.rulebook, now) + routing.authority(
            declaration, filer, signer, handbook.register, now
        )

    def envelope(interchange: syntax.Interchange) -> tuple[Finding, ...]:
        return routing.sender(interchange, filer, signer)

    if verified.document is None:
        examined = examine_edifact(verified.content, handbook, judge, envelope)
    else:
        examined = examine_xml(verified.document, handbook, judge)
    return Inspected(_verdict(examined, submission, filer, signer, verified), examined.interchange)


def examine_xml(document: etree._Element, handbook: Handbook, judge: Judge) -> Examined:
    """Validate, translate and judge one XML document: it is one message.  Raises Unreadable."""
    entry = handbook.schemas.find(document)
    if entry is None:
        raise Unreadable((handbook.schemas.unknown(document),))
    table = handbook.mappings.xml(entry.table)
    findings = handbook.schemas.validate(document, entry)
    reading = Reading()
    if not worst(findings):
        reading = table.read(document)
        judged = (f for d in reading.declarations for f in judge(d))
        findings += reading.findings + tuple(
            routing.placed(f, table.locate(document, f.place.pointer)) for f in judged
        )
        if not reading.declarations and not worst(findings):
            place = Place(xpath=xpath_of(document), line=document.sourceline or 0)
            findings += (Finding("PAR006", place, IN_USE, entry.type),)
    message = _judged(1, entry.type, "", reading, findings)
    reference = message.lrn or handbook.schemas.reference(document, entry)
    return Examined(entry.type, reference, (message,), table=entry.table)


def examine_edifact(
    content: bytes,
    handbook: Handbook,
    judge: Judge,
    envelope: Callable[[syntax.Interchange], tuple[Finding, ...]] = lambda interchange: (),
) -> Examined:
    """Check, translate and judge an interchange, each of its messages alone.  Raises Unreadable."""
    interchange = syntax.read(content, handbook.directories, handbook.edifact_limits)
    if not interchange.answerable:
        raise Unreadable(_unanswerable(interchange))
    whole = interchange.findings + envelope(interchange)
    sunk = worst(whole)
    messages = tuple(_edifact_message(m, handbook, judge, sunk) for m in interchange.messages)
    return Examined("UNB", interchange.reference, messages, whole, interchange=interchange)


def _unanswerable(interchange: syntax.Interchange) -> tuple[Finding, ...]:
    """Why no CONTRL can answer: a CONTRL never is answered, or the envelope does not say whom to answer."""
    if any(m.type == "CONTRL" for m in interchange.messages) or not worst(interchange.findings):
        return (Finding("PAR008", Place(tag="UNH")), *interchange.findings)
    return interchange.findings


def _edifact_message(message: syntax.Message, handbook: Handbook, judge: Judge, sunk: bool) -> Judged:
    """The outcome of one message; ``sunk`` where the envelope's fault rejects them all."""
    findings = message.findings
    table = handbook.mappings.edifact(message.type, message.version, message.release)
    if table is None and not worst(findings):
        findings += (_not_in_use(message),)
    reading = Reading()
    if table is not None and message.tree is not None and not sunk and not worst(findings):
        reading = table.read(message.tree)
        judged = (f for d in reading.declarations for f in judge(d))
        tree = message.tree
        told = reading.findings + tuple(
            routing.placed(f, table.locate(tree, f.place.pointer)) for f in judged
        )
        findings += tuple(routing.within(f, message.reference) for f in told)
        if not reading.declarations and not worst(findings):
            findings += (_not_in_use(message),)
    result = _judged(message.ordinal, message.type, message.reference, reading, findings, sunk)
    return msgspec.structs.replace(result, identifier=message.identifier)


def _not_in_use(message: syntax.Message) -> Finding:
    """PAR006 for a message that declares nothing: one without a table, or one of customs' own answers."""
    place = Place(message=message.reference, segment=1, tag="UNH", element=2)
    return Finding("PAR006", place, IN_USE, message.identifier)


def _judged(
    ordinal: int,
    type_: str,
    reference: str,
    reading: Reading,
    findings: tuple[Finding, ...],
    sunk: bool = False,
) -> Judged:
    declaration = reading.declarations[0] if reading.declarations else None
    accepted = declaration is not None and not sunk and not worst(findings)
    return Judged(
        ordinal=ordinal,
        type=type_,
        reference=reference,
        outcome=Outcome.ACCEPTED if accepted else Outcome.REJECTED,
        lrn=declaration.reference if declaration else "",
        function=declaration.function if declaration else "",
        kind=declaration.kind if declaration else None,
        findings=findings,
        declaration=declaration if accepted else None,
    )


def outcome(examined: Examined) -> Outcome:
    """What became of the whole: accepted, partly (some messages) or rejected."""
    accepted = sum(m.outcome is Outcome.ACCEPTED for m in examined.messages)
    if accepted == 0 or worst(examined.findings):
        return Outcome.REJECTED
    return Outcome.ACCEPTED if accepted == len(examined.messages) else Outcome.PARTLY


def _verdict(
    examined: Examined,
    submission: Submission,
    filer: Partner,
    signer: Partner,
    verified: security.Verified,
) -> Verdict:
    if examined.interchange is None:
        route = routing.xml_route(submission, filer, signer, examined.table)
    else:
        route = routing.edifact_route(submission, filer, signer, examined.interchange, verified.envelope)
    return Verdict(
        outcome=outcome(examined),
        reference=examined.reference,
        claim=f"{examined.name}:{examined.reference}",
        partner=signer.id,
        route=route,
        messages=examined.messages,
        findings=examined.findings,
        signer=verified.signer,
    )
