"""What is held: brought to its end whatever the policy became, each for itself, everybody told once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred, fail, succeed

from gateway.inbound import SET_ASIDE, Unreadable
from gateway.intake import INLINE_BYTES, Intake, Numbers, Resuming, Worked, work
from gateway.intake.resuming import AFTER_FAULT
from gateway.model import Answer, Channel, Finding, Mandate, Outgoing, Partner, Pending, Register, Submission
from gateway.operations.revoking import keep_asking
from gateway.security import KeyUnusable, Revocations
from gateway.security.certificates.statement import Statement, link_of
from gateway.storage import Ledger, lane_of_answers
from gateway.transport import Metrics
from tests.delivery.fakes import InlineCommits, StillReactor, done
from tests.operations.knowledge import NOW, OTHER, TRADER, VAN, World, declaration

HOUR = timedelta(hours=1)
MANDATE = Mandate("m1", VAN.id, TRADER.id)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"), [MANDATE])


@pytest.fixture
def ledger(database_url: str, world: World) -> Iterator[Ledger]:
    opened = Ledger.open(database_url)
    for partner in world.partners.values():
        opened.put_partner(partner)
    opened.put_mandate(MANDATE)
    yield opened
    opened.close()


class Bench:
    """A worker, at once."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.given: list[str] = []

    def work(self, submission: Submission, sunk: Finding | None, at: Any = None) -> Deferred[Worked]:
        self.given.append(submission.id)
        desk = self.desk
        take = Numbers(desk.ledger).take
        return succeed(work(submission, desk.handbook, desk.world.own, take, desk.now, sunk, at))

    def unable(self, submission: Submission, sunk: Finding | None, at: Any = None) -> Deferred[Worked]:
        return fail(KeyUnusable("no key here"))


class Desk:
    """An intake under ``hold``, and who brings what it held to an end."""

    def __init__(self, world: World, ledger: Ledger) -> None:
        self.world, self.ledger, self.now = world, ledger, NOW
        self.commits: Any = InlineCommits(ledger)
        self.handbook = world.handbook.asking("hold").with_register(ledger.register())
        self.bench = Bench(self)
        self.intake = self.intake_of()
        self.resuming = self._resuming()

    def intake_of(self, **chosen: Any) -> Intake:
        return Intake(
            self.commits,
            Numbers(self.ledger),
            lambda: self.handbook,
            self.world.own,
            lambda: self.now,
            "office",
            self.bench,
            refresh=self._refresh,
            **chosen,
        )

    def _resuming(self) -> Resuming:
        return Resuming(self.intake, self.commits, lambda: self.handbook, lambda: self.now)

    async def _refresh(self) -> None:
        self.handbook = self.handbook.with_register(self.ledger.register())

    def put(self, partner: Partner) -> None:
        self.ledger.put_partner(partner)
        done(Deferred.fromCoroutine(self._refresh()))

    def hold(self, submission: Submission) -> str:
        answer = done(self.intake.submit(submission))
        assert isinstance(answer, Pending)
        return answer.submission

    def good(self, *identities: str) -> None:
        """Somebody says that these partners' certificates are good, or merely something else."""
        answers = {}
        for identity in identities:
            link = link_of(self.world.keys[identity].certificates[0], self.world.authority.certificate)
            answers[link.issuer + link.serial] = Statement(self.now, self.now + 48 * HOUR, ())
        known = self.handbook.trust.revocations
        newer = Revocations({**known._answers, **answers}, version=known.version + 1)
        self.handbook = self.handbook.with_revocations(newer)

    def rounds(self) -> None:
        for _ in range(5):
            done(self.resuming.round())

    def waiting(self) -> list[str]:
        return [holding.id for holding in self.ledger.holdings("", 9)]

    def receipts(self, partner: Partner) -> list[Outgoing]:
        listed = [e.id for e in self.ledger.mailbox(partner.id, "", 9) if e.kind == "receipt"]
        return [o for i in listed if (o := self.ledger.fetch(partner.id, i)) is not None]


@pytest.fixture
def desk(world: World, ledger: Ledger) -> Desk:
    return Desk(world, ledger)


def signed(world: World, reference: str, by: Partner = TRADER) -> Submission:
    return world.submission(world.signed(declaration(reference, by), by), by=by)


class Ticking(StillReactor):
    def callWhenRunning(self, function: Callable[..., Any], *args: Any, **named: Any) -> None:  # noqa: N802
        function(*args, **named)


def test_what_was_held_is_answered_after_the_policy_became_off(desk: Desk, world: World) -> None:
    desk.hold(signed(world, "H1"))
    desk.handbook = desk.handbook.asking("off")
    server: Any = SimpleNamespace(
        settings=SimpleNamespace(trust=SimpleNamespace(revocation="off")),
        commits=desk.commits,
        handbook=lambda: desk.handbook,
        metrics=Metrics(),
        on_stop=lambda stop: None,
    )
    on_duty: Any = SimpleNamespace(on=lambda duty: True)
    nobody: Any = None
    keep_asking(server, desk.intake, Ticking(), nobody, "me", lambda: desk.now, on_duty)
    assert desk.waiting() == []
    assert len(desk.receipts(TRADER)) == 1
    assert "claim_certificates" not in desk.commits.called


def test_what_could_not_be_answered_is_held_again_when_it_comes_again(desk: Desk, world: World) -> None:
    """Its partner was suspended while it waited; taken in again, it sends the same octets again."""
    submission = signed(world, "H1")
    desk.hold(submission)
    desk.put(msgspec.structs.replace(world.partners[TRADER.id], active=False))
    desk.good()
    desk.rounds()
    desk.now += 25 * HOUR
    desk.rounds()
    assert desk.waiting() == []
    assert desk.receipts(TRADER) == []
    desk.put(world.partners[TRADER.id])
    again = msgspec.structs.replace(submission, id="again".ljust(26, "x"), received_at=desk.now)
    identity = desk.hold(again)
    assert desk.waiting() == [identity]
    held = desk.ledger.held_submission(identity)
    assert held is not None
    assert (held.body, held.received_at) == (submission.body, desk.now)
    desk.good(TRADER.id)
    desk.rounds()
    assert desk.waiting() == []
    (receipt,) = desk.receipts(TRADER)
    assert receipt.about == identity


def test_who_was_registered_a_moment_ago_is_not_refused(desk: Desk, world: World) -> None:
    """Another process took him in and let him file; the one that resumes has not looked at the register since."""
    desk.hold(signed(world, "H1"))
    before = Register([VAN], [])
    desk.handbook = desk.handbook.with_register(before)
    desk.good(TRADER.id)
    desk.rounds()
    assert desk.waiting() == []
    assert len(desk.receipts(TRADER)) == 1


@pytest.mark.parametrize("channel", [Channel.MAILBOX, Channel.PUSH])
def test_everybody_whose_octets_were_held_gets_a_receipt(desk: Desk, world: World, channel: Channel) -> None:
    """A trader and its VAN sent the same octets; one effect, a receipt to each."""
    if channel is Channel.PUSH:
        pushed = msgspec.structs.replace(
            world.partners[VAN.id], channel=channel, push_url="https://van.example/"
        )
        desk.put(pushed)
    submission = signed(world, "H1")
    first = desk.hold(submission)
    second = desk.hold(world.submission(submission.body, by=VAN))
    desk.good(TRADER.id)
    desk.rounds()
    assert desk.waiting() == []
    (own,), (copied,) = desk.receipts(TRADER), desk.receipts(VAN)
    assert (own.body, own.about) == (copied.body, copied.about)
    assert copied.about == first
    assert copied.id == f"{first}.{second}.r"
    found = desk.ledger.claim_due("push:", "me", NOW, HOUR, 9)
    assert [d.payload for d in found] == ([copied.id] if channel is Channel.PUSH else [])
    desk.rounds()
    assert len(desk.receipts(VAN)) == 1


def test_the_receipt_of_a_declaration_that_was_held_is_in_its_lane(desk: Desk, world: World) -> None:
    """What customs decides of it comes after it."""
    desk.put(
        msgspec.structs.replace(
            world.partners[TRADER.id], channel=Channel.PUSH, push_url="https://trader.example/"
        )
    )
    held = desk.hold(signed(world, "H1"))
    desk.good(TRADER.id)
    desk.rounds()
    (push,) = desk.ledger.claim_due("push:", "me", NOW, HOUR, 9)
    assert (push.payload, push.lane) == (f"{held}.r", lane_of_answers(TRADER.id, TRADER.id, "H1"))


def test_what_was_set_aside_is_kept_until_somebody_looked(desk: Desk, world: World) -> None:
    """Workers ended over it, which is our fault: who was told that it is held is answered when that is mended."""
    desk.hold(signed(world, "H1"))
    desk.good(TRADER.id)
    resume, aside = desk.intake.resume, [True]

    async def resumed(submission: Submission, sunk: Finding | None = None) -> Answer:
        if aside:
            raise Unreadable((Finding(SET_ASIDE),))
        return await resume(submission, sunk)

    desk.intake.resume = resumed  # type: ignore[method-assign]
    desk.rounds()
    assert len(desk.waiting()) == 1
    aside.clear()
    desk.now += AFTER_FAULT
    desk.rounds()
    assert (desk.waiting(), len(desk.receipts(TRADER))) == ([], 1)


def test_one_that_fails_holds_up_no_other(desk: Desk, world: World, caplog: pytest.LogCaptureFixture) -> None:
    first, second = signed(world, "H1"), signed(world, "H2", OTHER)
    desk.hold(first)
    desk.hold(second)
    desk.good(TRADER.id, OTHER.id)
    resume, desk.tries = desk.intake.resume, 0  # type: ignore[attr-defined]

    async def failing(submission: Submission, sunk: Finding | None = None) -> Answer:
        if submission.id == first.id:
            desk.tries += 1  # type: ignore[attr-defined]
            raise RuntimeError("a fault of ours over this one")
        return await resume(submission, sunk)

    desk.intake.resume = failing  # type: ignore[method-assign]
    desk.rounds()
    assert desk.waiting() == [first.id]
    assert len(desk.receipts(OTHER)) == 1
    assert "a fault of ours over this one" in caplog.text
    assert desk.tries < 5, "not again and again"  # type: ignore[attr-defined]
    desk.intake.resume = resume  # type: ignore[method-assign]
    desk.now += HOUR
    desk.rounds()
    assert desk.waiting() == []


def test_a_large_one_is_judged_again_by_a_worker(desk: Desk, world: World) -> None:
    gap = b"<GoodsShipment>"
    large = world.submission(world.signed(declaration("L1").replace(gap, gap + b" " * INLINE_BYTES)))
    desk.hold(large)
    desk.bench.given.clear()
    desk.good(TRADER.id)
    desk.rounds()
    assert desk.bench.given == [large.id]
    assert len(desk.receipts(TRADER)) == 1


def test_a_large_one_whose_time_runs_out_is_refused_by_a_worker(desk: Desk, world: World) -> None:
    gap = b"<GoodsShipment>"
    large = world.submission(world.signed(declaration("L1").replace(gap, gap + b" " * INLINE_BYTES)))
    desk.hold(large)
    desk.now += 25 * HOUR
    desk.rounds()
    assert desk.waiting() == []
    (receipt,) = desk.receipts(TRADER)
    assert b"SIG304" in receipt.body


def test_a_suspect_is_judged_by_a_worker_however_small(desk: Desk, world: World) -> None:
    """And never here, whatever the worker lacks."""
    suspect, other = signed(world, "P1"), signed(world, "P2", OTHER)
    desk.handbook = desk.handbook.asking("off")
    desk.intake = desk.intake_of(suspected=lambda digest: digest == suspect.digest)
    for submission in (suspect, other):
        assert isinstance(done(desk.intake.submit(submission)), Answer)
    assert desk.bench.given == [suspect.id]
    again = signed(world, "P3")
    desk.intake = desk.intake_of(suspected=lambda digest: True)
    desk.bench.work = desk.bench.unable  # type: ignore[method-assign]
    with pytest.raises(KeyUnusable):
        done(desk.intake.submit(again))
    desk.intake = desk.intake_of()
    assert isinstance(done(desk.intake.submit(again)), Answer)


def test_who_must_not_end_has_all_judged_by_a_worker(desk: Desk, world: World) -> None:
    desk.intake = desk.intake_of(inline=0)
    desk.resuming = desk._resuming()
    small = signed(world, "H1")
    desk.hold(small)
    desk.bench.given.clear()
    desk.good(TRADER.id)
    desk.rounds()
    assert desk.bench.given == [small.id]
    assert len(desk.receipts(TRADER)) == 1
