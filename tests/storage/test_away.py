"""A PostgreSQL that cannot take anything now is away, whatever it calls that; nobody is told of a fault of ours."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, text

from gateway.storage import Ledger, LedgerError, LedgerUnavailable, migrate
from gateway.storage.database import Database
from tests.drills.pair import Machine, Pair
from tests.postgres import postgres_or_skip

from .making import settlement


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """A primary and its standby, and commits that wait for it."""
    made = Pair(postgres_or_skip())
    yield made
    made.close()


@pytest.fixture
def filed(pair: Pair) -> Iterator[Ledger]:
    """A ledger of its own, opened by a URL that names both servers."""
    name = pair.primary.create()
    migrate(pair.url(name))
    ledger = Ledger.open(pair.url(name))
    ledger.settle([settlement("a")])
    yield ledger
    ledger.close()


@pytest.mark.parametrize(
    ("state", "away"),
    [
        ("25006", True),
        ("25P03", True),
        ("57P01", True),
        ("57P02", True),
        ("57P03", True),
        ("53100", True),
        ("53200", True),
        ("53300", True),
        ("08006", True),
        ("58030", True),
        ("22001", False),
        ("23505", False),
        ("XX000", False),
    ],
)
def test_what_the_server_says_is_away_or_a_fault(postgres_url: str, state: str, away: bool) -> None:
    def work(connection: Connection) -> None:
        connection.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'so' USING ERRCODE = '{state}'; END $$"))

    database = Database(postgres_url)
    with pytest.raises(LedgerError) as raised:
        database.write(work)
    database.close()
    assert isinstance(raised.value, LedgerUnavailable) is away


def test_a_server_that_takes_nothing_is_away_until_it_takes_again(pair: Pair, filed: Ledger) -> None:
    pair.primary.ask("ALTER SYSTEM SET default_transaction_read_only = on")
    pair.primary.ask("SELECT pg_reload_conf()")
    tried = [f"b{n}" for n in range(1_000)]  # its sessions hear of it one after the other
    try:
        eventually(lambda: refused(filed, tried.pop()))
        assert refused(filed, "b")
    finally:
        pair.primary.ask(
            "SET default_transaction_read_only = off", "ALTER SYSTEM RESET default_transaction_read_only"
        )
        pair.primary.ask("SELECT pg_reload_conf()")
    eventually(lambda: not refused(filed, "c"))
    assert filed.raw("b") is None
    assert filed.raw("c") is not None


def test_a_standby_alone_is_away(pair: Pair, filed: Ledger) -> None:
    """By its own address: it is asked, and takes nothing; by the addresses of both it is not even asked."""
    name = filed._database.engine.url.database
    there = Ledger.open(f"postgresql://cvan@/{name}?host={pair.standby.folder}")
    with pytest.raises(LedgerUnavailable, match="read-only"):
        there.settle([settlement("d")])
    there.close()
    alone = f"postgresql://cvan@/{name}?host={pair.standby.folder}&target_session_attrs=read-write"
    with pytest.raises(LedgerUnavailable, match="read-only"):
        Ledger.open(alone)


def test_a_server_that_is_full_of_connections_is_away(pair: Pair, filed: Ledger) -> None:
    url = f"postgresql://cvan@/{filed._database.engine.url.database}?host={pair.primary.folder}"
    pair.primary.ask("CREATE ROLE narrow LOGIN CONNECTION LIMIT 1")
    pair.primary.ask("GRANT pg_read_all_data TO narrow")
    narrow = Database(url.replace("cvan@", "narrow@"))
    with narrow.engine.connect() as first:
        first.execute(text("SELECT 1"))
        with pytest.raises(LedgerUnavailable, match="too many connections"):
            narrow.read(lambda c: c.execute(text("SELECT 1")).scalar())
    narrow.close()


def test_a_commit_whose_wait_for_the_standby_was_cancelled_is_not_acknowledged(
    pair: Pair, filed: Ledger
) -> None:
    """PostgreSQL commits it, with no more than a warning; sent again it waits like any other."""
    halted(pair.standby, True)
    try:
        waiting = Settling(filed, "e")
        eventually(lambda: waiters(pair.primary) == 1)
        assert not waiting.ended()
        pair.primary.ask("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        assert isinstance(waiting.outcome(), LedgerUnavailable)
        assert filed.raw("e") is not None  # on one server only
        again = Settling(filed, "e")
        eventually(lambda: waiters(pair.primary) == 1)
        repeated = Knowing(filed, "e")
        eventually(lambda: waiters(pair.primary) == 2)
        assert not again.ended()
        assert not repeated.ended()
    finally:
        halted(pair.standby, False)
    (answer,) = again.outcome()
    assert repeated.outcome().receipt == answer.receipt


def test_while_the_standby_is_away_commits_wait_until_somebody_decides(pair: Pair, filed: Ledger) -> None:
    pair.standby.kill()
    waiting = Settling(filed, "g")
    eventually(lambda: waiters(pair.primary) == 1)
    time.sleep(1)
    assert not waiting.ended()
    pair.primary.wait_for("")
    (answer,) = waiting.outcome()
    assert answer.submission == "g"
    pair.rebuild()
    assert filed.settle([settlement("h")])


def test_a_server_that_stops_in_the_middle_is_away_and_nothing_is_half_there(pair: Pair) -> None:
    """Last here: it ends the primary, as ``pg_ctl stop -m fast`` does, and the standby takes over."""
    name = pair.primary.create()
    url = pair.url(name)
    ledger = Ledger.open(url, create=True)
    begun, stopped = threading.Event(), threading.Event()
    outcomes: list[object] = []

    def work(connection: Connection) -> None:
        connection.execute(text("INSERT INTO counter (name, value) VALUES ('half', 1)"))
        begun.set()
        assert stopped.wait(60)
        connection.execute(text("UPDATE counter SET value = 2 WHERE name = 'half'"))

    def write() -> None:
        try:
            ledger._database.write(work)
        except LedgerError as error:
            outcomes.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    assert begun.wait(30)
    pair.primary.stop_fast()
    stopped.set()
    writer.join(60)
    assert [type(outcome) for outcome in outcomes] == [LedgerUnavailable]
    with pytest.raises(LedgerUnavailable):
        ledger.settle([settlement("f")])
    pair.fail_over()
    ledger.settle([settlement("f")])
    assert (
        ledger._database.read(lambda c: c.execute(text("SELECT * FROM counter WHERE name = 'half'")).all())
        == []
    )
    ledger.close()


class Settling(threading.Thread):
    """A settlement in a thread of its own, which may wait for long."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        super().__init__(daemon=True)
        self._ledger, self._name = ledger, name
        self._outcome: object = None
        self.start()

    def run(self) -> None:
        try:
            self._outcome = self.work(self._ledger)
        except LedgerError as error:
            self._outcome = error

    def work(self, ledger: Ledger) -> object:
        return ledger.settle([settlement(self._name)])

    def ended(self) -> bool:
        return not self.is_alive()

    def outcome(self) -> Any:
        """What came of it."""
        self.join(30)
        assert not self.is_alive()
        return self._outcome


class Knowing(Settling):
    """The same octets looked up."""

    def work(self, ledger: Ledger) -> object:
        submission = settlement(self._name).submission
        return ledger.known(submission.partner, submission.digest)


def waiters(server: Machine) -> int:
    """Commits that wait for the standby."""
    count = server.ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")[0][0]
    assert isinstance(count, int)
    return count


def halted(standby: Machine, on: bool) -> None:
    """The line to it stands still, or goes on."""
    subprocess.run(["kill", "-STOP" if on else "-CONT", str(standby.receiver())], check=True)


def refused(ledger: Ledger, name: str) -> bool:
    """True where the ledger is away, because it takes nothing."""
    try:
        ledger.settle([settlement(name)])
    except LedgerUnavailable as away:
        return "read-only" in str(away)
    return False


def eventually(what: Callable[[], bool]) -> None:
    """A setting is read, a connection is noticed: not at once."""
    end = time.monotonic() + 15
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)
