"""A worker process: what it keeps between messages, and what it does with each."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, TypeVar

from gateway import handbook as handbooks
from gateway.intake import Numbers, Settled, Settling, Worked, work
from gateway.model import Finding, Submission
from gateway.operations import logs, settings
from gateway.operations.collecting import keep_knowledge_out
from gateway.operations.cores import keep_to
from gateway.operations.revoking import newest
from gateway.security import Keystore, KeyUnusable, SigningKey
from gateway.storage import Ledger, LedgerError

log = logging.getLogger("gateway.workshop")

T = TypeVar("T")


class Bench:
    """What one worker keeps between messages; made once per process."""

    here: Bench
    writer: ThreadPoolExecutor
    begun: Any
    """The number of the task that the worker began last, in memory that its door sees even when it has ended."""
    note: Path | None = None
    """As of suspects.begun, of that task while it is under way."""

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


def begin(begun: Any, home: Path, chosen: settings.Settings, nice: int, run_on: frozenset[int]) -> None:
    """Be one.  ``begun``: as of Bench; ``nice``: how much it gives way to other processes; ``run_on``: as of
    Workshop."""
    logs.begin()
    keep_to(run_on)
    writer = ThreadPoolExecutor(1, "ledger-writer")
    writer.submit(int).result()  # the thread is there now, and keeps the priority that it began with
    _give_way(nice)
    _end_first()
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


def _end_first() -> None:
    """Where memory runs out the kernel ends a worker, not its door with everybody's connections."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")


def _end_with_parent() -> None:
    """A worker whose door was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        _forget(Bench.note)  # it ends for that, and not over what it is at
        os._exit(1)


def ready() -> None:
    """A worker that runs this has read its knowledge, and the register where the ledger is there."""
    with contextlib.suppress(LedgerError):
        Bench.here.fresh()
    keep_knowledge_out()


def work_on(submission: Submission, sunk: Finding | None, at: datetime | None) -> Worked:
    """As intake.work, with what is kept here."""
    here = Bench.here
    now = datetime.now(UTC)
    return work(submission, here.fresh(), here.signing(now), here.numbers.take, now, sunk, at)


def settle(
    owner: str, backend: str, submission: Submission, sunk: Finding | None, at: datetime | None
) -> Settled:
    """As Settling.settle, with what is kept here."""
    here = Bench.here
    ledger = here.ledger
    settling = Settling(
        ledger,
        owner,
        here.fresh,
        here.signing,
        lambda count: here.write(lambda: here.numbers.take(count)),
        lambda: datetime.now(UTC),
        here.write,
        backend,
        here.broker,
    )
    return settling.settle(submission, sunk, at)


def numbered(number: int, note: Path, seconds: float, task: Callable[[], T]) -> T:
    """Run a task, having told first that it has begun.  ``note``: as of suspects.begun.

    ``seconds``: of processor time, of all threads here; after these the kernel ends this process (SIGPROF), whatever
    code it is in.  While others have the cores, nothing is counted.
    """
    Bench.begun.value, Bench.note = number, note
    with contextlib.suppress(OSError):  # the disk takes nothing: who gave the task counts, if it lives
        note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        note.touch(0o600)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        return task()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        _forget(note)


def _forget(note: Path | None) -> None:
    if note is not None:
        with contextlib.suppress(OSError):
            note.unlink(missing_ok=True)
