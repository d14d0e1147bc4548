"""A circuit breaker per destination: one that fails as a whole is left alone, and probed now and then.

``closed``: it is sent whatever is due.  ``open``, after RUN failures in a row: nothing.  ``half-open``,
when its time has come: one message, by one node.  What waits is not attempted meanwhile.  One that an operator
paused is sent nothing, however it works.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta

from gateway.delivery.backoff import delay
from gateway.delivery.courier import log
from gateway.storage import Breaker, GroupCommit, Standing

RUN = 5
"""Failures in a row, none of them of a message alone, until a destination is left alone."""
LONGEST_PROBE = timedelta(minutes=1)
"""A destination that works again is noticed within this time."""
PROBE_ENDS = timedelta(minutes=1)
"""A probe of which nothing was heard for so long is made again: its process has ended."""

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half-open"


def state_of(breaker: Breaker | None, now: datetime) -> str:
    """``closed``, ``open`` or ``half-open``.  A moment further away than any probe is put off was set by a
    clock that was ahead, and counts as come."""
    if breaker is None or breaker.failures < RUN:
        return CLOSED
    return OPEN if now < breaker.probe_at <= now + max(LONGEST_PROBE, PROBE_ENDS) else HALF_OPEN


class Breakers:
    """The breakers of one kind of destinations (``push:``), or of one."""

    def __init__(self, kind: str, commits: GroupCommit, clock: Callable[[], datetime]) -> None:
        self._kind = kind
        self._commits = commits
        self._clock = clock
        self._known: dict[str, Breaker] = {}
        self._paused: frozenset[str] = frozenset()

    async def look(self) -> None:
        """Learn what this and other nodes met, and what operators paused."""
        standing: Standing = await self._commits.call("standing", self._kind)
        self._known, self._paused = standing.breakers, frozenset(standing.paused)

    async def room(self, destination: str, most: int) -> int:
        """How many messages may be claimed for it now: ``most``, one to probe with, or none."""
        if destination in self._paused:
            return 0
        now, breaker = self._clock(), self._known.get(destination)
        state = state_of(breaker, now)
        if breaker is None or state == CLOSED:
            return most
        if state == OPEN:
            return 0
        taken: bool = await self._commits.call("probe", destination, breaker.probe_at, now + PROBE_ENDS)
        return min(1, most) if taken else 0

    async def unused(self, destination: str) -> None:
        """What was claimed after `room` was nothing: a probe that was taken is still to be made."""
        breaker = self._known.get(destination)
        if state_of(breaker, self._clock()) == HALF_OPEN:
            await self._commits.call("broke", breaker)

    async def failed(self, destination: str, error: str, retry_after: int = 0) -> datetime:
        """It failed as a whole; when it may be tried again.  ``retry_after``: seconds it asked for, or 0."""
        now, before = self._clock(), self._known.get(destination)
        failures = 1 if before is None else before.failures + 1
        pause = delay(failures, random.random(), LONGEST_PROBE)  # noqa: S311 - jitter, not a secret
        probe_at = now + max(pause, min(timedelta(seconds=retry_after), LONGEST_PROBE))
        breaker = Breaker(destination, failures, before.since if before else now, probe_at, error)
        self._known[destination] = breaker
        await self._commits.call("broke", breaker)
        if failures == RUN:
            log.warning("%s is left alone after %d failures: %s", destination, failures, error)
        return probe_at

    async def worked(self, destination: str) -> None:
        """It took a message, or refused one for its content."""
        if self._known.pop(destination, None) is not None:
            await self._commits.call("mended", destination)
            log.warning("%s works again", destination)
