"""Commit, then speak: what a killed process had acknowledged is there."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import NullPool, text

from gateway.storage import Ledger, LedgerDamaged, LedgerError, LedgerUnavailable
from gateway.storage.database import Database
from tests.sqlite import engine as engine_of
from tests.sqlite import spoil, sqlite3

from .making import BACKEND, LEASE, NOW, settlement

SETTLER = """
import itertools, sys
sys.path.insert(0, "tests")
from twisted.internet import reactor
from gateway.storage import GroupCommit, Ledger
from storage.making import settlement

ledger = Ledger.open(sys.argv[1])
commits = GroupCommit(ledger, reactor)
numbers = itertools.count()

def file(_=None):
    answered = commits.settle(settlement(f"s{next(numbers)}"))
    answered.addCallback(speak)
    answered.addCallback(file)

def speak(answer):
    sys.stdout.write(answer.submission + "\\n")
    sys.stdout.flush()

for _ in range(25):
    reactor.callWhenRunning(file)
reactor.run()
"""


@pytest.mark.parametrize("acknowledged_before", [1, 150, 400])
def test_what_was_acknowledged_survives_sigkill(
    database_url: str, python: str, acknowledged_before: int
) -> None:
    root = Path(__file__).parents[2]
    child = subprocess.Popen([python, "-c", SETTLER, database_url], stdout=subprocess.PIPE, cwd=root)
    assert child.stdout is not None
    heard = [child.stdout.readline() for _ in range(acknowledged_before)]
    os.kill(child.pid, signal.SIGKILL)
    heard += child.stdout.readlines()
    assert child.wait(30) == -signal.SIGKILL
    # A last line that the kill cut short was not spoken.
    spoken = [line.decode().strip() for line in heard if line.endswith(b"\n")]
    assert len(spoken) >= acknowledged_before

    ledger = Ledger.open(database_url)
    for submission in spoken:
        status = ledger.status("VAN1", submission)
        assert status is not None, f"{submission} was acknowledged and lost"
        assert ledger.fetch("VAN1", status.receipt) is not None
    # Each whole: outcome, receipt and delivery came together, for those unheard too.
    due = ledger.claim_due(BACKEND, "me", NOW, LEASE, 100_000)
    handed = ledger.handovers(due)
    receipts = ledger.mailbox("VAN1", "", 100_000)
    ledger.close()
    assert {f"{s}.1" for s in spoken} <= {h.message for h in handed}
    assert len(handed) == len(due) == len(receipts)


def test_lost_connections_are_not_noticed_by_the_callers(postgres_url: str) -> None:
    """The server dropped them (a restart, a fail-over): the transaction is repeated on a new one."""
    ledger = Ledger.open(postgres_url)
    ledger.settle([settlement("a")])
    for n in range(3):
        assert kill_connections(postgres_url) >= 1
        ledger.settle([settlement(f"b{n}")])
        assert kill_connections(postgres_url) >= 1
        assert ledger.raw(f"b{n}") is not None
    ledger.close()


def kill_connections(url: str) -> int:
    engine = engine_of(url, poolclass=NullPool)
    with engine.connect() as connection:
        killed = connection.execute(
            text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE application_name = 'cvan' AND datname = current_database()"
            )
        ).all()
    engine.dispose()
    return len(killed)


def test_a_locked_database_is_unavailable_and_nothing_is_kept(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.storage.engines.BUSY_MS", 50)
    ledger = Ledger.open(sqlite_url)
    holder = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerUnavailable, match="locked"):
        ledger.settle([settlement("a")])
    assert ledger.raw("a") is None
    holder.execute("ROLLBACK")
    holder.close()
    assert ledger.settle([settlement("a")])
    ledger.close()


def test_a_damaged_file_takes_nothing_more(sqlite_url: str) -> None:
    """Not ready, whatever the trial of a probe would find; what can be read is read."""
    ledger = Ledger.open(sqlite_url)
    assert ledger.settle([settlement("a")])
    ledger.close()
    spoil(sqlite_url, "journal")
    ledger = Ledger.open(sqlite_url)
    with pytest.raises(LedgerDamaged, match=r"^the ledger is damaged; stop .*malformed"):
        ledger.settle([settlement("b")])
    assert "damaged" in ledger.writes.error
    with pytest.raises(LedgerDamaged):
        ledger.try_out(change=True)
    assert ledger.raw("a") is not None
    ledger.close()


def test_a_refused_value_is_named_without_its_content(postgres_url: str) -> None:
    ledger = Ledger.open(postgres_url)
    with pytest.raises(LedgerError) as refused:
        ledger.settle([settlement("a", reference="secret\0reference")])
    assert "secret" not in str(refused.value)
    assert ledger.raw("a") is None
    ledger.close()


def test_a_long_log_is_begun_anew_once_no_reader_needs_it(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    log = Path(f"{database.engine.url.database}-wal")
    fill = "INSERT INTO counter (name, value) VALUES (?, 1)"

    def write(name: str) -> None:
        database.write(lambda c: c.exec_driver_sql(fill, (name * 300_000,)))

    with database.engine.connect() as reader:
        reader.exec_driver_sql("SELECT count(*) FROM counter").all()
        write("a")
        assert not database.trim_log(100_000)  # it reads what was before
        write("b")
    before = log.stat().st_size
    assert not database.trim_log(before)
    assert database.trim_log(100_000)
    write("c")
    assert log.stat().st_size == before
    database.close()
