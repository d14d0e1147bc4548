"""The harness finds what it is there for: a gateway that answers before it commits, a disk that lies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.chaos import report
from tests.chaos.count import Count, count
from tests.chaos.databases import Books
from tests.chaos.kinds import SLOW, plan
from tests.chaos.run import Order, Run


def test_a_gateway_that_answers_before_it_commits_is_found_out(tmp_path: Path) -> None:
    order = Order(
        faults=14,
        seconds=1,
        seed=3,
        plants="reversed",
        only=("node killed",),
        pause=0.05,
        patience=8,
        bounded=False,
    )
    found = Run(order, tmp_path / "stage").go()
    assert found.count.lost > 0, report.table(found)
    assert not found.good


def test_a_disk_that_lies_is_found_out(tmp_path: Path) -> None:
    """So the power cut is one: what was not synchronised is gone."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    order = Order(
        faults=10,
        seconds=1,
        seed=4,
        durable="lie",
        only=("power cut",),
        pause=0.05,
        patience=8,
        bounded=False,
    )
    found = Run(order, tmp_path / "stage").go()
    assert found.count.lost > 0, report.table(found)
    assert not found.good


def test_a_seed_decides_what_happens() -> None:
    first, again, other = (plan(seed, 500, 300, SLOW) for seed in (1, 1, 2))
    assert first == again != other
    assert len(first.slow) + len(first.cheap) == 500
    assert {kind.name for kind in first.slow} == {kind.name for kind in SLOW}
    assert sum(kind.seconds for kind in first.slow) < 300


@pytest.mark.parametrize(
    ("broken", "value"),
    [("lost", 1), ("doubled", 1), ("unanswered", 1), ("acknowledged", 0)],
)
def test_what_makes_a_run_not_good(broken: str, value: int, tmp_path: Path) -> None:
    from tests.chaos.run import Found

    good = Found(Order(), Count(acknowledged=5))
    assert good.good
    bad = Found(Order(), Count(**{"acknowledged": 5, broken: value}))
    assert not bad.good
    assert not Found(Order(), Count(acknowledged=5), late=["node killed: 99 s"]).good
    assert not Found(Order(), Count(acknowledged=5), journal="broken").good
    assert not Found(Order(), Count(acknowledged=5), wrong=["a receipt that does not verify"]).good


def test_a_count_over_nothing_counts_nothing(tmp_path: Path) -> None:
    from gateway.storage import migrate
    from tests.chaos.clients import Held
    from tests.chaos.papers import Paper
    from tests.journeys.town import AN_PHAT

    ledger = f"sqlite:///{tmp_path / 'ledger.db'}"
    migrate(ledger)
    office = tmp_path / "office.db"
    from tests.sqlite import sqlite3

    with sqlite3.connect(office) as made:
        for table, columns in (
            ("clearance_case", "lrn"),
            ("clearance_handover", "message, registration"),
            ("clearance_decision", "id, kind, body"),
            ("clearance_version", "message"),
        ):
            made.execute(f"create table {table} ({columns})")
        made.execute("insert into clearance_case values ('R2'), ('R2')")
    papers = [Paper(AN_PHAT, body, "application/xml", (r,)) for body, r in ((b"1", "R1"), (b"2", "R2"))]
    held = [Held(p, f"s{n}", "accepted", "digest", 0.0) for n, p in enumerate(papers)]
    counted = count(held, Books(ledger, f"sqlite:///{office}"), {}, {})
    assert (counted.acknowledged, counted.stored, counted.registered) == (2, 0, 0)
    assert counted.lost == 2 + 1 + 2  # not stored; R1 not registered; neither message handed over
    assert counted.doubled == 1  # R2
    assert counted.unanswered == 2
