"""What was read of a submission and how it was judged, whoever sent it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import msgspec

from gateway import routing, syntax
from gateway.mapping import Reading
from gateway.model import Declaration, Finding, Judged, Outcome, Place
from gateway.model.finding import worst

IN_USE = "a message type in use here"

Judge = Callable[[Declaration], tuple[Finding, ...]]


class Examined(msgspec.Struct, frozen=True):
    """What was read and how it was judged.

    ``name``: the name space of ``reference``; ``table``: the mapping table of an XML document;
    ``interchange``: for EDIFACT, what a CONTRL must quote (its messages without their segments).
    """

    name: str
    reference: str
    messages: Collection[Judged]
    findings: tuple[Finding, ...] = ()
    table: str = ""
    interchange: syntax.Interchange | None = None


SET_ASIDE = "API5034"
"""Of an Unreadable that is no fault of the message's: processes ended over it, and it waits for the operator."""


class Unreadable(Exception):
    """Nothing can be answered in the sender's syntax; ``findings`` say why."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__(", ".join(f.code for f in findings))
        self.findings = findings

    def __reduce__(self) -> tuple[type[Unreadable], tuple[tuple[Finding, ...]]]:
        """As security.Refused: it comes from workers with its findings."""
        return type(self), (self.findings,)


def ruled(
    declarations: Iterable[Declaration], judge: Judge, locate: Callable[[str], Place]
) -> tuple[Finding, ...]:
    """What the rules find, at its place in the sender's own message."""
    found = (finding for declaration in declarations for finding in judge(declaration))
    return tuple(routing.placed(f, locate(f.place.pointer)) for f in found)


def outcome(examined: Examined) -> Outcome:
    """What became of the whole: accepted, partly (some messages) or rejected."""
    accepted = sum(m.outcome is Outcome.ACCEPTED for m in examined.messages)
    if accepted == 0 or worst(examined.findings):
        return Outcome.REJECTED
    return Outcome.ACCEPTED if accepted == len(examined.messages) else Outcome.PARTLY


def judged(
    ordinal: int, type_: str, reference: str, reading: Reading, findings: tuple[Finding, ...]
) -> Judged:
    """One message: accepted where something was declared and nothing is wrong with it."""
    declaration = reading.declarations[0] if reading.declarations else None
    accepted = declaration is not None and not worst(findings)
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
