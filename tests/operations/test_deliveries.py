"""What an operator sees of deliveries that have not arrived, and what can be done about them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.operations.tally import count
from gateway.storage import Ledger, LedgerUnavailable
from gateway.transport import Metrics
from tests.delivery.fakes import InlineCommits
from tests.operations.shell import cvan
from tests.storage.making import NOW, recorded, settlement


@pytest.fixture
def ledger(home: Path) -> Iterator[Ledger]:
    """Two handovers due, one push dead."""
    opened = Ledger.open(f"sqlite:///{home / 'ledger.db'}", create=True)
    opened.settle([settlement("a")])
    opened.record([recorded("d1", "a.1", push=True)])
    assert opened.dead("d1.d.p", "API604 410", NOW)
    yield opened
    opened.close()


def test_they_are_listed_with_why(home: Path, ledger: Ledger) -> None:
    found = cvan("deliveries", "list", "--json", home=home).json()
    due = [d.id for d in ledger.due("backend:", 10)]
    assert due
    assert [(d["state"], d["id"]) for d in found] == [*(("due", i) for i in due), ("dead", "d1.d.p")]
    (dead,) = cvan("deliveries", "list", "--dead", "--json", home=home).json()
    assert (dead["destination"], dead["error"]) == ("push:VAN1", "API604 410")
    assert "API604 410" in cvan("deliveries", "list", home=home).text


def test_a_dead_one_is_tried_again(home: Path, ledger: Ledger) -> None:
    assert cvan("deliveries", "retry", "d1.d.p", home=home).code == 0
    assert (len(ledger.due("push:", 10)), ledger.dead_letters("push:", 10)) == (1, [])
    again = cvan("deliveries", "retry", "d1.d.p", home=home)
    assert (again.code, "no dead delivery" in again.err) == (2, True)


def test_a_message_is_offered_again(home: Path, ledger: Ledger) -> None:
    ledger.acknowledge("VAN1", ["d1.d"], NOW)
    assert cvan("deliveries", "resend", "d1.d", home=home).code == 0
    assert "d1.d" in [e.id for e in ledger.mailbox("VAN1", "", 10)]
    assert [d.payload for d in ledger.due("push:", 10)] == ["d1.d"]
    assert cvan("deliveries", "resend", "nothing", home=home).code == 2


def test_nothing_waits(home: Path) -> None:
    assert cvan("deliveries", "list", home=home).text == "nothing waits\n"


async def _tallied(ledger: Ledger, metrics: Metrics, error: Exception | None = None) -> None:
    commits: Any = InlineCommits(ledger)
    if error:
        commits.failing["counts"] = error
    await count(commits, metrics)


def _run(work: Any) -> None:
    with pytest.raises(StopIteration):
        work.send(None)


def test_they_are_counted_by_kind_and_never_by_partner(ledger: Ledger) -> None:
    metrics = Metrics()
    _run(_tallied(ledger, metrics))
    text = metrics.exposition().decode()
    number = len(ledger.due("backend:", 10))
    assert f'cvan_deliveries{{kind="backend",state="due"}} {number:.1f}' in text
    assert 'cvan_deliveries{kind="push",state="dead"} 1.0' in text
    assert 'cvan_deliveries{kind="push",state="due"} 0.0' in text
    assert "VAN1" not in text
    ledger.revive(["d1.d.p"], NOW)
    _run(_tallied(ledger, metrics))
    assert 'cvan_deliveries{kind="push",state="dead"} 0.0' in metrics.exposition().decode()


def test_a_ledger_that_is_away_keeps_the_last_figures(ledger: Ledger) -> None:
    metrics = Metrics()
    _run(_tallied(ledger, metrics))
    before = metrics.exposition()
    _run(_tallied(ledger, metrics, LedgerUnavailable("gone")))
    assert metrics.exposition() == before
