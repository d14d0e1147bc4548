"""What the segments around messages share: whose they are, their findings, how their elements are judged."""

from __future__ import annotations

from gateway.model.edifact import Agreement, Segment
from gateway.model.finding import Finding, Place
from gateway.syntax.counts import lenient
from gateway.syntax.cutter import Begun
from gateway.syntax.drafts import Teller
from gateway.syntax.elements import quote
from gateway.syntax.events import Event
from gateway.syntax.findings import Findings
from gateway.syntax.identification import Identification
from gateway.syntax.limits import EdifactLimits
from gateway.syntax.tokeniser import shown

MIXED = "EDI030"  # groups, and messages outside groups
_STRAY = "EDI033"


class Around:
    """One interchange outside its messages.

    ``header``: UNB, once it is read; ``reference``: its 0020 as a finding names it.  ``text``: of the
    service segment at hand.  ``offset``: of the last segment.  ``full``: a bound is reached; nothing more
    is taken.
    """

    def __init__(
        self, begun: Begun, limits: EdifactLimits, identification: Identification, agreement: Agreement
    ) -> None:
        self.events: list[Event] = []
        self.teller = Teller(self.events, begun.lines, agreement)
        self.limits = limits
        self.agreement = agreement
        self.findings = Findings(limits.findings)
        self.header: Segment | None = None
        self.reference = ""
        self.version = begun.opening.syntax[1]
        self.text = ""
        self.offset = begun.opening.offset
        self.full = False
        self.once: set[str] = set()  # codes that are told once
        self._identification = identification

    def begin(self, header: Segment) -> None:
        """UNB."""
        self.header = header
        self.reference = quote(header.get(5))

    def place(self, tag: str, offset: int = -1) -> Place:
        """A place in the interchange outside its messages."""
        return Place(self.reference, 0, tag, offset=offset)

    def check(self, segment: Segment, place: Place) -> list[Finding]:
        """What is wrong with the elements of the service segment at hand."""
        faults = self._identification.service_faults(segment, self.text, place)
        return [lenient(finding, segment) for finding in faults]

    def tell(self, finding: Finding) -> None:
        """A finding about the interchange."""
        self.teller.add(self.findings, finding, self.reference)

    def tell_once(self, finding: Finding) -> None:
        """The same, unless its code was told before."""
        if finding.code not in self.once:
            self.once.add(finding.code)
            self.tell(finding)

    def refuse(self, segment: Segment) -> None:
        """A segment that stands outside any message; a run of them is told once."""
        self.tell_once(
            Finding(_STRAY, self.place(shown(segment.tag), segment.offset), found=quote(segment.tag))
        )

    def settle(self) -> None:
        """A message or a group begins: the next segment outside is told again."""
        self.once.discard(_STRAY)

    def fill(self, allowed: int, segment: Segment) -> None:
        """A bound is reached: told, and nothing more is taken."""
        place = self.place(segment.tag, segment.offset)
        self.tell(Finding("EDI117", place, str(allowed), f"> {allowed}"))
        self.full = True
