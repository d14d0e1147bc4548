"""Worker processes for large messages, so that the reactor never stalls on one."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime
from functools import partial
from itertools import count
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from gateway import handbook as handbooks
from gateway.intake import Numbers, Settled, Settling, Worked, work
from gateway.model import Finding, Submission
from gateway.operations import settings
from gateway.operations.collecting import keep_knowledge_out
from gateway.operations.revoking import newest
from gateway.operations.setaside import SetAside
from gateway.security import Keystore, KeyUnusable, SigningKey
from gateway.storage import Ledger, LedgerError, Overloaded

log = logging.getLogger("gateway.workshop")

T = TypeVar("T")

BEGIN_SECONDS = 10.0
"""For which a large message waits for a worker that is beginning: another node may have one at work, and takes it
when its sender is told to come again."""


class Bench:
    """What one worker keeps between messages; made once per process."""

    here: Bench
    writer: ThreadPoolExecutor
    begun: Any
    """The number of the task that the worker began last, in memory that its door sees even when it has ended."""

    def __init__(self, home: Path, chosen: settings.Settings) -> None:
        self._url = settings.database_url(home, chosen.database.ledger)
        self._ledger: Ledger | None = None
        self.broker = chosen.broker
        self.handbook = settings.handbook(home, chosen)
        try:
            self.keys = settings.keystore(home, chosen)
        except KeyUnusable as error:
            # Partners' knowledge is taken up all the same; the door signs with the keys that it has.
            log.error("own keys not loaded: %s", error)
            self.keys = Keystore(home / chosen.keys.own, ())
        self.handbook = self.handbook.with_decrypters(self.keys.decrypting())

    @property
    def ledger(self) -> Ledger:
        """Opened for the first message: a worker may begin while the database is away."""
        if self._ledger is None:
            self._ledger = Ledger.open(self._url)
            self.numbers = Numbers(self._ledger)
        return self._ledger

    def write(self, transaction: Callable[[], T]) -> T:
        """Make a transaction at the priority of all others, while this thread waits."""
        return self.writer.submit(transaction).result()

    def signing(self, now: datetime) -> SigningKey:
        """The key that signs now, of the keys as they are in keys.toml now."""
        try:
            self._use(self.keys.renewed(now))
        except (KeyUnusable, OSError) as error:
            log.error("own keys not reloaded: %s", error)
        return self.keys.signing(now)

    def _use(self, keys: Keystore) -> None:
        if keys is not self.keys:
            self.keys = keys
            if keys.trouble:
                log.error("own keys not all usable: %s", keys.trouble)
            self.handbook = self.handbook.with_decrypters(keys.decrypting())

    def fresh(self) -> handbooks.Handbook:
        """The handbook with the partners as they are now."""
        register = self.ledger.refreshed(self.handbook.register)
        if register is not self.handbook.register:
            self.handbook = self.handbook.with_register(register)
        known = self.handbook.trust.revocations
        if self.ledger.revocation_version() != known.version:
            self.handbook = self.handbook.with_revocations(newest(self.ledger, known))
        return self.handbook


def _begin(begun: Any, home: Path, chosen: settings.Settings, nice: int) -> None:
    writer = ThreadPoolExecutor(1, "ledger-writer")
    writer.submit(int).result()  # the thread is there now, and keeps the priority that it began with
    _give_way(nice)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the supervisor, which ends the doors
    threading.Thread(target=_end_with_parent, daemon=True).start()
    Bench.here = Bench(home, chosen)
    Bench.here.writer = writer
    Bench.begun = begun


def _give_way(nice: int) -> None:
    """Lower this thread's priority, and have it wake nobody else from his core.

    Only this one's, as Linux has it: transactions are made by a thread that does not give way.  A writer
    who is kept from his core by those who wait for him would keep them all waiting.
    """
    os.nice(nice)
    if nice and hasattr(os, "SCHED_BATCH"):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _end_with_parent() -> None:
    """A worker whose door was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _ready() -> None:
    """A worker that runs this has read its knowledge, and the register where the ledger is there."""
    with contextlib.suppress(LedgerError):
        Bench.here.fresh()
    keep_knowledge_out()


def _work(submission: Submission, sunk: Finding | None, at: datetime | None) -> Worked:
    here = Bench.here
    now = datetime.now(UTC)
    return work(submission, here.fresh(), here.signing(now), here.numbers.take, now, sunk, at)


def _settle(
    owner: str, backend: str, submission: Submission, sunk: Finding | None, at: datetime | None
) -> Settled:
    here = Bench.here
    ledger = here.ledger
    settling = Settling(
        ledger,
        owner,
        here.fresh,
        here.signing,
        here.numbers.take,
        lambda: datetime.now(UTC),
        here.write,
        backend,
        here.broker,
    )
    return settling.settle(submission, sunk, at)


class Owned:
    """A workshop as one owner's lane of large submissions for a back end."""

    def __init__(self, workshop: Workshop, owner: str, backend: str) -> None:
        self._workshop = workshop
        self._whose = owner, backend

    def settle(
        self, submission: Submission, sunk: Finding | None, at: datetime | None = None
    ) -> Deferred[Settled]:
        """As Settling.settle, elsewhere; fires, fails and raises as Workshop.work."""
        return self._workshop.given(submission, partial(_settle, *self._whose, submission, sunk, at))


def _numbered(number: int, task: Callable[[], T]) -> T:
    """Run a task, having told first that it has begun."""
    Bench.begun.value = number
    return task()


class _Pool(ProcessPoolExecutor):
    """One worker, and the number of the task that it began last."""

    def __init__(self, home: Path, chosen: settings.Settings, nice: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.begun: Any = spawn.RawValue("Q", 0)
        super().__init__(1, spawn, initializer=_begin, initargs=(self.begun, home, chosen, nice))
        # Begins the worker now, so that the first large message finds it at work.
        self.at_work = self.submit(_ready)


class Workshop:
    """Runs the journey of one submission in a process of its own.

    ``chosen``: the home's settings; workers that begin later go by the same, whatever the file says then.
    ``ready``: False: workers begin with the first submission, as where there may never be one, and it waits
    for that; else for ``begin_seconds`` at most.  ``nice``: how much they give way to other processes.
    """

    def __init__(
        self,
        home: Path,
        reactor: Any,
        chosen: settings.Settings | None = None,
        *,
        ready: bool = True,
        begin_seconds: float = BEGIN_SECONDS,
        nice: int = 0,
    ) -> None:
        self._begin = (home, chosen or settings.load(home), nice)
        self._reactor = reactor
        self._numbers = count(1)
        self._aside = SetAside(home)
        self._abandoned = False
        self._patience = begin_seconds if ready else None
        self._pool = self._new_pool() if ready else None

    def work(
        self, submission: Submission, sunk: Finding | None, at: datetime | None = None
    ) -> Deferred[Worked]:
        """As intake.work, elsewhere; fires on the reactor's thread.

        Fails as intake.work does, and with Overloaded where the worker ended over it, or did not begin in
        time.  Raises inbound.Unreadable for a message that ended several, Overloaded where no process can begin.
        """
        return self.given(submission, partial(_work, submission, sunk, at))

    def lane(self, owner: str, backend: str) -> Owned:
        """Where an owner has large submissions settled."""
        return Owned(self, owner, backend)

    def given(self, submission: Submission, task: Callable[[], T]) -> Deferred[T]:
        """What a task gives that is done over a submission in a worker; as `work`."""
        self._aside.check(submission)
        done: Deferred[T] = Deferred()
        number = next(self._numbers)
        try:
            pool, future = self._submit(number, task)
        except OSError as error:
            raise Overloaded(f"no worker can begin: {error}") from error
        self._await(pool, done)
        call: Callable[..., None] = self._reactor.callFromThread
        future.add_done_callback(lambda ended: call(self._ended, ended, done, pool, number, submission))
        return done

    def _submit(self, number: int, task: Callable[[], T]) -> tuple[_Pool, Future[T]]:
        pool = self._pool = self._pool or self._new_pool()
        try:
            return pool, pool.submit(_numbered, number, task)
        except BrokenProcessPool:
            self._replace(pool)
            pool = self._pool = self._pool or self._new_pool()
            return pool, pool.submit(_numbered, number, task)

    def _await(self, pool: _Pool, done: Deferred[T]) -> None:
        """Where no worker of the pool has begun yet, do not wait for it too long."""
        at_work = pool.at_work
        if self._patience is None or at_work.done():
            return

        def late() -> None:
            if not done.called and not at_work.done() and pool is self._pool:
                done.errback(Overloaded("no worker has begun yet"))

        due = self._reactor.callLater(self._patience, late)
        done.addBoth(_forget, due)

    def renew(self) -> None:
        """Take up new knowledge: later messages go to new workers, which read it as they begin."""
        if self._pool is not None:
            self._replace(self._pool)

    def stop(self) -> None:
        """End the workers after what they are at."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def abandon(self) -> None:
        """End the workers in the middle of what they are at, which somebody takes up again."""
        self._abandoned, pool = True, self._pool
        if pool is not None:
            for worker in list((pool._processes or {}).values()):
                worker.terminate()
            pool.shutdown(wait=False, cancel_futures=True)

    def _ended(
        self,
        future: Future[T],
        done: Deferred[T],
        pool: _Pool,
        number: int,
        submission: Submission,
    ) -> None:
        error = None if future.cancelled() else future.exception()
        if self._abandoned:
            done.errback(Overloaded("stopping"))
            return
        if isinstance(error, BrokenProcessPool):
            if pool.begun.value == number:
                self._aside.ended_over(submission)
            elif not pool.begun.value:
                # Half of the knowledge copied in, no memory: the fault of no message that waited.
                log.error("a worker ended before it began", extra={"submission": submission.id})
            self._replace(pool)
        if done.called:  # nobody waits for it any more; what came of it was stored nowhere
            return
        if future.cancelled() or isinstance(error, BrokenProcessPool):
            done.errback(Overloaded("no worker"))
        elif error is not None:
            done.errback(error)
        else:
            done.callback(future.result())

    def _replace(self, pool: _Pool) -> None:
        """Put new workers in the place of these, unless that was done already."""
        if pool is not self._pool:
            return
        pool.shutdown(wait=False)
        self._pool = None
        try:
            self._pool = self._new_pool()
        except OSError as error:
            log.error("no worker can begin: %s", error)

    def _new_pool(self) -> _Pool:
        return _Pool(*self._begin)


def _forget(result: Any, due: Any) -> Any:
    """It came in time: nothing is due any more."""
    if due.active():
        due.cancel()
    return result
