"""What every courier shares: a loop that works while there is work and sleeps until poked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from twisted.internet.defer import Deferred

from gateway.adapter import BackendUnavailable
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
EACH_SECONDS = 1.0
"""How often it is looked for, meanwhile."""
LONGEST_PUT_OFF = timedelta(days=1)
"""What is due later than this was put off by a clock that was ahead: a receiver may ask for a day, our own
back-off is far shorter."""


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
        self._astray: float | None = None
        self._looked = 0.0

    async def round(self) -> bool:
        """Do what is due; True where there may be more at once."""
        raise TypeError("a courier says what its round is")

    async def mind_clock(self, commits: GroupCommit) -> None:
        """Where the wall clock was set back, before this courier began perhaps, let go what would wait for as
        long as it was ahead.

        What failed is brought forward when that is noticed, and once more at the end for what was committed
        late: not at each round, or what fails again by the clock as it is would use up its attempts.
        """
        steady: float = self._reactor.seconds()
        before, self._ahead = self._ahead, self._clock().timestamp() - steady
        if before is not None and self._ahead < before - SET_BACK_SECONDS:
            log.warning("the clock was set back by %.0f s", before - self._ahead)
            self._astray = steady + AFTER_SET_BACK_SECONDS
            await self._bring_forward(commits, steady, True)
        elif self._astray is not None and steady >= self._astray:
            self._astray = None
            await self._bring_forward(commits, steady, True)
        elif before is None or (self._astray is not None and steady >= self._looked + EACH_SECONDS):
            await self._bring_forward(commits, steady, False)

    async def _bring_forward(self, commits: GroupCommit, steady: float, everything: bool) -> None:
        self._looked = steady
        now = self._clock()
        for queue in self.queues():
            await commits.call("bring_forward", queue, now, now + LONGEST_PUT_OFF, everything)

    def queues(self) -> tuple[str, ...]:
        """What it carries from: destinations, or kinds of them with the colon."""
        return (self.name,)

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
