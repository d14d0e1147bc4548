"""A bounded list of findings in which no warning can crowd out an error."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.model.finding import Finding, Severity


class Findings(list[Finding]):
    """At most ``limit`` errors, and as many warnings and notes."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._left = {True: limit, False: limit}

    @property
    def full(self) -> bool:
        """True where not even another error would be taken."""
        return self._left[True] <= 0

    def room(self, severity: Severity) -> bool:
        """True where a finding of this severity would be taken."""
        return self._left[severity is Severity.ERROR] > 0

    def append(self, finding: Finding) -> None:
        """Take the finding where there is room for it."""
        error = finding.severity is Severity.ERROR
        if self._left[error] > 0:
            self._left[error] -= 1
            super().append(finding)

    def extend(self, findings: Iterable[Finding]) -> None:
        """The same for each."""
        for finding in findings:
            self.append(finding)

    def keep(self, finding: Finding) -> None:
        """Take the finding whether there is room or not: for those of which there are few."""
        super().append(finding)
