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
    return repeat(lambda: count(commits, metrics), reactor, TALLY_SECONDS)


async def count(commits: GroupCommit, metrics: transport.Metrics) -> None:
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
    metrics.overdue({to: (now - at).total_seconds() for to, at in counts.oldest_due_at.items()})
