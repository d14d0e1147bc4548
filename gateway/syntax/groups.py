"""Functional groups: UNG to UNE."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.model.edifact import Segment
from gateway.model.finding import Finding
from gateway.syntax.around import Around
from gateway.syntax.counts import check_time
from gateway.syntax.drafts import DraftGroup
from gateway.syntax.elements import quote
from gateway.syntax.events import GroupBegun, GroupRead
from gateway.syntax.interchange import FunctionalGroup


class Groups:
    """The functional groups of one interchange; ``open``: the one at hand, ``done``: those read."""

    def __init__(self, around: Around) -> None:
        self.open: DraftGroup | None = None
        self.done: list[FunctionalGroup] = []
        self._around = around
        self._references: set[str] = set()

    @property
    def reference(self) -> str:
        """0048 of the group at hand, or ""."""
        return self.open.header.get(5) if self.open is not None else ""

    def begin(self, segment: Segment) -> None:
        """UNG."""
        around = self._around
        group = self.open = DraftGroup(segment, around.limits.findings)
        place = around.place("UNG", segment.offset)
        findings = around.check(segment, place) + check_time(segment, place)
        reference = segment.get(5)
        if reference in self._references:
            findings.append(Finding("EDI026", replace(place, element=5), found=quote(reference)))
        self._references.add(reference)
        for finding in findings:
            around.teller.add(group.findings, finding, around.reference)
        around.events.append(GroupBegun(group.read()))

    def end(self, trailer: Segment | None) -> None:
        """UNE, or None where it is missing."""
        group, around = self.open, self._around
        if group is None:
            return
        if trailer is None:
            findings = [Finding("EDI133", around.place("UNE", group.header.offset), "UNE")]
        else:
            place = around.place("UNE", trailer.offset)
            findings = around.check(trailer, place)
            findings += group.check(trailer, place, one_type=around.version != "4")
        for finding in findings:
            around.teller.add(group.findings, finding, around.reference)
        self.close()

    def close(self) -> None:
        """The group at hand is over, and all that is wrong with it is told."""
        group, self.open = self.open, None
        if group is not None:
            self.done.append(group.read())
            self._around.events.append(GroupRead(self.done[-1]))
