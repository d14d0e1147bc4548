"""Leases of pushes: renewed while their process lives, taken over within five seconds when it does not."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from gateway.delivery import PushCourier
from gateway.delivery.leases import LEASE, RENEW_SECONDS, Leases
from gateway.storage import LedgerUnavailable
from tests.delivery.conftest import File
from tests.delivery.fakes import InlineCommits, Postman, StillReactor, away
from tests.delivery.test_push import Round
from tests.operations.knowledge import TRADER, World

PROMISED = 5.0
"""Seconds within which what a dead process had under way is begun by another one."""


@pytest.fixture
def round_(
    delivery_world: World, commits: InlineCommits, postman: Postman, reactor: StillReactor, file: File
) -> Round:
    return Round(delivery_world, commits, postman, reactor, file)


@pytest.fixture
def slow(round_: Round, postman: Postman) -> Deferred[None]:
    """A push under way that ends when it is told to."""
    round_.message()
    postman.slow[TRADER.id] = []
    round_.go()
    (waiting,) = postman.slow[TRADER.id]
    return waiting


def other(round_: Round, commits: InlineCommits, postman: Postman, reactor: StillReactor) -> PushCourier:
    """A courier of another node over the same ledger."""
    return PushCourier(postman, commits, lambda: round_.handbook, reactor, reactor.now, "you")  # type: ignore[arg-type]


def pass_by(reactor: StillReactor, seconds: float) -> None:
    """Time passes in steps, so that what waits for a second gets its turn each second."""
    for _ in range(round(seconds * 2)):
        reactor.advance(0.5)


def test_a_slow_push_is_begun_once(
    round_: Round, commits: InlineCommits, postman: Postman, reactor: StillReactor, slow: Deferred[None]
) -> None:
    elsewhere = other(round_, commits, postman, reactor)
    for _ in range(30):
        pass_by(reactor, 1)
        Deferred.fromCoroutine(elsewhere.round())
        round_.go()
    assert len(postman.sent) == 1
    slow.callback(None)
    assert round_.due(TRADER) == 0
    renewals = commits.called.count("renew")
    assert renewals == 30 / RENEW_SECONDS
    pass_by(reactor, 10)
    assert commits.called.count("renew") == renewals  # nothing is held any more
    assert not reactor.getDelayedCalls()


def test_one_that_was_taken_over_is_left_to_who_took_it(
    round_: Round, commits: InlineCommits, postman: Postman, reactor: StillReactor, slow: Deferred[None]
) -> None:
    commits.failing["renew"] = LedgerUnavailable("cut off")
    pass_by(reactor, LEASE.total_seconds() + 1)
    elsewhere = other(round_, commits, postman, reactor)
    Deferred.fromCoroutine(elsewhere.round())
    assert len(postman.sent) == 2
    del commits.failing["renew"]
    pass_by(reactor, 2)
    slow.errback(away())
    assert commits.called.count("retry") == 0  # it failed here; over there it is under way
    (push,) = commits.ledger.due("push:", 9)
    assert (push.attempts, push.error) == (2, "")
    postman.slow[TRADER.id][1].callback(None)
    assert round_.due(TRADER) == 0


def test_one_that_arrived_after_all_is_done_whoever_has_it(
    round_: Round, commits: InlineCommits, postman: Postman, reactor: StillReactor, slow: Deferred[None]
) -> None:
    commits.failing["renew"] = LedgerUnavailable("cut off")
    pass_by(reactor, LEASE.total_seconds() + 1)
    Deferred.fromCoroutine(other(round_, commits, postman, reactor).round())
    slow.callback(None)
    assert round_.due(TRADER) == 0


def test_a_lease_that_ended_here_is_not_begun_twice_here(
    round_: Round, commits: InlineCommits, postman: Postman, reactor: StillReactor, slow: Deferred[None]
) -> None:
    """The ledger was away for longer than a lease; nobody else was there to take over."""
    commits.failing["renew"] = LedgerUnavailable("away")
    pass_by(reactor, LEASE.total_seconds() + 1)
    del commits.failing["renew"]
    round_.go()
    assert len(postman.sent) == 1
    Deferred.fromCoroutine(other(round_, commits, postman, reactor).round())
    assert len(postman.sent) == 1
    slow.callback(None)
    assert round_.due(TRADER) == 0


COURIER = """
import sys
from datetime import UTC, datetime
from types import SimpleNamespace
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from gateway.delivery import PushCourier
from gateway.model import Channel, Partner, Register, Role
from gateway.storage import GroupCommit, Ledger

class Never:
    async def send(self, outgoing, partner):
        print(outgoing.id, flush=True)
        await Deferred()

partner = Partner(sys.argv[3], "Slow", (Role.TRADER,), channel=Channel.PUSH, push_url="https://slow.example/")
known = SimpleNamespace(register=Register((partner,), ()))
commits = GroupCommit(Ledger.open(sys.argv[1]), reactor)
courier = PushCourier(Never(), commits, lambda: known, reactor, lambda: datetime.now(UTC), sys.argv[2])
reactor.callWhenRunning(courier.start)
reactor.run()
"""


class Child:
    """A process with a courier whose pushes never end."""

    def __init__(self, python: str, url: str, owner: str) -> None:
        self.begun: list[tuple[str, float]] = []
        root = Path(__file__).parents[2]
        self.process = subprocess.Popen(
            [python, "-c", COURIER, url, owner, TRADER.id], stdout=subprocess.PIPE, text=True, cwd=root
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.begun.append((line.strip(), time.monotonic()))

    def wait(self, seconds: float) -> tuple[str, float]:
        """The first push that it began, and when."""
        end = time.monotonic() + seconds
        while not self.begun:
            assert time.monotonic() < end
            assert self.process.poll() is None
            time.sleep(0.01)
        return self.begun[0]

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


def test_what_a_killed_process_had_under_way_is_taken_over_in_time(
    round_: Round, database_url: str, python: str
) -> None:
    message = round_.message()
    first = Child(python, database_url, "first")
    second = None
    try:
        assert first.wait(30)[0] == message
        second = Child(python, database_url, "second")
        time.sleep(1.25 * LEASE.total_seconds())
        assert second.begun == []  # the first one lives, and holds on
        first.kill()
        killed = time.monotonic()
        name, at = second.wait(3 * PROMISED)
        assert name == message
        assert at - killed < PROMISED
    finally:
        for child in (first, second):
            if child is not None and child.process.poll() is None:
                child.kill()
    assert timedelta(seconds=at - killed) <= LEASE + timedelta(seconds=1)


def test_what_was_claimed_anew_while_leases_were_renewed_is_ours(
    commits: InlineCommits, reactor: StillReactor
) -> None:
    """The answer is about the hold that ended meanwhile."""
    leases = Leases(commits, reactor, reactor.now, "me")  # type: ignore[arg-type]
    leases.hold("d1")
    leases.hold("d2")

    def anew() -> None:
        leases.let_go("d1")
        leases.hold("d1")

    commits.before["renew"] = anew
    reactor.advance(RENEW_SECONDS)
    assert (leases.ours("d1"), leases.ours("d2")) == (True, False)
