"""A destination that fails as a whole is left alone; its messages lose nothing by it, and no other waits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from gateway.adapter import BackendUnavailable
from gateway.delivery import PushCourier
from gateway.delivery.backend import LEASE
from gateway.delivery.breaker import (
    CLOSED,
    HALF_OPEN,
    LONGEST_PROBE,
    OPEN,
    RUN,
    Breakers,
    state_of,
)
from gateway.model import Delivery, Outgoing
from gateway.storage import Breaker, Ledger
from tests.delivery.conftest import File
from tests.delivery.fakes import InlineCommits, PaperOffice, Postman, StillReactor, away, done, never
from tests.delivery.test_backend import Desk
from tests.operations.knowledge import NOW, OTHER, TRADER, World

OFFICE = "backend:office"


@pytest.fixture
def desk(delivery_world: World, commits: InlineCommits, office: PaperOffice, reactor: StillReactor) -> Desk:
    return Desk(delivery_world, commits, office, reactor)


def told(ledger: Ledger, destination: str, reactor: StillReactor) -> str:
    return state_of(ledger.breakers("").get(destination), reactor.now())


def closed(desk: Desk, reactor: StillReactor, seconds: float) -> None:
    """Rounds at a closed office, one each second."""
    for _ in range(int(seconds)):
        with pytest.raises(BackendUnavailable):  # the decisions are asked for all the same
            desk.round()
        reactor.advance(1.0)


def test_a_back_end_that_is_away_costs_what_waits_no_attempt(
    desk: Desk, office: PaperOffice, ledger: Ledger, reactor: StillReactor, file: File
) -> None:
    for _ in range(60):
        file()
    office.away = True
    closed(desk, reactor, 600)
    assert told(ledger, OFFICE, reactor) in (OPEN, HALF_OPEN)
    assert {d.attempts for d in ledger.due(OFFICE, 99)} == {0}
    assert ledger.dead_letters(OFFICE, 9) == []
    probes = office.batches[RUN:]
    assert set(office.batches[:RUN]) <= {50, 60 - 50}
    assert set(probes) == {1}
    assert len(probes) < 30  # growing: not one each second for ten minutes
    office.away = False
    for _ in range(int(LONGEST_PROBE.total_seconds()) + 3):
        desk.round()
        reactor.advance(1.0)
    assert len(office.taken) == 60
    assert told(ledger, OFFICE, reactor) == CLOSED
    assert ledger.breakers("") == {}


def claimed(breakers: Breakers) -> int:
    """How many of at most 50 that are due it may send."""
    return len(done(breakers.claim(OFFICE, "me", LEASE, 50)))


def test_one_node_probes_for_all(
    ledger: Ledger, commits: InlineCommits, reactor: StillReactor, file: File
) -> None:
    ours, theirs = (Breakers(OFFICE, commits, reactor.now) for _ in range(2))  # type: ignore[arg-type]
    for _ in range(3):
        file()
    for _ in range(RUN):
        done(ours.failed(OFFICE, "closed"))
    done(theirs.look())
    assert claimed(theirs) == 0
    reactor.advance(LONGEST_PROBE.total_seconds())
    done(ours.look())
    assert (claimed(ours), claimed(theirs)) == (1, 0)
    ids = [each.id for each in ledger.due(OFFICE, 9)]
    for _ in range(10):  # a slow receiver, and a node that lives
        reactor.advance(LEASE.total_seconds() - 1)
        assert len(ledger.renew("me", ids, reactor.now() + LEASE)) == 1
        done(theirs.look())
        assert claimed(theirs) == 0
    reactor.advance(LEASE.total_seconds())  # its node has ended
    done(theirs.look())
    assert claimed(theirs) == 1
    done(theirs.worked(OFFICE))
    done(ours.look())
    reactor.advance(LEASE.total_seconds())
    assert claimed(ours) == 3


def test_a_probe_without_a_message_is_still_to_be_made(
    commits: InlineCommits, reactor: StillReactor, file: File
) -> None:
    ours = Breakers(OFFICE, commits, reactor.now)  # type: ignore[arg-type]
    for _ in range(RUN):
        done(ours.failed(OFFICE, "closed"))
    reactor.advance(LONGEST_PROBE.total_seconds())
    assert claimed(ours) == 0
    file()
    done(ours.look())
    assert claimed(ours) == 1


def test_a_probe_without_a_message_leaves_a_success_elsewhere(
    commits: InlineCommits, reactor: StillReactor, ledger: Ledger
) -> None:
    """What another node mended meanwhile is not broken anew by who found nothing to probe with."""
    ours, theirs = (Breakers(OFFICE, commits, reactor.now) for _ in range(2))  # type: ignore[arg-type]
    for _ in range(RUN):
        done(ours.failed(OFFICE, "closed"))
    done(theirs.look())
    reactor.advance(LONGEST_PROBE.total_seconds())
    commits.before["claim_least_tried"] = lambda: done(theirs.worked(OFFICE))
    assert claimed(ours) == 0
    assert ledger.breakers("") == {}


def test_a_late_failure_after_a_success_elsewhere_is_the_first_of_a_new_run(
    commits: InlineCommits, reactor: StillReactor, ledger: Ledger
) -> None:
    ours, theirs = (Breakers(OFFICE, commits, reactor.now) for _ in range(2))  # type: ignore[arg-type]
    for _ in range(RUN):
        done(ours.failed(OFFICE, "closed"))
    done(theirs.look())
    done(theirs.worked(OFFICE))
    done(ours.failed(OFFICE, "one that began before"))
    done(theirs.failed(OFFICE, "another"))
    assert ledger.breakers("")[OFFICE].failures == 2  # of both nodes


def test_states_by_time() -> None:
    broken = Breaker("x", RUN, NOW, NOW + timedelta(seconds=9), "")
    assert state_of(None, NOW) == CLOSED
    assert state_of(msgspec.structs.replace(broken, failures=RUN - 1), NOW) == CLOSED
    assert state_of(broken, NOW) == OPEN
    assert state_of(broken, NOW + timedelta(seconds=9)) == HALF_OPEN
    assert state_of(broken, NOW - timedelta(hours=1)) == HALF_OPEN  # the clock was ahead


class Post:
    """A push courier to two partners, with messages due."""

    def __init__(self, world: World, ledger: Ledger, postman: Postman, reactor: StillReactor) -> None:
        self.ledger, self.reactor = ledger, reactor
        commits: Any = InlineCommits(ledger)
        self.courier = PushCourier(postman, commits, lambda: world.handbook, reactor, reactor.now, "me")

    def put(self, partner: str, count: int, named: str = "m") -> None:
        from gateway.storage.database import Database
        from gateway.storage.sending import insert_outgoings
        from gateway.storage.settling import insert_deliveries

        database: Database = self.ledger._database
        ids = [f"{named}{n:03}.{partner}" for n in range(count)]
        out = [
            Outgoing(i, partner, "green", i.partition(".")[0], "R", "application/xml", b"<r/>", NOW)
            for i in ids
        ]
        due = [Delivery(f"{i}.p", f"push:{partner}", i, NOW) for i in ids]
        database.write(lambda c: (insert_outgoings(c, out), insert_deliveries(c, due)))

    def rounds(self, seconds: int, every: int = 1) -> None:
        for _ in range(0, seconds, every):
            while done(self.courier.round()):
                pass
            self.reactor.advance(float(every))


@pytest.fixture
def post(delivery_world: World, ledger: Ledger, postman: Postman, reactor: StillReactor) -> Post:
    return Post(delivery_world, ledger, postman, reactor)


def test_a_dead_receiver_is_left_alone_and_another_gets_everything(
    post: Post, postman: Postman, reactor: StillReactor, ledger: Ledger
) -> None:
    post.put(TRADER.id, 100)
    post.put(OTHER.id, 100)
    postman.refusing[TRADER.id] = away()
    post.rounds(2)
    assert len(postman.to(OTHER.id)) == 100
    assert len(postman.to(TRADER.id)) < RUN + 4  # those under way together when the run was full
    assert told(ledger, f"push:{TRADER.id}", reactor) == OPEN
    assert told(ledger, f"push:{OTHER.id}", reactor) == CLOSED
    before = len(postman.to(TRADER.id))
    post.rounds(600)
    assert len(postman.to(TRADER.id)) - before < 30
    assert sum(d.attempts == 0 for d in ledger.due(f"push:{TRADER.id}", 999)) > 60
    post.put(OTHER.id, 5, "late")
    post.rounds(1)
    assert len(postman.to(OTHER.id)) == 105
    del postman.refusing[TRADER.id]
    post.rounds(int(LONGEST_PROBE.total_seconds()) + 2)
    assert len(set(postman.to(TRADER.id))) == 100
    assert told(ledger, f"push:{TRADER.id}", reactor) == CLOSED


def test_a_slow_receiver_holds_up_no_other(post: Post, postman: Postman) -> None:
    post.put(TRADER.id, 20)
    post.put(OTHER.id, 20)
    postman.slow[TRADER.id] = []
    post.rounds(1)
    assert len(postman.to(OTHER.id)) == 20
    assert 0 < len(postman.to(TRADER.id)) < 20
    waiting = postman.slow.pop(TRADER.id)
    for one in waiting:
        one.callback(None)
    post.rounds(1)
    assert len(set(postman.to(TRADER.id))) == 20


def test_a_message_that_is_refused_is_no_failure_of_its_receiver(
    post: Post, postman: Postman, reactor: StillReactor, ledger: Ledger
) -> None:
    post.put(TRADER.id, 20)
    postman.refusing[TRADER.id] = never()
    post.rounds(1)
    assert told(ledger, f"push:{TRADER.id}", reactor) == CLOSED
    assert len(ledger.dead_letters(f"push:{TRADER.id}", 99)) == 20


def test_a_destination_for_which_nothing_waits_is_forgotten(
    post: Post, postman: Postman, ledger: Ledger, reactor: StillReactor
) -> None:
    post.put(TRADER.id, 6)
    postman.refusing[TRADER.id] = away()
    post.rounds(30)
    assert ledger.forget_idle() == ()
    ids = [entry.id for entry in ledger.mailbox(TRADER.id, "", 100)]
    ledger.acknowledge(TRADER.id, ids)  # the partner fetched them instead
    assert ledger.forget_idle() == (f"push:{TRADER.id}",)
    assert ledger.breakers("") == {}
