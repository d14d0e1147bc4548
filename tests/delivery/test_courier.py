"""The loop that every courier shares: works while there is work, sleeps until poked, outlives failures."""

from __future__ import annotations

import logging

import pytest

from gateway.adapter import BackendUnavailable
from gateway.delivery.courier import AFTER_FAILURE, IDLE, Courier
from gateway.storage import LedgerUnavailable
from tests.delivery.fakes import StillReactor, done


class Counting(Courier):
    """``busy``: rounds that say there is more; ``broken``: rounds that fail."""

    def __init__(self, reactor: StillReactor) -> None:
        super().__init__(reactor, reactor.now)
        self.rounds = 0
        self.busy = 0
        self.broken = 0
        self.failure: Exception = ZeroDivisionError()

    async def round(self) -> bool:
        self.rounds += 1
        if self.broken:
            self.broken -= 1
            raise self.failure
        self.busy -= 1
        return self.busy > 0


@pytest.fixture
def courier() -> Counting:
    return Counting(StillReactor())


def pass_time(courier: Counting, seconds: float) -> None:
    courier._reactor.advance(seconds)


def test_it_works_while_there_is_work(courier: Counting) -> None:
    courier.busy = 5
    courier.start()
    assert courier.rounds == 5


def test_it_looks_again_when_it_has_slept(courier: Counting) -> None:
    courier.start()
    assert courier.rounds == 1
    pass_time(courier, IDLE.total_seconds() - 0.01)
    assert courier.rounds == 1
    pass_time(courier, 0.02)
    assert courier.rounds == 2


def test_a_poke_ends_its_sleep_and_its_alarm(courier: Counting) -> None:
    courier.start()
    courier.poke()
    assert courier.rounds == 2
    assert len(courier._reactor.getDelayedCalls()) == 1
    pass_time(courier, IDLE.total_seconds())
    assert courier.rounds == 3


def test_a_failed_round_is_told_and_tried_again_after_a_pause(
    courier: Counting, caplog: pytest.LogCaptureFixture
) -> None:
    courier.broken = 2
    with caplog.at_level(logging.ERROR, "gateway.delivery"):
        courier.start()
        assert courier.rounds == 1
        pass_time(courier, AFTER_FAILURE.total_seconds() - 0.01)
        assert courier.rounds == 1
        pass_time(courier, 0.02)
    assert courier.rounds == 2
    assert [r.getMessage() for r in caplog.records] == ["round failed", "round failed"]
    pass_time(courier, AFTER_FAILURE.total_seconds())
    assert courier.rounds == 3


@pytest.mark.parametrize("away", [LedgerUnavailable("OperationalError: gone"), BackendUnavailable("gone")])
def test_what_is_away_is_waited_for_with_one_line_a_round(
    courier: Counting, caplog: pytest.LogCaptureFixture, away: Exception
) -> None:
    courier.broken, courier.failure = 2, away
    with caplog.at_level(logging.WARNING, "gateway.delivery"):
        courier.start()
        pass_time(courier, AFTER_FAILURE.total_seconds())
        pass_time(courier, AFTER_FAILURE.total_seconds())
    assert courier.rounds == 3
    assert [r.getMessage() for r in caplog.records] == [f"courier waits: {away}"] * 2
    assert not any(r.exc_info for r in caplog.records)


def test_it_stops_after_the_round_in_progress(courier: Counting) -> None:
    courier.start()
    done(courier.stop())
    rounds = courier.rounds
    assert courier._reactor.getDelayedCalls() == []
    pass_time(courier, 60)
    assert courier.rounds == rounds


def test_one_that_was_never_begun_can_be_stopped(courier: Counting) -> None:
    done(courier.stop())
    assert courier.rounds == 0


def test_what_it_does_is_said_by_its_kind() -> None:
    reactor = StillReactor()
    with pytest.raises(TypeError):
        done(Courier(reactor, reactor.now).round())
