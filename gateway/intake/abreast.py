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

    __slots__ = ("digest", "made", "steps", "waits")

    def __init__(self, steps: Steps[T], digest: str) -> None:
        self.steps = steps
        self.digest = digest
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
    """Gathers what comes in one turn of the reactor.  ``later``: makes a call in the next one; ``noted``: is told the
    digests of those whose steps are taken now, and of none when they were."""

    def __init__(
        self,
        later: Callable[[Callable[[], None]], object],
        noted: Callable[[Sequence[str]], object] = lambda digests: None,
    ) -> None:
        self._later = later
        self._noted = noted
        self._waiting: deque[_One[Any]] = deque()
        self._called = False

    def take(self, steps: Steps[T], digest: str) -> Deferred[T]:
        """Fires with what the steps over these octets make, in the reactor's next turn or soon after; fails with what
        they raise."""
        one = _One(steps, digest)
        self._waiting.append(one)
        self._call()
        return one.waits

    def _call(self) -> None:
        if self._waiting and not self._called:
            self._called = True
            self._later(self._go)

    def _go(self) -> None:
        self._called = False
        group = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
        self._call()
        self._noted([one.digest for one in group])
        try:
            _walk(group)
        finally:
            self._noted(())
        for one in group:
            one.waits.callback(one.made)


def _walk(group: Sequence[_One[Any]]) -> None:
    going = list(group)
    while going:
        going = [one for one in going if one.step()]
