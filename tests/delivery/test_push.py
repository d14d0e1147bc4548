"""The courier to partners' addresses: each partner's queue moves alone."""

from __future__ import annotations

import logging
from datetime import timedelta

import msgspec
import pytest
from twisted.internet.defer import Deferred

from gateway.delivery import PushCourier
from gateway.delivery.backoff import GIVE_UP_AFTER
from gateway.delivery.leases import LEASE
from gateway.delivery.push import AT_ONCE
from gateway.handbook import Handbook
from gateway.model import Decision, DecisionKind, Delivery, Event, Outgoing, Partner, Register
from gateway.storage import LedgerUnavailable, Recorded
from tests.delivery.conftest import File
from tests.delivery.fakes import InlineCommits, Postman, StillReactor, away, done, never
from tests.operations.knowledge import NOW, OTHER, TRADER, World


class Round:
    """A courier's rounds, and messages for it to carry."""

    def __init__(
        self, world: World, commits: InlineCommits, postman: Postman, reactor: StillReactor, file: File
    ) -> None:
        self.handbook: Handbook = world.handbook
        self._commits = commits
        self._file = file
        self._count = 0
        self.courier = PushCourier(
            postman,
            commits,  # type: ignore[arg-type]
            lambda: self.handbook,
            reactor,
            reactor.now,
            "me",
        )

    def message(self, partner: Partner = TRADER, attempts: int = 0, lane: str = "") -> str:
        """A message to a partner, its push due; the outgoing's id."""
        self._count += 1
        filed, number = self._file(partner), f"d{self._count}"
        about = f"{filed.id}.1"
        taken = Decision(number, about, DecisionKind.GREEN, NOW)
        outgoing = Outgoing(
            f"{about}.{number}.d", partner.id, "green", about, "LRN", "application/xml", b"<a/>", NOW
        )
        push = Delivery(f"{outgoing.id}.p", f"push:{partner.id}", outgoing.id, NOW, attempts, lane=lane)
        self._commits.ledger.record([Recorded(taken, outgoing, push, (Event(about, NOW, "green"),))])
        return outgoing.id

    def go(self) -> bool:
        result: bool = done(self.courier.round())
        return result

    def due(self, partner: Partner) -> int:
        return self._commits.ledger.counts().due.get(f"push:{partner.id}", 0)


@pytest.fixture
def round_(
    delivery_world: World, commits: InlineCommits, postman: Postman, reactor: StillReactor, file: File
) -> Round:
    return Round(delivery_world, commits, postman, reactor, file)


def test_what_is_due_is_sent_once_and_noted(round_: Round, postman: Postman, commits: InlineCommits) -> None:
    ids = [round_.message(), round_.message(OTHER)]
    round_.go()
    assert sorted(o for _, o in postman.sent) == sorted(ids)
    assert (round_.due(TRADER), round_.due(OTHER)) == (0, 0)
    assert round_.go() is False
    assert len(postman.sent) == 2


def test_an_address_that_is_away_is_tried_again_with_back_off(
    round_: Round, postman: Postman, reactor: StillReactor
) -> None:
    message = round_.message()
    postman.refusing[TRADER.id] = away()
    round_.go()
    round_.go()
    assert postman.to(TRADER.id) == [message]
    reactor.advance(1.0)
    round_.go()
    assert postman.to(TRADER.id) == [message] * 2
    reactor.advance(0.9)  # the second wait is at least a second
    round_.go()
    assert postman.to(TRADER.id) == [message] * 2
    del postman.refusing[TRADER.id]
    reactor.advance(1.2)
    round_.go()
    assert postman.to(TRADER.id) == [message] * 3
    assert round_.due(TRADER) == 0


def test_the_receiver_s_own_wish_when_to_come_back_is_kept(
    round_: Round, postman: Postman, reactor: StillReactor
) -> None:
    round_.message()
    postman.refusing[TRADER.id] = away(retry_after=100)
    round_.go()
    reactor.advance(99)
    round_.go()
    assert len(postman.sent) == 1
    reactor.advance(2)
    round_.go()
    assert len(postman.sent) == 2


def test_what_is_told_of_one_declaration_arrives_in_order(
    round_: Round, postman: Postman, reactor: StillReactor
) -> None:
    first, second = round_.message(lane="A"), round_.message(lane="A")
    other = round_.message(lane="B")
    postman.refusing[TRADER.id] = away()
    round_.go()
    round_.go()
    assert sorted(postman.to(TRADER.id)) == sorted([first, other])
    del postman.refusing[TRADER.id]
    reactor.advance(2.0)
    while round_.go():
        pass
    told = postman.to(TRADER.id)[2:]
    assert sorted(told) == sorted([first, second, other])
    assert told.index(first) < told.index(second)
    assert round_.due(TRADER) == 0


def test_what_was_given_up_holds_up_nothing_that_was_decided_since(
    round_: Round, postman: Postman, commits: InlineCommits
) -> None:
    first, second = round_.message(lane="A"), round_.message(lane="A")
    postman.refusing[TRADER.id] = never()
    round_.go()
    del postman.refusing[TRADER.id]
    assert commits.ledger.ahead(commits.ledger.due("push:", 9)[0]) == ""
    while round_.go():
        pass
    assert postman.to(TRADER.id) == [first, second]
    assert len(commits.ledger.dead_letters("push:", 9)) == 1


def test_an_address_that_says_never_is_not_asked_again(
    round_: Round, postman: Postman, reactor: StillReactor, commits: InlineCommits
) -> None:
    message = round_.message()
    postman.refusing[TRADER.id] = never()
    round_.go()
    reactor.advance(3600)
    round_.go()
    assert postman.to(TRADER.id) == [message]
    (letter,) = commits.ledger.dead_letters(f"push:{TRADER.id}", 10)
    assert letter.error == "API604 400"


def test_one_that_never_succeeds_is_set_aside(
    round_: Round, postman: Postman, commits: InlineCommits
) -> None:
    round_.message(attempts=GIVE_UP_AFTER - 1)
    postman.refusing[TRADER.id] = away()
    round_.go()
    assert len(commits.ledger.dead_letters("push:", 10)) == 1


def test_only_so_many_are_under_way_to_one_partner(round_: Round, postman: Postman) -> None:
    for _ in range(AT_ONCE + 2):
        round_.message()
    postman.slow[TRADER.id] = []
    round_.go()
    round_.go()
    assert len(postman.sent) == AT_ONCE
    postman.slow[TRADER.id].pop(0).callback(None)
    round_.go()
    assert len(postman.sent) == AT_ONCE + 1


def test_a_slow_partner_does_not_hold_up_another(round_: Round, postman: Postman) -> None:
    for _ in range(AT_ONCE + 2):
        round_.message(TRADER)
    postman.slow[TRADER.id] = []
    round_.go()
    message = round_.message(OTHER)
    round_.go()
    assert postman.to(OTHER.id) == [message]
    assert round_.due(OTHER) == 0


def test_a_failing_partner_does_not_hold_up_another(round_: Round, postman: Postman) -> None:
    postman.refusing[TRADER.id] = away()
    round_.message(TRADER)
    message = round_.message(OTHER)
    round_.go()
    assert postman.to(OTHER.id) == [message]
    assert (round_.due(TRADER), round_.due(OTHER)) == (1, 0)


def test_an_error_of_our_own_is_told_and_tried_again_later(
    round_: Round, postman: Postman, reactor: StillReactor, caplog: pytest.LogCaptureFixture
) -> None:
    message = round_.message(TRADER)
    other = round_.message(OTHER)
    postman.refusing[TRADER.id] = ZeroDivisionError("ours")
    with caplog.at_level(logging.ERROR, "gateway.delivery"):
        round_.go()
    assert "push failed" in caplog.text
    assert postman.to(OTHER.id) == [other]
    del postman.refusing[TRADER.id]
    round_.go()
    assert postman.to(TRADER.id) == [message]
    reactor.advance(LEASE.total_seconds() + 1)
    round_.go()
    assert postman.to(TRADER.id) == [message] * 2
    assert round_.due(TRADER) == 0


def test_a_push_whose_end_was_not_noted_is_made_again_as_the_same_delivery(
    round_: Round, postman: Postman, commits: InlineCommits, reactor: StillReactor
) -> None:
    message = round_.message()
    commits.failing["done"] = LedgerUnavailable("gone")
    round_.go()
    commits.failing.clear()
    reactor.advance(LEASE.total_seconds() + 1)
    round_.go()
    assert postman.to(TRADER.id) == [message] * 2
    assert round_.due(TRADER) == 0


def test_who_is_not_active_or_has_no_address_is_not_sent_to(
    round_: Round, postman: Postman, delivery_world: World
) -> None:
    round_.message(TRADER)
    round_.message(OTHER)
    partners = dict(delivery_world.partners)
    partners[TRADER.id] = msgspec.structs.replace(partners[TRADER.id], active=False)
    partners[OTHER.id] = msgspec.structs.replace(partners[OTHER.id], push_url="")
    round_.handbook = round_.handbook.with_register(Register(partners.values(), ()))
    assert round_.go() is False
    assert postman.sent == []
    round_.handbook = delivery_world.handbook
    round_.go()
    assert len(postman.sent) == 2


def test_a_delivery_of_nothing_is_set_aside(
    round_: Round, postman: Postman, commits: InlineCommits, file: File
) -> None:
    filed = file(TRADER)
    about = f"{filed.id}.1"
    taken = Decision("x1", about, DecisionKind.GREEN, NOW)
    outgoing = Outgoing(f"{about}.x1.d", TRADER.id, "green", about, "LRN", "application/xml", b"<a/>", NOW)
    push = Delivery("x1.p", f"push:{TRADER.id}", "nothing", NOW)
    commits.ledger.record([Recorded(taken, outgoing, push)])
    message = round_.message(OTHER)
    round_.go()
    assert postman.sent == [(OTHER.id, message)]
    (letter,) = commits.ledger.dead_letters("push:", 10)
    assert letter.error == "no such message"


def test_stopping_waits_for_what_is_under_way(round_: Round, postman: Postman) -> None:
    round_.message()
    postman.slow[TRADER.id] = []
    round_.go()
    ended = Deferred.fromCoroutine(round_.courier.stop())
    assert not ended.called
    postman.slow[TRADER.id].pop().callback(None)
    assert ended.called
    assert round_.due(TRADER) == 0


def test_what_was_put_off_by_a_clock_that_was_ahead_goes_once_it_is_set_back(
    round_: Round, postman: Postman, reactor: StillReactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = round_.message()
    ahead = timedelta(hours=3)
    monkeypatch.setattr(round_.courier, "_clock", lambda: reactor.now() + ahead)
    postman.refusing[TRADER.id] = away()
    round_.go()
    assert postman.to(TRADER.id) == [message]
    del postman.refusing[TRADER.id]
    ahead = timedelta(0)
    reactor.advance(5)
    round_.go()
    assert postman.to(TRADER.id) == [message] * 2
    assert round_.due(TRADER) == 0


def test_a_clock_that_runs_on_brings_nothing_forward(
    round_: Round, postman: Postman, reactor: StillReactor
) -> None:
    round_.message()
    postman.refusing[TRADER.id] = away(retry_after=100)
    round_.go()
    for _ in range(9):
        reactor.advance(10)
        round_.go()
    assert len(postman.sent) == 1
