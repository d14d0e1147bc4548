"""Worker processes: what they say is what the intake would have said itself."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
import time
import types
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway import safexml, security
from gateway.inbound import Unreadable
from gateway.intake import Worked
from gateway.model import Outcome, Partner, Role, Submission
from gateway.operations import home as homes
from gateway.operations import settings
from gateway.operations.setaside import ENDED, take_up
from gateway.operations.suspects import BEGUN, SUSPECTS, Suspects, listed
from gateway.operations.workshop import Workshop
from gateway.security import Refused, SigningKey
from gateway.storage import Ledger, LedgerMissing, Overloaded
from tests.journeys.town import until
from tests.operations.knowledge import CARRIER, NOW, TRADER, declaration, manifest

SECONDS = 60.0


class Bell:
    """A reactor whose thread is the test's: calls from other threads wait until it looks."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def callFromThread(self, function: Callable[..., None], *args: Any) -> None:  # noqa: N802
        self._calls.put(lambda: function(*args))

    def callLater(self, delay: float, function: Callable[..., None], *args: Any) -> Any:  # noqa: N802
        timer = threading.Timer(delay, self.callFromThread, (function, *args))
        timer.daemon = True
        timer.start()
        return types.SimpleNamespace(active=timer.is_alive, cancel=timer.cancel)

    def until(self, deferred: Deferred[Any]) -> Any:
        """The result, once it is there; its exception is raised."""
        heard: list[Any] = []
        deferred.addBoth(heard.append)
        while not heard:
            self._calls.get(timeout=SECONDS)()
        if isinstance(heard[0], Failure):
            heard[0].raiseException()
        return heard[0]


class Place:
    """A home with a ledger and one partner, and its workshop."""

    def __init__(self, home: Path) -> None:
        self.home = home
        homes.create(home)
        folder = home.parent / "anphat"
        subject = homes.issue_partner(home, TRADER, folder)
        url = settings.database_url(home, settings.load(home).database.ledger)
        self.ledger = Ledger.open(url, create=True)
        self.ledger.put_partner(
            Partner(TRADER.id, TRADER.name, (Role.TRADER,), TRADER.identifiers, (subject,))
        )
        self.key = SigningKey.load(folder / "signing.key.pem", folder / "signing.crt.pem")
        self.bell = Bell()
        self.workshop = Workshop(home, self.bell, begin_seconds=SECONDS, nice=2)

    def submission(self, body: bytes) -> Submission:
        return Submission("s" * 26, TRADER.id, "https", "application/xml", body, "d" * 64, NOW)

    def signed(self, document: bytes) -> Submission:
        return self.submission(security.sign_xml(safexml.parse(document), self.key, NOW))

    def work(self, submission: Submission) -> Worked:
        worked: Worked = self.bell.until(self.workshop.work(submission, None))
        return worked

    def workers(self) -> list[int]:
        return list(self.workshop._pool._processes)


def suspects(home: Path) -> dict[str, int]:
    """How many workers ended over each."""
    return {file.name: file.stat().st_size for file in listed(home / SUSPECTS)}


def under_way(home: Path) -> list[str]:
    """What workers are at."""
    return [note.name for note in listed(home / BEGUN)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("workshop") / "home")
    yield made
    made.workshop.stop()
    made.ledger.close()


def test_a_worker_judges_signs_and_numbers(place: Place) -> None:
    worked = place.work(place.signed(declaration("LRN-1")))
    assert (worked.verdict.outcome, worked.verdict.claim) == (Outcome.ACCEPTED, "IM:LRN-1")
    assert worked.verdict.messages[0].declaration is not None
    assert b"<ds:Signature" in worked.receipt[1]
    again = place.work(place.signed(declaration("LRN-2")))
    assert again.receipt[1] != worked.receipt[1]


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="priorities are a thread's own on Linux alone")
def test_a_worker_gives_way_and_its_transactions_do_not(place: Place) -> None:
    """Else who waits for the database would keep him who has it from his core."""
    place.work(place.signed(declaration("LRN-1")))
    (pid,) = place.workers()
    own = os.getpriority(os.PRIO_PROCESS, 0)
    threads = [int(path.name) for path in Path(f"/proc/{pid}/task").iterdir()]
    assert os.getpriority(os.PRIO_PROCESS, pid) == own + 2
    assert own in [os.getpriority(os.PRIO_PROCESS, thread) for thread in threads]
    assert os.sched_getscheduler(pid) == os.SCHED_BATCH


def test_what_gets_no_receipt_comes_back_with_its_findings(place: Place) -> None:
    with pytest.raises(Refused) as refused:
        place.work(place.submission(declaration()))
    assert [f.code for f in refused.value.findings] == ["SIG001"]
    with pytest.raises(Unreadable) as unreadable:
        place.work(place.signed(b'<Order xmlns="urn:example:other"/>'))
    assert [f.code for f in unreadable.value.findings] == ["XML020"]


def test_a_worker_reads_interchanges_within_the_home_s_bounds(home: Path, tmp_path: Path) -> None:
    path = home / "conf" / "gateway.toml"
    text = path.read_text("utf-8")
    assert "\nsegments = 1000000\n" in text
    path.write_text(text.replace("\nsegments = 1000000\n", "\nsegments = 5\n"), "utf-8")
    line = msgspec.structs.replace(CARRIER, subjects=(homes.issue_partner(home, CARRIER, tmp_path / "line"),))
    ledger = Ledger.open(settings.database_url(home, settings.load(home).database.ledger), create=True)
    ledger.put_partner(line)
    ledger.close()
    key = SigningKey.load(tmp_path / "line" / "signing.key.pem", tmp_path / "line" / "signing.crt.pem")
    kind, body = security.sign_cms(manifest(), "application/edifact", key, "application/pkcs7-mime", NOW)
    bell = Bell()
    workshop = Workshop(home, bell, begin_seconds=SECONDS)
    try:
        sent = Submission("t" * 26, CARRIER.id, "https", kind, body, "e" * 64, NOW)
        verdict = bell.until(workshop.work(sent, None)).verdict
    finally:
        workshop.stop()
    told = [f.code for f in verdict.findings] + [f.code for m in verdict.messages for f in m.findings]
    assert (verdict.outcome, "EDI116" in told) == (Outcome.REJECTED, True)


def test_a_worker_knows_a_partner_s_change(place: Place) -> None:
    place.work(place.signed(declaration("LRN-3")))
    (known,) = place.ledger.partners()
    carrier = Partner(known.id, known.name, (Role.CARRIER,), known.identifiers, known.subjects)
    place.ledger.put_partner(carrier)
    try:
        worked = place.work(place.signed(declaration("LRN-4")))
        assert [f.code for f in worked.verdict.messages[0].findings] == ["PAR004"]
    finally:
        place.ledger.put_partner(known)


def test_a_worker_that_dies_over_its_message_is_replaced(place: Place) -> None:
    """And only that message is noted, not the one that waited behind it."""
    fatal = msgspec.structs.replace(place.signed(declaration("LRN-5", items=900)), digest="9" * 64)
    behind = place.signed(declaration("LRN-6"))
    place.work(behind)
    (worker,) = place.workers()
    told = place.workshop._pool.begun
    before = told.value
    at_it = place.workshop.given(fatal, partial(time.sleep, SECONDS))
    waiting = [at_it, place.workshop.work(behind, None)]
    while told.value == before:
        time.sleep(0)
    os.kill(worker, signal.SIGKILL)
    for deferred in waiting:
        with pytest.raises(Overloaded):
            place.bell.until(deferred)
    assert [Suspects(place.home).count(one.digest) for one in (fatal, behind)] == [1, 0]
    assert under_way(place.home) == []
    assert place.work(behind).verdict.outcome is Outcome.ACCEPTED
    assert worker not in place.workers()


def test_what_a_worker_judged_without_harm_is_no_longer_suspect(place: Place) -> None:
    for number, document in enumerate((declaration("LRN-9"), b'<Order xmlns="urn:example:other"/>')):
        submission = msgspec.structs.replace(place.signed(document), digest=f"{number}" * 64)
        place.workshop._aside.ended_over(submission)
        assert submission.digest in Suspects(place.home)
        with contextlib.suppress(Unreadable):
            place.work(submission)
        assert submission.digest not in Suspects(place.home)
    assert under_way(place.home) == []


def test_a_worker_that_ends_with_all_others_is_counted_by_those_that_come_after(place: Place) -> None:
    """As where a container is killed as a whole: nobody lives who could count it."""
    poison = msgspec.structs.replace(place.signed(declaration("LRN-10", items=900)), digest="8" * 64)
    for ended in range(ENDED):
        assert Suspects(place.home).count(poison.digest) == ended
        told = place.workshop._pool.begun
        before = told.value
        work = place.workshop.given(poison, partial(time.sleep, SECONDS))
        until(lambda told=told, before=before: told.value != before and under_way(place.home) != [])
        (worker,) = place.workers()
        os.kill(worker, signal.SIGKILL)
        take_up(place.home)  # a new first process, before this one's workshop looks
        place.workshop._notes.clear()
        place.workshop._aside.ended_over = lambda submission, by: None  # type: ignore[method-assign]
        with pytest.raises(Overloaded):
            place.bell.until(work)
        del place.workshop._aside.ended_over
    with pytest.raises(Unreadable):
        place.work(poison)
    assert (place.home / "aside" / poison.digest).read_bytes() == poison.body


def test_a_worker_has_so_much_processor_time_for_a_message(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """More for a larger one; what is over ends the worker, and nothing else."""
    home, chosen, *more = place.workshop._begin
    limits = msgspec.structs.replace(chosen.limits, judging_seconds=0.02, judging_seconds_per_mib=0.02)
    place.workshop._begin = (home, msgspec.structs.replace(chosen, limits=limits), *more)
    long = place.signed(declaration("LRN-12", items=900))
    with pytest.raises(Overloaded):
        place.work(long)
    (told,) = [r for r in caplog.records if r.getMessage() == "a worker ended over a message"]
    assert told.by == "SIGPROF"
    enough = msgspec.structs.replace(limits, judging_seconds_per_mib=60)
    place.workshop._begin = (home, msgspec.structs.replace(chosen, limits=enough), *more)
    assert place.work(long).verdict.outcome is Outcome.ACCEPTED


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="a kernel without it")
def test_the_kernel_ends_a_worker_first(place: Place) -> None:
    place.work(place.signed(declaration("LRN-11")))
    (worker,) = place.workers()
    assert Path(f"/proc/{worker}/oom_score_adj").read_text() == "1000\n"


def test_a_worker_that_cannot_begin_is_no_fault_of_the_message_that_waits(place: Place) -> None:
    """New knowledge is half copied in when the worker is killed by chance."""
    place.work(place.signed(declaration("LRN-7")))
    half = next((place.home / "mappings").rglob("*.toml"))
    whole = half.read_bytes()
    half.write_bytes(b"= half a fi")
    before = suspects(place.home)
    for worker in place.workers():
        os.kill(worker, signal.SIGKILL)
    try:
        with pytest.raises(Overloaded):
            place.work(place.signed(declaration("LRN-8")))
    finally:
        half.write_bytes(whole)
        place.workshop.renew()
    assert suspects(place.home) == before
    assert place.work(place.signed(declaration("LRN-8"))).verdict.outcome is Outcome.ACCEPTED


def test_a_worker_may_begin_before_the_database(home: Path) -> None:
    """And is there for the message that comes when the database is."""
    bell = Bell()
    workshop = Workshop(home, bell, begin_seconds=SECONDS)
    nobody = Submission("u" * 26, TRADER.id, "https", "application/xml", b"<a/>", "f" * 64, NOW)
    try:
        with pytest.raises(LedgerMissing):
            bell.until(workshop.work(nobody, None))
        workers = set(workshop._pool._processes)
        ledger = Ledger.open(settings.database_url(home, settings.load(home).database.ledger), create=True)
        ledger.put_partner(TRADER)
        ledger.close()
        with pytest.raises(Refused):
            bell.until(workshop.work(nobody, None))
        assert set(workshop._pool._processes) == workers
    finally:
        workshop.stop()


def test_a_large_message_does_not_wait_for_ever_for_a_worker_that_begins(place: Place) -> None:
    submission = place.signed(declaration())
    beginning = Workshop(place.home, place.bell, begin_seconds=0.01)
    try:
        with pytest.raises(Overloaded):
            place.bell.until(beginning.work(submission, None))
    finally:
        beginning.stop()


def test_who_leaves_ends_every_worker_that_is_at_something(home: Path) -> None:
    """One that new knowledge took the place of, too: the process would wait for it with nobody to tell."""
    workshop = Workshop(home, Bell(), ready=False)
    submission = Submission("s" * 26, TRADER.id, "https", "application/xml", b"", "d" * 64, NOW)
    try:
        workshop.given(submission, partial(time.sleep, SECONDS))
        (first,) = workshop._pool.workers()
        workshop.renew()
        workshop.given(submission, partial(time.sleep, SECONDS))
        (second,) = workshop._pool.workers()
        assert first.pid != second.pid
        until(lambda: len(under_way(home)) == 2)
    finally:
        workshop.abandon()
    until(lambda: not Path(f"/proc/{first.pid}").exists() and not Path(f"/proc/{second.pid}").exists())
    assert under_way(home) == []  # an orderly end is no fault of theirs
