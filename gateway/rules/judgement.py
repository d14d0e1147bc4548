"""The judgement on one declaration as it grows: where we are, what was gathered, what was found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, tzinfo
from typing import TYPE_CHECKING

from gateway.model import Entity, Finding, Place, Severity, Value
from gateway.model.shelf import Long

if TYPE_CHECKING:
    from gateway.rules.row import Row

# Where the walk is: the place of the parent, the entity, which occurrence of its class (from 1).  A bare
# tuple, because one is made for every entity visited and few are ever asked for their pointer.
Here = tuple["Here | None", Entity, int]
Seen = tuple[Value, Here]

# A sender with more faults than this has one fault made many times; the answer has to stay readable and
# a declaration must not buy unbounded work or a receipt of unbounded size.
MAX_FINDINGS = 500
MORE = "RUL099"
# The longest piece of a sender's text repeated in a finding.
MAX_FOUND = 70


class Judgement:
    """One declaration under the rules at one moment; it is filled by a single walk of the tree."""

    __slots__ = (
        "_counts",
        "_more",
        "_told",
        "entered",
        "findings",
        "gathered",
        "now",
        "root",
        "whole",
        "zone",
    )

    def __init__(self, root: Entity, now: datetime, zone: tzinfo, values: int, entities: int) -> None:
        """``values``, ``entities``: how many slots the plan gathers values and entities in.

        ``whole``: the tree is held together, and so may be what is gathered of it.
        """
        self.root = root
        self.whole = not isinstance(root, Long)
        self.now = now
        self.zone = zone
        self.gathered: list[list[Seen]] = [[] for _ in range(values)]
        self.entered: list[list[Here]] = [[] for _ in range(entities)]
        self.findings: list[Finding] = []
        self._told: set[tuple[str, str]] = set()
        self._counts = {True: 0, False: 0}  # errors, and all others: many warnings must not hide an error
        self._more = False

    @property
    def full(self) -> bool:
        """True where nothing more that is found can change the verdict or be told."""
        return self._more and self._counts[True] >= MAX_FINDINGS

    def today(self) -> date:
        """The day of the judgement by the office's clock."""
        return self.now.astimezone(self.zone).date()

    def tell(
        self,
        row: Row,
        here: Here,
        value: Value | str = "",
        *,
        expected: str,
        found: str,
        code: str = "",
        severity: Severity | None = None,
    ) -> None:
        """Add a finding of the rule at an entity, at one of its values, or at a path below it.

        ``code``: another than the rule's main one.  What was said of a place is not said twice.
        """
        if self.full:
            return
        severity = severity or row.severity
        error = severity is Severity.ERROR
        if self._counts[error] >= MAX_FINDINGS:
            self._tell_more()
            return
        code = code or row.main
        pointer = pointer_of(here, value)
        if (code, pointer) in self._told:
            return
        self._told.add((code, pointer))
        self._counts[error] += 1
        self.findings.append(Finding(code, Place(pointer=pointer), expected, found[:MAX_FOUND], severity))

    def _tell_more(self) -> None:
        if not self._more:
            place = Place(pointer=self.root.name)
            self.findings.append(Finding(MORE, place, str(MAX_FINDINGS), "", Severity.NOTE))
        self._more = True


class Pointers:
    """Texts of places: what is asked for is beside what was, below the same."""

    def __init__(self) -> None:
        self._known: dict[
            int, tuple[Here, str]
        ] = {}  # by identity, which is nobody else's while it is held here

    def of(self, here: Here) -> str:
        """As pointer_of."""
        known = self._known.get(id(here))
        if known is not None:
            return known[1]
        around, entity, occurrence = here
        own = _step(entity.name, occurrence)
        text = own if around is None else f"{self.of(around)}/{own}"
        if len(self._known) >= _POINTERS:
            self._known.clear()
        self._known[id(here)] = here, text
        return text


_POINTERS = 64


def occurrence_of(here: Here, value: Value) -> int:
    """Which it is of the values of its name, from 1."""
    return _occurrence(here[1].values, value)


def pointer_of(here: Here, value: Value | str = "") -> str:
    """The pointer of an entity, of one of its values, or of a path below it, with occurrences."""
    steps: list[str] = []
    if isinstance(value, Value):
        steps.append(_step(value.name, _occurrence(here[1].values, value)))
    elif value:
        steps.append(value)
    place: Here | None = here
    while place is not None:
        place, entity, occurrence = place
        steps.append(_step(entity.name, occurrence))
    return "/".join(reversed(steps))


def _step(name: str, occurrence: int) -> str:
    return name if occurrence == 1 else f"{name}[{occurrence}]"


def _occurrence(values: Sequence[Value], value: Value) -> int:
    namesakes = (other for other in values if other.name == value.name)
    return next((n for n, other in enumerate(namesakes, 1) if other is value), 1)
