"""What this node does for all of them: duties are held by short leases, renewed while the process lives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from twisted.internet.task import LoopingCall

from gateway.delivery.courier import log
from gateway.storage import GroupCommit, LedgerError, Overloaded

LEASE = timedelta(seconds=3)
"""After a crash, this long until another node may take over; it looks each second, and begins half a second after
that at the latest: within the five that are promised."""
RENEW_SECONDS = 1.0

JOURNAL = "journal"
"""Checkpoints over the journal."""
ARCHIVE = "archive"
"""Old submissions go to files."""
EXPIRY = "expiry"
"""The log tells of certificates that end."""
PREFETCH = "prefetch"
"""Certificates are asked after before their first message; those long ended are forgotten."""
RESUME = "resume"
"""What is held is judged as soon as somebody can tell."""
DECISIONS = "decisions"
"""Decisions are fetched from the back end: all nodes would fetch, and sign, the same ones."""
ALL = (JOURNAL, ARCHIVE, EXPIRY, PREFETCH, RESUME, DECISIONS)


class Duties:
    """Those that this node has.  ``alone``: no other node can be on this ledger, which is a file of the home.

    All methods belong to the reactor's thread.
    """

    def __init__(
        self,
        commits: GroupCommit,
        reactor: Any,
        clock: Callable[[], datetime],
        owner: str,
        *,
        alone: bool = False,
        names: Sequence[str] = ALL,
    ) -> None:
        self._commits = commits
        self._reactor = reactor
        self._clock = clock
        self._owner = owner
        self._alone = alone
        self._names = names
        self._held: frozenset[str] = frozenset()
        self._until = float("-inf")

    def on(self, name: str) -> bool:
        """True while this node has the duty; it may end at any moment, and what is done twice must do no harm."""
        return self._alone or (name in self._held and self._reactor.seconds() < self._until)

    def start(self) -> Callable[[], Any]:
        """Take what is free, from now on; returns what lays all down."""
        if self._alone:
            return lambda: None
        loop = LoopingCall(self.round)
        loop.clock = self._reactor
        self._reactor.callWhenRunning(loop.start, RENEW_SECONDS, now=True)

        async def stop() -> None:
            if loop.running:
                ended: Any = loop.deferred
                loop.stop()
                await ended
            self._held = frozenset()
            try:
                await self._commits.call("lay_down", self._owner)
            except (LedgerError, Overloaded) as away:
                log.warning("duties are not laid down: %s", away)

        return stop

    async def round(self) -> None:
        """Take and keep; where the ledger is away, what was held ends with its lease."""
        asked_at = self._reactor.seconds()
        try:
            held: set[str] = await self._commits.call("serve", self._names, self._owner, self._clock(), LEASE)
        except (LedgerError, Overloaded) as away:
            log.warning("duties are not renewed: %s", away)
            return
        fresh = frozenset(held)
        if fresh - self._held:
            log.info("this node's duties: %s", ", ".join(sorted(fresh)))
        self._held, self._until = fresh, asked_at + LEASE.total_seconds()
