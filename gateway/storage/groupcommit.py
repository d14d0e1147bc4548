"""Group commit: settlements that arrive close together share one durable transaction.

The queue lives on the reactor's thread; one dedicated thread writes.  While it commits, what arrives
gathers for the next batch, so that batches grow with the load by themselves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from gateway.model import Answer
from gateway.storage.faults import LedgerUnavailable
from gateway.storage.ledger import Ledger
from gateway.storage.records import Clash, Settlement, Stale

LINGER_MS = 2
"""How long a batch is held open under load; measured, 1 to 3 ms pays for itself."""

MAX_BATCH = 100
"""Settlements in one transaction: beyond this a commit's cost is spread thin enough."""

MAX_BATCH_OCTETS = 8 * 1024 * 1024
"""Submission octets in one transaction, so that a few large ones do not hold the others up."""

MAX_WAITING = 1_000
"""Settlements that wait for the writer: about a tenth of a second's work, then senders must wait."""

MAX_WAITING_OCTETS = 64 * 1024 * 1024
"""Submission octets that wait for the writer: memory, whatever the size of each."""

READERS = 4
"""Threads for the ledger's other work."""

MAX_CALLS = 5_000
"""Of other work that waits for a thread: more than a door has connections, and some 10 MB.  A database that hangs would
else have everything that was ever asked of it answered first when it is back."""


class Overloaded(Exception):
    """The ledger cannot keep up, or is stopping: the sender must try again later; nothing is kept."""


class Reactor(Protocol):
    """What is needed of a Twisted reactor."""

    def callLater(  # noqa: N802 - Twisted's name
        self, delay: float, callable: Callable[..., Any], /, *args: object, **kwargs: object
    ) -> IDelayedCall: ...

    def callFromThread(  # noqa: N802 - Twisted's name
        self, callable: Callable[..., Any], /, *args: object, **kwargs: object
    ) -> None: ...


class _Waiting:
    """One settlement and who waits for its answer."""

    __slots__ = ("answer", "octets", "settlement")

    def __init__(self, settlement: Settlement) -> None:
        self.settlement = settlement
        self.octets = len(settlement.submission.body)
        self.answer: Deferred[Answer | Clash | Stale] = Deferred()


class _Call:
    """Other work, and who waits for what it gives."""

    __slots__ = ("result", "work")

    def __init__(self, work: Callable[[], Any], forget: Callable[[_Call], None]) -> None:
        self.work = work
        self.result: Deferred[Any] = Deferred(lambda _: forget(self))


class GroupCommit:
    """Settles through one writer thread; all methods belong to the reactor's thread."""

    def __init__(
        self,
        ledger: Ledger,
        reactor: Reactor,
        linger_ms: float = LINGER_MS,
        max_batch: int = MAX_BATCH,
        max_waiting: int = MAX_WAITING,
        max_calls: int = MAX_CALLS,
    ) -> None:
        self._ledger = ledger
        self._reactor: Any = reactor
        self._linger = linger_ms / 1000
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._max_calls = max_calls
        self._queue: deque[_Waiting] = deque()
        self._alone: deque[_Waiting] = deque()  # of a failed batch: each gets its own transaction
        self._octets = 0
        self._last = 0  # size of the last batch
        self._writing = False
        self._calls = 0  # given to threads
        self._asked: deque[_Call] = deque()  # waiting for one
        self._timer: Any = None  # an IDelayedCall while a batch lingers
        self._stopped: Deferred[None] | None = None
        self._ended = False
        self._writer = ThreadPool(1, 1, "ledger-writer")
        self._readers = ThreadPool(0, READERS, "ledger-reader")
        self._writer.start()
        self._readers.start()

    @property
    def waiting(self) -> int:
        """Settlements not yet given to the writer."""
        return len(self._queue) + len(self._alone)

    def settle(self, settlement: Settlement) -> Deferred[Answer | Clash | Stale]:
        """Fires once the settlement is on disk (or found to repeat or clash), in the reactor's thread.

        Raises Overloaded at once where too much waits.  Fails with LedgerUnavailable or LedgerError.
        """
        octets = len(settlement.submission.body)
        full = self.waiting >= self._max_waiting
        # One submission over the bound by itself is taken when nothing else waits.
        full = full or bool(self._octets and self._octets + octets > MAX_WAITING_OCTETS)
        if full or self._stopped is not None:
            raise Overloaded(f"{self.waiting} settlements wait")
        waiting = _Waiting(settlement)
        self._queue.append(waiting)
        self._octets += octets
        self._next()
        return waiting.answer

    def call(self, work: str | Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Other ledger work in a reader thread: a method of the ledger by name, or any function.

        Cancelled before a thread has taken it, it is never done.  Raises Overloaded at once where too much waits.
        """
        function = getattr(self._ledger, work) if isinstance(work, str) else work
        if self._stopped is not None:
            raise Overloaded("the ledger is stopping")
        if len(self._asked) >= self._max_calls:
            raise Overloaded(f"{len(self._asked)} readings wait")
        asked = _Call(partial(function, *args), self._forget)
        self._asked.append(asked)
        self._call_next()
        return asked.result

    def with_ledger(self, work: Callable[[Ledger], Any]) -> Deferred[Any]:
        """Work of several steps on the ledger, in a reader thread."""
        return self.call(work, self._ledger)

    def stop(self) -> Deferred[None]:
        """Take nothing more, finish what was taken, end the threads; then fires.  May be called once."""
        if self._stopped is not None:
            raise RuntimeError("already stopping")
        self._stopped = Deferred()
        stopped = self._stopped
        self._next()
        return stopped

    def _next(self) -> None:
        """Begin a batch now or after the linger; or end, when stopping and nothing is left."""
        if self._writing:
            return
        if not self.waiting:
            self._end()
            return
        busy = self._last > 1 and len(self._queue) < self._max_batch
        if busy and not self._alone and self._stopped is None:
            if self._timer is None:
                self._timer = self._reactor.callLater(self._linger, self._lingered)
            return
        self._begin()

    def _lingered(self) -> None:
        self._timer = None
        if not self._writing and self.waiting:
            self._begin()

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch = self._take()
        self._writing = True
        self._last = len(batch)
        settlements = [waiting.settlement for waiting in batch]
        answers: Deferred[list[Answer | Clash | Stale]] = deferToThreadPool(
            self._reactor, self._writer, self._ledger.settle, settlements
        )
        answers.addCallbacks(self._settled, self._failed, callbackArgs=(batch,), errbackArgs=(batch,))
        answers.addBoth(self._written)

    def _take(self) -> list[_Waiting]:
        if self._alone:
            batch = [self._alone.popleft()]
        else:
            batch = [self._queue.popleft()]
            octets = batch[0].octets
            while self._queue and len(batch) < self._max_batch:
                octets += self._queue[0].octets
                if octets > MAX_BATCH_OCTETS:
                    break
                batch.append(self._queue.popleft())
        self._octets -= sum(waiting.octets for waiting in batch)
        return batch

    def _settled(self, answers: list[Answer | Clash | Stale], batch: list[_Waiting]) -> None:
        for waiting, answer in zip(batch, answers, strict=True):
            waiting.answer.callback(answer)

    def _failed(self, failure: Failure, batch: list[_Waiting]) -> None:
        if len(batch) == 1 or isinstance(failure.value, LedgerUnavailable):
            for waiting in batch:
                waiting.answer.errback(failure)
            return
        self._alone.extend(batch)
        self._octets += sum(waiting.octets for waiting in batch)

    def _written(self, result: object) -> object:
        self._writing = False
        self._next()
        return result

    def _call_next(self) -> None:
        while self._asked and self._calls < READERS:
            asked = self._asked.popleft()
            self._calls += 1
            done: Deferred[Any] = deferToThreadPool(self._reactor, self._readers, asked.work)
            done.addBoth(self._called, asked)

    def _called(self, result: object, asked: _Call) -> None:
        self._calls -= 1
        self._call_next()
        if not asked.result.called:  # else who asked went meanwhile
            asked.result.callback(result)
        self._end()

    def _forget(self, asked: _Call) -> None:
        """Who asked went."""
        if asked in self._asked:
            self._asked.remove(asked)
            self._end()

    def _end(self) -> None:
        busy = self._writing or self._calls or self._asked or self.waiting
        if self._stopped is None or self._ended or busy:
            return
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._writer.stop()
        self._readers.stop()
        self._stopped.callback(None)
