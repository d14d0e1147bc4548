"""The courier to a back end: everything once, nothing held up by what breaks."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from gateway import security
from gateway.adapter import Backend
from gateway.delivery import BackendCourier
from gateway.delivery.backend import BATCH, HELP_AFTER, LEASE
from gateway.delivery.backoff import GIVE_UP_AFTER
from gateway.handbook import Handbook
from gateway.intake import Numbers
from gateway.model import Deadline, Decision, DecisionKind, Register, Submission, Terms
from gateway.storage import LedgerUnavailable
from tests.delivery.conftest import File
from tests.delivery.fakes import InlineCommits, InlinePool, PaperOffice, StillReactor, done
from tests.operations.knowledge import CARRIER, NOW, OTHER, TRADER, World


class Desk:
    """A courier and what it stands on."""

    def __init__(
        self, world: World, commits: InlineCommits, office: Backend, reactor: StillReactor, owner: str = "me"
    ) -> None:
        self.handbook: Handbook = world.handbook
        self.poked = 0
        self.answered: list[bool] = []
        self.on_duty = True
        anything: Any = InlinePool()
        self.courier = BackendCourier(
            "office",
            office,
            commits,  # type: ignore[arg-type]
            Numbers(commits.ledger),
            lambda: self.handbook,
            world.own,
            reactor,
            anything,
            reactor.now,
            owner,
            on_decided=self._decided,
            on_answered=self.answered.append,
            on_duty=lambda: self.on_duty,
        )

    def _decided(self) -> None:
        self.poked += 1

    def round(self) -> bool:
        result: bool = done(self.courier.round())
        return result


@pytest.fixture
def desk(delivery_world: World, commits: InlineCommits, office: PaperOffice, reactor: StillReactor) -> Desk:
    return Desk(delivery_world, commits, office, reactor)


def decided(submission: Submission, number: int = 1, **more: Any) -> Decision:
    full = {"statement": "Registered.", "registration": f"26VN{number:014}", **more}
    return Decision(f"d{number}", f"{submission.id}.1", DecisionKind.REGISTERED, NOW, **full)


def due(commits: InlineCommits) -> dict[str, int]:
    return dict(commits.ledger.counts().due)


# -- there -------------------------------------------------------------------------------------------


def test_what_is_due_is_handed_over_once(
    desk: Desk, office: PaperOffice, commits: InlineCommits, file: File
) -> None:
    filed = [file() for _ in range(3)]
    assert desk.round() is True
    assert [h.message for h in office.taken.values()] == [f"{s.id}.1" for s in filed]
    assert {h.filer for h in office.taken.values()} == {TRADER.id}
    assert office.batches == [3]
    assert due(commits) == {}
    assert desk.round() is False
    assert office.batches == [3]


def test_a_batch_is_bounded_and_the_rest_follows(desk: Desk, office: PaperOffice, file: File) -> None:
    for _ in range(BATCH + 1):
        file()
    assert desk.round() is True
    assert desk.round() is True
    assert office.batches == [BATCH, 1]


def test_a_closed_office_is_asked_again_later_and_nothing_is_lost(
    desk: Desk, office: PaperOffice, commits: InlineCommits, reactor: StillReactor, file: File
) -> None:
    file()
    office.away = True
    with pytest.raises(Exception, match="closed"):
        desk.round()
    assert due(commits) == {"backend:office": 1}
    office.away = False
    assert desk.round() is False  # its time has not come
    reactor.advance(1.0)
    assert desk.round() is True
    assert len(office.taken) == 1


def test_one_poison_declaration_does_not_hold_up_its_neighbours(
    desk: Desk,
    office: PaperOffice,
    commits: InlineCommits,
    reactor: StillReactor,
    file: File,
    caplog: pytest.LogCaptureFixture,
) -> None:
    filed = [file() for _ in range(3)]
    office.poison = {f"{filed[1].id}.1"}
    with caplog.at_level(logging.CRITICAL, "gateway.delivery"):
        assert desk.round() is True
    assert office.batches == [3, 1, 1, 1]
    assert [h.message for h in office.taken.values()] == [f"{filed[0].id}.1", f"{filed[2].id}.1"]
    assert due(commits) == {"backend:office": 1}
    office.poison = set()
    reactor.advance(1.0)
    desk.round()
    assert len(office.taken) == 3


def test_one_that_never_succeeds_is_set_aside(
    desk: Desk, office: PaperOffice, commits: InlineCommits, file: File, caplog: pytest.LogCaptureFixture
) -> None:
    filed = file(attempts=GIVE_UP_AFTER - 1)
    office.poison = {f"{filed.id}.1"}
    with caplog.at_level(logging.CRITICAL, "gateway.delivery"):
        desk.round()
    assert due(commits) == {}
    (letter,) = commits.ledger.dead_letters("backend:office", 10)
    assert (letter.payload, letter.error) == (f"{filed.id}.1", "ZeroDivisionError")


def test_what_another_process_holds_is_left_to_it_until_its_lease_ends(
    desk: Desk, office: PaperOffice, commits: InlineCommits, reactor: StillReactor, file: File
) -> None:
    file()
    assert commits.ledger.claim_due("backend:office", "another", reactor.now(), LEASE, 10)
    desk.round()
    assert office.taken == {}
    reactor.advance((LEASE + timedelta(seconds=1)).total_seconds())
    desk.round()
    assert len(office.taken) == 1


def test_a_handover_whose_end_was_not_noted_is_made_again_under_the_same_key(
    desk: Desk, office: PaperOffice, commits: InlineCommits, reactor: StillReactor, file: File
) -> None:
    file()
    commits.failing["done"] = LedgerUnavailable("gone")
    with pytest.raises(LedgerUnavailable):
        desk.round()
    commits.failing.clear()
    reactor.advance(LEASE.total_seconds() + 1)
    desk.round()
    assert office.batches == [1, 1]
    assert len(office.taken) == 1
    assert due(commits) == {}


# -- and back ----------------------------------------------------------------------------------------


def test_a_decision_becomes_a_signed_message_and_is_confirmed_after_it_is_stored(
    desk: Desk, office: PaperOffice, commits: InlineCommits, delivery_world: World, file: File
) -> None:
    filed = file()
    office.outbox = [decided(filed)]
    assert desk.round() is True
    assert office.confirmed == ["d1"]
    assert desk.poked == 1
    entries = [e for e in commits.ledger.mailbox(TRADER.id, "", 10) if e.kind != "receipt"]
    assert [(e.kind, e.about, e.reference) for e in entries] == [("registered", f"{filed.id}.1", "LRN-1")]
    outgoing = commits.ledger.fetch(TRADER.id, entries[0].id)
    assert outgoing is not None
    book = delivery_world.handbook
    verified = security.verify(outgoing.body, outgoing.media_type, book.trust, book.policy, NOW)
    assert verified.signer.subject == delivery_world.own.signer.subject
    assert b"26VN00000000000001" in outgoing.body
    status = commits.ledger.status(TRADER.id, filed.id)
    assert status is not None
    assert [e.what for e in status.timeline][-1] == "registered"
    assert status.messages[0].registration == "26VN00000000000001"
    assert commits.called.index("record") < len(commits.called)


def test_who_is_pushed_to_has_a_push_due_and_others_have_not(
    desk: Desk, office: PaperOffice, commits: InlineCommits, delivery_world: World, file: File
) -> None:
    office.outbox = [decided(file(TRADER), 1), decided(file(OTHER), 2)]
    mailbox_only = msgspec.structs.replace(delivery_world.partners[OTHER.id], push_url="", channel="mailbox")
    register = Register([*delivery_world.partners.values(), mailbox_only], ())
    desk.handbook = delivery_world.handbook.with_register(register)
    desk.round()
    assert due(commits) == {f"push:{TRADER.id}": 1}


def test_a_confirmation_that_was_lost_changes_nothing(
    desk: Desk, office: PaperOffice, commits: InlineCommits, file: File
) -> None:
    office.outbox, office.forgets = [decided(file())], True
    desk.round()
    office.forgets = False
    desk.round()
    assert office.confirmed == ["d1"]
    entries = [e for e in commits.ledger.mailbox(TRADER.id, "", 10) if e.kind != "receipt"]
    assert len(entries) == 1
    assert due(commits)[f"push:{TRADER.id}"] == 1


def test_nothing_is_confirmed_that_is_not_stored(
    desk: Desk, office: PaperOffice, commits: InlineCommits, file: File
) -> None:
    office.outbox = [decided(file())]
    commits.failing["record"] = LedgerUnavailable("gone")
    with pytest.raises(LedgerUnavailable):
        desk.round()
    assert office.confirmed == []
    commits.failing.clear()
    desk.round()
    assert office.confirmed == ["d1"]


def test_a_decision_about_nothing_we_know_is_noted_and_confirmed(
    desk: Desk, office: PaperOffice, commits: InlineCommits, caplog: pytest.LogCaptureFixture
) -> None:
    office.outbox = [Decision("d9", "nowhere.1", DecisionKind.GREEN, NOW)]
    with caplog.at_level(logging.ERROR, "gateway.delivery"):
        desk.round()
    assert office.confirmed == ["d9"]
    assert "unknown message" in caplog.text


def test_one_decision_that_cannot_be_said_does_not_hold_up_the_others(
    desk: Desk, office: PaperOffice, commits: InlineCommits, file: File, caplog: pytest.LogCaptureFixture
) -> None:
    filed = [file() for _ in range(3)]
    office.outbox = [
        decided(filed[0], 1, registration="26VN\x00"),
        decided(filed[1], 2),
        decided(filed[2], 3),
    ]
    with caplog.at_level(logging.ERROR, "gateway.delivery"):
        desk.round()
        desk.round()
    assert office.confirmed == ["d2", "d3"]
    assert caplog.text.count("decision d1 cannot be said") == 1
    # It is not lost: it waits at the back end, and mended knowledge tries it again.
    office.outbox[0] = decided(filed[0], 1)
    desk.handbook = desk.handbook.with_register(desk.handbook.register)
    desk.round()
    assert office.confirmed == ["d2", "d3", "d1"]


def test_more_poison_than_a_batch_holds_up_nobody(
    desk: Desk, office: PaperOffice, file: File, caplog: pytest.LogCaptureFixture
) -> None:
    filed = file()
    poison = [decided(filed, n, registration="\x00") for n in range(1, BATCH + 3)]
    office.outbox = [*poison, decided(filed, 1000)]
    with caplog.at_level(logging.CRITICAL, "gateway.delivery"):
        for _ in range(4):
            desk.round()
    assert office.confirmed == ["d1000"]


def test_a_partner_that_was_registered_a_moment_ago_is_pushed_to(
    desk: Desk, office: PaperOffice, commits: InlineCommits, delivery_world: World, file: File
) -> None:
    """The door knew it already, the process that delivers did not."""
    filed = file(TRADER)
    stale = [p for p in delivery_world.partners.values() if p.id != TRADER.id]
    desk.handbook = delivery_world.handbook.with_register(Register(stale, ()))
    office.outbox = [decided(filed)]
    desk.round()
    assert due(commits)[f"push:{TRADER.id}"] == 1


def test_a_round_without_work_asks_little(desk: Desk, commits: InlineCommits) -> None:
    assert desk.round() is False  # the first one minds the clock
    commits.called.clear()
    assert desk.round() is False
    assert len(commits.called) <= 3
    assert CARRIER.id not in due(commits)


# -- deadlines ---------------------------------------------------------------------------------------


def test_first_decisions_are_counted_by_the_time_that_was_agreed(
    desk: Desk, office: PaperOffice, file: File
) -> None:
    """Once for each declaration, in time or not; nothing is counted where no time was agreed."""
    in_time, missed = file(), file()
    desk.round()
    decisions = [
        msgspec.structs.replace(decided(in_time, 1), at=in_time.received_at + timedelta(minutes=30)),
        msgspec.structs.replace(decided(missed, 2), at=missed.received_at + timedelta(minutes=31)),
    ]
    mine = msgspec.structs.replace(TRADER, terms=Terms(deadlines=(Deadline("IM", answer=30),)))
    others = [p for p in desk.handbook.register.partners.values() if p.id != TRADER.id]
    without = desk.handbook
    desk.handbook = desk.handbook.with_register(Register([mine, *others]))
    office.outbox += decisions
    desk.round()
    assert sorted(desk.answered) == [False, True]
    office.outbox.append(msgspec.structs.replace(decided(in_time, 3), id="d3"))
    desk.round()
    assert len(desk.answered) == 2, "a later decision answers nothing that waited"
    desk.handbook = without
    again = file()
    office.outbox.append(decided(again, 4))
    desk.round()
    assert len(desk.answered) == 2


def test_who_is_not_on_duty_takes_only_what_was_left(
    desk: Desk, office: PaperOffice, reactor: StillReactor, file: File
) -> None:
    desk.on_duty = False
    office.outbox.append(decided(file()))
    desk.round()
    assert office.confirmed == []
    reactor.advance(HELP_AFTER.total_seconds())
    desk.round()
    assert office.confirmed == ["d1"]
    desk.on_duty = True
    office.outbox.append(msgspec.structs.replace(decided(file(), 2), at=reactor.now()))
    desk.round()
    assert office.confirmed == ["d1", "d2"]
