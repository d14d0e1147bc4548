"""What every courier shares: a loop that works while there is work and sleeps until poked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from twisted.internet.defer import Deferred

from gateway.adapter import BackendUnavailable
from gateway.model import Delivery
from gateway.security import KeyUnusable
from gateway.storage import GroupCommit, LedgerUnavailable

log = logging.getLogger("gateway.delivery")

IDLE = timedelta(seconds=0.5)
"""How long a courier that found nothing sleeps: another process may have added work unseen."""
AFTER_FAILURE = timedelta(seconds=2)
"""The pause after a round that failed as a whole (the ledger, the back end or the signing key is away)."""
SET_BACK_SECONDS = 2.0
"""By so much, the wall clock has not drifted: somebody set it back."""
AFTER_SET_BACK_SECONDS = 30.0
"""So long, what was begun by the clock as it was may still be committed."""
BROUGHT_FORWARD = 10_000
"""Deliveries that are due at once after that, of one kind; what is beyond keeps its time."""


async def bring_forward(commits: GroupCommit, destination: str, now: datetime) -> None:
    """Let what was put off go at once: by a clock that was wrong, it would wait as long as that was ahead.

    ``destination``: one, or a kind of them with the colon.
    """
    late: list[Delivery] = await commits.call("due", destination, BROUGHT_FORWARD)
    for delivery in late:
        if delivery.due_at > now:
            await commits.call("retry", delivery.id, now, delivery.error)


class Courier:
    """A loop over :meth:`round`; stopping lets the round in progress finish."""

    name = "courier"

    def __init__(self, reactor: Any, clock: Callable[[], datetime]) -> None:
        self._reactor = reactor
        self._clock = clock
        self._stopping = False
        self._sleep: Deferred[None] | None = None
        self._alarm: Any = None
        self._poked = False
        self._running: Deferred[Any] | None = None
        self._ahead: float | None = None
        self._astray = 0.0

    async def round(self) -> bool:
        """Do what is due; True where there may be more at once."""
        raise TypeError("a courier says what its round is")

    def set_back(self) -> bool:
        """True where the wall clock was set back since this was last asked, or a moment ago."""
        steady: float = self._reactor.seconds()
        before, self._ahead = self._ahead, self._clock().timestamp() - steady
        if before is not None and self._ahead < before - SET_BACK_SECONDS:
            log.warning("the clock was set back by %.0f s", before - self._ahead)
            self._astray = steady + AFTER_SET_BACK_SECONDS
        return steady < self._astray

    def start(self) -> None:
        """Begin the loop."""
        self._running = Deferred.fromCoroutine(self._loop())

    async def stop(self) -> None:
        """End the loop after the round in progress."""
        self._stopping = True
        self.poke()
        if self._running is not None:
            await self._running

    def poke(self) -> None:
        """There is work: end the sleep."""
        self._poked = True
        if self._sleep is not None:
            sleep, self._sleep = self._sleep, None
            if self._alarm is not None and self._alarm.active():
                self._alarm.cancel()
            sleep.callback(None)

    async def _loop(self) -> None:
        while not self._stopping:
            self._poked = False
            try:
                more = await self.round()
                pause = IDLE
            except (LedgerUnavailable, BackendUnavailable, KeyUnusable) as away:
                log.warning("%s waits: %s", self.name, away)
                more, pause = False, AFTER_FAILURE
            except Exception:
                # An error of ours, in a round over whatever partners sent: a courier that ended over it would
                # carry nothing any more, unnoticed.  It is told each time, and what was claimed comes again.
                log.exception("round failed", extra={"courier": self.name})
                more, pause = False, AFTER_FAILURE
            if not more and not self._poked and not self._stopping:
                await self._wait(pause)

    async def _wait(self, pause: timedelta) -> None:
        self._sleep = Deferred()
        self._alarm = self._reactor.callLater(pause.total_seconds(), self.poke)
        await self._sleep
