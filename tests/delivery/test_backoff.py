"""When to try again: doubling, bounded, spread."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery import delay
from gateway.delivery.backoff import FIRST_DELAY, GIVE_UP_AFTER, LONGEST_DELAY

CHANCES = st.floats(0, 1, exclude_max=True)


@given(attempts=st.integers(1, 10_000), chance=CHANCES)
def test_a_wait_is_between_half_and_all_of_its_span(attempts: int, chance: float) -> None:
    span = min(FIRST_DELAY * 2 ** min(attempts - 1, 20), LONGEST_DELAY)
    assert span / 2 <= delay(attempts, chance) <= span


@given(attempts=st.integers(1, 10_000), low=CHANCES, high=CHANCES)
def test_later_and_less_lucky_waits_longer(attempts: int, low: float, high: float) -> None:
    low, high = sorted((low, high))
    assert delay(attempts, low) <= delay(attempts, high)
    assert delay(attempts, low) <= delay(attempts + 1, low)


def test_the_first_waits_are_seconds_and_the_last_a_quarter_of_an_hour() -> None:
    assert [delay(n, 0).total_seconds() for n in (1, 2, 3, 4)] == [0.5, 1, 2, 4]
    assert delay(GIVE_UP_AFTER, 0.999999).total_seconds() == pytest.approx(900, abs=1)


def test_giving_up_takes_a_day_at_least_and_two_at_most() -> None:
    hours = [
        sum(delay(n, chance).total_seconds() for n in range(1, GIVE_UP_AFTER)) / 3600 for chance in (0, 1)
    ]
    assert hours[0] > 23
    assert hours[1] < 48


@pytest.mark.parametrize("attempts", [0, -1])
def test_there_is_no_wait_before_the_first_attempt(attempts: int) -> None:
    with pytest.raises(ValueError, match="before the first"):
        delay(attempts, 0.5)
