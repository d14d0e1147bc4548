"""The service segments around messages: UNB to UNZ, UNG to UNE, UNH to UNT, UNO to UNP.

An :class:`Envelope` takes the segment texts of one interchange, gives each message's to a walk of its own,
checks references, counts and order, and adds to a list of events.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from gateway.model.edifact import Agreement, Segment
from gateway.model.finding import Finding, Place, Severity
from gateway.syntax.counts import check_time, check_trailer, lenient
from gateway.syntax.cutter import Begun, Octets, Run
from gateway.syntax.drafts import DraftGroup, DraftMessage, DraftPackage, Teller, composite
from gateway.syntax.elements import quote
from gateway.syntax.events import (
    Event,
    GroupBegun,
    GroupRead,
    InterchangeBegun,
    InterchangeRead,
    MessageBegun,
    MessageRead,
    PackageRead,
    SegmentRead,
)
from gateway.syntax.findings import Findings
from gateway.syntax.grammar import SECURITY
from gateway.syntax.identification import Identification
from gateway.syntax.interchange import FunctionalGroup, Interchange, Message, Package
from gateway.syntax.limits import EdifactLimits
from gateway.syntax.tokeniser import OUTSIDE, Reading, shown
from gateway.syntax.walk import Walk

_BREAK = "EDI110"  # a line break inside a segment: a defect, unless the whole is wrapped at one width


class Detail(msgspec.Struct, frozen=True):
    """What a reading keeps and tells beside verdicts.

    ``segments``: a :class:`SegmentRead` of each.  ``trees``: messages with their segments and tree.
    ``octets``: packages with their object.
    """

    segments: bool = False
    trees: bool = False
    octets: bool = False


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
        self.events: list[Event] = []
        opening = begun.opening
        self._opening = opening
        self._limits = limits
        self._lines = begun.lines
        self._offset = opening.offset  # of the last segment
        self._identification = identification
        self._agreement = agreement
        self._detail = detail
        self._teller = Teller(self.events, begun.lines, agreement)
        self._reading = Reading(opening.separators, opening.syntax[1])
        self._text = ""  # of the service segment at hand
        self._header: Segment | None = None
        self._findings = Findings(limits.findings)
        self._breaks: list[Finding] = []
        self._message: DraftMessage | None = None
        self._group: DraftGroup | None = None
        self._package: DraftPackage | None = None
        self._groups: list[FunctionalGroup] = []
        self._messages = 0
        self._packages: list[Package] = []
        self._references: set[str] = set()  # of messages in the group at hand, or outside groups
        self._group_references: set[str] = set()
        self._once: set[str] = set()  # codes that are told once
        self._closed = False
        self._full = False  # a bound is reached; nothing more is taken
        self._takers: dict[str, Callable[[Segment], None]] = {
            "UNB": self._take_unb,
            "UNG": self._take_ung,
            "UNH": self._take_unh,
            "UNT": self._take_unt,
            "UNE": self._take_une,
            "UNO": self._take_uno,
            "UNP": self._take_unp,
            "UNZ": self._take_unz,
        }
        for finding in opening.findings:
            self._tell(finding)

    # Octets and texts.

    def take(self, run: Run) -> None:
        """The next segments."""
        if run.faults:
            self._take_faulty(run)
            return
        if run.offsets:
            self._offset = run.offsets[-1]
        index = 0
        while index < len(run.texts) and not self._full:
            if self._message is not None:
                index = self._message.walk.take(run, index)
                self._tell_segments(self._message.walk)
                if index == len(run.texts):
                    return
            self._take_text(run.texts[index], run.offsets[index])
            index += 1

    def take_octets(self, piece: Octets) -> None:
        """The next octets of a package's object."""
        if self._package is not None:
            self._package.take(piece.octets)

    def _take_faulty(self, run: Run) -> None:
        """At most one segment, with faults of its octets: they belong to its message, or to the whole."""
        text = run.texts[0] if run.texts else ""
        tag = text.lstrip(" \t")[:3]
        if run.texts and tag != "UNT":
            self.take(Run(run.texts, run.offsets))
        draft = self._message if run.texts and tag not in OUTSIDE else None
        number = draft.walk.number + (tag == "UNT") if draft is not None else 0
        for fault in run.faults:
            place = replace(fault.place, segment=number, tag=shown(tag) or fault.place.tag)
            self._attach(replace(fault, place=place), draft)
        if tag == "UNT":
            self.take(Run(run.texts, run.offsets))

    def _attach(self, fault: Finding, draft: DraftMessage | None) -> None:
        if draft is None:
            if fault.code == _BREAK:
                self._breaks.append(fault)
            else:
                self._tell(fault)
        elif fault.code == _BREAK:
            draft.attach_break(fault)
        else:
            draft.attach(fault)

    def _take_text(self, text: str, offset: int) -> None:
        """A segment outside a message's body."""
        draft = self._message
        segment, faults = self._reading.segment(text, offset, draft.walk.number if draft is not None else 0)
        begins = segment is not None and segment.tag == "UNH"
        for fault in () if begins else faults:
            self._attach(fault, draft if segment is None or segment.tag not in OUTSIDE else None)
        if segment is not None:
            self._text = text
            self._take_segment(segment)
        for fault in faults if begins else ():
            self._attach(fault, self._message)

    def _take_segment(self, segment: Segment) -> None:
        taker = self._takers.get(segment.tag)
        if taker is not None:
            taker(segment)
        elif segment.tag in SECURITY and self._header is not None:
            place = self._place(segment.tag, segment.offset)
            self._tell_once(Finding("EDI027", place, found=segment.tag, severity=Severity.WARNING))
        else:
            self._refuse_stray(segment)

    def _tell_segments(self, walk: Walk) -> None:
        if self._detail.segments:
            for segment, groups, opens in walk.drain():
                self.events.append(SegmentRead(segment, groups, opens))

    # Interchange.

    def _take_unb(self, segment: Segment) -> None:
        if self._header is not None:
            self._tell(Finding("EDI119", self._place("UNB", segment.offset), found="UNB"))
            self._full = True
            return
        self._header = segment
        place = self._place("UNB", segment.offset)
        for finding in self._check(segment, place) + check_time(segment, place):
            self._tell(finding)
        self.events.append(InterchangeBegun(self._interchange()))

    def _take_unz(self, segment: Segment) -> None:
        self._end_message(None)
        self._end_group(None)
        self._closed = True
        if self._header is None:
            return
        place = self._place("UNZ", segment.offset)
        count = len(self._groups) or self._messages + len(self._packages)
        findings = self._check(segment, place)
        findings += check_trailer(segment, place, {count}, self._header.get(5))
        if not count:
            findings.append(Finding("EDI032", place))
        for finding in findings:
            if finding.code != "EDI029" or "EDI030" not in self._once:  # what is mixed cannot be counted
                self._tell(finding)

    def finish(self, stopped: bool) -> None:
        """No more segments come.  ``stopped``: the reading was broken off, and that is told already."""
        self._end_message(None)
        self._end_package()
        if self._header is not None and not self._closed and not stopped and not self._full:
            self._end_group(None)
            self._tell(Finding("EDI133", self._place("UNZ", self._offset), "UNZ"))
        elif self._group is not None:
            self._close_group(self._group)
        breaks = [] if self._lines.wrapped(self._offset) else self._breaks
        for finding in breaks + self._lines.findings(self._offset):
            self._tell(finding)
        self.events.append(InterchangeRead(self._interchange()))

    def _interchange(self) -> Interchange:
        head = self._header or Segment("UNB", ())
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
            groups=tuple(self._groups),
            packages=tuple(self._packages),
            findings=tuple(sorted(self._findings, key=_by_severity)),
        )

    # Groups.

    def _take_ung(self, segment: Segment) -> None:
        self._end_message(None)
        self._end_group(None)
        self._once.discard("EDI033")
        if len(self._groups) >= self._limits.groups:
            self._fill(self._limits.groups, segment)
            return
        group = self._group = DraftGroup(segment, self._limits.findings)
        place = self._place("UNG", segment.offset)
        findings = self._check(segment, place) + check_time(segment, place)
        reference = segment.get(5)
        if reference in self._group_references:
            findings.append(Finding("EDI026", replace(place, element=5), found=quote(reference)))
        self._group_references.add(reference)
        for finding in findings:
            self._teller.add(group.findings, finding, self._reference)
        if not self._groups and (self._messages or self._packages):
            self._tell_once(Finding("EDI030", place))
        self._references = set()
        self.events.append(GroupBegun(group.read()))

    def _take_une(self, segment: Segment) -> None:
        self._end_message(None)
        if self._group is None:
            self._refuse_stray(segment)
        else:
            self._end_group(segment)

    def _end_group(self, trailer: Segment | None) -> None:
        group = self._group
        if group is None:
            return
        if trailer is None:
            findings = [Finding("EDI133", self._place("UNE", group.header.offset), "UNE")]
        else:
            place = self._place("UNE", trailer.offset)
            findings = self._check(trailer, place)
            findings += group.check(trailer, place, one_type=self._opening.syntax[1] != "4")
        for finding in findings:
            self._teller.add(group.findings, finding, self._reference)
        self._close_group(group)

    def _close_group(self, group: DraftGroup) -> None:
        self._group = None
        self._references = set()
        self._groups.append(group.read())
        self.events.append(GroupRead(self._groups[-1]))

    # Messages.

    def _take_unh(self, segment: Segment) -> None:
        self._end_message(None)
        self._once.discard("EDI033")
        if self._messages >= self._limits.messages:
            self._fill(self._limits.messages, segment)
            return
        self._messages += 1
        ordinal, reference = self._messages, quote(segment.get(1))
        grammar, faults = self._identification.of(segment)

        def told(finding: Finding) -> Finding:
            self._tell_segments(walk)  # those before it, so that the order is that of the octets
            return self._teller.tell(finding, ordinal)

        keep = self._detail.trees or self._detail.segments
        walk = Walk(grammar, self._reading, reference, self._limits.findings, keep, told)
        self._message = DraftMessage(self._begun(segment), segment, walk)
        if self._group is not None:
            self._group.join(ordinal, segment.get(2))
        elif self._groups:
            self._tell_once(Finding("EDI030", self._place("UNH", segment.offset)))
        if segment.get(1) in self._references:
            place = Place(reference, 1, "UNH", element=1, offset=segment.offset)
            faults = [Finding("EDI026", place, found=reference), *faults]
        self._references.add(segment.get(1))
        self.events.append(MessageBegun(self._message.message))
        for fault in faults:
            walk.tell(fault)
        walk.take_segment(segment, self._text)

    def _begun(self, header: Segment) -> Message:
        group = self._group.header.get(5) if self._group is not None else ""
        named = self._identification.identifier(header)
        return Message(
            self._messages,
            header.get(1),
            *named,
            segments=(),
            group_reference=group,
            common_reference=header.get(3),
        )

    def _take_unt(self, segment: Segment) -> None:
        if self._message is None:
            self._refuse_stray(segment)
        else:
            self._message.walk.take_segment(segment, self._text)
            self._end_message(segment)

    def _end_message(self, trailer: Segment | None) -> None:
        draft, self._message = self._message, None
        if draft is not None:
            draft.end(trailer, self._lines.wrapped(draft.walk.offset), self._limits.segments)
            self._tell_segments(draft.walk)
            self.events.append(MessageRead(draft.read(self._detail.trees)))

    # Packages.

    def _take_uno(self, segment: Segment) -> None:
        self._end_message(None)
        self._end_package()
        self._package = DraftPackage(segment, self._detail.octets, self._limits.findings)
        place = self._place("UNO", segment.offset)
        if not self._agreement.packages:
            self._tell(Finding("EDI047", place))
        for finding in self._check(segment, place):
            self._teller.add(self._package.findings, finding, quote(segment.get(1)))

    def _take_unp(self, segment: Segment) -> None:
        package = self._package
        if package is None:
            self._refuse_stray(segment)
            return
        place = self._place("UNP", segment.offset)
        findings = self._check(segment, place)
        findings += check_trailer(segment, place, {package.length}, package.header.get(1))
        self._close_package(package, findings)

    def _end_package(self) -> None:
        if self._package is not None:
            self._close_package(self._package, [Finding("EDI133", self._place("UNP", self._offset), "UNP")])

    def _close_package(self, draft: DraftPackage, findings: list[Finding]) -> None:
        self._package = None
        for finding in findings:
            self._teller.add(draft.findings, finding, quote(draft.header.get(1)))
        group = self._group
        if group is not None:
            group.packages += 1
        self._packages.append(draft.read(group.header.get(5) if group is not None else ""))
        self.events.append(PackageRead(self._packages[-1]))

    # What else is told.

    def _refuse_stray(self, segment: Segment) -> None:
        """A segment outside any message; a run of them is told once."""
        place = self._place(shown(segment.tag), segment.offset)
        self._tell_once(Finding("EDI033", place, found=quote(segment.tag)))

    def _fill(self, allowed: int, segment: Segment) -> None:
        place = self._place(segment.tag, segment.offset)
        self._tell(Finding("EDI117", place, str(allowed), f"> {allowed}"))
        self._full = True

    def _check(self, segment: Segment, place: Place) -> list[Finding]:
        faults = self._identification.service_faults(segment, self._text, place)
        return [lenient(finding, segment) for finding in faults]

    @property
    def _reference(self) -> str:
        return quote(self._header.get(5)) if self._header is not None else ""

    def _place(self, tag: str, offset: int = -1) -> Place:
        return Place(self._reference, 0, tag, offset=offset)

    def _tell(self, finding: Finding) -> None:
        self._teller.add(self._findings, finding, self._reference)

    def _tell_once(self, finding: Finding) -> None:
        if finding.code not in self._once:
            self._once.add(finding.code)
            self._tell(finding)


def _by_severity(finding: Finding) -> int:
    """Errors first, each kind in the order of discovery: CONTRL tells only the first."""
    return 0 if finding.severity is Severity.ERROR else 1
