"""The service segments around messages: UNB to UNZ, UNG to UNE, UNH to UNT, UNO to UNP.

An :class:`Envelope` takes the segment texts of one interchange, gives each message's to a walk of its own,
checks references, counts and order, and adds to a list of events.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from gateway.model.edifact import Agreement, Segment
from gateway.model.finding import Finding, Severity
from gateway.syntax.around import MIXED, Around
from gateway.syntax.counts import check_time, check_trailer
from gateway.syntax.cutter import Begun, Octets, Run
from gateway.syntax.drafts import MAX_BREAKS, DraftMessage, composite
from gateway.syntax.elements import quote
from gateway.syntax.events import (
    Detail,
    Event,
    InterchangeBegun,
    InterchangeRead,
)
from gateway.syntax.grammar import SECURITY
from gateway.syntax.groups import Groups
from gateway.syntax.identification import Identification
from gateway.syntax.interchange import Interchange
from gateway.syntax.limits import EdifactLimits
from gateway.syntax.messages import Messages
from gateway.syntax.packages import Packages
from gateway.syntax.tokeniser import OUTSIDE, Reading, shown

_BREAK = "EDI110"  # a line break inside a segment: a defect, unless the whole is wrapped at one width
_NO_HEAD = Segment("UNB", ())


class Envelope:
    """One interchange, in order; ``events`` is where it tells."""

    def __init__(
        self,
        begun: Begun,
        limits: EdifactLimits,
        identification: Identification,
        agreement: Agreement,
        detail: Detail,
    ) -> None:
        self._around = around = Around(begun, limits, identification, agreement)
        self._groups = Groups(around)
        self._packages = Packages(around, self._groups, detail.octets)
        self.events: list[Event] = around.events
        self._opening = begun.opening
        self._lines = begun.lines
        self._head: Interchange | None = None
        self._reading = Reading(begun.opening.separators, begun.opening.syntax[1])
        self._messages = Messages(around, self._groups, identification, self._reading, detail)
        self._breaks: list[Finding] = []
        self._closed = False
        for finding in begun.opening.findings:
            around.tell(finding)

    # Octets and texts.

    def take(self, run: Run) -> None:
        """The next segments."""
        if run.faults:
            self._take_faulty(run)
            return
        if run.offsets:
            self._around.offset = run.offsets[-1]
        index = 0
        while index < len(run.texts) and not self._around.full:
            if self._closed:  # a UNZ that the octets did not show: with a release character in its tag
                place = self._around.place("UNZ", run.offsets[index])
                self._around.tell_once(Finding("EDI118", place, found=quote(run.texts[index])))
                return
            draft = self._messages.open
            if draft is not None:
                index = draft.walk.take(run, index)
                self._messages.drain()
                if index == len(run.texts):
                    return
            self._take_text(run.texts[index], run.offsets[index])
            index += 1

    def take_octets(self, piece: Octets) -> None:
        """The next octets of a package's object."""
        self._packages.take(piece.octets)

    def _take_faulty(self, run: Run) -> None:
        """At most one segment, with faults of its octets: they belong to its message, or to the whole."""
        text = run.texts[0] if run.texts else ""
        tag = text.lstrip(" \t")[:3]
        if run.texts and tag != "UNT":
            self.take(Run(run.texts, run.offsets))
        draft = self._messages.open if run.texts and tag not in OUTSIDE else None
        number = draft.walk.number + (tag == "UNT") if draft is not None else 0
        for fault in run.faults:
            place = replace(fault.place, segment=number, tag=shown(tag) or fault.place.tag)
            self._attach(replace(fault, place=place), draft)
        if tag == "UNT":
            self.take(Run(run.texts, run.offsets))

    def _attach(self, fault: Finding, draft: DraftMessage | None) -> None:
        if draft is None:
            if fault.code == _BREAK:
                self._breaks += [fault] if len(self._breaks) < MAX_BREAKS else []
            else:
                self._around.tell(fault)
        elif fault.code == _BREAK:
            draft.attach_break(fault)
        else:
            draft.attach(fault)

    def _take_text(self, text: str, offset: int) -> None:
        """A segment outside a message's body."""
        draft = self._messages.open
        segment, faults = self._reading.segment(text, offset, draft.walk.number if draft is not None else 0)
        begins = segment is not None and segment.tag == "UNH"
        for fault in () if begins else faults:
            self._attach(fault, draft if segment is None or segment.tag not in OUTSIDE else None)
        if segment is not None:
            self._around.text = text
            self._take_segment(segment)
        for fault in faults if begins else ():
            self._attach(fault, self._messages.open)

    def _take_segment(self, segment: Segment) -> None:
        taker = _TAKERS.get(segment.tag)
        if taker is not None:
            taker(self, segment)
        elif segment.tag in SECURITY and self._around.header is not None:
            place = self._around.place(segment.tag, segment.offset)
            self._around.tell_once(Finding("EDI027", place, found=segment.tag, severity=Severity.WARNING))
        else:
            self._around.refuse(segment)

    # Interchange.

    def _take_unb(self, segment: Segment) -> None:
        around = self._around
        if around.header is not None:
            around.tell(Finding("EDI119", around.place("UNB", segment.offset), found="UNB"))
            around.full = True
            return
        around.begin(segment)
        head = self._head = self._read_head(segment)
        place = around.place("UNB", segment.offset)
        for finding in around.check(segment, place) + check_time(segment, place):
            around.tell(finding)
        self.events.append(InterchangeBegun(replace(head, findings=self._found())))

    def _take_unz(self, segment: Segment) -> None:
        self._messages.end(None)
        self._groups.end(None)
        self._closed = True
        around = self._around
        if around.header is None:
            return
        place = around.place("UNZ", segment.offset)
        count = len(self._groups.done) or self._messages.count + len(self._packages.done)
        findings = around.check(segment, place)
        findings += check_trailer(segment, place, {count}, around.header.get(5))
        if not count:
            findings.append(Finding("EDI032", place))
        for finding in findings:
            if finding.code != "EDI029" or MIXED not in around.once:  # what is mixed cannot be counted
                around.tell(finding)

    def finish(self, stopped: bool) -> None:
        """No more segments come.  ``stopped``: the reading was broken off, and that is told already."""
        around = self._around
        self._messages.end(None)
        self._packages.end()
        if around.header is not None and not self._closed and not stopped and not around.full:
            self._groups.end(None)
            around.tell(Finding("EDI133", around.place("UNZ", around.offset), "UNZ"))
        self._groups.close()
        breaks = [] if self._lines.wrapped(around.offset) else self._breaks
        for finding in breaks + self._lines.findings(around.offset):
            around.tell(finding)
        groups, packages = tuple(self._groups.done), tuple(self._packages.done)
        head = self._head or self._read_head(_NO_HEAD)
        whole = replace(head, groups=groups, packages=packages, findings=self._found())
        self.events.append(InterchangeRead(whole))

    def _found(self) -> tuple[Finding, ...]:
        return tuple(sorted(self._around.findings, key=_by_severity))

    def _read_head(self, head: Segment) -> Interchange:
        """What UNB says."""
        return Interchange(
            reference=head.get(5),
            sender=composite(head, 2),
            recipient=composite(head, 3),
            syntax=self._opening.syntax,
            encoding=head.get(1, 4),
            prepared_at=":".join(composite(head, 4)),
            application=head.get(7),
            ack_request=head.get(9),
            test=head.get(11) not in ("", "0"),
            separators=self._opening.separators,
        )

    # Groups and packages.

    def _take_ung(self, segment: Segment) -> None:
        around = self._around
        self._messages.end(None)
        self._groups.end(None)
        around.settle()
        if len(self._groups.done) >= around.limits.groups:
            around.fill(around.limits.groups, segment)
            return
        if not self._groups.done and (self._messages.count or self._packages.done):
            around.tell_once(Finding(MIXED, around.place("UNG", segment.offset)))
        self._messages.renew()
        self._groups.begin(segment)

    def _take_une(self, segment: Segment) -> None:
        self._messages.end(None)
        if self._groups.open is None:
            self._around.refuse(segment)
        else:
            self._groups.end(segment)
            self._messages.renew()

    def _take_uno(self, segment: Segment) -> None:
        self._messages.end(None)
        self._packages.begin(segment)

    def _take_unp(self, segment: Segment) -> None:
        if not self._packages.close(segment):
            self._around.refuse(segment)

    # Messages.

    def _take_unh(self, segment: Segment) -> None:
        self._messages.begin(segment)

    def _take_unt(self, segment: Segment) -> None:
        if not self._messages.close(segment):
            self._around.refuse(segment)


_TAKERS: dict[str, Callable[[Envelope, Segment], None]] = {
    "UNB": Envelope._take_unb,
    "UNG": Envelope._take_ung,
    "UNH": Envelope._take_unh,
    "UNT": Envelope._take_unt,
    "UNE": Envelope._take_une,
    "UNO": Envelope._take_uno,
    "UNP": Envelope._take_unp,
    "UNZ": Envelope._take_unz,
}


def _by_severity(finding: Finding) -> int:
    """Errors first, each kind in the order of discovery: CONTRL tells only the first."""
    return 0 if finding.severity is Severity.ERROR else 1
