"""One message that breaks its receiver, its courier, or the reading of it holds up no other, and is given up in its
own time, whatever the clock does.

On one database: what the ledger is asked is tried on both beside it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gateway.adapter import BackendUnavailable
from gateway.delivery import Undeliverable
from gateway.delivery.apart import ENDED, SUSPECT_AFTER
from gateway.delivery.backend import LEASE
from gateway.delivery.backoff import GIVE_UP_AFTER
from gateway.delivery.breaker import CLOSED, LONGEST_PROBE, RUN, RUN_ILL
from gateway.delivery.publishing import LONGEST_WAIT, WAITS_UNREADABLE
from gateway.model import Outgoing, Partner
from gateway.storage import Ledger
from gateway.storage.compression import compressed
from tests.delivery.conftest import File
from tests.delivery.fakes import InlineCommits, PaperOffice, Postman, StillReactor, away
from tests.delivery.test_backend import Desk, decided
from tests.delivery.test_breaker import Post, told
from tests.delivery.test_publishing import Desk as Broker
from tests.evidence.kit import clean
from tests.operations.knowledge import OTHER, TRADER, World

OFFICE = "backend:office"
UNKNOWN = b'{"kind":"NEW","root":{}}'


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def desk(delivery_world: World, commits: InlineCommits, office: PaperOffice, reactor: StillReactor) -> Desk:
    return Desk(delivery_world, commits, office, reactor)


@pytest.fixture
def post(delivery_world: World, ledger: Ledger, postman: Postman, reactor: StillReactor) -> Post:
    return Post(delivery_world, ledger, postman, reactor)


def rounds(desk: Desk, reactor: StillReactor, seconds: int, every: float = 1.0) -> None:
    """Rounds of a courier, one after the other while it finds work."""
    for _ in range(int(seconds / every)):
        try:
            while desk.round():
                pass
        except BackendUnavailable:
            pass
        reactor.advance(every)


def write(ledger: Ledger, sql: str, *values: object) -> None:
    database: Any = ledger._database
    database.write(lambda c: c.exec_driver_sql(sql, values))


# -- a receiver that fails over some messages ----------------------------------------------------------


class Picky(Postman):
    """A receiver that fails over some messages alone, the ones named ``bad``."""

    def __init__(self, failure: Exception) -> None:
        super().__init__()
        self.failure = failure

    async def send(self, outgoing: Outgoing, partner: Partner) -> None:
        if outgoing.id.startswith("bad"):
            raise self.failure
        await super().send(outgoing, partner)


@pytest.mark.parametrize(("bad", "within"), [(20, 5), (3 * RUN_ILL, 600)])
def test_a_receiver_that_fails_over_some_messages_gets_the_others(
    delivery_world: World, ledger: Ledger, reactor: StillReactor, bad: int, within: int
) -> None:
    """It answers 500 to these alone, which came first: nobody waits for them to be given up."""
    postman = Picky(Undeliverable("API604 500", True, answered=True))
    post = Post(delivery_world, ledger, postman, reactor)
    post.put(TRADER.id, bad, "bad")
    post.put(TRADER.id, 30, "good")
    seconds = 0
    while len(postman.sent) < 30 and seconds < within:
        post.rounds(1)
        seconds += 1
    assert len(postman.sent) == 30
    waiting = ledger.due(f"push:{TRADER.id}", 999)
    assert len(waiting) == bad  # tried on, and given up by none


def test_a_receiver_that_does_not_answer_to_some_messages_gets_the_others(
    delivery_world: World, ledger: Ledger, reactor: StillReactor
) -> None:
    """What it is tried with is any of those that were tried least: not the first one again and again."""
    postman = Picky(away())
    post = Post(delivery_world, ledger, postman, reactor)
    post.put(TRADER.id, 12, "bad")
    post.put(TRADER.id, 30, "good")
    post.rounds(2400, every=10)
    assert len(postman.sent) == 30


def test_a_receiver_that_fails_over_everything_is_left_alone(
    post: Post, postman: Postman, reactor: StillReactor, ledger: Ledger
) -> None:
    post.put(TRADER.id, 80)
    postman.refusing[TRADER.id] = Undeliverable("API604 500", True, answered=True)
    post.rounds(60)
    assert told(ledger, f"push:{TRADER.id}", reactor) != CLOSED
    before = len(postman.to(TRADER.id))
    assert before < RUN_ILL + 2 * RUN + 20
    post.rounds(600, every=10)
    assert len(postman.to(TRADER.id)) - before < 30
    del postman.refusing[TRADER.id]
    post.rounds(1000, every=20)
    assert len(set(postman.to(TRADER.id))) == 80
    assert ledger.breakers("") == {}


@pytest.mark.parametrize("poison", [1, 5])
def test_poison_in_front_is_an_answer(
    desk: Desk, office: PaperOffice, reactor: StillReactor, file: File, poison: int, quiet: None
) -> None:
    """A back end that breaks over the message it is tried with is there again."""
    filed = [file() for _ in range(poison + 10)]
    office.away = True
    rounds(desk, reactor, 30)
    office.away = False
    office.poison = {f"{f.id}.1" for f in filed[:poison]}
    rounds(desk, reactor, int(LONGEST_PROBE.total_seconds()) + 3)
    assert len(office.taken) == 10


def test_a_push_that_fails_unforeseen_is_counted_and_put_off(
    post: Post, postman: Postman, ledger: Ledger, quiet: None
) -> None:
    post.put(TRADER.id, 1)
    postman.refusing[TRADER.id] = ZeroDivisionError("ours")
    post.rounds(1800, every=5)
    (waiting,) = ledger.due(f"push:{TRADER.id}", 9)
    assert 5 < waiting.attempts < 20
    assert waiting.error == "ZeroDivisionError"
    assert ledger.breakers("") == {}  # nobody knows whether the receiver is there


# -- a handover that takes its time --------------------------------------------------------------------


def test_a_slow_handover_is_nobody_elses_to_take_or_to_skip(
    desk: Desk, office: PaperOffice, ledger: Ledger, file: File, reactor: StillReactor
) -> None:
    name = f"{file().id}.1"
    seen = []

    def meanwhile() -> None:
        for _ in range(30):
            reactor.advance(1.0)
            seen.append(ledger.skip(name, reactor.now(), "Mai", "unreadable"))
            seen.append(bool(ledger.claim_due(OFFICE, "you", reactor.now(), LEASE, 9)))

    office.meanwhile = meanwhile
    desk.round()
    assert set(seen) == {False}
    assert ledger.delivery(name)[1] == "done"  # type: ignore[index]
    assert not reactor.getDelayedCalls()  # nothing is renewed any more


def test_a_handover_that_hangs_is_others_after_a_minute(
    desk: Desk, office: PaperOffice, ledger: Ledger, file: File, reactor: StillReactor
) -> None:
    """And once nobody has had it for another one, it may be skipped: what arrives then all the same is told."""
    name = f"{file().id}.1"
    seen = []

    def meanwhile() -> None:
        for second in range(130):
            reactor.advance(1.0)
            if ledger.skip(name, reactor.now(), "Mai", "unreadable"):
                seen.append(second)

    office.meanwhile = meanwhile
    desk.round()
    assert 120 <= seen[0] <= 126
    assert name in office.taken
    assert ledger.delivery(name)[1] == "skipped"  # type: ignore[index]
    status = ledger.status(TRADER.id, name.partition(".")[0])
    assert status is not None
    assert ("delivered", f"{OFFICE}: arrived although it was skipped") in [
        (e.what, e.detail) for e in status.timeline
    ]
    desk.round()
    (refusal,) = [e for e in ledger.mailbox(TRADER.id, "", 10) if e.kind == "refused"]
    outgoing = ledger.fetch(TRADER.id, refusal.id)
    assert outgoing is not None
    assert b"unreadable" in outgoing.body
    assert clean(ledger) == []


def test_what_another_took_over_is_his_to_put_off(ledger: Ledger, file: File, reactor: StillReactor) -> None:
    name, now = f"{file().id}.1", reactor.now()
    ledger.claim_due(OFFICE, "me", now, LEASE, 9)
    ledger.claim_due(OFFICE, "you", now + LEASE, LEASE, 9)
    assert not ledger.retry(name, now, "no answer", "me")
    assert not ledger.dead(name, "no answer", now, "me")
    assert not ledger.suspect("me", name, now, "no answer")
    assert ledger.retry(name, now, "no answer", "you")


# -- the clock ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back", [5, 3_600])
def test_a_clock_that_is_set_back_uses_up_no_attempts(
    desk: Desk, office: PaperOffice, ledger: Ledger, file: File, reactor: StillReactor, back: int, quiet: None
) -> None:
    """What fails for itself is brought forward when that is noticed and once more, not at each round; what never
    failed goes at once."""
    poison = f"{file().id}.1"
    office.poison = {poison}
    ahead = [timedelta(seconds=back)]
    desk.courier._clock = lambda: reactor.now() + ahead[0]
    rounds(desk, reactor, 3)
    before = ledger.delivery(poison)[0].attempts  # type: ignore[index]
    ahead[0] = timedelta()
    fresh = f"{file().id}.1"
    write(ledger, "UPDATE delivery SET due_at = due_at + ? WHERE id = ?", back * 1_000_000, fresh)
    rounds(desk, reactor, 2, every=0.25)
    assert fresh in office.taken
    rounds(desk, reactor, 40, every=0.5)
    delivery, state = ledger.delivery(poison)  # type: ignore[misc]
    assert state == "due"
    assert before < delivery.attempts < before + 12


def test_a_clock_that_was_set_back_before_the_courier_began(
    desk: Desk, office: PaperOffice, ledger: Ledger, file: File
) -> None:
    file()
    write(ledger, "UPDATE delivery SET due_at = due_at + 3600000000")
    desk.round()
    assert len(office.taken) == 1


# -- what cannot be read --------------------------------------------------------------------------------


def test_a_declaration_of_another_version_holds_up_no_other(
    desk: Desk, office: PaperOffice, ledger: Ledger, file: File, reactor: StillReactor, quiet: None
) -> None:
    filed = [file() for _ in range(5)]
    office.outbox.append(decided(filed[0]))
    sql = "UPDATE message SET declaration = ? WHERE submission = ?"
    write(ledger, sql, compressed(UNKNOWN), filed[1].id)
    desk.round()
    assert len(office.taken) == 4
    assert office.confirmed == ["d1"]
    (waits,) = ledger.due(OFFICE, 9)
    assert (waits.attempts, waits.error) == (1, "unreadable: ValidationError")
    write(ledger, "UPDATE delivery SET attempts = ? WHERE state = 'due'", GIVE_UP_AFTER - 1)
    rounds(desk, reactor, 4)
    assert [letter.id for letter in ledger.dead_letters(OFFICE, 9)] == [f"{filed[1].id}.1"]


NEWER_CORRECTION = (
    "INSERT INTO correction (submission, delivery, number, how, at, who, why, original, address, changes) "
    "SELECT substr(id, 1, instr(id, '.') - 1), id, 1, 'NEW', 0, '', '', '', '', '[]' FROM delivery "
    "WHERE destination = ? ORDER BY position LIMIT 1"
)
SPOILT_BODY = (
    "UPDATE outgoing SET body = x'00' WHERE submission || '.' || name = "
    "(SELECT payload FROM delivery WHERE destination = ? ORDER BY position LIMIT 1)"
)


@pytest.mark.parametrize("sql", [NEWER_CORRECTION, SPOILT_BODY], ids=["of another version", "spoilt"])
def test_what_cannot_be_read_holds_up_no_other_push(
    post: Post, postman: Postman, ledger: Ledger, quiet: None, sql: str
) -> None:
    post.put(TRADER.id, 6)
    post.put(OTHER.id, 2)
    write(ledger, sql, f"push:{TRADER.id}")
    post.rounds(1)
    assert len(postman.to(OTHER.id)) == 2
    assert len(postman.to(TRADER.id)) == 5
    (waits,) = ledger.due(f"push:{TRADER.id}", 9)
    assert (waits.attempts, waits.error) == (1, "unreadable: ValueError")


def test_a_route_that_cannot_be_read_holds_up_no_other_decision(
    desk: Desk, office: PaperOffice, ledger: Ledger, file: File, quiet: None
) -> None:
    one, other = file(), file()
    desk.round()
    office.outbox += [decided(one, 1), decided(other, 2)]
    write(ledger, "UPDATE submission SET route = '[]' WHERE id = ?", one.id)
    desk.round()
    assert office.confirmed == ["d2"]


def test_a_publication_that_cannot_be_read_holds_up_the_others_for_minutes_at_most(
    delivery_world: World, commits: InlineCommits, reactor: StillReactor, quiet: None
) -> None:
    desk = Broker(delivery_world, commits, reactor)
    first, bad, last = desk.file(), desk.file(), desk.file()
    sql = "UPDATE message SET declaration = ? WHERE submission = ?"
    write(desk.ledger, sql, compressed(UNKNOWN), bad.partition(".")[0])
    for _ in range(WAITS_UNREADABLE):
        while desk.round():
            pass
        assert list(desk.broker.kept) == [f"{first}.pub"]  # in order: a newer version may say it
        reactor.advance(LONGEST_WAIT.total_seconds() + 1)
    assert desk.ledger.delivery(f"{last}.pub")[0].attempts == 0  # type: ignore[index]
    desk.round()
    assert list(desk.broker.kept) == [f"{first}.pub", f"{last}.pub"]
    assert [letter.id for letter in desk.ledger.dead_letters("publish:", 9)] == [f"{bad}.pub"]


# -- what ends its courier ------------------------------------------------------------------------------


def test_what_ends_its_courier_is_tried_alone_and_given_up(
    delivery_world: World,
    commits: InlineCommits,
    office: PaperOffice,
    ledger: Ledger,
    file: File,
    reactor: StillReactor,
    quiet: None,
) -> None:
    filed = [f"{file().id}.1" for _ in range(5)]
    batches = []

    def killed(handovers: Any, now: object) -> None:
        batches.append([h.message for h in handovers])
        if filed[1] in batches[-1]:
            raise KeyboardInterrupt
        take(handovers, now)

    take, office.hand_over = office.hand_over, killed  # type: ignore[method-assign]

    def process(number: int) -> None:
        """One that begins, goes on until it ends, and is begun anew."""
        desk = Desk(delivery_world, commits, office, reactor, owner=f"process {number}")
        for _ in range(3):
            try:
                desk.round()
            except KeyboardInterrupt:
                break
            reactor.advance(1.0)
        for call in reactor.getDelayedCalls():
            call.cancel()
        reactor.advance(LEASE.total_seconds() + 1)

    for number in range(SUSPECT_AFTER + 4):
        process(number)
    assert set(office.taken) == {one for one in filed if one != filed[1]}
    assert [filed[1]] in batches
    (waits,) = ledger.due(OFFICE, 9)
    assert waits.error == ENDED
    assert waits.due_at > reactor.now() - timedelta(minutes=1)
    write(ledger, "UPDATE delivery SET attempts = ? WHERE state = 'due'", GIVE_UP_AFTER)
    reactor.advance(60)
    process(99)
    assert [letter.id for letter in ledger.dead_letters(OFFICE, 9)] == [filed[1]]
