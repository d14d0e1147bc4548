"""When to try again: exponential back-off with full jitter; pure."""

from __future__ import annotations

from datetime import timedelta

FIRST_DELAY = timedelta(seconds=1)
LONGEST_DELAY = timedelta(minutes=15)
"""A destination that comes back after an outage is noticed within this time."""
GIVE_UP_AFTER = 200
"""Attempts before a delivery is set aside as dead: about two days at the longest delay."""


def delay(attempts: int, chance: float, longest: timedelta = LONGEST_DELAY) -> timedelta:
    """The wait after ``attempts`` failures (from 1); ``chance`` is random in [0, 1).

    Doubles from FIRST_DELAY to ``longest``, then takes between half and all of that, so that
    many deliveries that failed together do not come back together.
    """
    if attempts < 1:
        raise ValueError("there is no delay before the first attempt")
    span: timedelta = min(FIRST_DELAY * (1 << min(attempts - 1, 30)), longest)
    return span * (0.5 + chance / 2)
