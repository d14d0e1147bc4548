"""Packages: UNO, an object of any octets, UNP (ISO 9735-8, syntax 4)."""

from __future__ import annotations

from gateway.model.edifact import Segment
from gateway.model.finding import Finding
from gateway.syntax.around import Around
from gateway.syntax.counts import check_trailer
from gateway.syntax.drafts import DraftPackage
from gateway.syntax.elements import quote
from gateway.syntax.events import PackageRead
from gateway.syntax.groups import Groups
from gateway.syntax.interchange import Package


class Packages:
    """The packages of one interchange; ``done``: those read.  ``keep``: their objects are kept."""

    def __init__(self, around: Around, groups: Groups, keep: bool) -> None:
        self.done: list[Package] = []
        self._around = around
        self._groups = groups
        self._keep = keep
        self._open: DraftPackage | None = None

    def begin(self, segment: Segment) -> None:
        """UNO."""
        self.end()
        around = self._around
        if len(self.done) >= around.limits.messages:
            around.fill(around.limits.messages, segment)
            return
        self._open = DraftPackage(segment, self._keep, around.limits.findings)
        place = around.place("UNO", segment.offset)
        if not around.agreement.packages:
            around.tell(Finding("EDI047", place))
        for finding in around.check(segment, place):
            around.teller.add(self._open.findings, finding, quote(segment.get(1)))

    def take(self, octets: bytes) -> None:
        """The next octets of the object."""
        if self._open is not None:
            self._open.take(octets)

    def close(self, trailer: Segment) -> bool:
        """UNP; False where there is no package that it could end."""
        package = self._open
        if package is None:
            return False
        place = self._around.place("UNP", trailer.offset)
        findings = self._around.check(trailer, place)
        findings += check_trailer(trailer, place, {package.length}, package.header.get(1))
        self._finish(package, findings)
        return True

    def end(self) -> None:
        """No UNP comes any more."""
        if self._open is not None:
            place = self._around.place("UNP", self._around.offset)
            self._finish(self._open, [Finding("EDI133", place, "UNP")])

    def _finish(self, draft: DraftPackage, findings: list[Finding]) -> None:
        self._open = None
        for finding in findings:
            self._around.teller.add(draft.findings, finding, quote(draft.header.get(1)))
        if self._groups.open is not None:
            self._groups.open.packages += 1
        self.done.append(draft.read(self._groups.reference))
        self._around.events.append(PackageRead(self.done[-1]))
