"""What an envelope is reading at the moment: a message, a functional group, a package."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from gateway.model.edifact import Agreement, Segment
from gateway.model.finding import Finding, Place, Severity
from gateway.syntax.agreed import graded
from gateway.syntax.counts import check_trailer
from gateway.syntax.elements import quote
from gateway.syntax.events import Event, Found
from gateway.syntax.findings import Findings
from gateway.syntax.interchange import FunctionalGroup, Message, Package
from gateway.syntax.lines import LineBreaks
from gateway.syntax.walk import Walk

MAX_BREAKS = 99  # line breaks inside segments told one by one, a message
SECURITY_MESSAGES = frozenset({"AUTACK", "KEYMAN"})  # their own segments are those of security


class Teller(msgspec.Struct):
    """Finishes findings and tells each as it is made: line and column, and the agreement's severity."""

    events: list[Event]
    lines: LineBreaks
    agreement: Agreement

    def tell(self, finding: Finding, ordinal: int) -> Finding:
        """The finding as it is to stand; ``ordinal``: its message's, 0 for what is around messages."""
        finding = graded(replace(finding, place=self.lines.locate(finding.place)), self.agreement)
        self.events.append(Found(finding, ordinal))
        return finding

    def add(self, findings: Findings, finding: Finding, reference: str) -> None:
        """Tell a finding of what is around messages, and add it to a list within its bound."""
        if findings.room(finding.severity):
            place = replace(finding.place, message=reference)
            findings.append(self.tell(replace(finding, place=place), 0))


class DraftMessage:
    """A message from UNH on: what UNH says, the walk along its segments, line breaks inside them."""

    def __init__(self, message: Message, header: Segment, walk: Walk) -> None:
        self.message = message
        self.walk = walk
        self._header = header
        self._breaks: list[Finding] = []

    def attach(self, fault: Finding) -> None:
        """A fault of the octets of the segment that the walk took last."""
        place = replace(fault.place, message=quote(self.message.reference), group=self.walk.path())
        self.walk.tell(replace(fault, place=place))

    def attach_break(self, fault: Finding) -> None:
        """A line break inside a segment: whether it is a defect is known at the end."""
        if len(self._breaks) < MAX_BREAKS:
            place = replace(fault.place, message=quote(self.message.reference), group=self.walk.path())
            self._breaks.append(replace(fault, place=place))

    def end(self, trailer: Segment | None, wrapped: bool, most: int) -> None:
        """Judge UNT, or its absence; ``wrapped``: line breaks are none of the message's."""
        walk, reference = self.walk, quote(self.message.reference)
        walk.end()
        for fault in () if wrapped else self._breaks:
            walk.tell(fault)
        place = Place(reference, walk.number, "UNT", offset=walk.offset)
        counts = {walk.number, walk.number - walk.security}
        if trailer is None:
            walk.keep(Finding("EDI133", place, "UNT"))
        else:
            for finding in check_trailer(trailer, place, counts, self._header.get(1)):
                walk.keep(finding)
        first = walk.secured
        if first is not None and self.message.type not in SECURITY_MESSAGES:
            at = Place(reference, first.number, first.tag, offset=first.offset)
            walk.tell(Finding("EDI027", at, found=first.tag, severity=Severity.WARNING))
        if walk.number > most:
            walk.keep(Finding("EDI116", place, str(most), str(walk.number)))
        if walk.untold:
            told = Finding("EDI125", place, str(len(walk.findings)), str(walk.untold), Severity.WARNING)
            walk.keep(told)

    def read(self, trees: bool) -> Message:
        """The message with its findings; ``trees``: with its segments and its tree."""
        findings = tuple(sorted(self.walk.findings, key=_by_segment))
        if not trees:
            return replace(self.message, findings=findings) if findings else self.message
        walk = self.walk
        return replace(
            self.message,
            segments=(*walk.put_by, *walk.segments),
            tree=walk.tree(),
            findings=findings,
            offsets=(self._header.offset, walk.offset),
        )


class DraftGroup:
    """A functional group from UNG on: what it holds, and its own findings."""

    def __init__(self, header: Segment, limit: int) -> None:
        self.header = header
        self.ordinals: list[int] = []
        self.types: set[str] = set()
        self.packages = 0
        self.findings = Findings(limit)

    def join(self, ordinal: int, type_: str) -> None:
        """A message of the group begins."""
        self.ordinals.append(ordinal)
        self.types.add(type_)

    def check(self, trailer: Segment, place: Place, one_type: bool) -> list[Finding]:
        """Faults of UNE: count, reference, an empty group, and ``one_type`` where types must not mix."""
        count = len(self.ordinals) + self.packages
        findings = check_trailer(trailer, place, {count}, self.header.get(5))
        if not count:
            findings.append(Finding("EDI032", place))
        if len(self.types) > 1 and one_type:
            start = replace(place, tag="UNG", offset=self.header.offset)
            findings.append(Finding("EDI031", start, found=", ".join(sorted(self.types))))
        return findings

    def read(self) -> FunctionalGroup:
        head = self.header
        return FunctionalGroup(
            reference=head.get(5),
            sender=composite(head, 2),
            recipient=composite(head, 3),
            type=head.get(1),
            messages=tuple(self.ordinals),
            findings=tuple(self.findings),
        )


class DraftPackage:
    """A package from UNO on: the length of its object so far, and its octets where they are kept."""

    def __init__(self, header: Segment, keep: bool, limit: int) -> None:
        self.header = header
        self.length = 0
        self.findings = Findings(limit)
        self._octets: list[bytes] | None = [] if keep else None

    def take(self, octets: bytes) -> None:
        """The next octets of the object."""
        self.length += len(octets)
        if self._octets is not None:
            self._octets.append(octets)

    def read(self, group: str) -> Package:
        """The package; ``group``: 0048 of the group around it."""
        head, more = self.header, dict(self.header.repeats)
        return Package(
            reference=head.get(1),
            references=(composite(head, 2), *more.get(2, ())),
            types=(composite(head, 3), *more.get(3, ())),
            length=self.length,
            octets=None if self._octets is None else b"".join(self._octets),
            group_reference=group,
            findings=tuple(self.findings),
        )


def composite(segment: Segment, element: int) -> tuple[str, ...]:
    """An element's components without empty ones at its end."""
    components = segment.elements[element - 1] if element <= len(segment.elements) else ()
    while components and not components[-1]:
        components = components[:-1]
    return components


def _by_segment(finding: Finding) -> tuple[int, int]:
    place = finding.place
    return (place.segment, place.element)
