"""Certificates of partners that soon prove them no more: counted for the metrics, told once a day."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from gateway import transport
from gateway.operations.repeating import repeat
from gateway.storage import Expiry, GroupCommit, LedgerUnavailable, Overloaded

log = logging.getLogger("gateway.expiry")

WARNED = (timedelta(days=7), timedelta(days=30), timedelta(days=60))
"""How long before the end a certificate is counted: time to replace it, to hurry, and to telephone."""

PAST = timedelta(days=30)
"""For how long one that has ended is still told."""

COUNT_SECONDS = 600.0
"""How old the figures may be: they change by days, and counting reads what ends soon."""

TOLD_EACH = timedelta(days=1)
MAX_TOLD = 200
"""Lines of one day's log; the figures say how many there are."""


class ExpiryWatch:
    """Counts what ends; the one node that has this duty also tells of each once a day."""

    def __init__(
        self,
        commits: GroupCommit,
        metrics: transport.Metrics,
        clock: Callable[[], datetime],
        on_duty: Callable[[], bool] = lambda: True,
    ) -> None:
        self._on_duty = on_duty
        self._commits = commits
        self._metrics = metrics
        self._clock = clock
        self._told_at: datetime | None = None

    def keep(self, reactor: Any) -> Callable[[], object]:
        """Count now and again while the reactor runs; returns what ends it."""
        return repeat(self.count, reactor, COUNT_SECONDS)

    async def count(self) -> None:
        """Tell the metrics how many certificates end, and the log of each, where it is time to."""
        now = self._clock()
        try:
            ends: list[Expiry] = await self._commits.call("expiring", now - PAST, now + WARNED[-1])
        except (LedgerUnavailable, Overloaded) as away:
            log.warning("certificates that end cannot be counted: %s", away)
            return
        self._metrics.expiring(buckets(ends, now))
        if self._on_duty() and (self._told_at is None or now - self._told_at >= TOLD_EACH):
            self._told_at = now
            for end in ends[:MAX_TOLD]:
                log.warning(
                    "certificate %s", "ended" if end.expires_at <= now else "ends", extra=_event(end, now)
                )
            if len(ends) > MAX_TOLD:
                log.warning("%d more certificates end: cvan partner list --expiring 60", len(ends) - MAX_TOLD)


def buckets(ends: Sequence[Expiry], now: datetime) -> dict[str, int]:
    """How many end within so many days (each bucket holds those before it), and have ended."""
    counted = {f"{within.days}d": sum(now < e.expires_at <= now + within for e in ends) for within in WARNED}
    return {"ended": sum(e.expires_at <= now for e in ends), **counted}


def _event(end: Expiry, now: datetime) -> dict[str, object]:
    return {
        "partner": end.partner,
        "fingerprint": end.fingerprint,
        "what": end.what,
        "expires_at": end.expires_at.isoformat(),
        "days": (end.expires_at - now).days,
    }
