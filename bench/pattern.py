"""A year of declarations as customs sees it: working days, month ends, Tet, one burst, two outages; no clock.

The shares are assumptions, chosen so that the year has what was observed: 11 million declarations, days with
hardly any, an hour of 15 % of its day, quarters of an hour with fifty times the usual rate, and two times sixteen
hours in which something is away.  All amounts are of the whole year; ``scaled`` makes a smaller one of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

DECLARATIONS = 11_000_000
YEAR = 2026
WEEK = (1.0, 1.0, 1.0, 1.0, 1.1, 0.45, 0.15)
"""Monday to Sunday."""
HOURS = (
    *(0.004, 0.003, 0.002, 0.002, 0.003, 0.006, 0.015, 0.035),
    *(0.080, 0.120, 0.130, 0.080, 0.045, 0.090, 0.140, 0.150),
    *(0.060, 0.015, 0.006, 0.004, 0.003, 0.003, 0.002, 0.002),
)
"""Of a day, beginning at midnight: two peaks and a noon."""
TET = date(2026, 2, 17)
TET_BEFORE, TET_AFTER = timedelta(days=3), timedelta(days=5)
RUSH = timedelta(days=14)
"""Before Tet, when everything is to be cleared."""
HOLIDAYS = frozenset(
    {date(2026, 1, 1), date(2026, 4, 27), date(2026, 4, 30), date(2026, 5, 1), date(2026, 9, 2)}
)
FEW, MORE, MONTH_END, SEASON = 0.1, 1.5, 1.4, 1.2
"""Of what the weekday alone would bring: on holidays, in the rush, in the last three days of a month, in
November and December."""
TIMES = 50
"""The burst's rate, of that of an ordinary day's fullest hour."""

OFFICE, GATEWAY, BURST = "office away", "gateway away", "burst"


@dataclass(frozen=True)
class Incident:
    """``hours`` from the beginning of ``hour`` of a day."""

    kind: str
    day: date
    hour: int
    hours: float


INCIDENTS = (
    Incident(GATEWAY, date(2026, 4, 14), 6, 16),
    Incident(OFFICE, date(2026, 8, 19), 6, 16),
    Incident(BURST, date(2026, 11, 11), 10, 0.25),
)


@dataclass(frozen=True)
class Hour:
    """One hour of the year: how many are due, each standing for ``scale``; ``incident``: what goes on in it;
    ``extra``: of ``count``, those of the burst."""

    day: date
    hour: int
    count: int
    scale: float
    incident: Incident | None = None
    extra: int = 0


def weight(day: date) -> float:
    """What a day brings, of an ordinary Monday."""
    found = WEEK[day.weekday()]
    if day in HOLIDAYS or TET - TET_BEFORE <= day <= TET + TET_AFTER:
        return found * FEW
    if TET - RUSH <= day < TET - TET_BEFORE:
        found *= MORE
    if (day + timedelta(days=3)).month != day.month:
        found *= MONTH_END
    return found * (SEASON if day.month >= 11 else 1.0)


def days(year: int = YEAR) -> tuple[date, ...]:
    """All of them."""
    first = date(year, 1, 1)
    return tuple(first + timedelta(days=n) for n in range((date(year + 1, 1, 1) - first).days))


@cache
def ordinary_day(total: int = DECLARATIONS) -> float:
    """The declarations of an ordinary Monday, where the year has so many."""
    return total / sum(weight(day) for day in days())


def peak_hour(total: int = DECLARATIONS) -> float:
    """The declarations of its fullest hour."""
    return ordinary_day(total) * max(HOURS)


def scaled(
    scale: float, closer: float, chosen: Sequence[date] = (), total: int = DECLARATIONS
) -> Iterator[Hour]:
    """The hours of the year, or of some days, each with a whole number of declarations.

    ``scale``: declarations that one stands for.  ``closer``: days with an incident are seen so many times
    closer, as a backlog of a few declarations would show nothing.
    """
    monday = ordinary_day(total)
    carried = 0.0
    for day in chosen or days():
        incident = next((i for i in INCIDENTS if i.day == day), None)
        of_day = scale / closer if incident is not None else scale
        for hour, share in enumerate(HOURS):
            going_on = incident if incident is not None and _covers(incident, hour) else None
            extra = 0
            if going_on is not None and going_on.kind == BURST:
                extra = round(peak_hour(total) * TIMES * going_on.hours / of_day)
            carried += monday * weight(day) * share / of_day
            count = int(carried)
            carried -= count
            yield Hour(day, hour, count + extra, of_day, going_on, extra)


def _covers(incident: Incident, hour: int) -> bool:
    return incident.hour <= hour < incident.hour + max(1.0, incident.hours)


def waiting_hours(rate: float, incident: Incident, total: int = DECLARATIONS) -> tuple[float, float]:
    """What an incident does to the whole year's traffic where so many declarations a second are carried: (the
    most that wait, hours from its end until nobody waits), by the minute.  Infinite where the rate is less
    than what keeps coming."""
    per_minute, waiting, most = rate * 60, 0.0, 0.0
    begin = incident.hour * 60
    end = begin + round(incident.hours * 60)
    for minute in range(begin, begin + 14 * 24 * 60):
        day, hour = incident.day + timedelta(days=minute // 1440), minute // 60 % 24
        due = ordinary_day(total) * weight(day) * HOURS[hour] / 60
        if incident.kind == BURST and minute < end:
            due += peak_hour(total) * TIMES / 60
        carries = 0.0 if incident.kind != BURST and minute < end else per_minute
        waiting = max(0.0, waiting + due - carries)
        most = max(most, waiting)
        if minute >= end and waiting < 1:
            return most, (minute - end) / 60
    return most, float("inf")
