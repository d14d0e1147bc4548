"""What a process does again and again for as long as it serves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from gateway.storage import LedgerUnavailable, Overloaded

log = logging.getLogger("gateway.repeating")


def repeat(
    work: Callable[[], Coroutine[Any, Any, None]], reactor: Any, seconds: float, *, now: bool = True
) -> Callable[[], Deferred[Any] | None]:
    """Do something each so many seconds while the reactor runs; returns what ends it, after what it is at.

    A fault of one time ends none of the next: Twisted's own loop ends for good at the first error, and what it
    kept up to date would stay as it was without a word.
    """

    async def once() -> None:
        try:
            await work()
        except LedgerUnavailable as away:
            log.warning("the ledger is away: %s", away)
        except Overloaded as full:
            log.warning("put off: %s", full)
        except Exception:
            log.exception("failed, and is done again")

    loop = LoopingCall(lambda: Deferred.fromCoroutine(once()))
    loop.clock = reactor
    begun: list[Deferred[Any]] = []
    reactor.callWhenRunning(lambda: begun.append(loop.start(seconds, now=now)))

    def end() -> Deferred[Any] | None:
        if not loop.running:
            return None
        loop.stop()
        return begun[0]

    return end
