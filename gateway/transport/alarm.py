"""A call that is put off again and again, with one timer for all the times."""

from __future__ import annotations

from collections.abc import Callable

from gateway.transport.reactor import Clock, Delayed

NEVER = float("inf")


class Alarm:
    """Makes a call when its time has come.  Each message puts it off: a timer of the reactor's for each costs some
    ten microseconds, a look at the clock hardly any.  Times are seconds by the clock."""

    def __init__(self, clock: Clock, call: Callable[[], object]) -> None:
        self._clock = clock
        self._call = call
        self._due = NEVER
        self._looks_at = NEVER
        self._timer: Delayed | None = None

    def set(self, seconds: float) -> None:
        """The call is due then, and at no time that was set before."""
        self._due = self._clock.seconds() + seconds
        if self._due < self._looks_at:
            self._look_in(seconds)

    def clear(self) -> None:
        """It is not due any more."""
        self._due = NEVER

    def stop(self) -> None:
        """The same, and nothing of it is left in the reactor."""
        self._due = self._looks_at = NEVER
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._looks_at = self._clock.seconds() + seconds
        self._timer = self._clock.callLater(seconds, self._look)

    def _look(self) -> None:
        self._timer, self._looks_at = None, NEVER
        left = self._due - self._clock.seconds()
        if self._due == NEVER:
            return
        if left > 0:
            self._look_in(left)
            return
        self._due = NEVER
        self._call()
