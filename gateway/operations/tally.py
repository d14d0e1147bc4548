"""Keeps the figures of what waits for delivery up to date, for the operator's metrics."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from gateway import transport
from gateway.delivery.breaker import state_of
from gateway.operations.repeating import repeat
from gateway.storage import Breaker, Counts, GroupCommit, LedgerUnavailable, Overloaded

log = logging.getLogger("gateway.tally")

TALLY_SECONDS = 10.0
"""How old the figures may be: a scrape comes every 15 s or more, and counting costs a query."""


def keep_tally(commits: GroupCommit, metrics: transport.Metrics, reactor: Any) -> Callable[[], object]:
    """Count now and again and again while the reactor runs; returns what ends it."""
    waits = Waits()
    return repeat(lambda: count(commits, metrics, waits), reactor, TALLY_SECONDS)


class Waits:
    """Since when the first delivery to each destination has waited, as far as it was seen here: one that failed
    is due later each time, and has waited all the while."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, datetime]] = {}

    def seconds(self, counts: Counts, now: datetime) -> dict[str, float]:
        """How long that is by now, by destination."""
        before, self._seen = self._seen, {}
        for to, place in counts.first.items():
            seen, since = before.get(to, (place, now))
            self._seen[to] = place, min(since if seen == place else now, counts.oldest_due_at[to])
        return {to: (now - since).total_seconds() for to, (_, since) in self._seen.items()}


async def count(commits: GroupCommit, metrics: transport.Metrics, waits: Waits) -> None:
    """Tell the metrics how many deliveries are due and how many are dead, and how late the first are."""
    try:
        counts: Counts = await commits.call("counts")
        large, first = await commits.call("large_waiting")
        broken: dict[str, Breaker] = await commits.call("breakers", "")
        await commits.call("trim_log")
        for idle in await commits.call("forget_idle") if broken else ():
            broken.pop(idle, None)
    except (LedgerUnavailable, Overloaded) as away:
        log.warning("the deliveries cannot be counted: %s", away)
        return
    metrics.deliveries("due", counts.due)
    metrics.deliveries("dead", counts.dead)
    now = datetime.now(UTC)
    metrics.large(large, 0.0 if first is None else (now - first).total_seconds())
    metrics.failing({to: state_of(breaker, now) for to, breaker in broken.items()})
    metrics.overdue(waits.seconds(counts, now))
