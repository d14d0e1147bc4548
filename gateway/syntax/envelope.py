"""The service segments around messages: UNB to UNZ, UNG to UNE, UNH to UNT, their references and counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from gateway.model.edifact import Segment
from gateway.model.finding import Finding, Place, Severity
from gateway.syntax.elements import Layouts, quote
from gateway.syntax.limits import EdifactLimits

MAX_DIGITS = 10  # 0074 is n..10 in syntax 4, shorter before

_PREPARED = 4  # position of S004 in UNB and UNG
_DATES = {6: "%y%m%d", 8: "%Y%m%d"}  # 0017: n6 in syntax 1 to 3, n8 in syntax 4
_TIMES = {4: "%H%M"}


class DraftMessage(msgspec.Struct):
    """A message being gathered: its segments with UNH and UNT, the group around it, envelope findings."""

    ordinal: int
    segments: list[Segment]
    group: int = -1
    findings: list[Finding] = []

    @property
    def reference(self) -> str:
        return self.segments[0].get(1)


class DraftGroup(msgspec.Struct):
    """A functional group being gathered."""

    header: Segment
    messages: list[DraftMessage] = []
    packages: int = 0
    findings: list[Finding] = []


class Envelope:
    """Takes the segments of one interchange in order; ``messages`` and ``groups`` grow.

    ``layouts`` are those of the service segments in the interchange's syntax version.
    """

    def __init__(self, layouts: Layouts, version: str, limits: EdifactLimits) -> None:
        self.header: Segment | None = None
        self.messages: list[DraftMessage] = []
        self.groups: list[DraftGroup] = []
        self.findings: list[Finding] = []
        self.full = False  # a bound is reached; nothing more is taken
        self._layouts = layouts
        self._version = version
        self._limits = limits
        self._message: DraftMessage | None = None
        self._group: DraftGroup | None = None
        self._package: Segment | None = None
        self._packages = 0
        self._closed = False
        self._references: set[str] = set()
        self._group_references: set[str] = set()
        self._stray = False
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

    def take(self, segments: Sequence[Segment]) -> None:
        """The next segments, in order."""
        takers = self._takers
        for segment in segments:
            taker = takers.get(segment.tag)
            if self.full:
                return
            if taker is not None:
                taker(segment)
            elif self._message is not None:
                self._message.segments.append(segment)
            else:
                self._refuse_stray(segment)

    def finish(self, stopped: bool) -> None:
        """No more segments come.  ``stopped``: the reading was broken off, and that is told already."""
        self._end_message(None)
        if self.header is None or self._closed or stopped or self.full:
            return
        self._end_group(None)
        self._tell("EDI133", self._place("UNZ"), "UNZ")

    def _take_unb(self, segment: Segment) -> None:
        if self.header is not None:
            self._tell("EDI119", self._place("UNB", segment.offset), found="UNB")
            self.full = True
            return
        self.header = segment
        place = self._place("UNB", segment.offset)
        self.findings.extend(self._check(segment, place))
        self.findings.extend(_check_time(segment, place))

    def _take_ung(self, segment: Segment) -> None:
        self._end_message(None)
        self._end_group(None)
        self._stray = False
        if len(self.groups) >= self._limits.groups:
            self._fill("EDI117", self._limits.groups, segment)
            return
        self._group = DraftGroup(segment)
        place = self._place("UNG", segment.offset)
        self._group.findings.extend(self._check(segment, place) + _check_time(segment, place))
        reference = segment.get(5)
        if reference in self._group_references:
            self._group.findings.append(Finding("EDI026", replace(place, element=5), found=quote(reference)))
        self._group_references.add(reference)
        if not self.groups and (self.messages or self._packages):
            self._tell("EDI030", place)
        self.groups.append(self._group)
        self._references = set()

    def _take_unh(self, segment: Segment) -> None:
        self._end_message(None)
        self._stray = False
        if len(self.messages) >= self._limits.messages:
            self._fill("EDI117", self._limits.messages, segment)
            return
        draft = DraftMessage(len(self.messages) + 1, [segment])
        reference = segment.get(1)
        if reference in self._references:
            place = Place(quote(reference), 1, "UNH", element=1, offset=segment.offset)
            draft.findings.append(Finding("EDI026", place, found=quote(reference)))
        self._references.add(reference)
        if self._group is not None:
            draft.group = len(self.groups) - 1
            self._group.messages.append(draft)
        elif self.groups and not any(f.code == "EDI030" for f in self.findings):
            self._tell("EDI030", self._place("UNH", segment.offset))
        self.messages.append(draft)
        self._message = draft

    def _take_unt(self, segment: Segment) -> None:
        draft = self._message
        if draft is None:
            self._refuse_stray(segment)
            return
        draft.segments.append(segment)
        self._end_message(segment)

    def _end_message(self, trailer: Segment | None) -> None:
        draft, self._message = self._message, None
        if draft is None:
            return
        last = draft.segments[-1]
        place = Place(quote(draft.reference), last.number, "UNT", offset=last.offset)
        if trailer is None:
            draft.findings.append(Finding("EDI133", place, "UNT"))
            return
        security = sum(1 for s in draft.segments if s.tag.startswith("US"))
        counts = {len(draft.segments), len(draft.segments) - security}
        draft.findings.extend(_check_trailer(trailer, place, counts, draft.reference))
        if len(draft.segments) > self._limits.segments:
            bound = Finding("EDI116", place, str(self._limits.segments), str(len(draft.segments)))
            draft.findings.append(bound)

    def _take_une(self, segment: Segment) -> None:
        self._end_message(None)
        if self._group is None:
            self._refuse_stray(segment)
        else:
            self._end_group(segment)

    def _end_group(self, trailer: Segment | None) -> None:
        group, self._group = self._group, None
        if group is None:
            return
        self._references = set()
        if trailer is None:
            group.findings.append(Finding("EDI133", self._place("UNE", group.header.offset), "UNE"))
            return
        place = self._place("UNE", trailer.offset)
        group.findings.extend(self._check(trailer, place))
        count = len(group.messages) + group.packages
        group.findings.extend(_check_trailer(trailer, place, {count}, group.header.get(5)))
        if not count:
            group.findings.append(Finding("EDI032", place))
        types = {draft.segments[0].get(2) for draft in group.messages}
        if len(types) > 1 and self._version != "4":
            group.findings.append(
                Finding("EDI031", self._place("UNG", group.header.offset), found=", ".join(sorted(types)))
            )

    def _take_uno(self, segment: Segment) -> None:
        self._end_message(None)
        self._packages += 1
        if self._group is not None:
            self._group.packages += 1
        self._package = segment
        self._tell("EDI047", self._place("UNO", segment.offset))

    def _take_unp(self, segment: Segment) -> None:
        package, self._package = self._package, None
        if package is None:
            self._refuse_stray(segment)
            return
        place = self._place("UNP", segment.offset)
        pairs = ((1, package.get(4)), (2, package.get(1)))
        for element, expected in pairs:
            if segment.get(element) != expected:
                at = replace(place, element=element)
                self._tell(
                    "EDI028" if element == 2 else "EDI029", at, quote(expected), quote(segment.get(element))
                )

    def _take_unz(self, segment: Segment) -> None:
        self._end_message(None)
        self._end_group(None)
        self._closed = True
        if self.header is None:
            return
        place = self._place("UNZ", segment.offset)
        self.findings.extend(self._check(segment, place))
        count = len(self.groups) or len(self.messages) + self._packages
        self.findings.extend(_check_trailer(segment, place, {count}, self.header.get(5)))
        if not count:
            self._tell("EDI032", place)

    def _refuse_stray(self, segment: Segment) -> None:
        """A segment outside any message; a run of them is told once."""
        if not self._stray:
            self._tell("EDI033", self._place(segment.tag[:3], segment.offset), found=quote(segment.tag))
        self._stray = True

    def _fill(self, code: str, allowed: int, segment: Segment) -> None:
        self._tell(code, self._place(segment.tag, segment.offset), str(allowed), f"> {allowed}")
        self.full = True

    def _check(self, segment: Segment, place: Place) -> list[Finding]:
        layout = self._layouts.get(segment.tag)
        if layout is None or layout.fine(segment):
            return []
        return [_lenient(finding, segment) for finding in layout.explain(segment, place)]

    def _place(self, tag: str, offset: int = -1) -> Place:
        reference = self.header.get(5) if self.header is not None else ""
        return Place(quote(reference), 0, tag, offset=offset)

    def _tell(self, code: str, place: Place, expected: str = "", found: str = "") -> None:
        if len(self.findings) < self._limits.findings:
            self.findings.append(Finding(code, place, expected, found))


def _check_trailer(trailer: Segment, place: Place, counts: set[int], reference: str) -> list[Finding]:
    """Control count (element 1) and reference (element 2) of UNT, UNE or UNZ."""
    place = replace(place, offset=trailer.offset)
    findings = []
    text = trailer.get(1)
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else -1
    if text and number not in counts:
        at = replace(place, element=1)
        findings.append(Finding("EDI029", at, str(max(counts)), quote(text)))
    if trailer.get(2) and trailer.get(2) != reference:
        at = replace(place, element=2)
        findings.append(Finding("EDI028", at, quote(reference), quote(trailer.get(2))))
    return findings


def _lenient(finding: Finding, segment: Segment) -> Finding:
    """A date in the form of another syntax version (0017) is unmistakable: it is a warning only."""
    place = finding.place
    is_date = segment.tag in ("UNB", "UNG") and (place.element, place.component) == (_PREPARED, 1)
    if is_date and finding.code in ("EDI039", "EDI040") and len(finding.found) in _DATES:
        return Finding("EDI134", place, finding.expected, finding.found, Severity.WARNING)
    return finding


def _check_time(segment: Segment, place: Place) -> list[Finding]:
    """S004: a date that exists, a time that is one of a day; other lengths are told by the layout."""
    findings = []
    date, time = segment.get(_PREPARED, 1), segment.get(_PREPARED, 2)
    for component, text, form in ((1, date, _DATES.get(len(date))), (2, time, _TIMES.get(len(time)))):
        if form is None or not text.isascii() or not text.isdigit():
            continue
        try:
            datetime.strptime(text, form)  # noqa: DTZ007 - only whether it exists is asked
        except ValueError:
            at = replace(place, element=_PREPARED, component=component)
            findings.append(Finding("EDI132", at, found=quote(text)))
    return findings
