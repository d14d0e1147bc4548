"""Keeps the ledger's coming months made: each node that delivers looks, and who finds one missing makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.operations.repeating import repeat
from gateway.storage import GroupCommit

LOOK_SECONDS = 3_600.0
"""Months are made a quarter ahead: it would do to look once a week."""


def keep_ahead(commits: GroupCommit, reactor: Any) -> Callable[[], object]:
    """Look now and again and again while the reactor runs; returns what ends it."""

    async def look() -> None:
        await commits.call("keep_months_ahead")

    return repeat(look, reactor, LOOK_SECONDS)
