"""Keeps the ledger's coming months made: each node that delivers looks, and who finds one missing makes it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from twisted.internet.task import LoopingCall

from gateway.storage import GroupCommit, LedgerError, Overloaded

log = logging.getLogger("gateway.months")

LOOK_SECONDS = 3_600.0
"""Months are made a quarter ahead: it would do to look once a week."""


def keep_ahead(commits: GroupCommit, reactor: Any) -> Callable[[], None]:
    """Look now and again and again while the reactor runs; returns what ends it."""
    loop = LoopingCall(look, commits)
    loop.clock = reactor
    reactor.callWhenRunning(loop.start, LOOK_SECONDS, now=True)
    return lambda: loop.stop() if loop.running else None


async def look(commits: GroupCommit) -> None:
    """Make what is missing; what hinders that is tried again the next time."""
    try:
        await commits.call("keep_months_ahead")
    except (LedgerError, Overloaded) as away:
        # An error here would end the loop for good.
        log.warning("no months made ahead: %s", away)
