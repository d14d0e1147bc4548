"""Calls of a back end, in threads, each with a deadline: one that never answers stops nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from gateway.adapter import BackendUnavailable

T = TypeVar("T")

THREADS = 2
"""That may hang for good, of a back end that is asked in both directions: a thread cannot be ended."""


class Asking:
    """Calls of one back end in one direction, one at a time; while one has not come back that is beyond its deadline,
    the back end is away.  ``pool``: of more than THREADS where others use it too; ``seconds``: a call's."""

    def __init__(self, reactor: Any, pool: ThreadPool, seconds: float) -> None:
        self._reactor = reactor
        self._pool = pool
        self._seconds = seconds
        self._hanging: _Call | None = None

    async def ask(self, function: Callable[..., T], *args: object) -> T:
        """What a call answers, or raises.

        Raises BackendUnavailable where it does not in time: it may still have its effect, which its key makes one.
        """
        if self._hanging is not None:
            raise BackendUnavailable("a call has not come back")
        call = _Call()

        def late(_result: T | Failure, _seconds: float) -> T:
            if not call.back:
                self._hanging = call
            raise BackendUnavailable(f"no answer in {self._seconds:g} s")

        def made() -> T:
            try:
                return function(*args)
            finally:
                self._reactor.callFromThread(self._came_back, call)

        answer: T = await deferToThreadPool(self._reactor, self._pool, made).addTimeout(
            self._seconds, self._reactor, late
        )
        return answer

    def _came_back(self, call: _Call) -> None:
        call.back = True
        if self._hanging is call:
            self._hanging = None


class _Call:
    """One call.  ``back``: its thread is free again."""

    back = False
