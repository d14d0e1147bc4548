"""What an operator sees of deliveries that have not arrived, and what can be done about them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from getpass import getuser
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.delivery.breaker import RUN
from gateway.operations.tally import Waits, count
from gateway.storage import Ledger, LedgerUnavailable
from gateway.transport import Metrics
from tests.delivery.fakes import InlineCommits
from tests.evidence.kit import clean, journal_of
from tests.operations.shell import cvan
from tests.storage.making import NOW, recorded, settlement


@pytest.fixture
def ledger(home: Path) -> Iterator[Ledger]:
    """Two handovers due, one push dead."""
    opened = Ledger.open(f"sqlite:///{home / 'ledger.db'}", create=True)
    opened.settle([settlement("a")])
    opened.record([recorded("d1", "a.1", push=True)])
    assert opened.dead("a.1.d1.d.p", "API604 410", NOW)
    yield opened
    opened.close()


def test_they_are_listed_with_why(home: Path, ledger: Ledger) -> None:
    found = cvan("deliveries", "list", "--json", home=home).json()["deliveries"]
    due = [d.id for d in ledger.due("backend:", 10)]
    assert due
    assert [(d["state"], d["id"]) for d in found] == [*(("due", i) for i in due), ("dead", "a.1.d1.d.p")]
    (dead,) = cvan("deliveries", "list", "--dead", "--json", home=home).json()["deliveries"]
    assert (dead["destination"], dead["error"]) == ("push:VAN1", "API604 410")
    assert "API604 410" in cvan("deliveries", "list", home=home).text


def test_a_dead_one_is_tried_again(home: Path, ledger: Ledger) -> None:
    assert cvan("deliveries", "again", "a.1.d1.d.p", home=home).code == 0
    assert (len(ledger.due("push:", 10)), ledger.dead_letters("push:", 10)) == (1, [])
    unknown = cvan("deliveries", "again", "nothing", home=home)
    assert (unknown.code, "no delivery nothing" in unknown.err) == (2, True)


def test_a_message_is_offered_again(home: Path, ledger: Ledger) -> None:
    ledger.acknowledge("VAN1", ["a.1.d1.d"])
    assert cvan("deliveries", "resend", "a.1.d1.d", home=home).code == 0
    assert "a.1.d1.d" in [e.id for e in ledger.mailbox("VAN1", "", 10)]
    assert [d.payload for d in ledger.due("push:", 10)] == ["a.1.d1.d"]
    assert cvan("deliveries", "resend", "nothing", home=home).code == 2


def test_who_and_why_are_journalled(home: Path, ledger: Ledger) -> None:
    told = ("--by", "Mai", "--reason", "receiver mended")
    assert cvan("deliveries", "again", "a.1.d1.d.p", *told, home=home).code == 0
    assert cvan("deliveries", "resend", "a.1.d1.d", *told, home=home).code == 0
    notes = {e.kind: e.of.note for e in journal_of(ledger)}
    assert notes["delivery-revived"] == notes["resent"] == "Mai: receiver mended"
    assert cvan("deliveries", "resend", "a.1.d1.d", home=home).code == 0
    assert {e.of.note for e in journal_of(ledger) if e.kind == "resent"} == {
        "Mai: receiver mended",
        getuser(),
    }
    assert clean(ledger) == []


def test_one_is_shown_with_what_it_waits_behind(home: Path, ledger: Ledger) -> None:
    assert cvan("deliveries", "show", "a.1.d1.d.p", "--json", home=home).json()["delivery"]["state"] == "dead"
    first, second = settlement("b"), settlement("c")
    for made in (first, second):
        due = tuple(msgspec.structs.replace(d, lane="T 1") for d in made.deliveries)
        ledger.settle([msgspec.structs.replace(made, deliveries=due)])
    assert cvan("deliveries", "show", "c.1", "--json", home=home).json()["delivery"]["behind"] == "b.1"
    assert "waits behind b.1" in cvan("deliveries", "show", "c.1", home=home).text
    assert cvan("deliveries", "show", "b.1", "--json", home=home).json()["delivery"]["behind"] == ""
    assert cvan("deliveries", "show", "nothing", home=home).code == 2


def test_one_is_skipped_with_a_reason(home: Path, ledger: Ledger) -> None:
    assert cvan("deliveries", "skip", "a.1", home=home).code == 2  # why?
    assert cvan("deliveries", "skip", "a.1", "--reason", " ", home=home).code == 2
    done = cvan("deliveries", "skip", "a.1", "--reason", "damaged", "--by", "Mai", "--json", home=home)
    assert done.json() == {"id": "a.1", "state": "skipped"}
    shown = cvan("deliveries", "show", "a.1", "--json", home=home).json()["delivery"]
    assert (shown["state"], shown["error"]) == ("skipped", "damaged")
    assert [d.payload for d in ledger.due("answer:", 9)] == ["a.1"]
    assert cvan("deliveries", "skip", "a.1.d1.d.p", "--reason", "they have it", home=home).code == 0
    assert len(ledger.due("answer:", 9)) == 1  # what was to be pushed is in the mailbox
    again = cvan("deliveries", "skip", "a.1", "--reason", "damaged", home=home)
    assert (again.code, "skipped" in again.err) == (2, True)
    notes = sorted(e.of.note for e in journal_of(ledger) if e.kind == "delivery-skipped")
    assert notes == sorted(["Mai: damaged", f"{getuser()}: they have it"])
    assert clean(ledger) == []
    assert ledger.resend("a.1.d1.d", NOW)
    assert clean(ledger) == []


def test_a_skip_that_no_entry_speaks_of_is_found(home: Path, ledger: Ledger) -> None:
    database: Any = ledger._database
    put_back = (
        "INSERT INTO delivery (id, destination, payload, due_at, attempts, lease_until, lease_owner, state, error,"
        " lane) VALUES ('a.1', 'backend:clearance', 'a.1', 0, 0, 0, '', '{state}', '', '')"
    )
    database.write(lambda c: c.exec_driver_sql("DELETE FROM delivery WHERE id = 'a.1'"))
    assert clean(ledger)
    database.write(lambda c: c.exec_driver_sql(put_back.format(state="due")))
    assert clean(ledger) == []
    ledger.skip("a.1", NOW, "Mai", "damaged")
    assert clean(ledger) == []
    for state in ("due", "dead", "done"):
        database.write(lambda c, to=state: c.exec_driver_sql(put_back.format(state=to)))
        assert clean(ledger)
        database.write(lambda c: c.exec_driver_sql("DELETE FROM delivery WHERE id = 'a.1'"))


def test_destinations_that_fail_are_told(home: Path, ledger: Ledger) -> None:
    now = datetime.now(UTC)
    for _ in range(RUN):
        ledger.broke("push:VAN1", now, "API602 refused", lambda failures: timedelta(seconds=50))
    ledger.broke("backend:clearance", now, "closed", lambda failures: timedelta())
    found = cvan("deliveries", "destinations", "--json", home=home).json()
    assert [(d["destination"], d["state"], d["due"], d["dead"]) for d in found] == [
        ("backend:clearance", "closed", 1, 0),
        ("push:VAN1", "open", 0, 1),
    ]
    assert "push:VAN1  open after 5 failures" in cvan("deliveries", "list", home=home).text
    metrics = Metrics()
    _run(_tallied(ledger, metrics))
    assert set(ledger.breakers("")) == {"backend:clearance"}  # nothing waits for the other one any more
    ledger.revive([letter.id for letter in ledger.dead_letters("push:VAN1", 9)], now)
    for _ in range(RUN):
        ledger.broke("push:VAN1", now, "API602 refused", lambda failures: timedelta(seconds=50))
    _run(_tallied(ledger, metrics))
    text = metrics.exposition().decode()
    assert 'cvan_destinations_failing{kind="push",state="open"} 1.0' in text
    assert 'cvan_destinations_failing{kind="push",state="half-open"} 0.0' in text


def test_nothing_waits(home: Path) -> None:
    assert cvan("deliveries", "list", home=home).text == "nothing waits\n"
    assert cvan("deliveries", "destinations", home=home).text == "every destination works\n"
    assert cvan("deliveries", "dead-letters", home=home).text == "nothing was given up\n"


async def _tallied(ledger: Ledger, metrics: Metrics, error: Exception | None = None) -> None:
    commits: Any = InlineCommits(ledger)
    if error:
        commits.failing["counts"] = error
    await count(commits, metrics, Waits())


def _run(work: Any) -> None:
    with pytest.raises(StopIteration):
        work.send(None)


def test_what_fails_again_and_again_has_waited_all_the_while(ledger: Ledger) -> None:
    """Its next time is put off with each attempt; it is late all the same, until another is the first."""
    waits = Waits()

    def minutes(late: int) -> float:
        return waits.seconds(ledger.counts(), NOW + timedelta(minutes=late))["backend:clearance"] / 60

    first, *_ = ledger.due("backend:", 10)
    assert minutes(0) == 0
    for late in (5, 60):
        assert ledger.retry(first.id, NOW + timedelta(minutes=late + 15), "API602 refused")
        assert minutes(late) == late
    ledger.done([first.id], NOW)
    assert waits.seconds(ledger.counts(), NOW + timedelta(minutes=61)) == {}


def test_they_are_counted_by_kind_and_never_by_partner(ledger: Ledger) -> None:
    metrics = Metrics()
    _run(_tallied(ledger, metrics))
    text = metrics.exposition().decode()
    number = len(ledger.due("backend:", 10))
    assert f'cvan_deliveries{{kind="backend",state="due"}} {number:.1f}' in text
    assert 'cvan_deliveries{kind="push",state="dead"} 1.0' in text
    assert 'cvan_deliveries{kind="push",state="due"} 0.0' in text
    assert "VAN1" not in text
    ledger.revive(["a.1.d1.d.p"], NOW)
    _run(_tallied(ledger, metrics))
    assert 'cvan_deliveries{kind="push",state="dead"} 0.0' in metrics.exposition().decode()


def test_a_ledger_that_is_away_keeps_the_last_figures(ledger: Ledger) -> None:
    metrics = Metrics()
    _run(_tallied(ledger, metrics))
    before = metrics.exposition()
    _run(_tallied(ledger, metrics, LedgerUnavailable("gone")))
    assert metrics.exposition() == before
