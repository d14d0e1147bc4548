"""Months on PostgreSQL: made ahead, made on demand, taken out; and nobody feels it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from gateway.model import DecisionKind, Event
from gateway.storage import Ledger, LedgerUnavailable, months
from gateway.storage.database import Database
from gateway.storage.months import AHEAD, CUT, LEAVING, LOCK_MS, Month, partition
from gateway.storage.retention import outline
from gateway.transport import identifier

from .making import BACKEND, LEASE, NOW, recorded, settlement

LONGEST = 10 * LOCK_MS / 1_000
"""Seconds that any statement may take while months come and go, on a machine that does other things too: whoever
stands behind a change of partitions stands there for LOCK_MS."""
READING = 3.0
"""Seconds of a reading transaction, such as a backup's, that holds every table the while."""
JANUARY = Month(2021, 1)
SMALL = tuple(table for table in CUT if table not in ("slice", "correction"))
"""The tables in which a submission that is neither large nor corrected has something."""


def an_id(at: datetime, number: int = 0) -> str:
    return identifier.new(at, number.to_bytes(identifier.RANDOM_OCTETS, "big"))


def ids(at: datetime, count: int) -> list[str]:
    return [an_id(at + timedelta(hours=n), n) for n in range(count)]


@pytest.fixture
def ledger(postgres_url: str) -> Iterator[Ledger]:
    opened = Ledger.open(postgres_url)
    yield opened
    opened.close()


def partitions(ledger: Ledger) -> set[str]:
    return ledger._read(months.attached)


def where(ledger: Ledger, identity: str) -> set[str]:
    """The partitions that hold something of a submission."""

    def look(connection: Connection) -> set[str]:
        found: set[str] = set()
        for table in CUT:
            key = "id" if table == "submission" else "submission"
            rows = text(f"SELECT tableoid::regclass::text FROM {table} WHERE {key} = :id")
            found.update(connection.scalars(rows, {"id": identity}))
        return found

    return ledger._read(look)


def live(ledger: Ledger, identities: list[str]) -> None:
    """Settled, delivered, decided."""
    for start in range(0, len(identities), 50):
        ledger.settle([settlement(i) for i in identities[start : start + 50]])
    while due := ledger.claim_due(BACKEND, "me", NOW, LEASE, 100):
        ledger.done([d.id for d in due], NOW)
    ledger.record([recorded(f"D-{i}", f"{i}.1", DecisionKind.GREEN) for i in identities])


def archive(ledger: Ledger, identities: list[str]) -> list[object]:
    rows = ledger.dumped(identities, list)
    ledger.remove(identities, outline(rows), "some.zip", "00" * 32)
    return list(rows)


@given(
    st.integers(1_577_750_400, 7_258_204_800).map(lambda second: datetime.fromtimestamp(second, UTC)),
    st.binary(min_size=identifier.RANDOM_OCTETS, max_size=identifier.RANDOM_OCTETS),
)
def test_an_id_is_of_its_month(at: datetime, randomness: bytes) -> None:
    month = months.month_of(identifier.new(at, randomness))
    assert month == (Month(at.year, at.month) if 2020 <= at.year < 2200 else None)


@given(st.text(max_size=30))
def test_any_text_has_its_place(key: str) -> None:
    month = months.month_of(key)
    assert month is None or month.begins <= key < month.next.begins


def test_months_are_there_before_they_are_needed(ledger: Ledger) -> None:
    coming = months.coming(datetime.now(UTC))
    assert len(coming) == AHEAD + 1
    assert {partition(t, m) for t in CUT for m in coming} <= partitions(ledger)
    later = datetime.now(UTC) + timedelta(days=31)
    ledger.clock = lambda: later
    assert ledger.keep_months_ahead() == len(CUT)
    assert ledger.keep_months_ahead() == 0


def test_everything_of_a_submission_is_in_its_month(ledger: Ledger) -> None:
    one = an_id(datetime.now(UTC))
    live(ledger, [one, "no-id-of-ours"])
    month = months.month_of(one)
    assert month is not None
    assert where(ledger, one) == {partition(table, month) for table in SMALL}
    assert where(ledger, "no-id-of-ours") == {f"{table}_late" for table in SMALL}


def test_a_partition_is_as_its_table_is(ledger: Ledger) -> None:
    """Its indexes belong to the table's: those that come later come to it, too."""
    loose = text(
        "SELECT i.indexrelid::regclass FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid "
        "WHERE c.relispartition AND NOT EXISTS (SELECT 1 FROM pg_inherits h WHERE h.inhrelid = i.indexrelid)"
    )
    assert ledger._read(lambda c: c.scalars(loose).all()) == []


@pytest.mark.parametrize("days", [92, 400, 40_000])
def test_a_clock_that_jumps_finds_a_month(ledger: Ledger, days: int) -> None:
    at = datetime.now(UTC) + timedelta(days=days + 31 * AHEAD)
    one = an_id(at)
    live(ledger, [one])
    assert ledger.raw(one) is not None
    assert partition("octets", Month(at.year, at.month)) in partitions(ledger)


def test_nodes_that_miss_a_month_together_make_it_once(postgres_url: str, ledger: Ledger) -> None:
    at = datetime(2040, 5, 1, tzinfo=UTC)
    failed: list[Exception] = []

    def node(number: int) -> None:
        mine = Ledger.open(postgres_url)
        try:
            for n in range(5):
                mine.settle([settlement(an_id(at, 10 * number + n))])
        except Exception as error:  # noqa: BLE001 - told by the test
            failed.append(error)
        finally:
            mine.close()

    threads = [threading.Thread(target=node, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert ledger._read(lambda c: c.scalar(text("SELECT count(*) FROM octets_2040_05"))) == 15


def test_a_month_leaves_and_comes_back(ledger: Ledger) -> None:
    old = ids(datetime(2021, 1, 3, tzinfo=UTC), 5)
    other = ids(datetime(2021, 2, 3, tzinfo=UTC), 1)
    live(ledger, old + other)
    before = ledger.status("VAN1", old[0])
    rows = archive(ledger, old[:4])
    assert ledger.archived_months() == [JANUARY]
    assert not ledger.depart(JANUARY)
    rows += archive(ledger, old[4:])
    assert ledger.depart(JANUARY)
    assert ledger.archived_months() == []
    assert where(ledger, old[0]) == {"submission_2021_01"}
    assert {partition(t, JANUARY) for t in LEAVING}.isdisjoint(partitions(ledger))
    assert where(ledger, other[0]) == {partition(t, Month(2021, 2)) for t in SMALL}
    assert ledger.known("VAN1", settlement(old[0]).submission.digest) is not None
    assert ledger.fetch("VAN1", f"{old[0]}.r") == settlement(old[0]).receipt

    assert ledger.restore(old, lambda: rows) == old  # type: ignore[arg-type]
    assert ledger.status("VAN1", old[0]) == before
    archive(ledger, old)
    assert ledger.depart(JANUARY)


def test_what_is_owed_keeps_its_month(ledger: Ledger) -> None:
    (one,) = ids(datetime(2021, 1, 3, tzinfo=UTC), 1)
    live(ledger, [one])
    archive(ledger, [one])
    assert ledger.again(f"{one}.1", NOW, "Mai: they lost it")
    assert not ledger.depart(JANUARY)
    ledger.done([f"{one}.1"], NOW)
    assert not ledger.depart(JANUARY)  # its timeline is longer than what was archived
    archive(ledger, [one])
    assert ledger.depart(JANUARY)


def test_what_comes_at_the_last_moment_is_put_back(ledger: Ledger, postgres_url: str) -> None:
    """The partitions are detached one by one; timelines go on until theirs is."""
    old = ids(datetime(2021, 1, 3, tzinfo=UTC), 3)
    live(ledger, old)
    archive(ledger, old)
    database = Database(postgres_url)
    database.apart(lambda c: months.detach(c, "octets", JANUARY))  # and who did that was killed
    database.close()
    ledger.note([Event(old[1], NOW, "noted", "late")])
    assert not ledger.depart(JANUARY)
    assert ledger.archive_of(old[0]) == "some.zip"
    assert ledger.archive_of(old[1]) == ""
    assert ledger.raw(old[1]) is not None
    assert "noted" in [e.what for e in (ledger.status("VAN1", old[1]) or pytest.fail("gone")).timeline]
    archive(ledger, [old[1]])
    assert ledger.depart(JANUARY)


def test_a_month_that_somebody_reads_leaves_another_day(
    ledger: Ledger, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(months, "TRIES", 2)
    (one,) = ids(datetime(2021, 1, 3, tzinfo=UTC), 1)
    live(ledger, [one])
    rows = archive(ledger, [one])
    database = Database(postgres_url)
    with database.engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM octets"))
        with pytest.raises(LedgerUnavailable, match="octets_2021_01 is read"):
            ledger.depart(JANUARY)
        ledger.note([Event(one, NOW, "noted", "meanwhile")])  # into a partition that had left
    database.close()
    assert ledger.depart(JANUARY)
    assert where(ledger, one) == {"submission_2021_01", "event_2021_01"}
    assert ledger.restore([one], lambda: rows) == [one]  # type: ignore[arg-type]
    assert "noted" in [e.what for e in (ledger.status("VAN1", one) or pytest.fail("gone")).timeline]


def test_a_month_is_made_while_another_table_s_is_being_taken_out(
    ledger: Ledger, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody reads that one, and who takes it out waits for him: it is not what is wanted."""
    monkeypatch.setattr(months, "TRIES", 2)
    (one,) = ids(datetime(2021, 1, 3, tzinfo=UTC), 1)
    live(ledger, [one])
    database = Database(postgres_url)
    database.apart(lambda c: months.detach(c, "event", JANUARY))
    with database.engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM octets"))

        def begun(connection: Connection) -> None:
            connection.execute(text(f"SET lock_timeout = {LOCK_MS}"))
            connection.execute(text("ALTER TABLE octets DETACH PARTITION octets_2021_01 CONCURRENTLY"))

        with pytest.raises(LedgerUnavailable, match="LockNotAvailable"):
            database.apart(begun)
        assert ledger._read(months.pending_partitions) == {"octets_2021_01"}
        ledger.note([Event(one, NOW, "noted", "meanwhile")])
    database.close()
    assert partition("event", JANUARY) in partitions(ledger)


def test_nobody_waits_while_months_come_and_go(ledger: Ledger, postgres_url: str) -> None:
    """Beside them a transaction that reads every table, as a backup does: it delays who takes a month out, and
    nobody else."""
    old = ids(datetime(2021, 1, 3, tzinfo=UTC), 40)
    live(ledger, old)
    archive(ledger, old)
    done, took, failed = threading.Event(), list[float](), list[Exception]()
    threads = [
        threading.Thread(target=_busy, args=(postgres_url, work, done, took, failed))
        for work in (_write, _write, _read, _read)
    ]
    database = Database(postgres_url)
    reader = database.engine.connect().execution_options(isolation_level="REPEATABLE READ")
    for table in CUT:
        reader.execute(text(f"SELECT count(*) FROM {table}"))
    for thread in threads:
        thread.start()
    ending = threading.Timer(READING, reader.close)
    ending.start()
    try:
        begun = time.monotonic()
        months.make(ledger._database, [Month(2050, n) for n in range(1, 5)])
        made = time.monotonic() - begun
        assert ledger.depart(JANUARY)
        left = time.monotonic() - begun
    finally:
        done.set()
        for thread in threads:
            thread.join()
        ending.join()
        database.close()
    assert failed == []
    assert made < READING  # months are made beside the reader; one leaves when it has gone
    assert left > READING * 0.8
    assert len(took) > 50
    assert max(took) < LONGEST


def _busy(
    url: str,
    work: Callable[[Ledger, int], object],
    done: threading.Event,
    took: list[float],
    failed: list[Exception],
) -> None:
    mine, number = Ledger.open(url), 0
    try:
        while not done.is_set():
            begun = time.monotonic()
            work(mine, number)
            took.append(time.monotonic() - begun)
            number += 1
    except Exception as error:  # noqa: BLE001 - told by the test
        failed.append(error)
    finally:
        mine.close()


def _write(ledger: Ledger, number: int) -> None:
    # Now and then into a month that nobody made.
    at = datetime(2060 + number // 20, 1, 1, tzinfo=UTC) if number % 20 == 19 else datetime.now(UTC)
    identity = identifier.new(at, threading.get_ident().to_bytes(8, "big") + number.to_bytes(2, "big"))
    ledger.settle([settlement(identity)])
    ledger.record([recorded(f"D-{identity}", f"{identity}.1")])


def _read(ledger: Ledger, number: int) -> None:
    ledger.find("VAN1", f"LRN-{number}")
    ledger.mailbox("VAN1", "", 5, include_acknowledged=True)
    ledger.counts()
