"""Checks that hold several values or entities against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, timedelta
from decimal import Decimal
from itertools import chain, islice
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from gateway.rules.codes import CodeList
from gateway.rules.gathered import twice
from gateway.rules.judgement import Here, Judgement, Seen, pointer_of
from gateway.rules.moments import Span, span_of
from gateway.rules.numbers import EXACT, in_one_unit, number_of, plain, total
from gateway.rules.plan import Site
from gateway.rules.row import AttributePath, EntityPath, Paths, Row, ValuePath, attribute_of, no_list

Unit = Literal["", "masses"]
Hours = Annotated[float, Meta(ge=0)]


class Occurs(Row, frozen=True, kw_only=True):
    """The classes occur at least ``least`` and at most ``most`` times in all."""

    CODES: ClassVar[tuple[str, ...]] = ("RUL004", "RUL005")

    paths: Annotated[tuple[EntityPath, ...], Meta(min_length=1)]
    least: Annotated[int, Meta(ge=0)] = 0
    most: Annotated[int, Meta(ge=0)] | None = None

    def broken(self, lists: Mapping[str, CodeList]) -> Iterator[str]:
        yield from super().broken(lists)
        if self.most is None and not self.least:
            yield "one of least and most has to be given"

    def lay(self, site: Site, lists: Mapping[str, CodeList]) -> None:
        """Lay the rule into the plan."""
        slots = [site.count(path) for path in self.paths]

        def cross(judgement: Judgement, here: Here) -> None:
            count = sum(len(judgement.entered[slot]) for slot in slots)
            found = str(count)
            if count < self.least:
                judgement.tell(self, here, self.paths[0], expected=f">= {self.least}", found=found)
            elif self.most is not None and count > self.most:
                entered = (place for slot in slots for place in judgement.entered[slot])
                place = next(islice(entered, self.most, None))
                judgement.tell(self, place, expected=f"<= {self.most}", found=found, code="RUL005")

        site.cross(cross)


class Sum(Row, frozen=True, kw_only=True):
    """The values at ``of`` add up to the value at ``path``, give or take ``tolerance``.

    ``unit = "masses"``: in kilograms.  Nothing is said where there is no total or nothing to add, and
    where currencies or units differ.
    """

    CODES: ClassVar[tuple[str, ...]] = ("RUL010",)

    path: ValuePath
    of: ValuePath
    tolerance: Decimal = Decimal(0)
    unit: Unit = ""

    def broken(self, lists: Mapping[str, CodeList]) -> Iterator[str]:
        yield from super().broken(lists)
        yield from no_list(self.unit, lists)
        if not self.tolerance >= 0:
            yield f"tolerance {self.tolerance} is not 0 or more"

    def lay(self, site: Site, lists: Mapping[str, CodeList]) -> None:
        """Lay the rule into the plan."""
        header, addends = site.gather(self.path), site.gather(self.of)
        masses = lists.get(self.unit)

        def cross(judgement: Judgement, here: Here) -> None:
            if not (judgement.gathered[header] and judgement.gathered[addends]):
                return
            value, place = judgement.gathered[header][0]
            values = chain((value,), (seen[0] for seen in judgement.gathered[addends]))
            numbers = in_one_unit(values, masses)
            if not numbers:
                return
            added = total(numbers[1:])
            if abs(EXACT.subtract(added, numbers[0])) > self.tolerance:
                judgement.tell(self, place, value, expected=plain(added), found=value.text)

        site.cross(cross)


class Count(Row, frozen=True, kw_only=True):
    """The value at ``path`` is how often the class at ``of`` occurs."""

    CODES: ClassVar[tuple[str, ...]] = ("RUL011",)

    path: ValuePath
    of: EntityPath

    def lay(self, site: Site, lists: Mapping[str, CodeList]) -> None:
        """Lay the rule into the plan."""
        header, entered = site.gather(self.path), site.count(self.of)

        def cross(judgement: Judgement, here: Here) -> None:
            for value, place in judgement.gathered[header][:1]:
                number = number_of(value.text)
                count = len(judgement.entered[entered])
                if number is not None and number != count:
                    judgement.tell(self, place, value, expected=str(count), found=value.text)

        site.cross(cross)


class Unique(Row, frozen=True, kw_only=True):
    """No two values at the path are the same; with ``also``: together with these elements beside them."""

    CODES: ClassVar[tuple[str, ...]] = ("RUL012",)

    path: ValuePath
    also: tuple[ValuePath, ...] = ()

    def lay(self, site: Site, lists: Mapping[str, CodeList]) -> None:
        """Lay the rule into the plan."""
        slot = site.gather(self.path, deep=bool(self.also))

        def with_others(seen: Seen) -> tuple[str, ...]:
            return seen[0].text, *(seen[1][1].text(path) for path in self.also)

        key_of = with_others if self.also else _by_itself

        def cross(judgement: Judgement, here: Here) -> None:
            first: dict[tuple[str, ...], Seen] = {}
            among = None if judgement.whole else twice(map(key_of, judgement.gathered[slot]))
            for seen in judgement.gathered[slot]:
                if judgement.full:
                    return
                value, place = seen
                key = key_of(seen)
                if among is not None and hash(key) not in among:
                    continue
                before = first.setdefault(key, (value, place))
                if before[0] is not value or before[1] is not place:
                    expected = f"!= {pointer_of(before[1], before[0])}"
                    judgement.tell(self, place, value, expected=expected, found=" ".join(key))

        site.cross(cross)


def _by_itself(seen: Seen) -> tuple[str, ...]:
    return (seen[0].text,)


class Same(Row, frozen=True, kw_only=True):
    """All values at the paths share their text, or one attribute (``Path@currencyID``)."""

    CODES: ClassVar[tuple[str, ...]] = ("RUL055",)

    path: AttributePath

    def lay(self, site: Site, lists: Mapping[str, CodeList]) -> None:
        """Lay the rule into the plan."""
        path, _, attribute = self.path.partition("@")
        slot = site.gather(path)

        def cross(judgement: Judgement, here: Here) -> None:
            first = ""
            for value, place in judgement.gathered[slot]:
                text = attribute_of(value, attribute) if attribute else value.text
                first = first or text
                if text and text != first:
                    judgement.tell(self, place, value, expected=first, found=text)

        site.cross(cross)


class Link(Row, frozen=True, kw_only=True):
    """Every value at the path is among those at one of the paths ``to``."""

    CODES: ClassVar[tuple[str, ...]] = ("RUL060",)

    paths: Paths
    to: Paths

    def lay(self, site: Site, lists: Mapping[str, CodeList]) -> None:
        """Lay the rule into the plan."""
        sources = [site.gather(path) for path in self.paths]
        targets = [site.gather(path) for path in self.to]

        def cross(judgement: Judgement, here: Here) -> None:
            gathered = judgement.gathered
            known = {value.text for slot in targets for value, _ in gathered[slot]}
            for value, place in (seen for slot in sources for seen in gathered[slot]):
                if value.text not in known:
                    judgement.tell(self, place, value, expected=" | ".join(self.to), found=value.text)

        site.cross(cross)


class Atmost(Row, frozen=True, kw_only=True):
    """The first value at ``path`` is not more than the first at ``limit`` (net mass, gross mass)."""

    CODES: ClassVar[tuple[str, ...]] = ("RUL050",)

    path: ValuePath
    limit: ValuePath
    unit: Unit = ""

    def broken(self, lists: Mapping[str, CodeList]) -> Iterator[str]:
        yield from super().broken(lists)
        yield from no_list(self.unit, lists)

    def lay(self, site: Site, lists: Mapping[str, CodeList]) -> None:
        """Lay the rule into the plan."""
        masses = lists.get(self.unit)

        def cross(judgement: Judgement, here: Here) -> None:
            value, limit = here[1].value(self.path), here[1].value(self.limit)
            if value is None or limit is None:
                return
            numbers = in_one_unit((value, limit), masses)
            if numbers and numbers[0] > numbers[1]:
                judgement.tell(self, here, self.path, expected=f"<= {limit.text}", found=value.text)

        site.cross(cross)


class Order(Row, frozen=True, kw_only=True):
    """The date-time at ``path`` is not after the one at ``until`` (departure, arrival)."""

    CODES: ClassVar[tuple[str, ...]] = ("RUL042",)

    path: ValuePath
    until: ValuePath

    def lay(self, site: Site, lists: Mapping[str, CodeList]) -> None:
        """Lay the rule into the plan."""
        before, after = site.gather(self.path), site.gather(self.until)

        def cross(judgement: Judgement, here: Here) -> None:
            earlier, later = _span(judgement, before), _span(judgement, after)
            if earlier and later and earlier.start >= later.end:
                value, place = judgement.gathered[before][0]
                expected = f"<= {later.end.isoformat(timespec='minutes')}"
                found = earlier.start.isoformat(timespec="minutes")
                judgement.tell(self, place, value, expected=expected, found=found)

        site.cross(cross)


class Notice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another notice, for journeys that take so many hours."""

    journey_hours: Hours
    notice_hours: Hours


class Deadline(Row, frozen=True, kw_only=True):
    """The message comes at least ``notice_hours`` before the date-time at ``path``.

    ``departure``: where the journey began, to know how long it takes; ``long``: the notice where it takes
    so many hours or more; ``short``: where it takes no more.  A day without a time ends at midnight: the
    sender has the benefit of the doubt.
    """

    CODES: ClassVar[tuple[str, ...]] = ("RUL043",)

    path: ValuePath
    notice_hours: Hours
    departure: ValuePath | None = None
    long: Notice | None = None
    short: Notice | None = None

    def broken(self, lists: Mapping[str, CodeList]) -> Iterator[str]:
        yield from super().broken(lists)
        if (self.long or self.short) and self.departure is None:
            yield "long and short ask for the departure"

    def lay(self, site: Site, lists: Mapping[str, CodeList]) -> None:
        """Lay the rule into the plan."""
        arrival = site.gather(self.path)
        departure = site.gather(self.departure) if self.departure else None

        def cross(judgement: Judgement, here: Here) -> None:
            span = _span(judgement, arrival)
            if span is None:
                return
            left = None if departure is None else _span(judgement, departure)
            latest = span.end - self._notice(span, left)
            if judgement.now > latest:
                value, place = judgement.gathered[arrival][0]
                expected = f"<= {latest.astimezone(UTC).isoformat(timespec='minutes')}"
                found = judgement.now.astimezone(UTC).isoformat(timespec="minutes")
                judgement.tell(self, place, value, expected=expected, found=found)

        site.cross(cross)

    def _notice(self, arrival: Span, departure: Span | None) -> timedelta:
        hours = self.notice_hours
        if departure is not None:
            journey = arrival.start - departure.start
            if self.long and journey >= timedelta(hours=self.long.journey_hours):
                hours = self.long.notice_hours
            elif self.short and journey <= timedelta(hours=self.short.journey_hours):
                hours = self.short.notice_hours
        return timedelta(hours=hours)


def _span(judgement: Judgement, slot: int) -> Span | None:
    seen = judgement.gathered[slot]
    return span_of(seen[0][0], judgement.zone) if seen else None
