"""Leases of what is under way: short, so that another process soon takes over from one that died, and renewed
while this one lives."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from twisted.internet.defer import Deferred

from gateway.delivery.courier import log
from gateway.storage import GroupCommit, LedgerError, Overloaded

LEASE = timedelta(seconds=4)
"""After a crash, this long until somebody else may begin the same; a courier looks twice a second, so that
the takeover stays under the five seconds that are promised."""
LONGEST = timedelta(minutes=1)
"""After this long what is under way may hang for this process alone: somebody else may try."""
RENEW_SECONDS = 1.0
"""Three renewals may fail or come late before a lease ends."""


class _Hold:
    """Since when, by the reactor, and whether nobody else took it over."""

    __slots__ = ("ours", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.ours = True


class Leases:
    """What one process holds.  All methods belong to the reactor's thread."""

    def __init__(
        self,
        commits: GroupCommit,
        reactor: Any,
        clock: Callable[[], datetime],
        owner: str,
        lease: timedelta = LEASE,
        longest: timedelta = LONGEST,
        renewal: str = "renew",
    ) -> None:
        """``lease``: how long each renewal holds; ``longest``: how long they are renewed; ``renewal``: the
        ledger's word for it."""
        self._renewal = renewal
        self._lease = lease
        self._longest = longest.total_seconds()
        self._commits = commits
        self._reactor = reactor
        self._clock = clock
        self._owner = owner
        self._held: dict[str, _Hold] = {}
        self._timer: Any = None
        self._renewing = False

    def __contains__(self, delivery: str) -> bool:
        return delivery in self._held

    def hold(self, delivery: str) -> None:
        """It was claimed by the owner, and is under way from now on."""
        self._held[delivery] = _Hold(self._reactor.seconds())
        self._arm()

    def let_go(self, delivery: str) -> None:
        """It ended, and that is noted or is not going to be."""
        del self._held[delivery]
        if not self._held and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def ours(self, delivery: str) -> bool:
        """False once somebody else took it over: what becomes of it is for him to say, but that it arrived."""
        return self._held[delivery].ours

    def _arm(self) -> None:
        if self._held and self._timer is None and not self._renewing:
            self._timer = self._reactor.callLater(RENEW_SECONDS, self._renew)

    def _renew(self) -> None:
        self._timer, self._renewing = None, True
        Deferred.fromCoroutine(self._renewed()).addBoth(self._again)

    async def _renewed(self) -> None:
        earliest = self._reactor.seconds() - self._longest
        holds = {each: hold for each, hold in self._held.items() if hold.ours and hold.since >= earliest}
        if not holds:
            return
        try:
            kept: set[str] = await self._commits.call(
                self._renewal, self._owner, list(holds), self._clock() + self._lease
            )
        except (LedgerError, Overloaded) as away:
            log.warning("leases are not renewed: %s", away)
            return
        for delivery, hold in holds.items():
            # What ended and was claimed anew meanwhile is another hold, of which nobody was asked.
            if delivery not in kept and self._held.get(delivery) is hold:
                hold.ours = False
                log.info("no longer held here", extra={"delivery": delivery})

    def _again(self, _result: object) -> None:
        self._renewing = False
        self._arm()
