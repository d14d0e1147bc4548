"""Whether this process can take work: told by the work that it does, and asked only where it does none.

A probe comes every second from every balancer.  While commits succeed it costs nothing; a process that has been
idle begins a transaction that changes nothing; one whose last commit failed tries a commit of its own, until
that works.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.storage import GroupCommit, LedgerError, Overloaded, Writes

log = logging.getLogger("gateway.readiness")

FRESH_SECONDS = 5.0
"""A commit so long ago still tells that the next one can be made."""
SLOW_SECONDS = 5.0
"""Who waits so long for a commit is better sent elsewhere: a standby that is away holds up every one."""
ANSWER_SECONDS = 1.5
"""A probe is answered within this time: they give up after two seconds."""
AGAIN_SECONDS = 1.0
"""Between two trials, however many ask."""

LEDGER, DISK = "ledger", "disk"
Parts = Mapping[str, str]
"""What the gateway depends on, and why each cannot be used, "" where it can."""


class Readiness:
    """Answers probes.  ``room``: octets that the ledger's disk must have free; ``free``: how many it has, where
    the ledger is a file.  All methods belong to the reactor's thread."""

    def __init__(
        self,
        commits: GroupCommit,
        writes: Writes,
        reactor: Any,
        room: int = 0,
        free: Callable[[], int] | None = None,
    ) -> None:
        self._commits = commits
        self._writes = writes
        self._reactor = reactor
        self._room = room
        self._free = free
        self._why = ""
        self._tried_at = float("-inf")
        self._begun_at: float | None = None
        self._waiting: list[Deferred[None]] = []

    async def parts(self) -> Parts:
        """What does not work, and why; never later than ANSWER_SECONDS."""
        told = {LEDGER: await self._ledger()}
        if self._free is not None:
            told[DISK] = self._disk(self._free)
        for part, why in told.items():
            if why:
                log.warning("not ready: %s: %s", part, why)
        return told

    async def _ledger(self) -> str:
        waits = self._writes.longest()
        if waits > SLOW_SECONDS:
            return f"a commit has been waiting for {waits:.0f} s"
        if not self._writes.error and self._writes.idle() < FRESH_SECONDS:
            return ""
        await self._tried()
        if self._begun_at is not None:
            return f"the database says nothing for {self._reactor.seconds() - self._begun_at:.1f} s"
        return self._why or self._writes.error  # what failed since the last trial

    async def _tried(self) -> None:
        """The end of a trial, or of the time for it."""
        now = self._reactor.seconds()
        if self._begun_at is None and now - self._tried_at >= AGAIN_SECONDS:
            self._begun_at = now
            try:
                trial = self._commits.call("try_out", bool(self._writes.error))
            except Overloaded as stopping:
                self._begun_at, self._why = None, str(stopping)
                return
            trial.addBoth(self._ended)
        if self._begun_at is None:
            return
        waiter: Deferred[None] = Deferred()
        self._waiting.append(waiter)
        late = self._reactor.callLater(ANSWER_SECONDS, self._answer, waiter)
        await waiter
        if late.active():
            late.cancel()

    def _ended(self, result: object) -> None:
        self._tried_at, self._begun_at = self._reactor.seconds(), None
        self._why = ""
        if isinstance(result, Failure):
            self._why = result.getErrorMessage()
            if not isinstance(result.value, LedgerError):
                log.error("a trial failed: %s", result.getTraceback())
        for waiter in list(self._waiting):
            self._answer(waiter)

    def _answer(self, waiter: Deferred[None]) -> None:
        if waiter in self._waiting:
            self._waiting.remove(waiter)
            waiter.callback(None)

    def _disk(self, free: Callable[[], int]) -> str:
        try:
            left = free()
        except OSError as error:
            return f"it cannot be looked at: {error.strerror}"
        if left < self._room:
            return f"{left // 1_048_576} MiB are free, {self._room // 1_048_576} are wanted"
        return ""
