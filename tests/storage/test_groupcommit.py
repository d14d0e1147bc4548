"""Group commit on a real reactor: shared transactions, separate fates, bounded queues."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.threads import blockingCallFromThread
from twisted.logger import globalLogPublisher

from gateway.model import Answer
from gateway.storage import Clash, GroupCommit, Ledger, LedgerError, LedgerUnavailable, Overloaded, Settlement
from gateway.storage.database import Database
from gateway.storage.groupcommit import READERS

from .making import settlement


class Watched(Ledger):
    """A real ledger that remembers its batches and can be held up."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.writers: set[str] = set()

    def settle(self, batch: Sequence[Settlement]) -> list[Answer | Clash]:
        self.writers.add(threading.current_thread().name)
        assert self.gate.wait(30)
        self.batches.append(len(batch))
        return super().settle(batch)


@pytest.fixture
def watched(database_url: str) -> Iterator[Watched]:
    opened = Watched.open(database_url)
    yield opened
    opened.gate.set()
    opened.close()


@pytest.fixture
def reactor() -> Iterator[SelectReactor]:
    """A reactor of this test's own, running in a thread."""
    made = SelectReactor()
    thread = threading.Thread(target=made.run, kwargs={"installSignalHandlers": False})
    thread.start()
    yield made
    made.callFromThread(made.stop)
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def on(reactor: SelectReactor) -> Callable[..., Any]:
    """Call in the reactor's thread; wait for the result or its Deferred."""
    return lambda work, *args: blockingCallFromThread(reactor, work, *args)


def all_of(commits: GroupCommit, settlements: Sequence[Settlement]) -> Deferred[list[Any]]:
    return gatherResults([commits.settle(s) for s in settlements], consumeErrors=True)


def outcomes(commits: GroupCommit, settlements: Sequence[Settlement]) -> Deferred[list[Any]]:
    """As all_of, with the exception in the place of each that failed."""
    return gatherResults([commits.settle(s).addErrback(lambda f: f.value) for s in settlements])


def test_settlements_share_transactions_of_one_writer(
    watched: Watched, reactor: SelectReactor, on: Callable[..., Any]
) -> None:
    commits = on(lambda: GroupCommit(watched, reactor))
    batch = [settlement(f"s{n}") for n in range(250)]
    answers = on(all_of, commits, batch)
    on(commits.stop)
    assert [a.submission for a in answers] == [s.submission.id for s in batch]
    assert sum(watched.batches) == 250
    assert len(watched.batches) <= 4
    assert max(watched.batches) == 100
    assert len(watched.writers) == 1


def test_answers_come_in_the_reactors_thread(
    watched: Watched, reactor: SelectReactor, on: Callable[..., Any]
) -> None:
    commits = on(lambda: GroupCommit(watched, reactor))
    home = on(threading.get_ident)
    heard = on(lambda: commits.settle(settlement("a")).addCallback(lambda _: threading.get_ident()))
    called = on(lambda: commits.call(threading.get_ident))
    on(commits.stop)
    assert heard == home
    assert called != home


def test_one_poison_settlement_hurts_no_other(
    watched: Watched, reactor: SelectReactor, on: Callable[..., Any]
) -> None:
    commits = on(lambda: GroupCommit(watched, reactor))
    watched.settle([settlement("taken")])
    poison = settlement("taken", body=b"other", reference="other")
    batch = [settlement("a"), settlement("b"), poison, settlement("c"), settlement("d.d")]
    results = on(outcomes, commits, batch)
    on(commits.stop)
    assert [r.submission for r in results if isinstance(r, Answer)] == ["a", "b", "c"]
    assert isinstance(results[2], LedgerError)
    assert isinstance(results[4], ValueError)
    assert watched.raw("c") is not None
    assert commits._octets == 0  # else the bound moves with each of them


def test_duplicates_and_clashes_are_answered_in_the_same_batch(
    watched: Watched, reactor: SelectReactor, on: Callable[..., Any]
) -> None:
    commits = on(lambda: GroupCommit(watched, reactor))
    batch = [
        settlement("a", body=b"x", reference="R"),
        settlement("b", body=b"x", reference="R"),
        settlement("c", body=b"y", reference="R"),
    ]
    first, same, clash = on(all_of, commits, batch)
    on(commits.stop)
    assert (first.repeated, same.repeated, same.receipt) == (False, True, first.receipt)
    assert isinstance(clash, Clash)


def test_too_many_waiting_is_overload_and_ends(
    watched: Watched, reactor: SelectReactor, on: Callable[..., Any]
) -> None:
    commits = on(lambda: GroupCommit(watched, reactor, max_batch=5, max_waiting=10))
    watched.gate.clear()
    waiting: list[Deferred[Any]] = []

    def flood() -> None:
        for n in range(20):
            waiting.append(commits.settle(settlement(f"s{n}")))

    with pytest.raises(Overloaded):
        on(flood)
    assert len(waiting) == 11  # one in the writer's hands
    watched.gate.set()
    assert len(on(gatherResults, waiting)) == 11
    assert on(commits.settle, settlement("later")).submission == "later"
    on(commits.stop)


def test_large_submissions_are_bounded_by_octets(
    watched: Watched, reactor: SelectReactor, on: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.storage.groupcommit.MAX_WAITING_OCTETS", 1_000)
    monkeypatch.setattr("gateway.storage.groupcommit.MAX_BATCH_OCTETS", 500)
    commits = on(lambda: GroupCommit(watched, reactor))
    watched.gate.clear()
    waiting: list[Deferred[Any]] = []

    def flood() -> None:
        for n in range(9):
            waiting.append(commits.settle(settlement(f"s{n}", body=b"%d" % n + b" " * 399)))

    with pytest.raises(Overloaded):
        on(flood)
    watched.gate.set()
    on(gatherResults, waiting)
    on(commits.stop)
    assert watched.batches == [1, 1, 1]


def test_stop_finishes_what_was_taken_and_takes_no_more(
    watched: Watched, reactor: SelectReactor, on: Callable[..., Any]
) -> None:
    commits = on(lambda: GroupCommit(watched, reactor, max_batch=3))
    waiting: list[Deferred[Any]] = []

    def flood_and_stop() -> Deferred[None]:
        waiting.extend(commits.settle(settlement(f"s{n}")) for n in range(10))
        stopped = commits.stop()
        with pytest.raises(Overloaded):
            commits.settle(settlement("late"))
        with pytest.raises(Overloaded):
            commits.call("counts")
        return stopped

    on(flood_and_stop)
    assert all(d.called for d in waiting)
    assert all(watched.raw(f"s{n}") is not None for n in range(10))
    assert watched.raw("late") is None
    assert not [t for t in threading.enumerate() if "ledger-" in t.name]


def test_what_is_asked_of_a_ledger_that_hangs_is_bounded_and_forgotten(
    watched: Watched, reactor: SelectReactor, on: Callable[..., Any]
) -> None:
    commits = on(lambda: GroupCommit(watched, reactor, max_calls=2))
    gate, asked = threading.Event(), []

    def hung(name: str) -> str:
        gate.wait(30)
        asked.append(name)
        return name

    def flood() -> list[Deferred[Any]]:
        taken = [commits.call(hung, f"taken {n}") for n in range(READERS)]
        gone, stays = (commits.call(hung, name) for name in ("gone", "stays"))
        with pytest.raises(Overloaded):
            commits.call(hung, "one too many")
        gone.addErrback(lambda failure: failure.trap(CancelledError))
        gone.cancel()
        taken[0].addErrback(lambda failure: failure.trap(CancelledError))
        taken[0].cancel()  # a thread is at it: it is done, and nobody hears of it
        return [*taken[1:], stays, commits.call(hung, "in its place")]

    waiting = on(flood)
    gate.set()
    assert on(gatherResults, waiting)[-2:] == ["stays", "in its place"]
    on(commits.stop)
    assert sorted(asked) == ["in its place", "stays", *(f"taken {n}" for n in range(READERS))]


def test_who_hears_of_the_last_call_may_stop_it(
    watched: Watched, reactor: SelectReactor, on: Callable[..., Any]
) -> None:
    commits = on(lambda: GroupCommit(watched, reactor))
    told: list[Any] = []
    globalLogPublisher.addObserver(told.append)
    try:
        on(lambda: commits.call("counts").addCallback(lambda _: commits.stop()))
        on(gc.collect)
    finally:
        globalLogPublisher.removeObserver(told.append)
    assert [event["log_failure"] for event in told if "log_failure" in event] == []


def test_a_sender_that_went_away_does_not_undo_its_settlement(
    watched: Watched, reactor: SelectReactor, on: Callable[..., Any]
) -> None:
    commits = on(lambda: GroupCommit(watched, reactor))
    watched.gate.clear()

    def leave() -> Deferred[Any]:
        gone = commits.settle(settlement("gone"))
        stays = commits.settle(settlement("stays"))
        gone.addErrback(lambda _: None)
        gone.cancel()
        reactor.callLater(0, watched.gate.set)
        return stays

    assert on(leave).submission == "stays"
    on(commits.stop)
    assert watched.raw("gone") is not None


def test_other_work_runs_by_name_or_function_and_fails_to_its_caller(
    watched: Watched, reactor: SelectReactor, on: Callable[..., Any]
) -> None:
    commits = on(lambda: GroupCommit(watched, reactor))
    assert on(commits.call, "references", "n", 3) == range(1, 4)
    assert on(commits.call, watched.register_version) == 0
    with pytest.raises(ValueError, match="block"):
        on(commits.call, "references", "n", 0)
    on(commits.stop)


def test_a_ledger_that_is_away_fails_a_batch_at_once(
    sqlite_url: str, reactor: SelectReactor, on: Callable[..., Any]
) -> None:
    """Not each of a hundred after its own time-out."""

    class Away(Watched):
        def settle(self, batch: Sequence[Settlement]) -> list[Answer | Clash]:
            self.batches.append(len(batch))
            raise LedgerUnavailable("the disk is full")

    away = Away.open(sqlite_url)
    commits = on(lambda: GroupCommit(away, reactor))
    results = on(outcomes, commits, [settlement(f"s{n}") for n in range(20)])
    on(commits.stop)
    away.close()
    assert all(isinstance(r, LedgerUnavailable) for r in results)
    assert away.batches == [1, 19]
