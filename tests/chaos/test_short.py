"""The short form: some hundred faults under load on each database, and nothing is lost or doubled."""

from __future__ import annotations

from pathlib import Path

from tests.chaos import report
from tests.chaos.run import Order, Run
from tests.chaos.stage import Stage
from tests.postgres import postgres_or_skip

SHORT = (
    "node killed",
    "door killed",
    "worker killed",
    "poison message",
    "power cut",
    "disk full",
    "disk read-only",
    "clock jump",
)
"""Each once: what is left out takes its time, and is in the long form (``make chaos``)."""


class Nodes(Stage):
    """Two nodes with a door each: several doors of a node are what is tried on SQLite."""

    doors = 1


NODES = ("node killed", "database killed", "database read-only", "database locked")


def test_a_hundred_faults_on_sqlite(tmp_path: Path) -> None:
    order = Order("sqlite", faults=120, seconds=1, seed=11, only=SHORT, pause=0.5)
    found = Run(order, tmp_path / "stage").go()
    print(report.table(found))
    assert found.good, report.table(found)
    assert sum(found.faults.values()) == 120
    assert found.count.acknowledged > 100
    assert found.count.answered > found.count.acknowledged


def test_a_hundred_faults_on_two_nodes_over_postgresql(tmp_path: Path) -> None:
    postgres_or_skip()
    order = Order("postgresql", faults=100, seconds=1, seed=12, only=NODES, pause=0.5)
    found = Run(order, tmp_path / "stage", Nodes).go()
    print(report.table(found))
    assert found.good, report.table(found)
    assert sum(found.faults.values()) == 100
    assert found.count.acknowledged > 100
