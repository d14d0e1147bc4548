"""Numbers of what the gateway sends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock

from gateway.storage import Ledger

log = logging.getLogger("gateway.intake")

OUTGOING = "outgoing"
"""The ledger's counter of what the gateway sends."""


class Numbers:
    """Durable, unique numbers for what the gateway sends, taken from the ledger in blocks."""

    BLOCK = 10_000

    ENOUGH = 4_000
    """More than those take that go abreast on a reactor's thread: 256 KiB of the shortest messages."""

    def __init__(self, ledger: Ledger, name: str = OUTGOING) -> None:
        self._ledger = ledger
        self._name = name
        self._left: range = range(0)
        self._next: range = range(0)
        self._fetching = DeferredLock()

    async def ahead(self, call: Callable[..., Deferred[Any]]) -> None:
        """Have enough at hand for `take` to touch no database, which a reactor's thread must never wait for.

        ``call``: ledger work in another thread.  Waits only where there is not enough now; raises what it raises.
        """
        if len(self._left) + len(self._next) < self.ENOUGH:
            await self._fetching.run(self._fetch, call)
        elif not self._next and len(self._left) < 2 * self.ENOUGH and not self._fetching.locked:
            soon = self._fetching.run(self._fetch, call)
            soon.addErrback(lambda failure: log.warning("numbers: %s", failure.getErrorMessage()))

    def _fetch(self, call: Callable[..., Deferred[Any]]) -> Deferred[None] | None:
        if self._next or len(self._left) >= 2 * self.ENOUGH:
            return None  # who waited before has fetched them
        return call("references", self._name, self.BLOCK).addCallback(self._fetched)

    def _fetched(self, block: range) -> None:
        self._next = block

    def take(self, count: int = 1) -> list[str]:
        """``count`` numbers of at most 14 digits (EDIFACT 0020, an..14); unused ones of a block are
        lost when the process ends, never used twice."""
        taken: list[int] = []
        while len(taken) < count:
            if not self._left:
                self._left, self._next = self._next, range(0)
            if not self._left:
                self._left = self._ledger.references(self._name, self.BLOCK)
            want = count - len(taken)
            taken += self._left[:want]
            self._left = self._left[want:]
        return [str(n) for n in taken]
