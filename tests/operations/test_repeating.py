"""What is done again and again outlives every fault of one time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway import transport
from gateway.operations.expiring import COUNT_SECONDS, ExpiryWatch
from gateway.operations.repeating import repeat
from gateway.operations.tally import TALLY_SECONDS, keep_tally
from gateway.storage import Ledger, LedgerError, LedgerUnavailable, Overloaded
from tests.delivery.fakes import InlineCommits, StillReactor

FAULTS = [LedgerUnavailable("away"), LedgerError("permission denied"), ValueError("half a row")]


class Running(StillReactor):
    def callWhenRunning(self, function: Callable[..., Any], *args: Any, **named: Any) -> None:  # noqa: N802
        function(*args, **named)


@pytest.fixture
def commits(database_url: str) -> Iterator[InlineCommits]:
    ledger = Ledger.open(database_url)
    yield InlineCommits(ledger)
    ledger.close()


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_figures_are_counted_again_after_every_fault(commits: InlineCommits, fault: Exception) -> None:
    reactor, metrics = Running(), transport.Metrics()
    commits.failing = {"counts": fault, "expiring": fault}
    anything: Any = commits
    keep_tally(anything, metrics, reactor)
    ExpiryWatch(anything, metrics, reactor.now).keep(reactor)
    commits.failing.clear()
    commits.called.clear()
    reactor.advance(TALLY_SECONDS)
    assert commits.called[:3] == ["counts", "large_waiting", "breakers"]
    reactor.advance(COUNT_SECONDS)
    assert "expiring" in commits.called


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (LedgerUnavailable("gone"), "the ledger is away: gone"),
        (Overloaded("no room to work on it"), "put off: no room to work on it"),
        (ValueError("half a row"), "failed, and is done again"),
    ],
)
def test_what_failed_is_told_as_what_it_is(
    caplog: pytest.LogCaptureFixture, fault: Exception, told: str
) -> None:
    async def work() -> None:
        raise fault

    repeat(work, Running(), 2.0)
    assert caplog.messages == [told]


def test_it_ends_when_it_is_told_to() -> None:
    reactor, times = Running(), []

    async def work() -> None:
        times.append(reactor.seconds())

    end = repeat(work, reactor, 2.0, now=False)
    reactor.advance(2)
    end()
    reactor.advance(2)
    assert times == [2.0]
    assert end() is None
