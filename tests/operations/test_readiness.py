"""Probes: answered by what commits tell, by one bounded trial where there were none, and always in time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from twisted.internet.defer import Deferred

from gateway.operations.readiness import ANSWER_SECONDS, FRESH_SECONDS, Readiness
from gateway.storage import Ledger, LedgerUnavailable, Writes
from tests.delivery.fakes import InlineCommits, StillReactor, done
from tests.storage.making import NOW

LEASE = timedelta(seconds=3)


@pytest.fixture
def commits(database_url: str) -> Iterator[InlineCommits]:
    ledger = Ledger.open(database_url)
    yield InlineCommits(ledger)
    ledger.close()


def ready(commits: InlineCommits, reactor: StillReactor | None = None, **more: Any) -> Readiness:
    anything: Any = commits
    return Readiness(anything, commits.ledger.writes, reactor or StillReactor(), **more)


def trials(commits: InlineCommits) -> int:
    return commits.called.count("try_out")


def wrote(commits: InlineCommits) -> bool:
    database: Any = commits.ledger._database
    count: int = database.read(lambda c: c.execute(text("SELECT count(*) FROM duty")).scalar())
    return count > 0


def test_while_commits_succeed_a_probe_costs_nothing(commits: InlineCommits) -> None:
    commits.ledger.claim_due("push:", "me", NOW, LEASE, 1)
    at = ready(commits)
    for _ in range(10):
        assert done(at.parts()) == {"ledger": ""}
    assert trials(commits) == 0


def test_an_idle_process_looks_once_a_second_and_writes_nothing(commits: InlineCommits) -> None:
    reactor = StillReactor()
    at = ready(commits, reactor)
    database: Any = commits.ledger._database
    for second in range(1, 4):
        for _ in range(5):
            # Trials succeed, and would tell for a while: as if that had been long ago.
            database.writes._done_at -= FRESH_SECONDS
            assert done(at.parts()) == {"ledger": ""}
        assert trials(commits) == second
        reactor.advance(1)
    assert not wrote(commits)


def test_after_a_commit_that_failed_it_is_not_ready_until_one_works(commits: InlineCommits) -> None:
    reactor = StillReactor()
    at = ready(commits, reactor)
    commits.ledger.writes.failed("disk full")
    commits.failing["try_out"] = LedgerUnavailable("disk full")
    assert done(at.parts()) == {"ledger": "disk full"}
    del commits.failing["try_out"]
    assert done(at.parts()) == {"ledger": "disk full"}  # asked a moment ago
    reactor.advance(1)
    assert done(at.parts()) == {"ledger": ""}
    assert wrote(commits)  # that a transaction begins does not tell that the disk has room


def test_a_server_that_takes_nothing_is_noticed_by_an_idle_process(postgres_url: str) -> None:
    commits = InlineCommits(Ledger.open(postgres_url))
    reactor = StillReactor()
    at = ready(commits, reactor)
    assert done(at.parts()) == {"ledger": ""}
    url = make_url(postgres_url).set(drivername="postgresql+psycopg")
    name, server = url.database, create_engine(url)
    for setting, told in (("on", "read-only"), ("off", "")):
        with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {setting}'))
        database: Any = commits.ledger._database
        database.writes._done_at -= FRESH_SECONDS
        if told:
            database.engine.dispose()  # a server that went read-only under us ends the sessions
        reactor.advance(1)
        assert told in done(at.parts())["ledger"]
        assert bool(done(at.parts())["ledger"]) == bool(told)
    server.dispose()
    commits.ledger.close()


class Silent:
    """A ledger that does not answer."""

    def __init__(self) -> None:
        self.asked: list[Deferred[None]] = []

    def call(self, work: str, *args: object) -> Deferred[None]:
        self.asked.append(Deferred())
        return self.asked[-1]


def test_a_ledger_that_says_nothing_is_not_waited_for() -> None:
    reactor, silent = StillReactor(), Silent()
    anything: Any = silent
    at = Readiness(anything, Writes(), reactor)
    heard: list[Any] = []
    for _ in range(3):
        Deferred.fromCoroutine(at.parts()).addCallback(heard.append)
    assert heard == []
    reactor.advance(ANSWER_SECONDS)
    assert [told["ledger"].startswith("the database says nothing for 1.5") for told in heard] == [True] * 3
    assert len(silent.asked) == 1
    Deferred.fromCoroutine(at.parts()).addCallback(heard.append)
    silent.asked[0].callback(None)
    assert heard[-1] == {"ledger": ""}
    assert reactor.getDelayedCalls() == []


def test_a_commit_that_does_not_end_is_told(commits: InlineCommits) -> None:
    at, writes = ready(commits), commits.ledger.writes
    commits.ledger.claim_due("push:", "me", NOW, LEASE, 1)
    with writes.one():
        assert done(at.parts()) == {"ledger": ""}
        begun: Any = writes
        begun._begun = dict.fromkeys(begun._begun, next(iter(begun._begun.values())) - 9)
        assert done(at.parts())["ledger"].startswith("a commit has been waiting for 9 s")
        begun._begun = dict.fromkeys(begun._begun, 0.0)
    assert done(at.parts()) == {"ledger": ""}


def test_a_disk_without_room_is_told(commits: InlineCommits) -> None:
    commits.ledger.claim_due("push:", "me", NOW, LEASE, 1)
    assert done(ready(commits, room=100, free=lambda: 100).parts()) == {"ledger": "", "disk": ""}
    full = done(ready(commits, room=67_108_864, free=lambda: 2_097_152).parts())
    assert full == {"ledger": "", "disk": "2 MiB are free, 64 are wanted"}

    def gone() -> int:
        raise FileNotFoundError(2, "No such file or directory")

    assert "No such file" in done(ready(commits, room=1, free=gone).parts())["disk"]
