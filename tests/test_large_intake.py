"""Large submissions: kept, judged apart, answered once, brought to their end whoever dies in between."""

from __future__ import annotations

import errno
import gc
import re
import threading
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from gateway import inbound, security
from gateway.evidence import verify
from gateway.evidence.bundle import members
from gateway.intake import Intake, Large, Numbers, Settled, Settling
from gateway.intake.door import HOLD
from gateway.intake.kept import dropped
from gateway.intake.large import ASIDE_AGAIN, LEASE
from gateway.model import (
    Answer,
    Channel,
    Finding,
    Kind,
    Mandate,
    Outcome,
    Partner,
    Pending,
    Register,
    Submission,
)
from gateway.model.shelf import Long, Shelf, octets_of
from gateway.model.tree import Declaration, Entity
from gateway.operations import archiving
from gateway.storage import (
    Ledger,
    LedgerError,
    LedgerUnavailable,
    Overloaded,
    Settlement,
    Staging,
    courier,
    working,
)
from gateway.storage.slices import SLICE, Row
from gateway.transport import Spool
from gateway.transport.spool import RESERVE
from tests.delivery.fakes import InlineCommits, done
from tests.operations.knowledge import CARRIER, NOW, OTHER, VAN, World, manifest
from tests.test_inbound import BAD_COUNT, BAD_MODE, GOOD

MANY, LINES = 8, 98
"""Good bills of lading, and lines of each that describe the goods."""
MOST_OF_A_MESSAGE = 400
"""Octets that may be held of each before it is stored (its reference, the digest of its declaration); held as it is
it takes 600 to 1,000."""


class Commits(InlineCommits):
    """Also gives the ledger itself."""

    def with_ledger(self, doing: Callable[[Ledger], Any]) -> Deferred[Any]:
        return succeed(None).addCallback(lambda _: doing(self.ledger))


class AsWorkerHasIt:
    """The ledger of a worker.  ``failing``: what calls of a name raise; ``dies``: in the middle of putting
    declarations away; ``forgets``: it is killed when it has settled, before it could say so; ``held``: octets that
    were when it settled, where that is traced."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.failing: dict[str, Exception] = {}
        self.dies = self.forgets = False
        self.held = 0

    def __getattr__(self, name: str) -> Any:
        if name in self.failing:
            raise self.failing[name]
        return getattr(self._ledger, name)

    def keep_slices(self, rows: Sequence[Row], owner: str) -> None:
        self._ledger.keep_slices(rows[:1] if self.dies else rows, owner)
        if self.dies:
            raise Overloaded("no worker")

    def settle(self, batch: Sequence[Settlement]) -> Any:
        if "settle" in self.failing:
            raise self.failing["settle"]
        if tracemalloc.is_tracing():
            gc.collect()
            self.held, _ = tracemalloc.get_traced_memory()
        answers = self._ledger.settle(batch)
        if self.forgets:
            raise Overloaded("no worker")
        return answers


class OneLane:
    """A worker's work, done here: at once, or when it is told to."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.ledger = AsWorkerHasIt(desk.ledger)
        self.waits = False
        self.waiting: list[Callable[[], None]] = []
        self.worked = 0

    def for_owner(self, owner: str) -> OneLane:
        self.owner = owner
        return self

    def settle(self, submission: Submission, sunk: Finding | None, at: Any = None) -> Deferred[Settled]:
        owner, ended = self.owner, Deferred[Settled]()

        def go() -> None:
            try:
                ended.callback(self._settle(submission, sunk, at, owner))
            except (LedgerError, security.Refused, Overloaded) as error:
                ended.errback(error)

        self.waiting.append(go)
        if not self.waits:
            self.go()
        return ended

    def go(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()

    def _settle(self, submission: Submission, sunk: Finding | None, at: Any, owner: str) -> Settled:
        self.worked += 1
        desk, world, ledger = self._desk, self._desk.world, cast("Ledger", self.ledger)
        settling = Settling(
            ledger,
            owner,
            lambda: desk.handbook,
            world.own.signing,
            desk.numbers.take,
            lambda: desk.now,
            lambda transaction: transaction(),
            "office",
        )
        return settling.settle(submission, sunk, at)


class Desk:
    """One process over a ledger; its clocks are the test's."""

    def __init__(self, world: World, ledger: Ledger, folder: Path) -> None:
        self.world, self.ledger, self.folder = world, ledger, folder
        self.now = NOW
        self.handbook = world.handbook
        self.free = 2 * RESERVE
        self.spool = Spool(folder, free=lambda _: self.free)
        self.reactor = Clock()
        self.commits: Any = Commits(ledger)
        self.numbers = Numbers(ledger)
        self.intake = Intake(
            self.commits, self.numbers, lambda: self.handbook, world.own, lambda: self.now, "office"
        )
        self.lane = OneLane(self)
        self.large = Large(
            self.intake, self.commits, self.lane.for_owner, self.reactor, "me", self.spool, seconds=30
        )

    def know(self, partner: Partner, *mandates: Mandate) -> None:
        """From now on."""
        others = [p for p in self.world.partners.values() if p.id != partner.id]
        self.handbook = self.world.handbook.with_register(Register([*others, partner], mandates))

    def arrived(self, submission: Submission) -> Submission:
        """In a file of the spool, as the door would have it."""
        file = self.folder / f"1-{submission.id}"
        file.write_bytes(submission.body)
        return msgspec.structs.replace(submission, body=b"", file=str(file))

    def submit(self, submission: Submission) -> Deferred[Answer | Pending]:
        return Deferred.fromCoroutine(self.large.submit(self.arrived(submission)))

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.reactor.advance(seconds)

    def left(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


def pushed(desk: Desk, partner: Partner) -> Partner:
    """As one to whom messages are pushed."""
    known = desk.world.partners[partner.id]
    return msgspec.structs.replace(known, channel=Channel.PUSH, push_url="https://partner.example/")


@pytest.fixture
def desk(world: World, ledger: Ledger, tmp_path: Path) -> Desk:
    folder = tmp_path / "spool"
    folder.mkdir()
    return Desk(world, ledger, folder)


def large(world: World, reference: str = "M1", by: Any = CARRIER) -> Submission:
    """More than one slice: that is all that large means here."""
    bills = [replace(GOOD, number=f"EOLUSGN{n:06d}") for n in range(MANY)]
    text = ":".join([f"{'Parts of furniture, of wood, packed for the sea ':.<70}"] * 5)
    content = manifest(reference, *bills, BAD_MODE, BAD_COUNT)
    content = content.replace(b"MEA+WT", f"FTX+AAA+++{text}'".encode() * LINES + b"MEA+WT")
    content = re.sub(rb"UNT\+(\d+)\+", lambda found: b"UNT+%d+" % (int(found[1]) + LINES), content)
    media_type, body = world.sealed(content, by)
    assert len(body) > SLICE
    return world.submission(body, media_type, by)


@pytest.fixture(scope="module")
def paper(world: World) -> Submission:
    return large(world)


def whole(ledger: Ledger) -> list[str]:
    """What the journal finds wrong."""
    found: list[Any] = []
    ledger.audit(found.append, lambda *_: "", lambda *_: "")
    return [str(breach) for breach in found]


def test_in_time_it_is_answered_like_a_small_one(desk: Desk, paper: Submission, ledger: Ledger) -> None:
    answer = done(desk.submit(paper))
    assert isinstance(answer, Answer)
    assert (answer.submission, answer.outcome, answer.repeated) == (paper.id, Outcome.PARTLY, False)
    assert ledger.raw(paper.id) == paper
    due = ledger.claim_due("backend:office", "me", NOW, timedelta(seconds=9), 999)
    assert len(due) == MANY
    handed = ledger.handovers(due[:3])
    assert [len(list(h.declaration.root.each("Consignment"))) for h in handed] == [1, 1, 1]
    assert desk.left() == []
    assert ledger.held_count() == 0
    status = ledger.status(CARRIER.id, paper.id)
    assert status is not None
    assert [e.what for e in status.timeline] == ["received", "held", "partly"]


def test_the_same_bytes_again(desk: Desk, paper: Submission) -> None:
    first = done(desk.submit(paper))
    again = done(desk.submit(msgspec.structs.replace(paper, id="s" * 26)))
    assert (again.submission, again.repeated, again.receipt) == (first.submission, True, first.receipt)
    assert desk.lane.worked == 1
    assert desk.left() == []


def test_who_cannot_wait_is_told_that_it_is_kept(desk: Desk, paper: Submission, ledger: Ledger) -> None:
    desk.lane.waits = True
    answer = desk.submit(paper)
    desk.later(29)
    assert not answer.called
    desk.later(1)
    pending = done(answer)
    assert (pending.submission, pending.findings, pending.repeated) == (paper.id, (Finding("API202"),), False)
    again = done(desk.submit(msgspec.structs.replace(paper, id="s" * 26)))
    assert (again.submission, again.repeated) == (paper.id, True)
    assert ledger.status(CARRIER.id, paper.id) is None
    held = ledger.holding(CARRIER.id, paper.id)
    assert held is not None
    assert held.told == (Finding("API202"),)
    desk.lane.go()
    assert desk.lane.worked == 1
    status = ledger.status(CARRIER.id, paper.id)
    assert status is not None
    assert [e.what for e in status.timeline] == ["received", "held", "partly"]
    assert {e.kind for e in ledger.mailbox(CARRIER.id, "", 9)} == {"receipt", "rejected"}
    assert desk.left() == []


def test_the_same_octets_of_two_partners(desk: Desk, paper: Submission, ledger: Ledger) -> None:
    """Who sent them second, and could not wait, hears what became of them: by his own channel, and when he asks."""
    done(desk.submit(paper))
    desk.know(pushed(desk, VAN), Mandate("m1", VAN.id, CARRIER.id))
    desk.lane.waits = True
    theirs = msgspec.structs.replace(paper, id="s" * 26, partner=VAN.id)
    answer = desk.submit(theirs)
    desk.later(31)
    assert done(answer).submission == theirs.id
    desk.lane.go()
    assert [e.id for e in ledger.mailbox(VAN.id, "", 9)] == [f"{paper.id}.{theirs.id}.r"]
    due = [(d.destination, d.payload) for d in ledger.due("push:", 99)]
    assert due == [(f"push:{VAN.id}", f"{paper.id}.{theirs.id}.r")]
    again = done(desk.submit(msgspec.structs.replace(theirs, id="t" * 26)))
    assert (again.submission, again.outcome, again.repeated) == (paper.id, Outcome.PARTLY, True)
    assert desk.left() == []
    assert whole(ledger) == []


def test_who_is_pushed_to_is_pushed_the_receipt_too(desk: Desk, paper: Submission, ledger: Ledger) -> None:
    """His connection may not have lived to hear it, and another door told him no more than that it is kept."""
    desk.know(pushed(desk, CARRIER))
    answer = done(desk.submit(paper))
    due = [d.payload for d in ledger.due(f"push:{CARRIER.id}", 99)]
    assert due == [answer.receipt.id, f"{paper.id}.{MANY + 2}.x"]


def test_nobody_sees_half_of_it(desk: Desk, paper: Submission, ledger: Ledger) -> None:
    """The worker dies with some declarations put away; another process takes it over and brings it to its end."""
    desk.lane.ledger.dies = True
    with pytest.raises(Overloaded):
        done(desk.submit(paper))
    assert ledger.status(CARRIER.id, paper.id) is None
    assert ledger.mailbox(CARRIER.id, "", 9) == []
    assert ledger.claim_due("backend:office", "me", NOW, timedelta(seconds=9), 9) == []
    assert ledger.find(CARRIER.id, GOOD.number) == []
    other = Desk(desk.world, ledger, desk.folder)
    assert done(Deferred.fromCoroutine(other.large.resume())) is False
    other.later(LEASE.total_seconds() + 1)
    assert done(Deferred.fromCoroutine(other.large.resume())) is True
    assert ledger.raw(paper.id) == paper
    assert len(ledger.claim_due("backend:office", "me", other.now, timedelta(seconds=9), 999)) == MANY
    assert other.left() == []
    assert done(Deferred.fromCoroutine(other.large.resume())) is False
    assert whole(ledger) == []


def test_what_was_settled_is_taken_over_by_nobody(desk: Desk, paper: Submission, ledger: Ledger) -> None:
    """Its worker ends when it has committed and before it could say so: who took it over would begin by dropping
    declarations that the ledger refers to."""
    desk.lane.ledger.forgets = True
    with pytest.raises(Overloaded):
        done(desk.submit(paper))
    desk.lane.ledger.forgets = False
    other = Desk(desk.world, ledger, desk.folder)
    other.later(LEASE.total_seconds() + 1)
    assert done(Deferred.fromCoroutine(other.large.resume())) is False
    again = done(desk.submit(msgspec.structs.replace(paper, id="s" * 26)))
    assert (again.submission, again.outcome, again.repeated) == (paper.id, Outcome.PARTLY, True)
    assert (desk.lane.worked, other.lane.worked) == (1, 0)
    assert desk.left() == []
    assert whole(ledger) == []


def test_who_was_taken_over_stores_nothing(desk: Desk, paper: Submission, ledger: Ledger) -> None:
    """A process that stood still comes back when another one has its work: one of the two is stored, whole."""
    desk.lane.waits = True
    mine = desk.submit(paper)
    other = Desk(desk.world, ledger, desk.folder)
    other.later(LEASE.total_seconds() + 1)
    assert done(Deferred.fromCoroutine(other.large.resume())) is True
    desk.lane.go()
    answer = done(mine)
    assert (answer.submission, answer.repeated) == (paper.id, True)
    due = ledger.claim_due("backend:office", "me", other.now, timedelta(seconds=9), 999)
    assert len(due) == MANY
    assert len(ledger.handovers(due)) == MANY
    assert whole(ledger) == []


def held(desk: Desk, number: int, good: bool) -> int:
    """Octets that are held when a large one of so many messages is settled."""
    bill = GOOD if good else BAD_MODE
    bills = [replace(bill, number=f"EOLUSGN{n:06d}") for n in range(number)]
    media_type, body = desk.world.sealed(manifest(f"M{number}{good}", *bills), CARRIER)
    paper = desk.arrived(desk.world.submission(body, media_type, CARRIER))
    del body
    Staging(desk.ledger, paper.id, "").keep_body([b""])
    desk.ledger.hold(paper, (working("me"),), (), NOW, ())
    lane = desk.lane.for_owner("me")
    tracemalloc.start()
    settled: Settled = done(lane.settle(paper, None))
    tracemalloc.stop()
    assert settled.answer.outcome is (Outcome.ACCEPTED if good else Outcome.REJECTED)
    return desk.lane.ledger.held


@pytest.mark.parametrize("good", [True, False])
def test_what_is_known_of_messages_is_not_held(desk: Desk, good: bool) -> None:
    held(desk, 2, good)  # what is made once
    few, many = held(desk, 200, good), held(desk, 500, good)
    assert (many - few) / 300 < MOST_OF_A_MESSAGE, (many - few) / 300


def test_a_refusal_leaves_nothing_but_its_note(desk: Desk, world: World, ledger: Ledger) -> None:
    paper = large(world, "M2", OTHER)
    wrong = msgspec.structs.replace(
        paper, body=paper.body.replace(b"Furniture", b"Furnitura"), digest="0" * 64
    )
    with pytest.raises(security.Refused):
        done(desk.submit(wrong))
    held = ledger.holding(OTHER.id, wrong.id)
    assert held is not None
    assert held.findings[0].code.startswith("SIG")
    assert ledger.sliced(wrong.id, 0, 0) is None
    assert desk.left() == []
    with pytest.raises(security.Refused):
        done(desk.submit(msgspec.structs.replace(wrong, id="s" * 26)))
    assert whole(ledger) == []


def test_octets_that_were_not_all_kept_are_forgotten(desk: Desk, paper: Submission, ledger: Ledger) -> None:
    """A door that was killed before it could say that they are."""
    Staging(ledger, paper.id, "").keep_body([paper.body[:-1]])
    ledger.hold(msgspec.structs.replace(paper, body=b""), (Finding("API202", found="dead"),), (), NOW, ())
    assert done(Deferred.fromCoroutine(desk.large.resume())) is True
    assert ledger.held_count() == 0
    assert desk.left() == []
    assert isinstance(done(desk.submit(paper)), Answer)


def test_strays_are_swept(desk: Desk, paper: Submission, ledger: Ledger) -> None:
    Staging(ledger, paper.id, "").keep_body([paper.body])
    assert ledger.sweep_slices(paper.id) == 0
    while ledger.sweep_slices(paper.id + "z"):
        pass
    assert ledger.sliced(paper.id, 0, 0) is None
    Staging(ledger, paper.id, "").keep_body([paper.body])
    assert ledger.sweep_slices(paper.id + "z", paper.id + "a") == 0
    while ledger.sweep_slices(paper.id + "z", paper.id):
        pass
    assert ledger.sliced(paper.id, 0, 0) is None
    done(desk.submit(paper))
    assert ledger.sweep_slices(paper.id + "z") == 0
    assert ledger.raw(paper.id) == paper


def test_the_database_is_away(desk: Desk, paper: Submission, ledger: Ledger) -> None:
    desk.lane.ledger.failing["settle"] = LedgerUnavailable("gone")
    with pytest.raises(LedgerUnavailable):
        done(desk.submit(paper))
    assert desk.left() == []
    desk.lane.ledger.failing.clear()
    desk.later(LEASE.total_seconds() + 1)
    assert done(Deferred.fromCoroutine(desk.large.resume())) is True
    assert ledger.raw(paper.id) == paper


def test_a_ledger_that_has_too_much_to_do_is_asked_again_for_the_lease(desk: Desk, paper: Submission) -> None:
    desk.lane.waits = True
    answer = desk.submit(paper)
    desk.commits.failing["renew_held"] = Overloaded("5000 readings wait")
    desk.later(2)
    desk.commits.failing.clear()
    desk.later(2)
    other = Desk(desk.world, desk.ledger, desk.folder)
    other.now = desk.now + LEASE / 2
    assert done(Deferred.fromCoroutine(other.large.resume())) is False
    desk.lane.go()
    assert isinstance(done(answer), Answer)
    assert desk.left() == []


def test_the_same_bytes_that_were_refused_come_twice_at_once(desk: Desk, paper: Submission) -> None:
    """They have the id of before: who puts them away second begins by forgetting what was there."""
    desk.ledger.hold(msgspec.structs.replace(paper, body=b""), (Finding("API202", found="x"),), (), NOW, ())
    assert desk.ledger.refuse_held(paper.id, "x", ())
    desk.commits.before["hold"] = lambda: dropped(desk.ledger, paper)
    with pytest.raises(Overloaded):
        done(desk.submit(paper))
    desk.commits.before.clear()
    assert desk.left() == []
    assert isinstance(done(desk.submit(paper)), Answer)
    assert desk.ledger.raw(paper.id) == paper
    assert whole(desk.ledger) == []


def test_a_clash_is_rejected_and_keeps_no_declarations(desk: Desk, world: World, ledger: Ledger) -> None:
    first = large(world, "M3")
    other = large(world, "M3")
    done(desk.submit(first))
    answer = done(desk.submit(other))
    assert answer.outcome is Outcome.REJECTED
    assert ledger.sliced(other.id, 1, 0) is None
    assert ledger.raw(other.id) == other
    assert whole(ledger) == []


def test_a_disk_that_takes_nothing_is_no_fault_of_the_submission(
    desk: Desk, paper: Submission, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes again later, in whichever process; what was begun of it is left nowhere."""

    def full(shelf: Shelf) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Shelf, "_flush", full)
        with pytest.raises(Overloaded, match="No space left"):
            done(desk.submit(paper))
    assert desk.left() == []
    assert ledger.status(CARRIER.id, paper.id) is None
    other = Desk(desk.world, ledger, desk.folder)
    other.later(LEASE.total_seconds() + 1)
    other.free = RESERVE + 1
    with pytest.raises(Overloaded, match="no room to go on"):
        done(Deferred.fromCoroutine(other.large.resume()))
    assert desk.left() == []
    other.free = 2 * RESERVE
    other.later(LEASE.total_seconds() + 1)
    assert done(Deferred.fromCoroutine(other.large.resume())) is True
    assert desk.left() == []
    assert ledger.raw(paper.id) == paper


def test_another_error_of_the_system_is_not_told_as_a_full_disk(
    desk: Desk, paper: Submission, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(shelf: Shelf) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Shelf, "_flush", denied)
    with pytest.raises(OSError, match="Too many open files"):
        done(desk.submit(paper))
    assert desk.left() == []


def test_a_failing_worker_is_told_as_it_is(desk: Desk, paper: Submission) -> None:
    desk.lane.settle = lambda *_: fail(Overloaded("no worker"))  # type: ignore[method-assign]
    with pytest.raises(Overloaded):
        done(desk.submit(paper))
    assert desk.left() == []


def test_what_ended_workers_waits_and_is_not_refused(desk: Desk, paper: Submission, ledger: Ledger) -> None:
    """It may have been the machine's fault: what was kept stays kept, and is judged once that is over."""
    aside = inbound.Unreadable((Finding(inbound.SET_ASIDE, expected="3", found=paper.digest),))
    settle, desk.lane.settle = desk.lane.settle, lambda *_: fail(aside)  # type: ignore[method-assign]
    pending = done(desk.submit(paper))
    assert (type(pending), pending.submission, pending.findings) == (Pending, paper.id, aside.findings)
    assert ledger.sliced(paper.id, 0, 0) is not None
    desk.later(LEASE.total_seconds() + 1)
    assert done(Deferred.fromCoroutine(desk.large.resume())) is False
    desk.lane.settle = settle  # type: ignore[method-assign]
    desk.later(ASIDE_AGAIN.total_seconds())
    assert done(Deferred.fromCoroutine(desk.large.resume())) is True
    assert ledger.raw(paper.id) == paper
    assert whole(ledger) == []


def test_what_ended_workers_for_too_long_is_refused(desk: Desk, paper: Submission, ledger: Ledger) -> None:
    aside = inbound.Unreadable((Finding(inbound.SET_ASIDE, expected="3", found=paper.digest),))
    desk.lane.settle = lambda *_: fail(aside)  # type: ignore[method-assign]
    desk.later(HOLD.total_seconds() + 1)
    with pytest.raises(inbound.Unreadable):
        done(desk.submit(paper))
    assert ledger.sliced(paper.id, 0, 0) is None


def test_into_an_archive_and_back(desk: Desk, paper: Submission, ledger: Ledger, tmp_path: Path) -> None:
    done(desk.submit(paper))
    due = ledger.claim_due("backend:office", "me", NOW, timedelta(seconds=9), 999)
    handed = ledger.handovers(due)
    ledger.done([d.id for d in due], NOW)
    folder, later = tmp_path / "archive", NOW + timedelta(days=9)
    (made,) = archiving.archive(ledger, later, folder, desk.world.own, lambda: later)
    assert made.submissions == 1
    assert ledger.sliced(paper.id, 0, 0) is None
    assert ledger.sliced(paper.id, 1, 0) is None
    assert whole(ledger) == []
    assert archiving.restore(ledger, folder, paper.id, lambda *_: "") == [paper.id]
    assert ledger.raw(paper.id) == paper
    assert ledger.handovers(due) == handed
    assert whole(ledger) == []


def test_looking_for_strays_keeps_nobody_waiting(desk: Desk, paper: Submission, ledger: Ledger) -> None:
    """There are more and more slices to go through, and on SQLite one writer at a time."""
    done(desk.submit(paper))
    others: list[int] = []

    def meanwhile(connection: Any) -> None:
        looking = threading.Thread(target=lambda: others.append(ledger.sweep_slices(paper.id + "z")))
        looking.start()
        looking.join(5)

    ledger._database.write(meanwhile)
    assert others == [0]


def test_what_there_is_no_room_for_is_handed_over_in_pieces(
    desk: Desk, paper: Submission, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(desk.submit(paper))
    due = ledger.claim_due("backend:office", "me", NOW, timedelta(seconds=9), 999)
    held = ledger.handovers(due)
    room = len(b"".join(octets_of(held[0].declaration)))
    monkeypatch.setattr(courier, "HELD", room)
    handed = ledger.handovers(due)
    assert [isinstance(h.declaration.root, Long) for h in handed] == [False] + [True] * (MANY - 1)
    for one, other in zip(handed, held, strict=True):
        assert msgspec.structs.replace(one, declaration=other.declaration) == other
        assert b"".join(octets_of(one.declaration)) == b"".join(octets_of(other.declaration))


def test_its_bundle_is_made_in_pieces(desk: Desk, paper: Submission, ledger: Ledger) -> None:
    done(desk.submit(paper))
    gathered, own = ledger.gather(paper.id), desk.world.own
    assert gathered is not None
    files = members(gathered, lambda octets: own.sign(octets, NOW), own.certificates, (), NOW)
    assert isinstance(files["submission/body"], verify.Streamed)
    assert b"".join(files["submission/body"].pieces()) == paper.body
    held = {n: o if isinstance(o, bytes) else b"".join(o.pieces()) for n, o in files.items()}
    assert verify.manifest_of(held) == files["MANIFEST"]
    assert max(map(len, verify.packed(files))) <= SLICE
    assert b"".join(verify.packed(files)) == verify.pack(held)


class Counted:
    """A ledger whose drops are counted: (first, last, rows)."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.drops: list[tuple[int, int, int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def drop_slices(self, submission: str, owner: str, first: int, last: int) -> int:
        dropped = self._ledger.drop_slices(submission, owner, first, last)
        self.drops.append((first, last, dropped))
        return dropped


def test_what_is_refused_is_dropped_many_at_a_time(desk: Desk, paper: Submission, ledger: Ledger) -> None:
    """Of a report of very many messages, a transaction for each would keep a node busy for long."""
    ledger.hold(paper, (working("me"),), (), NOW, ())
    counted, pauses = Counted(ledger), []
    staging = Staging(cast("Ledger", counted), paper.id, "me", pauses.append)
    staging.begin()
    declared = Declaration(Kind.CARGO_IMPORT, Entity("Declaration"))
    for ordinal in range(1, 201):
        staging.take(ordinal, declared)
    counted.drops.clear()
    pauses.clear()
    assert sorted(staging.end({7, 150})) == [7, 150]
    assert counted.drops == [(1, 6, 6), (8, 149, 64), (8, 149, 64), (8, 149, 14), (151, 200, 50)]
    assert len(pauses) == len(counted.drops)
    assert [n for n in range(1, 201) if ledger.slice_count(paper.id, n)] == [7, 150]
