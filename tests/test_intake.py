"""Intake: commit, then speak; the same octets the same answer, another's reference refused."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred, fail, succeed

from gateway import security
from gateway.inbound import Unreadable
from gateway.intake import INLINE_BYTES, Intake, Numbers, Worked, settlement, work
from gateway.model import Answer, Channel, Finding, Mandate, Outcome, Place, Register, Submission
from gateway.security import KeyUnusable, Refused
from gateway.storage import Ledger, LedgerUnavailable, Overloaded, lane_of_answers
from tests.delivery.fakes import InlineCommits, done
from tests.operations.knowledge import BANK, CARRIER, NOW, OTHER, TRADER, VAN, World, declaration, manifest
from tests.test_inbound import BAD_COUNT, BAD_MODE, GOOD


class Desk:
    """An intake and what it stands on."""

    def __init__(self, world: World, ledger: Ledger, workers: Any = None) -> None:
        self.commits = InlineCommits(ledger)
        self.handbook = world.handbook
        self.now = NOW
        self.settled = 0
        self.intake = Intake(
            self.commits,  # type: ignore[arg-type]
            Numbers(ledger),
            lambda: self.handbook,
            world.own,
            lambda: self.now,
            "office",
            workers,
            self._settled,
        )

    def _settled(self) -> None:
        self.settled += 1

    def submit(self, submission: Submission) -> Answer:
        answer: Answer = done(self.intake.submit(submission))
        return answer


@pytest.fixture
def desk(world: World, ledger: Ledger) -> Desk:
    return Desk(world, ledger)


def xml(world: World, reference: str = "LRN-1") -> Submission:
    return world.submission(world.signed(declaration(reference)))


def edifact(world: World, *bills: Any, reference: str = "M1", by: Any = CARRIER) -> Submission:
    media_type, body = world.sealed(manifest(reference, *bills), by)
    return world.submission(body, media_type, by)


# -- what is taken in --------------------------------------------------------------------------------


def test_an_accepted_submission_is_settled_with_all_its_effects(
    desk: Desk, world: World, ledger: Ledger
) -> None:
    submission = xml(world)
    answer = desk.submit(submission)
    assert (answer.submission, answer.outcome, answer.repeated) == (submission.id, Outcome.ACCEPTED, False)
    assert (answer.receipt.id, answer.receipt.kind) == (f"{submission.id}.r", "receipt")
    assert desk.settled == 1
    assert ledger.counts().due == {"backend:office": 1}
    assert ledger.claimed(TRADER.id, "IM:LRN-1") == (submission.id, submission.digest)
    assert ledger.raw(submission.id) == submission
    (entry,) = ledger.mailbox(TRADER.id, "", 10)
    assert entry.id == answer.receipt.id
    status = ledger.status(TRADER.id, submission.id)
    assert status is not None
    assert [e.what for e in status.timeline] == ["received", "accepted"]


def test_nothing_is_said_that_is_not_durable(desk: Desk, world: World, ledger: Ledger) -> None:
    desk.commits.failing["settle"] = LedgerUnavailable("gone")
    with pytest.raises(LedgerUnavailable):
        desk.submit(xml(world))
    assert desk.settled == 0
    assert ledger.mailbox(TRADER.id, "", 10) == []


def test_each_message_of_an_interchange_is_delivered_or_answered(
    desk: Desk, world: World, ledger: Ledger
) -> None:
    submission = edifact(world, GOOD, BAD_MODE, BAD_COUNT)
    assert desk.submit(submission).outcome is Outcome.PARTLY
    due = ledger.claim_due("backend:office", "me", NOW, timedelta(seconds=9), 9)
    assert [d.payload for d in due] == [f"{submission.id}.1"]
    kinds = {(e.kind, e.about) for e in ledger.mailbox(CARRIER.id, "", 10)}
    assert kinds == {("receipt", submission.id), ("rejected", f"{submission.id}.3")}
    (rejected,) = [e for e in ledger.mailbox(CARRIER.id, "", 10) if e.kind == "rejected"]
    assert rejected.reference == BAD_COUNT.number


def test_a_rejected_submission_is_kept_and_claims_nothing(desk: Desk, world: World, ledger: Ledger) -> None:
    wrong = declaration("LRN-2").replace(b"<TotalPackageQuantity>60<", b"<TotalPackageQuantity>61<")
    submission = world.submission(world.signed(wrong))
    assert desk.submit(submission).outcome is Outcome.REJECTED
    assert ledger.raw(submission.id) == submission
    assert ledger.claimed(TRADER.id, "IM:LRN-2") is None
    assert desk.submit(xml(world, "LRN-2")).outcome is Outcome.ACCEPTED


def test_who_is_pushed_to_is_pushed_its_rejections_too(desk: Desk, world: World, ledger: Ledger) -> None:
    pushed = msgspec.structs.replace(
        world.partners[CARRIER.id], channel=Channel.PUSH, push_url="https://line.example/"
    )
    desk.handbook = world.handbook.with_register(Register([*world.partners.values(), pushed], ()))
    submission = edifact(world, GOOD, BAD_COUNT)
    desk.submit(submission)
    due = ledger.claim_due(f"push:{CARRIER.id}", "me", NOW, timedelta(seconds=9), 9)
    assert [(d.id, d.payload) for d in due] == [(f"{submission.id}.2.x.p", f"{submission.id}.2.x")]
    assert due[0].lane == lane_of_answers(CARRIER.id, CARRIER.id, BAD_COUNT.number)
    told = ledger.mailbox(CARRIER.id, "", 9)
    assert [e.kind for e in told] == ["rejected"], (
        "the receipt answered; nobody would take it out of this mailbox"
    )
    assert len(ledger.mailbox(CARRIER.id, "", 9, include_acknowledged=True)) == 2


# -- the same again ----------------------------------------------------------------------------------


def test_the_same_octets_get_the_same_answer_and_have_one_effect(
    desk: Desk, world: World, ledger: Ledger
) -> None:
    first_one = xml(world)
    first = desk.submit(first_one)
    again = desk.submit(world.submission(first_one.body))
    assert (again.submission, again.receipt, again.repeated) == (first.submission, first.receipt, True)
    assert ledger.counts().due == {"backend:office": 1}
    assert len(ledger.mailbox(TRADER.id, "", 10)) == 1


def test_the_same_rejected_octets_get_the_same_rejection(desk: Desk, world: World) -> None:
    wrong = world.signed(declaration().replace(b"<TotalPackageQuantity>60<", b"<TotalPackageQuantity>61<"))
    first = desk.submit(world.submission(wrong))
    again = desk.submit(world.submission(wrong))
    assert (again.outcome, again.receipt, again.repeated) == (Outcome.REJECTED, first.receipt, True)


def test_what_was_answered_once_is_answered_so_though_its_certificate_has_expired(
    desk: Desk, world: World
) -> None:
    submission = xml(world)
    first = desk.submit(submission)
    desk.now = NOW + timedelta(days=400)
    again = desk.submit(world.submission(submission.body))
    assert (again.receipt, again.repeated) == (first.receipt, True)
    with pytest.raises(Refused):
        desk.submit(xml(world, "LRN-NEW"))


def test_another_partner_s_same_octets_are_judged_as_its_own(desk: Desk, world: World) -> None:
    """Who has no mandate gains nothing by sending on what somebody else signed and filed."""
    submission = xml(world)
    desk.submit(submission)
    answer = desk.submit(world.submission(submission.body, by=OTHER))
    assert (answer.outcome, answer.repeated) == (Outcome.REJECTED, False)
    assert answer.receipt.partner == OTHER.id


def mandated(desk: Desk, world: World, *types: str) -> Desk:
    """The VAN may file these types for trader and carrier."""
    mandates = [Mandate(f"m.{p.id}", VAN.id, p.id, types) for p in (TRADER, CARRIER)]
    register = Register(world.partners.values(), mandates)
    desk.handbook = desk.handbook.with_register(register)
    return desk


def test_an_agent_s_same_octets_are_answered_as_before_and_can_be_followed(
    desk: Desk, world: World, ledger: Ledger
) -> None:
    submission = xml(world)
    first = desk.submit(submission)
    assert ledger.status(VAN.id, first.submission) is None
    again = mandated(desk, world, "IM").submit(world.submission(submission.body, by=VAN))
    assert (again.submission, again.receipt, again.repeated) == (first.submission, first.receipt, True)
    told = ledger.status(VAN.id, again.submission)
    assert told is not None
    assert [m.lrn for m in told.messages] == ["LRN-1"]
    assert ledger.fetch(VAN.id, told.receipt) == first.receipt
    assert len(ledger.due("backend:office", 9)) == 1  # customs hears of it once


def test_an_agent_follows_the_messages_that_its_mandate_names(
    desk: Desk, world: World, ledger: Ledger
) -> None:
    """An interchange of an arrival and a departure report; the mandate is for arrivals."""
    other = dataclasses.replace(GOOD, number="EOLUSGN000009")
    arrival, departure = manifest("M1", GOOD, other).split(b"UNH+2+")
    departure = departure.replace(b"BGM+785", b"BGM+833").replace(b"DTM+132", b"DTM+133")
    media_type, body = world.sealed(b"UNH+2+".join((arrival, departure)))
    first = desk.submit(world.submission(body, media_type, CARRIER))
    assert first.outcome is Outcome.ACCEPTED
    agent = mandated(desk, world, "CRI").submit(world.submission(body, media_type, VAN))
    assert (agent.submission, agent.repeated) == (first.submission, True)
    told = ledger.status(VAN.id, first.submission)
    assert told is not None
    assert [m.ordinal for m in told.messages] == [1]


def test_an_agent_without_a_mandate_for_it_follows_nothing(desk: Desk, world: World, ledger: Ledger) -> None:
    submission = xml(world)
    first = desk.submit(submission)
    own = mandated(desk, world, "EX").submit(world.submission(submission.body, by=VAN))
    assert (own.outcome, own.repeated) == (Outcome.REJECTED, False)
    assert own.submission != first.submission
    assert ledger.status(VAN.id, first.submission) is None
    assert ledger.fetch(VAN.id, first.receipt.id) is None


# -- clashes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", ["xml", "edifact"])
def test_a_reference_used_for_other_octets_is_refused(
    desk: Desk, world: World, ledger: Ledger, syntax: str
) -> None:
    if syntax == "xml":
        first = xml(world)
        second = world.submission(world.signed(declaration().replace(b"Portable", b"Desktop")))
    else:
        first, second = edifact(world, GOOD), edifact(world, GOOD, GOOD)
    assert desk.submit(first).outcome is Outcome.ACCEPTED
    answer = desk.submit(second)
    assert (answer.outcome, answer.repeated, answer.submission) == (Outcome.REJECTED, False, second.id)
    assert ledger.counts().due == {"backend:office": 1}
    status = ledger.status(second.partner, second.id)
    assert status is not None
    assert [m.outcome for m in status.messages] == [Outcome.REJECTED] * len(status.messages)
    content = security.verify(
        answer.receipt.body, answer.receipt.media_type, world.handbook.trust, world.handbook.policy, NOW
    ).content
    assert (b"PAR007" in content) if syntax == "xml" else (b"+4+26" in content)
    assert desk.settled == 2
    claim = "IM:LRN-1" if syntax == "xml" else "UNB:M1"
    assert ledger.claimed(first.partner, claim) == (first.id, first.digest)
    again = desk.submit(msgspec.structs.replace(second, id="z" * 26))
    assert (again.receipt, again.repeated) == (answer.receipt, True)


def test_the_same_reference_of_another_signer_or_type_is_none_of_its_business(
    desk: Desk, world: World
) -> None:
    assert desk.submit(xml(world, "LRN-9")).outcome is Outcome.ACCEPTED
    other = world.submission(world.signed(declaration("LRN-9", OTHER), OTHER), by=OTHER)
    assert desk.submit(other).outcome is Outcome.ACCEPTED


# -- refusals ----------------------------------------------------------------------------------------


def test_the_unproven_are_noted_and_get_no_answer(desk: Desk, world: World, ledger: Ledger) -> None:
    submission = world.submission(declaration())
    with pytest.raises(Refused):
        desk.submit(submission)
    assert ledger.counts().refusals == {"SIG001": 1}
    assert ledger.raw(submission.id) is None
    assert desk.settled == 0


def test_the_unreadable_are_noted_too(desk: Desk, world: World, ledger: Ledger) -> None:
    submission = world.submission(world.signed(b'<Order xmlns="urn:example:other"/>'))
    with pytest.raises(Unreadable):
        desk.submit(submission)
    assert ledger.counts().refusals == {"XML020": 1}


def test_overload_is_told_and_nothing_is_kept(desk: Desk, world: World, ledger: Ledger) -> None:
    desk.commits.failing["settle"] = Overloaded("too much")
    with pytest.raises(Overloaded):
        desk.submit(xml(world))
    assert ledger.mailbox(TRADER.id, "", 10) == []


# -- large ones --------------------------------------------------------------------------------------


class Bench:
    """A worker that works at once, and remembers what it was given."""

    def __init__(self, world: World, failing: Exception | None = None) -> None:
        self.given: list[tuple[str, str]] = []
        self._world = world
        self._failing = failing
        self._numbers = iter(range(1, 100))

    def work(
        self, submission: Submission, clash: Finding | None, at: datetime | None = None
    ) -> Deferred[Worked]:
        self.given.append((submission.id, clash.code if clash else ""))
        if self._failing is not None:
            return fail(self._failing)
        take = lambda count: [str(next(self._numbers)) for _ in range(count)]  # noqa: E731
        return succeed(work(submission, self._world.handbook, self._world.own, take, NOW, clash, at))


def padded(world: World, document: bytes, octets: int) -> Submission:
    gap = b"<GoodsShipment>"
    return world.submission(world.signed(document.replace(gap, gap + b" " * octets)))


def test_only_large_ones_go_to_a_worker(world: World, ledger: Ledger) -> None:
    bench = Bench(world)
    desk = Desk(world, ledger, bench)
    assert desk.submit(xml(world, "SMALL")).outcome is Outcome.ACCEPTED
    assert bench.given == []
    large = padded(world, declaration("LARGE"), INLINE_BYTES)
    assert len(large.body) > INLINE_BYTES
    assert desk.submit(large).outcome is Outcome.ACCEPTED
    assert bench.given == [(large.id, "")]
    clash = padded(world, declaration("LARGE"), INLINE_BYTES + 1)
    assert desk.submit(clash).outcome is Outcome.REJECTED
    assert bench.given[1:] == [(clash.id, ""), (clash.id, "PAR007")]


def test_a_worker_s_refusal_is_the_intake_s_own(world: World, ledger: Ledger) -> None:
    refused = Refused((Finding("SIG011", Place(part="signature")),))
    desk = Desk(world, ledger, Bench(world, refused))
    with pytest.raises(Refused):
        desk.submit(padded(world, declaration(), INLINE_BYTES))
    assert ledger.counts().refusals == {"SIG011": 1}


def test_a_worker_without_a_key_leaves_it_to_who_has_one(world: World, ledger: Ledger) -> None:
    """Own keys' files may break while a door goes on with what it has read."""
    desk = Desk(world, ledger, Bench(world, KeyUnusable("broken")))
    assert desk.submit(padded(world, declaration(), INLINE_BYTES)).outcome is Outcome.ACCEPTED


# -- numbers -----------------------------------------------------------------------------------------


def test_numbers_are_never_used_twice_by_anybody(ledger: Ledger) -> None:
    one, two = Numbers(ledger), Numbers(ledger)
    taken = one.take(3) + two.take(2) + one.take(Numbers.BLOCK) + two.take(1)
    assert len(set(taken)) == len(taken)
    assert all(n.isdigit() and len(n) <= 14 for n in taken)
    later = Numbers(ledger).take(1)
    assert later[0] not in taken
    assert one.take(0) == []


class Slow:
    """A ledger that gives numbers when it is told to; asked where somebody stands still, it fails."""

    def __init__(self) -> None:
        self.given, self.waiting = 0, list[Deferred[Any]]()

    def references(self, name: str, count: int) -> range:
        raise AssertionError("a reactor's thread would stand still")

    def call(self, work: str, name: str, count: int) -> Deferred[Any]:
        asked: Deferred[Any] = Deferred()
        self.waiting.append(asked)
        self.given += count
        return asked.addCallback(lambda _, last=self.given: range(last - count + 1, last + 1))

    def answer(self) -> None:
        self.waiting.pop().callback(None)


def test_nobody_who_serves_partners_waits_for_a_block_of_numbers() -> None:
    slow: Any = Slow()
    numbers = Numbers(slow)

    def ahead() -> Deferred[None]:
        return Deferred.fromCoroutine(numbers.ahead(slow.call))

    first = [ahead() for _ in range(3)]
    assert (len(slow.waiting), [d.called for d in first]) == (1, [False] * 3)
    slow.answer()
    assert [d.called for d in first] == [True] * 3
    taken = numbers.take(Numbers.BLOCK - Numbers.ENOUGH)
    done(ahead())  # there is enough yet; the next block comes meanwhile
    done(ahead())
    assert len(slow.waiting) == 1
    slow.answer()
    taken += numbers.take(Numbers.BLOCK)
    assert len(set(taken)) == len(taken) == 2 * Numbers.BLOCK - Numbers.ENOUGH
    numbers.take(1)
    failed = ahead()
    slow.waiting.pop().errback(LedgerUnavailable("away"))
    with pytest.raises(LedgerUnavailable):
        done(failed)
    done_later = ahead()
    slow.answer()
    done(done_later)


def test_a_number_for_the_receipt_and_one_for_each_refusal(world: World) -> None:
    asked: list[int] = []

    def take(count: int) -> list[str]:
        asked.append(count)
        return [str(n) for n in range(count)]

    submission = edifact(world, GOOD, BAD_MODE, BAD_COUNT, BAD_COUNT)
    worked = work(submission, world.handbook, world.own, take, NOW)
    assert asked == [3]
    assert [ordinal for ordinal, _, _ in worked.refusals] == [3, 4]


def test_a_settlement_is_made_of_the_verdict_alone(world: World) -> None:
    submission = edifact(world, GOOD, BAD_COUNT)
    worked = work(submission, world.handbook, world.own, lambda n: ["1"] * n, NOW)
    made = settlement(submission, worked, "office", NOW, claim=True)
    assert made.claim
    assert [d.destination for d in made.deliveries] == ["backend:office"]
    assert made.receipt.partner == CARRIER.id
    assert settlement(submission, worked, "office", NOW, claim=False).claim is False
    assert BANK.id not in {made.receipt.partner, *(a.partner for a in made.answers)}


# -- what changed between judging and settling ---------------------------------------------------------


def registered(desk: Desk, world: World, ledger: Ledger) -> Submission:
    """What a VAN files by a mandate, at a desk whose register is the ledger's of a moment ago."""
    for partner in world.partners.values():
        ledger.put_partner(partner)
    ledger.put_mandate(Mandate("m", VAN.id, TRADER.id, ("IM",)))
    desk.handbook = world.handbook.with_register(ledger.register())
    return world.submission(world.signed(declaration("STALE-1")), by=VAN)


@pytest.mark.parametrize("ahead", [0, 3, 299])
def test_a_mandate_revoked_elsewhere_admits_nothing_from_its_commit_on(
    desk: Desk, world: World, ledger: Ledger, ahead: int
) -> None:
    """Whatever the clocks of who revokes and of who judges show."""
    submission = registered(desk, world, ledger)
    ledger.revoke_mandate("m", NOW + timedelta(seconds=ahead))
    answer = desk.submit(submission)
    assert answer.outcome is Outcome.REJECTED
    status = ledger.status(VAN.id, submission.id)
    assert status is not None
    assert [f.code for f in status.messages[0].findings] == ["PAR003"]
    assert "m was revoked" in status.messages[0].findings[0].found
    assert desk.commits.called.count("settle") == 2


@pytest.mark.parametrize("partner", [TRADER, VAN], ids=lambda p: p.id)
def test_a_partner_suspended_elsewhere_is_refused_from_then_on(
    desk: Desk, world: World, ledger: Ledger, partner: Any
) -> None:
    submission = registered(desk, world, ledger)
    ledger.put_partner(msgspec.structs.replace(world.partners[partner.id], active=False))
    with pytest.raises(security.Refused):
        desk.submit(submission)
    assert ledger.raw(submission.id) is None


def test_a_change_of_others_is_not_judged_by_anew(desk: Desk, world: World, ledger: Ledger) -> None:
    submission = registered(desk, world, ledger)
    ledger.put_partner(msgspec.structs.replace(world.partners[CARRIER.id], name="Renamed"))
    assert desk.submit(submission).outcome is Outcome.ACCEPTED
    assert desk.commits.called.count("settle") == 1
    status = ledger.status(VAN.id, submission.id)
    assert status is not None
    assert [e.detail for e in status.timeline if e.what == "mandated"] == ["m (principal)"]
