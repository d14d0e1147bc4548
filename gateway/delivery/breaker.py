"""A circuit breaker per destination: one that fails as a whole is left alone, and probed now and then.

``closed``: it is sent whatever is due.  ``open``, after RUN failures in a row: nothing.  ``half-open``,
when its time has come: one message, by one node, and another node soon where that one ended.  What waits
is not attempted meanwhile.  One that an operator paused is sent nothing, however it works.

A destination that answers that it failed (HTTP 500) may have failed over the message, or as a whole: only RUN_ILL
such answers in a row, over as many messages, are its own failure.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta

from gateway.delivery.backoff import delay
from gateway.delivery.courier import log
from gateway.model import Delivery
from gateway.storage import Breaker, GroupCommit, Standing

RUN = 5
"""Failures in a row, none of them of a message alone, until a destination is left alone."""
RUN_ILL = 50
"""Answers in a row of a destination that says it failed, until these count as its own failures: more than the
messages of one kind that it may choke on, few enough not to press one that is ill."""
LONGEST_PROBE = timedelta(minutes=1)
"""A destination that works again is noticed within this time."""
CLOSED, OPEN, HALF_OPEN = "closed", "open", "half-open"


def state_of(breaker: Breaker | None, now: datetime) -> str:
    """``closed``, ``open`` or ``half-open``.  A moment further away than any probe is put off was set by a
    clock that was ahead, and counts as come."""
    if breaker is None or breaker.failures < RUN:
        return CLOSED
    return OPEN if now < breaker.probe_at <= now + LONGEST_PROBE else HALF_OPEN


class Breakers:
    """The breakers of one kind of destinations (``push:``), or of one."""

    def __init__(self, kind: str, commits: GroupCommit, clock: Callable[[], datetime]) -> None:
        self._kind = kind
        self._commits = commits
        self._clock = clock
        self._known: dict[str, Breaker] = {}
        self._paused: frozenset[str] = frozenset()
        self._ill: dict[str, int] = {}

    async def look(self) -> None:
        """Learn what this and other nodes met, and what operators paused."""
        standing: Standing = await self._commits.call("standing", self._kind)
        self._known, self._paused = standing.breakers, frozenset(standing.paused)

    async def claim(self, destination: str, owner: str, lease: timedelta, most: int) -> list[Delivery]:
        """What may be sent there now, leased to the owner: at most so many that are due, one to probe with, or
        none."""
        if destination in self._paused:
            return []
        now, breaker = self._clock(), self._known.get(destination)
        state = state_of(breaker, now)
        due: list[Delivery] = []
        if breaker is None or state == CLOSED:
            how = "claim_least_tried" if self._ill.get(destination) else "claim_due"
            due = await self._commits.call(how, destination, owner, now, lease, most)
        elif state == HALF_OPEN and await self._taken(destination, breaker.probe_at, now, now + lease):
            due = await self._commits.call("claim_least_tried", destination, owner, now, lease, 1)
            if not due:  # the probe is still to be made, unless another node found meanwhile that it works
                await self._taken(destination, now + lease, now, breaker.probe_at)
        return due

    async def _taken(self, destination: str, seen: datetime, now: datetime, until: datetime) -> bool:
        """Until its lease ends nobody else asks; after that, its being under way keeps others away."""
        taken: bool = await self._commits.call("probe", destination, seen, now, until)
        return taken

    async def failed(self, destination: str, error: str, retry_after: int = 0) -> datetime:
        """It failed as a whole; when it may be tried again.  ``retry_after``: seconds it asked for, or 0."""
        asked = min(timedelta(seconds=retry_after), LONGEST_PROBE)
        chance = random.random()  # noqa: S311 - jitter, not a secret

        def pause(failures: int) -> timedelta:
            return max(delay(failures, chance, LONGEST_PROBE), asked)

        breaker: Breaker = await self._commits.call("broke", destination, self._clock(), error, pause)
        self._known[destination] = breaker
        if breaker.failures == RUN:
            log.warning("%s is left alone after %d failures: %s", destination, RUN, error)
        return breaker.probe_at

    async def ailing(self, destination: str, error: str, retry_after: int = 0) -> None:
        """It answered that it failed: over the message, unless it says so of everything."""
        run = self._ill[destination] = self._ill.get(destination, 0) + 1
        if run < RUN_ILL:
            await self._mended(destination)
        else:
            await self.failed(destination, error, retry_after)

    async def worked(self, destination: str) -> None:
        """It took a message, or refused one for its content."""
        self._ill.pop(destination, None)
        await self._mended(destination)

    async def _mended(self, destination: str) -> None:
        if self._known.pop(destination, None) is not None:
            await self._commits.call("mended", destination)
            log.warning("%s works again", destination)
