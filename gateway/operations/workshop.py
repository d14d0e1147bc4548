"""Worker processes for large messages, so that the reactor never stalls on one."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorThreads

from gateway import handbook as handbooks
from gateway import security
from gateway.intake import Numbers, Worked, work
from gateway.model import Finding, Submission
from gateway.operations import settings
from gateway.storage import Ledger


class Bench:
    """What one worker keeps between messages; made once per process."""

    here: Bench

    def __init__(self, home: Path) -> None:
        chosen = settings.load(home)
        self.ledger = Ledger.open(settings.database_url(home, chosen.database.ledger))
        self.version = -1
        self.handbook = handbooks.load(home, policy=settings.policy(chosen))
        self.key = settings.signing_key(home, chosen)
        self.numbers = Numbers(self.ledger)

    def fresh(self) -> handbooks.Handbook:
        """The handbook with the partners as they are now."""
        version = self.ledger.register_version()
        if version != self.version:
            self.handbook = self.handbook.with_register(self.ledger.register())
            self.version = version
        return self.handbook


def _begin(home: Path) -> None:
    Bench.here = Bench(home)


def _work(submission: Submission, clash: Finding | None) -> Worked | security.Refused:
    here = Bench.here
    return work(submission, here.fresh(), here.key, here.numbers.take, datetime.now(UTC), clash)


class Workshop:
    """Runs the journey of one submission in a process of its own."""

    def __init__(self, home: Path, reactor: IReactorThreads, processes: int = 1) -> None:
        self._reactor = reactor
        self._pool = ProcessPoolExecutor(
            processes, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(home,)
        )

    def work(self, submission: Submission, clash: Finding | None) -> Deferred[Worked]:
        """As intake.work, elsewhere; fires on the reactor's thread."""
        done: Deferred[Worked] = Deferred()
        future = self._pool.submit(_work, submission, clash)

        def ended(_: object) -> None:
            error = future.exception()
            fire, value = (done.errback, error) if error else (done.callback, future.result())
            self._reactor.callFromThread(fire, value)

        future.add_done_callback(ended)
        return done

    def stop(self) -> None:
        """End the workers after what they are at."""
        self._pool.shutdown(wait=True, cancel_futures=True)
