"""Fakes that implement the seams of the couriers, all in one thread and on a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gateway.adapter import BackendUnavailable, Handover
from gateway.delivery import Undeliverable
from gateway.model import Decision, Outgoing, Partner
from gateway.storage import Ledger, Overloaded, Settlement
from tests.operations.knowledge import NOW


class StillReactor(Clock):
    """Time passes when it is told to; another thread's call is made at once."""

    def callFromThread(self, function: Callable[..., Any], *args: Any, **named: Any) -> None:  # noqa: N802
        function(*args, **named)

    def now(self) -> datetime:
        """The reactor's time as a date."""
        return NOW + timedelta(seconds=self.seconds())


class InlinePool:
    """A thread pool's work, done at once."""

    def callInThreadWithCallback(  # noqa: N802
        self, heard: Callable[[bool, Any], None], function: Callable[..., Any], *args: Any, **named: Any
    ) -> None:
        try:
            result = function(*args, **named)
        except Exception:  # noqa: BLE001 - as a thread pool hands on whatever was raised
            heard(False, Failure())
        else:
            heard(True, result)


class InlineCommits:
    """A GroupCommit over a real ledger that does everything at once.

    ``failing``: what calls of a name raise, as long as it is there; ``before``: what happens just before one.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.failing: dict[str, Exception] = {}
        self.before: dict[str, Callable[[], Any]] = {}
        self.called: list[str] = []

    def call(self, work: str, *args: Any) -> Deferred[Any]:
        self.called.append(work)
        if isinstance(self.failing.get(work), Overloaded):
            raise self.failing[work]  # at once, as the real one
        return maybeDeferred(self._do, work, *args)

    def settle(self, settlement: Settlement) -> Deferred[Any]:
        self.called.append("settle")
        return maybeDeferred(lambda: self._do("settle", [settlement])[0])

    def _do(self, work: str, *args: Any) -> Any:
        if work in self.before:
            self.before[work]()
        if work in self.failing:
            raise self.failing[work]
        return getattr(self.ledger, work)(*args)


class PaperOffice:
    """A back end on paper.  ``away``: it cannot take anything; ``poison``: messages that break it;
    ``forgets``: what is confirmed is forgotten, as if the confirmation had been lost; ``meanwhile``: what happens
    while it takes a batch."""

    def __init__(self) -> None:
        self.taken: dict[str, Handover] = {}
        self.batches: list[int] = []
        self.outbox: list[Decision] = []
        self.confirmed: list[str] = []
        self.away = False
        self.poison: set[str] = set()
        self.meanwhile: Callable[[], Any] = lambda: None
        self.forgets = False

    def hand_over(self, handovers: Sequence[Handover], now: datetime) -> None:
        self.batches.append(len(handovers))
        self.meanwhile()
        if self.away:
            raise BackendUnavailable("the office is closed")
        for handover in handovers:
            if handover.message in self.poison:
                raise ZeroDivisionError("poison")
        for handover in handovers:
            self.taken.setdefault(handover.delivery, handover)

    def decisions(self, limit: int) -> Sequence[Decision]:
        if self.away:
            raise BackendUnavailable("the office is closed")
        return [d for d in self.outbox if d.id not in self.confirmed][:limit]

    def confirm(self, decision_ids: Sequence[str]) -> None:
        if not self.forgets:
            self.confirmed += decision_ids


class Postman:
    """Carries nothing anywhere.  ``refusing``: partners whose address fails, and how; ``slow``:
    partners whose address answers only when it is told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.refusing: dict[str, Exception] = {}
        self.slow: dict[str, list[Deferred[None]]] = {}

    async def send(self, outgoing: Outgoing, partner: Partner) -> None:
        self.sent.append((partner.id, outgoing.id))
        if partner.id in self.slow:
            waiting: Deferred[None] = Deferred()
            self.slow[partner.id].append(waiting)
            await waiting
        if partner.id in self.refusing:
            raise self.refusing[partner.id]

    def to(self, partner: str) -> list[str]:
        return [outgoing for to, outgoing in self.sent if to == partner]


def away(retry_after: int = 0) -> Undeliverable:
    """An address that may take the message later."""
    return Undeliverable("API602 refused", True, retry_after)


def never() -> Undeliverable:
    """An address that will not take the message."""
    return Undeliverable("API604 400", False)


def done(work: Any) -> Any:
    """The result of a coroutine or Deferred that needs no time; its exception is raised."""
    waiting = Deferred.fromCoroutine(work) if hasattr(work, "send") else work
    results: list[Any] = []
    waiting.addBoth(results.append)
    assert results, "it waits for something"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]


class ThreadsAtHand:
    """A thread pool whose threads are begun by the test: each call waits in ``begun``, to be run when it is told to."""

    def __init__(self) -> None:
        self.begun: list[Callable[[], None]] = []

    def callInThreadWithCallback(  # noqa: N802
        self, heard: Callable[[bool, Any], None], function: Callable[..., Any], *args: Any, **named: Any
    ) -> None:
        self.begun.append(lambda: InlinePool().callInThreadWithCallback(heard, function, *args, **named))
