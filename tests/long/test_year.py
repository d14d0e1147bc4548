"""Two days of the year for real, and a lost message is found; the gateway's own end is in the chaos."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from bench import capacity, pattern, year_report
from bench.capacity import Traffic, plan
from bench.pattern import BURST, INCIDENTS, OFFICE, Hour
from bench.year import LEAST, SHARE, YearRun
from tests.chaos.clients import Held
from tests.chaos.count import count
from tests.chaos.run import Order


def test_an_outage_and_a_burst_lose_nothing_and_what_is_lost_is_found(tmp_path: Path) -> None:
    days = [incident.day for incident in INCIDENTS if incident.kind in (OFFICE, BURST)]
    order = Order(faults=0, seconds=0, seed=3, plants="", bounded=False)
    run = YearRun(order, tmp_path / "stage", 60_000, 20, days, share=0.05, longest=0.1)
    year = run.play()
    assert year.good, year_report.text(year)
    due = sum(hour.count for hour in run.hours)
    assert [day.day for day in year.days] == sorted(days)
    assert sum(day.due for day in year.days) == sum(day.acknowledged for day in year.days) == due
    assert year.count["acknowledged"] > due  # and those by which the rate was taken
    assert {one.kind: one.waiting > 0 for one in year.recoveries} == {OFFICE: True, BURST: True}
    assert year.figures.messages > 3
    assert year.figures.ledger > year.figures.body > 1_000
    assert {"door 1", "supervisor"} <= year.processes.keys()
    assert "lost 0, doubled 0, unanswered 0" in year_report.text(year)
    assert msgspec.json.decode(msgspec.json.encode(year), type=year_report.Year) == year
    assert plan(Traffic(), capacity.of_year(year)).nodes >= 2
    a_year_that_lost_one(run)


def test_an_hour_lasts_as_long_as_the_machine_needs_for_it() -> None:
    machine: Any = SimpleNamespace(rate=60.0, _longest=math.inf)
    full, half, quiet, none, rush = (
        Hour(date(2026, 3, 9), 9, count, 100)
        for count in (round(pattern.peak_hour() / 100), round(pattern.peak_hour() / 200), 3, 0, 90)
    )
    seconds = [YearRun._seconds(machine, hour) for hour in (full, half, quiet, none, rush)]
    assert full.count / seconds[0] == pytest.approx(SHARE * 60, rel=0.02)
    assert half.count / seconds[1] == pytest.approx(SHARE * LEAST * 60, rel=0.02)
    assert quiet.count / seconds[2] == pytest.approx(SHARE * LEAST * 60)
    assert 0 < seconds[3] < seconds[2] < seconds[0]
    assert seconds[4] == pytest.approx(seconds[0], rel=0.02)  # a fuller hour is no longer: what is over waits


def a_year_that_lost_one(run: YearRun) -> None:
    """A client that holds a receipt for what is not there is enough."""
    held = list(run._record.held.values())
    stranger = held[0]
    lost = Held(stranger.paper, "0" * 26, stranger.outcome, stranger.receipt, stranger.at)
    fetched = {name: entry for box in run._boxes for name, entry in box.entries.items()}
    counted = count([*held, lost], run._stage.books, fetched, run._stage.receiver.taken)
    assert counted.lost > 0
    run.found.count = counted
    lost_one = year_report.year(run)
    assert not lost_one.good
    with pytest.raises(ValueError, match="lost"):
        capacity.of_year(lost_one)
