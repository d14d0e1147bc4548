"""Submissions whose steps are taken abreast, on the reactor's thread."""

# mypy: disallow-untyped-calls=False
# (Twisted's Failure is not typed.)

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.inbound import Steps

T = TypeVar("T")

MOST = 8
"""Submissions that go abreast: so many gain what there is to be gained, and the sockets wait some milliseconds."""


class _One(Generic[T]):
    """What is still to do, then what it made or why not; and who waits for it."""

    __slots__ = ("made", "steps", "waits")

    def __init__(self, steps: Steps[T]) -> None:
        self.steps = steps
        self.made: T | Failure | None = None
        self.waits: Deferred[T] = Deferred()

    def step(self) -> bool:
        """One step more; False where there is none."""
        try:
            next(self.steps)
        except StopIteration as done:
            self.made = done.value
            return False
        except Exception:  # noqa: BLE001 - whatever it is, it is told who waits for this one, and stops no other
            self.made = Failure()
            return False
        return True


class Abreast:
    """Gathers what comes in one turn of the reactor.  ``later``: makes a call in the next one."""

    def __init__(self, later: Callable[[Callable[[], None]], object], most: int = MOST) -> None:
        self._later = later
        self._most = most
        self._waiting: deque[_One[Any]] = deque()
        self._called = False

    def take(self, steps: Steps[T]) -> Deferred[T]:
        """Fires with what the steps make, in the reactor's next turn or soon after; fails with what they raise."""
        one = _One(steps)
        self._waiting.append(one)
        self._call()
        return one.waits

    def _call(self) -> None:
        if self._waiting and not self._called:
            self._called = True
            self._later(self._go)

    def _go(self) -> None:
        self._called = False
        group = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        self._call()
        _walk(group)
        for one in group:
            one.waits.callback(one.made)


def _walk(group: Sequence[_One[Any]]) -> None:
    going = list(group)
    while going:
        going = [one for one in going if one.step()]
