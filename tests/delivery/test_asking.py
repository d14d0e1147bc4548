"""Calls of a back end: those that answer, and those that do not."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from gateway.adapter import BackendUnavailable
from gateway.delivery import BackendCourier
from gateway.delivery.asking import Asking
from gateway.intake import Numbers
from tests.delivery.conftest import File
from tests.delivery.fakes import InlineCommits, PaperOffice, StillReactor, ThreadsAtHand, done
from tests.delivery.test_backend import decided, due
from tests.operations.knowledge import World


def begun(asking: Asking, *args: Any) -> Deferred[Any]:
    return Deferred.fromCoroutine(asking.ask(*args))


def test_one_that_does_not_come_back_is_away_until_it_does(reactor: StillReactor) -> None:
    threads: Any = ThreadsAtHand()
    asking, other = (Asking(reactor, threads, 60) for _ in range(2))
    hung = begun(asking, "late".upper)
    reactor.advance(61)
    with pytest.raises(BackendUnavailable, match="no answer in 60 s"):
        done(hung)
    with pytest.raises(BackendUnavailable, match="has not come back"):
        done(begun(asking, "next".upper))
    beside = begun(other, "beside".upper)
    threads.begun.pop()()
    assert done(beside) == "BESIDE"
    threads.begun.pop()()  # what it says now is heard by nobody
    after = begun(asking, "after".upper)
    threads.begun.pop()()
    assert done(after) == "AFTER"


def test_what_a_call_raises_is_raised(reactor: StillReactor) -> None:
    threads: Any = ThreadsAtHand()
    asking = Asking(reactor, threads, 60)
    failed = begun(asking, int, "no number")
    threads.begun.pop()()
    with pytest.raises(ValueError, match="no number"):
        done(failed)
    reactor.advance(61)
    again = begun(asking, int, "7")
    threads.begun.pop()()
    assert done(again) == 7


def test_decisions_are_fetched_while_a_hand_over_hangs_and_it_counts_once(
    delivery_world: World, commits: InlineCommits, office: PaperOffice, reactor: StillReactor, file: File
) -> None:
    filed = file()
    threads: Any = ThreadsAtHand()
    world: Any = delivery_world
    given: Any = commits
    courier = BackendCourier(
        "office",
        office,
        given,
        Numbers(commits.ledger),
        lambda: world.handbook,
        world.own,
        reactor,
        threads,
        reactor.now,
        "me",
    )

    def round_() -> Deferred[bool]:
        return Deferred.fromCoroutine(courier.round())

    office.outbox = [decided(filed)]
    first = round_()
    assert len(threads.begun) == 1  # the hand-over, which hangs
    hand_over = threads.begun.pop()
    for _ in range(61):
        reactor.advance(1)
    for _ in range(2):  # the decisions, and their confirmation
        threads.begun.pop()()
    done(first)
    assert office.confirmed == ["d1"]
    assert due(commits)["backend:office"] == 1
    hand_over()  # it came to its end after all
    assert list(office.taken) == [f"{filed.id}.1"]
    for _ in range(3):
        reactor.advance(60)
        again = round_()
        while threads.begun:
            threads.begun.pop()()
        done(again)
    assert "backend:office" not in due(commits)
    assert list(office.taken) == [f"{filed.id}.1"]
    assert len(office.batches) == 2
