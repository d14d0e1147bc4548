"""Rows that leave for archives while others write, and rows that come back where something is by now."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event

from gateway.evidence.archives import Row
from gateway.model import DecisionKind, Event
from gateway.storage import Ledger, months
from gateway.storage.database import Database
from gateway.storage.months import LEAVING, Month
from gateway.storage.retention import Changed, outline
from gateway.transport import identifier

from .making import BACKEND, LEASE, NOW, recorded, settlement

JANUARY = Month(2021, 1)
NAMED = ("some.zip", "00" * 32)


def dump(ledger: Ledger, ids: Sequence[str]) -> list[Row]:
    """The rows that would leave with these."""
    return ledger.dumped(ids, list)


def an_id(number: int = 0) -> str:
    at = datetime(2021, 1, 3, tzinfo=UTC)
    return identifier.new(at, number.to_bytes(identifier.RANDOM_OCTETS, "big"))


def live(ledger: Ledger, identity: str) -> None:
    """Settled and handed over; its receipt waits in the mailbox."""
    ledger.settle([settlement(identity)])
    ledger.done([d.id for d in ledger.claim_due(BACKEND, "me", NOW, LEASE, 100)], NOW)


def before_next(ledger: Ledger, statement: str, call: Callable[[], object]) -> None:
    """Make a call, once, before a statement that begins so is executed by this ledger."""
    calls = [call]

    def look(_c: object, _cursor: object, text: str, *_rest: Any) -> None:
        if calls and text.startswith(statement):
            calls.pop()()

    event.listen(ledger._database.engine, "before_cursor_execute", look)


@pytest.fixture
def other(postgres_url: str) -> Iterator[Ledger]:
    opened = Ledger.open(postgres_url)
    yield opened
    opened.close()


@pytest.mark.parametrize("statement", ["DELETE FROM delivery", "DELETE FROM waiting"])
def test_a_decision_that_comes_while_its_submission_leaves_is_told(
    postgres_url: str, other: Ledger, statement: str
) -> None:
    """Between the look at the rows and their end: what was not looked at is not deleted."""
    ledger, one = Ledger.open(postgres_url), an_id()
    live(ledger, one)
    rows = dump(ledger, [one])
    late = recorded("D1", f"{one}.1", DecisionKind.GREEN, push=True)
    before_next(ledger, statement, lambda: other.record([late]))
    try:
        ledger.remove([one], outline(rows), *NAMED)
    except Changed:
        assert ledger.archive_of(one) == ""
    finally:
        ledger.close()
    assert late.outgoing is not None
    assert late.outgoing.id in [e.id for e in other.mailbox("VAN1", "", 10)]
    assert [d.payload for d in other.claim_due("push:VAN1", "me", NOW, LEASE, 10)] == [late.outgoing.id]


def test_what_is_said_meanwhile_keeps_a_submission_here(ledger: Ledger) -> None:
    one = an_id()
    live(ledger, one)
    rows = dump(ledger, [one])
    ledger.note([Event(one, NOW, "noted", "late")])
    with pytest.raises(Changed):
        ledger.remove([one], outline(rows), *NAMED)
    assert "noted" in [e.what for e in (ledger.status("VAN1", one) or pytest.fail("gone")).timeline]


def test_what_was_archived_and_not_heard_of_is_archived(ledger: Ledger) -> None:
    """The commit was made and its connection lost: the same again is no change, for which the file would go."""
    one = an_id()
    live(ledger, one)
    rows = dump(ledger, [one])
    ledger.remove([one], outline(rows), *NAMED)
    ledger.remove([one], outline(rows), *NAMED)
    assert ledger.archive_of(one) == NAMED[0]


def test_what_comes_back_finds_what_was_sent_again_meanwhile(ledger: Ledger) -> None:
    one = an_id()
    live(ledger, one)
    answer = recorded("D1", f"{one}.1", DecisionKind.GREEN)
    ledger.record([answer])
    before = [e.id for e in ledger.mailbox("VAN1", "", 10)]
    rows = dump(ledger, [one])
    ledger.remove([one], outline(rows), *NAMED)
    assert answer.outgoing is not None
    here = ledger.resend(answer.outgoing.id, NOW, "Mai: they lost it")
    assert here is ledger._database.dialect.startswith("postgresql")  # until its month leaves
    assert ledger.restore([one], lambda: rows) == [one]
    assert [e.id for e in ledger.mailbox("VAN1", "", 10)] == before


@pytest.mark.parametrize("detached", range(1, len(LEAVING) + 1))
def test_what_comes_back_while_its_month_leaves_stays(postgres_url: str, detached: int) -> None:
    """Whoever took the month out was killed after so many tables."""
    ledger, one, two = Ledger.open(postgres_url), an_id(), an_id(1)
    live(ledger, one)
    live(ledger, two)
    ledger.record([recorded("D1", f"{one}.1", DecisionKind.GREEN)])
    before, octets = ledger.status("VAN1", one), ledger.raw(one)
    rows = dump(ledger, [one, two])
    ledger.remove([one, two], outline(rows), *NAMED)
    database = Database(postgres_url)
    for table in LEAVING[:detached]:
        database.apart(lambda c, table=table: months.detach(c, table, JANUARY))  # type: ignore[misc]
    database.close()
    try:
        assert ledger.restore([one], lambda: rows) == [one]
        assert (ledger.status("VAN1", one), ledger.raw(one)) == (before, octets)
        assert not ledger.depart(JANUARY)
        assert (ledger.status("VAN1", one), ledger.raw(one)) == (before, octets)
        assert ledger.archive_of(two) == NAMED[0]
        ledger.remove([one], outline(dump(ledger, [one])), *NAMED)
        assert ledger.depart(JANUARY)
    finally:
        ledger.close()


def test_what_comes_back_may_be_of_many_months(postgres_url: str) -> None:
    """An archive file of a small port's: two hundred submissions are half a year of it."""
    ledger = Ledger.open(postgres_url)
    some = [
        identifier.new(datetime(2021, n, 3, tzinfo=UTC), bytes(identifier.RANDOM_OCTETS)) for n in range(1, 9)
    ]
    for one in some:
        live(ledger, one)
    rows = dump(ledger, some)
    ledger.remove(some, outline(rows), *NAMED)
    assert all(ledger.depart(month) for month in ledger.archived_months())
    try:
        assert sorted(ledger.restore(some, lambda: rows)) == some
        assert all(ledger.raw(one) is not None for one in some)
    finally:
        ledger.close()


def looked_into(ledger: Ledger, work: Callable[[], object]) -> set[str]:
    """The partitions of submissions that the plans of what is asked look into."""
    asked: list[tuple[str, Any]] = []

    def note(_c: object, _cursor: object, text: str, parameters: Any, *_rest: Any) -> None:
        if "FROM submission" in text:
            asked.append((text, parameters))

    engine = ledger._database.engine
    event.listen(engine, "before_cursor_execute", note)
    work()
    event.remove(engine, "before_cursor_execute", note)
    with engine.connect() as connection:
        plans = [
            connection.exec_driver_sql(f"EXPLAIN {text}", given).scalars().all() for text, given in asked
        ]
    assert plans
    return set(re.findall(r" on (submission_\w+)", "\n".join(line for plan in plans for line in plan)))


def test_what_is_old_is_looked_for_where_it_may_be(postgres_url: str) -> None:
    """Neither in the months that left, nor in those to come: nearly everything there is is in these."""
    ledger, one = Ledger.open(postgres_url), an_id()
    february = identifier.new(datetime(2021, 2, 3, tzinfo=UTC), b"\0" * identifier.RANDOM_OCTETS)
    live(ledger, one)
    ledger.settle([settlement(february)])
    ledger.remove([one], outline(dump(ledger, [one])), *NAMED)
    assert ledger.depart(JANUARY)
    before = datetime(2022, 1, 1, tzinfo=UTC)
    try:
        looked = looked_into(ledger, lambda: ledger.old(before, "", 10))
        assert looked == {"submission_2021_02", "submission_early", "submission_late"}
        assert ledger.restore([one], list) == [one]
    finally:
        ledger.close()


def test_a_receipt_that_nobody_took_waits_until_its_submission_leaves(ledger: Ledger) -> None:
    """So a mailbox that nobody reads is bounded; it waits again where it comes back."""
    one = an_id()
    live(ledger, one)
    rows = dump(ledger, [one])
    assert [e.id for e in ledger.mailbox("VAN1", "", 10)] == [f"{one}.r"]
    ledger.remove([one], outline(rows), *NAMED)
    assert ledger.mailbox("VAN1", "", 10) == []
    assert ledger.fetch("VAN1", f"{one}.r") is not None
    ledger.restore([one], lambda: rows)
    assert [e.id for e in ledger.mailbox("VAN1", "", 10)] == [f"{one}.r"]
