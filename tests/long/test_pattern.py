"""The year has as many declarations as it should, where they should be, at every scale."""

from __future__ import annotations

from datetime import date
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import pattern
from bench.pattern import BURST, GATEWAY, INCIDENTS, OFFICE

AWAY = {incident.kind: incident for incident in INCIDENTS}


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([700, 1_000, 5_000, 20_000]), st.sampled_from([1, 7, 20]))
def test_every_declaration_of_the_year_is_due_once(scale: int, closer: int) -> None:
    hours = list(pattern.scaled(scale, closer))
    assert len(hours) == 365 * 24
    standing_for = sum((hour.count - hour.extra) * hour.scale for hour in hours)
    assert standing_for == pytest.approx(pattern.DECLARATIONS, abs=4 * scale)
    assert [(h.day, h.hour) for h in hours] == sorted((h.day, h.hour) for h in hours)


def test_days_are_as_busy_as_they_are() -> None:
    by_day = {
        day: sum(hour.count for hour in hours)
        for day, hours in groupby(pattern.scaled(10, 1), key=lambda hour: hour.day)
    }
    monday, tet, rush = by_day[date(2026, 3, 9)], by_day[date(2026, 2, 18)], by_day[date(2026, 2, 9)]
    assert by_day[date(2026, 3, 15)] < 0.2 * monday
    assert tet < 0.2 * monday < monday < rush
    assert by_day[date(2026, 3, 31)] == pytest.approx(monday * pattern.MONTH_END, rel=0.01)
    assert sum(pattern.HOURS) == pytest.approx(1)
    assert max(pattern.HOURS) == 0.15


def test_the_burst_is_fifty_times_the_fullest_hour() -> None:
    (hour,) = [h for h in pattern.scaled(1_000, 20) if h.extra]
    assert hour.incident == AWAY[BURST]
    a_second = hour.extra * hour.scale / (AWAY[BURST].hours * 3_600)
    assert a_second == pytest.approx(50 * pattern.peak_hour() / 3_600, rel=0.01)


@pytest.mark.parametrize("kind", [OFFICE, GATEWAY])
def test_sixteen_hours_are_gone_through_whole(kind: str) -> None:
    hours = [h for h in pattern.scaled(1_000, 20) if h.incident == AWAY[kind]]
    assert len(hours) == 16
    assert {h.scale for h in hours} == {50}


def test_what_waits_is_carried_the_sooner_the_faster_and_never_by_less_than_comes() -> None:
    slow, fast = (pattern.waiting_hours(rate, AWAY[OFFICE]) for rate in (2.0, 50.0))
    assert slow[0] > fast[0] * 0.99
    assert 30_000 < fast[0] < 36_000
    assert fast[1] < 0.5 < 4 < slow[1]
    assert pattern.waiting_hours(0.3, AWAY[OFFICE])[1] == float("inf")
    assert pattern.waiting_hours(1_000, AWAY[BURST]) == (0, 0)
