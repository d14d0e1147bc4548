"""Worker processes for large messages, so that the reactor never stalls on one, and for suspect ones."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from datetime import datetime
from functools import partial
from itertools import count
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from gateway.inbound import Unreadable
from gateway.intake import Settled, Worked
from gateway.model import Finding, Submission
from gateway.operations import settings, worker
from gateway.operations.setaside import SetAside
from gateway.operations.suspects import begun
from gateway.security import Refused
from gateway.storage import Overloaded

log = logging.getLogger("gateway.workshop")

T = TypeVar("T")

BEGIN_SECONDS = 10.0
"""For which a large message waits for a worker that is beginning: another node may have one at work, and takes it
when its sender is told to come again."""


GONE_SECONDS = 0.2
"""For which it is waited, at most, how a process ended that has ended."""
MIB = 1_048_576
JUDGED = (type(None), Refused, Unreadable)
"""What a task fails with, or not, that came to the end of judging."""


class Owned:
    """A workshop as one owner's lane of large submissions for a back end."""

    def __init__(self, workshop: Workshop, owner: str, backend: str) -> None:
        self._workshop = workshop
        self._whose = owner, backend

    def settle(
        self, submission: Submission, sunk: Finding | None, at: datetime | None = None
    ) -> Deferred[Settled]:
        """As Settling.settle, elsewhere; fires, fails and raises as Workshop.work."""
        return self._workshop.given(submission, partial(worker.settle, *self._whose, submission, sunk, at))


class _Pool(ProcessPoolExecutor):
    """One worker, and the number of the task that it began last."""

    def __init__(self, home: Path, chosen: settings.Settings, nice: int, run_on: frozenset[int]) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.begun: Any = spawn.RawValue("Q", 0)
        super().__init__(
            1, spawn, initializer=worker.begin, initargs=(self.begun, home, chosen, nice, run_on)
        )
        # Begins the worker now, so that the first large message finds it at work.
        self.at_work = self.submit(worker.ready)

    def workers(self) -> list[BaseProcess]:
        """Its processes; none once it was shut down, though they may still be at something."""
        return list((self._processes or {}).values())

    def ended_by(self) -> str:
        """The signal that ended its process, as SIGPROF where that one's time was over; "" where none is known."""
        patience = time.monotonic() + GONE_SECONDS
        for process in self.workers():
            while (code := process.exitcode) is None and time.monotonic() < patience:
                time.sleep(0.001)  # its pipe is closed, and the kernel is at the rest
            if code is not None and code < 0:
                return signal.Signals(-code).name
        return ""


class Workshop:
    """Runs the journey of one submission in a process of its own.

    ``chosen``: the home's settings; workers that begin later go by the same, whatever the file says then.
    ``ready``: False: workers begin with the first submission, as where there may never be one, and it waits
    for that; else for ``begin_seconds`` at most.  ``nice``: how much they give way to other processes.  ``run_on``: the
    cores that they run on, none for those of this process.
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
        run_on: frozenset[int] = frozenset(),
    ) -> None:
        self._begin = (home, chosen or settings.load(home), nice, run_on)
        self._reactor = reactor
        self._numbers = count(1)
        self._home = home
        self._aside = SetAside(home)
        self._notes: dict[int, Path] = {}
        self._abandoned = False
        self._patience = begin_seconds if ready else None
        self._pool = self._new_pool() if ready else None
        self._leaving: list[BaseProcess] = []

    def work(
        self, submission: Submission, sunk: Finding | None, at: datetime | None = None
    ) -> Deferred[Worked]:
        """As intake.work, elsewhere; fires on the reactor's thread.

        Fails as intake.work does, and with Overloaded where the worker ended over it, or did not begin in
        time.  Raises inbound.Unreadable for a message that ended several, Overloaded where no process can begin.
        """
        return self.given(submission, partial(worker.work_on, submission, sunk, at))

    def lane(self, owner: str, backend: str) -> Owned:
        """Where an owner has large submissions settled."""
        return Owned(self, owner, backend)

    def given(self, submission: Submission, task: Callable[[], T]) -> Deferred[T]:
        """What a task gives that is done over a submission in a worker; as `work`."""
        self._aside.check(submission)
        done: Deferred[T] = Deferred()
        number = next(self._numbers)
        note = begun(self._home, submission.digest)
        try:
            pool, future = self._submit(
                partial(worker.numbered, number, note, self._seconds(submission), task)
            )
        except OSError as error:
            raise Overloaded(f"no worker can begin: {error}") from error
        self._notes[number] = note
        self._await(pool, done)
        call: Callable[..., None] = self._reactor.callFromThread
        future.add_done_callback(lambda ended: call(self._ended, ended, done, pool, number, submission))
        return done

    def _seconds(self, submission: Submission) -> float:
        """Of processor time, to judge it."""
        octets = os.path.getsize(submission.file) if submission.file else len(submission.body)
        limits = self._begin[1].limits
        return limits.judging_seconds + limits.judging_seconds_per_mib * octets / MIB

    def _submit(self, task: Callable[[], T]) -> tuple[_Pool, Future[T]]:
        pool = self._pool = self._pool or self._new_pool()
        try:
            return pool, pool.submit(task)
        except BrokenProcessPool:
            self._replace(pool)
            pool = self._pool = self._pool or self._new_pool()
            return pool, pool.submit(task)

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
        self._abandoned = True
        if self._pool is not None:
            self._leaving += self._pool.workers()
            self._pool.shutdown(wait=False, cancel_futures=True)
        for process in self._leaving:
            process.terminate()  # nothing where it has ended
        for number in list(self._notes):
            self._forget(number)

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
            self._forget(number)
            done.errback(Overloaded("stopping"))
            return
        if isinstance(error, BrokenProcessPool):
            if pool.begun.value == number:
                self._aside.ended_over(submission, pool.ended_by())
            elif not pool.begun.value:
                # Half of the knowledge copied in, no memory: the fault of no message that waited.
                log.error("a worker ended before it began", extra={"submission": submission.id})
            self._replace(pool)
        elif not future.cancelled() and isinstance(error, JUDGED):
            self._aside.judged(submission)
        self._forget(number)
        if done.called:  # nobody waits for it any more; what came of it was stored nowhere
            return
        if future.cancelled() or isinstance(error, BrokenProcessPool):
            done.errback(Overloaded("no worker"))
        elif error is not None:
            done.errback(error)
        else:
            done.callback(future.result())

    def _forget(self, number: int) -> None:
        """What a worker was at is counted, or no fault of it."""
        note = self._notes.pop(number, None)
        if note is not None:
            with suppress(OSError):
                note.unlink(missing_ok=True)

    def _replace(self, pool: _Pool) -> None:
        """Put new workers in the place of these, unless that was done already."""
        if pool is not self._pool:
            return
        self._leaving = [process for process in self._leaving if process.is_alive()] + pool.workers()
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
