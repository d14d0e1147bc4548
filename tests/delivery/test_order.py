"""What a partner is told about one declaration comes to his address in the order in which it was decided."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from gateway.delivery import PushCourier
from gateway.delivery.breaker import RUN
from gateway.delivery.push import AT_ONCE
from gateway.model import Decision, DecisionKind, Outgoing, Partner, Submission
from gateway.storage import Ledger, tables
from gateway.storage.lanes import lane_of_answers
from tests.delivery.conftest import File
from tests.delivery.fakes import InlineCommits, PaperOffice, Postman, StillReactor, away, done, never
from tests.delivery.test_backend import Desk
from tests.operations.knowledge import NOW, TRADER, World

PUSH = f"push:{TRADER.id}"
REGISTERED, GREEN, RELEASED, HELD, DO_NOT_LOAD = (
    DecisionKind.REGISTERED,
    DecisionKind.GREEN,
    DecisionKind.RELEASED,
    DecisionKind.HELD,
    DecisionKind.DO_NOT_LOAD,
)


class Choosy(Postman):
    """``fails``: what becomes of messages of these kinds, as long as that is said here."""

    def __init__(self) -> None:
        super().__init__()
        self.fails: dict[str, Exception] = {}
        self.taken: list[tuple[str, str]] = []

    async def send(self, outgoing: Outgoing, partner: Partner) -> None:
        await super().send(outgoing, partner)
        if outgoing.kind in self.fails:
            raise self.fails[outgoing.kind]
        self.taken.append((outgoing.about.partition(".")[0], outgoing.kind))


class Gateway:
    """Both couriers over one ledger: what the office decides is pushed."""

    def __init__(
        self, world: World, commits: InlineCommits, office: PaperOffice, reactor: StillReactor
    ) -> None:
        self.desk = Desk(world, commits, office, reactor)
        self.ledger, self.office, self.reactor = commits.ledger, office, reactor
        self.postman = Choosy()
        self.courier = PushCourier(
            self.postman,
            commits,  # type: ignore[arg-type]
            lambda: world.handbook,
            reactor,
            reactor.now,
            "me",
        )

    def decide(
        self, filed: Submission, *kinds: DecisionKind, number: str = "26VN1", ordinal: int = 1
    ) -> None:
        """The office decides, all at one moment; the gateway fetches it."""
        for kind in kinds:
            identity = f"D{len(self.office.outbox):03}"
            of = f"{filed.id}.{ordinal}"
            self.office.outbox.append(Decision(identity, of, kind, self.reactor.now(), number))
        self.desk.round()

    def order(self, filed: Submission, kind: DecisionKind = DO_NOT_LOAD) -> None:
        """Not to load: another declaration's."""
        self.decide(filed, kind, number="26VN9")

    def push(self, rounds: int = 9) -> list[tuple[str, str]]:
        """What was taken of what is due now."""
        before = len(self.postman.taken)
        for _ in range(rounds):
            done(self.courier.round())
        return self.postman.taken[before:]

    def ids(self) -> list[str]:
        return [d.id for d in self.ledger.due(PUSH, 99)]


@pytest.fixture
def gateway(
    delivery_world: World, commits: InlineCommits, office: PaperOffice, reactor: StillReactor, quiet: None
) -> Gateway:
    return Gateway(delivery_world, commits, office, reactor)


def kinds(taken: Iterable[tuple[str, str]]) -> list[str]:
    return [kind for _, kind in taken]


def test_what_follows_waits_until_what_was_decided_before_has_arrived(gateway: Gateway, file: File) -> None:
    filed, other = file(), file()
    gateway.postman.fails = {"registered": away()}
    gateway.decide(filed, REGISTERED, GREEN)
    gateway.decide(other, GREEN, number="26VN2")
    gateway.decide(filed, HELD)
    assert gateway.push() == [(other.id, "green")]  # another declaration's is not held up
    gateway.postman.fails = {}
    gateway.reactor.advance(60)
    assert kinds(gateway.push()) == ["registered", "green", "held"]
    assert gateway.ids() == []
    assert kinds(gateway.push()) == []


def test_only_one_of_a_declaration_is_under_way(gateway: Gateway, file: File) -> None:
    filed = file()
    gateway.decide(filed, REGISTERED, GREEN, RELEASED)
    gateway.postman.slow[TRADER.id] = []
    gateway.push()
    assert len(gateway.postman.sent) == 1
    gateway.postman.slow[TRADER.id].pop().callback(None)
    gateway.push()
    assert len(gateway.postman.sent) == 2
    gateway.postman.slow.pop(TRADER.id).pop().callback(None)
    assert kinds(gateway.push()) == ["released"]


def test_a_push_that_was_given_up_holds_up_nothing(gateway: Gateway, file: File) -> None:
    gateway.postman.fails = {"registered": never()}
    gateway.decide(file(), REGISTERED, GREEN, HELD)
    assert kinds(gateway.push()) == ["green", "held"]
    (dead,) = gateway.ledger.dead_letters(PUSH, 9)
    gateway.postman.fails = {}
    assert gateway.ledger.revive([dead.id], gateway.reactor.now()) == 1
    assert kinds(gateway.push()) == ["registered"]


def test_those_that_were_all_given_up_and_are_revived_go_in_order(gateway: Gateway, file: File) -> None:
    gateway.postman.fails = {kind: never() for kind in ("registered", "green", "held")}
    gateway.decide(file(), REGISTERED, GREEN, HELD)
    assert gateway.push() == []
    dead = gateway.ledger.dead_letters(PUSH, 9)
    assert len(dead) == 3
    gateway.postman.fails = {"registered": away()}
    gateway.ledger.revive([d.id for d in dead], gateway.reactor.now())
    assert gateway.push() == []
    assert [gateway.ledger.ahead(d) for d in dead] == ["", dead[0].id, dead[0].id]
    gateway.postman.fails = {}
    gateway.reactor.advance(60)
    assert kinds(gateway.push()) == ["registered", "green", "held"]


@pytest.mark.parametrize("how", ["skipped", "acknowledged"])
def test_what_need_not_be_pushed_any_more_frees_its_lane(gateway: Gateway, file: File, how: str) -> None:
    gateway.postman.fails = {"registered": away()}
    gateway.decide(file(), REGISTERED, GREEN)
    assert gateway.push() == []
    first, second = gateway.ledger.due(PUSH, 9)
    assert gateway.ledger.ahead(second) == first.id
    if how == "skipped":
        assert gateway.ledger.skip(first.id, gateway.reactor.now(), "Mai", "they have it")
    else:
        assert gateway.ledger.acknowledge(TRADER.id, [first.payload]) == 1
    assert kinds(gateway.push()) == ["green"]


def test_a_push_of_the_version_before_has_no_lane_and_goes_out(gateway: Gateway, file: File) -> None:
    filed = file()
    gateway.postman.fails = {"registered": away()}
    gateway.decide(filed, REGISTERED, GREEN)
    database: Any = gateway.ledger._database
    database.write(lambda c: c.execute(text("UPDATE delivery SET lane = ''")))
    gateway.decide(filed, HELD)
    assert kinds(gateway.push()) == ["green", "held"]
    gateway.postman.fails = {}
    gateway.reactor.advance(60)
    assert kinds(gateway.push()) == ["registered"]


def test_an_amendment_is_in_the_lane_of_what_it_amends(gateway: Gateway, file: File, ledger: Ledger) -> None:
    original, amendment = file(), file()
    gateway.decide(original, REGISTERED)
    database: Any = ledger._database
    function = tables.message.update().values(function="4")
    database.write(lambda c: c.execute(function.where(tables.message.c.submission == amendment.id)))
    gateway.decide(amendment, DecisionKind.AMENDED)
    gateway.decide(amendment, RELEASED)
    lanes = {d.lane for d in ledger.due(PUSH, 9)}
    assert lanes == {lane_of_answers(TRADER.id, TRADER.id, "LRN-1")}


def test_an_amendment_of_what_was_not_filed_here_is_in_one_of_its_own(
    gateway: Gateway, file: File, ledger: Ledger
) -> None:
    amendment = file()
    database: Any = ledger._database
    function = tables.message.update().values(function="4")
    database.write(lambda c: c.execute(function.where(tables.message.c.submission == amendment.id)))
    gateway.decide(amendment, DecisionKind.AMENDED, number="ELSEWHERE")
    gateway.decide(amendment, RELEASED, number="ELSEWHERE")
    lanes = {d.lane for d in ledger.due(PUSH, 9)}
    assert lanes == {lane_of_answers(TRADER.id, TRADER.id, "LRN-1")}


def test_what_is_decided_at_one_moment_has_times_that_tell_the_order(gateway: Gateway, file: File) -> None:
    gateway.decide(file(), REGISTERED, GREEN, RELEASED)
    told = [e for e in gateway.ledger.mailbox(TRADER.id, "", 9) if e.kind != "receipt"]
    assert [e.kind for e in told] == ["registered", "green", "released"]
    assert [e.created_at - NOW for e in told] == [timedelta(microseconds=n) for n in range(3)]


def test_what_is_urgent_goes_before_all_that_waited(gateway: Gateway, file: File) -> None:
    first, *others, last = [file() for _ in range(12)]
    for n, filed in enumerate((first, *others)):
        gateway.decide(filed, REGISTERED, GREEN, number=f"26VN{n}")
    gateway.order(last)
    gateway.decide(last, RELEASED, number="26VN9")
    taken = gateway.push(40)
    assert taken[0] == (last.id, "do-not-load")
    assert taken[-1] == (last.id, "released")  # what follows it is as urgent as any other
    assert len(taken) == 2 * 11 + 2
    assert len(set(gateway.postman.sent)) == len(gateway.postman.sent)


def test_what_is_urgent_takes_what_it_waits_for_with_it(gateway: Gateway, file: File) -> None:
    """Its own declaration's, and these alone: the order of a declaration is kept."""
    *others, last = [file() for _ in range(9)]
    for n, filed in enumerate(others):
        gateway.decide(filed, REGISTERED, number=f"26VN{n}")
    gateway.decide(last, REGISTERED, GREEN)
    gateway.decide(last, DecisionKind.DO_NOT_UNLOAD)
    taken = gateway.push(20)
    assert len(taken) == 8 + 3
    assert [taken[n * AT_ONCE] for n in range(3)] == [  # each the first of what there was room for
        (last.id, "registered"),
        (last.id, "green"),
        (last.id, "do-not-unload"),
    ]


def test_an_urgent_one_that_failed_holds_up_nobody(gateway: Gateway, file: File) -> None:
    filed, other = file(), file()
    gateway.postman.fails = {"do-not-load": away()}
    gateway.order(filed)
    gateway.decide(other, REGISTERED)
    assert kinds(gateway.push()) == ["registered"]
    gateway.postman.fails = {}
    gateway.reactor.advance(60)
    assert kinds(gateway.push()) == ["do-not-load"]
    assert gateway.ids() == []


def test_a_destination_that_was_away_is_probed_with_what_is_urgent(gateway: Gateway, file: File) -> None:
    filed = [file() for _ in range(RUN + 3)]
    for n, one in enumerate(filed[:-1]):
        gateway.decide(one, REGISTERED, number=f"26VN{n}")
    gateway.postman.fails = {"registered": away(), "do-not-load": away()}
    gateway.push()
    gateway.order(filed[-1])
    gateway.postman.fails = {}
    gateway.reactor.advance(60)
    assert gateway.push(1) == [(filed[-1].id, "do-not-load")]


def explained(ledger: Ledger, work: Callable[[], object]) -> list[str]:
    """How the database finds what is selected of deliveries."""
    told: list[tuple[str, Any]] = []
    database: Any = ledger._database

    def note(connection: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool) -> None:
        if statement.startswith("SELECT") and "FOR UPDATE" not in statement:
            told.append((statement, values))

    event.listen(database.engine, "before_cursor_execute", note)
    work()
    event.remove(database.engine, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN" if database.engine.dialect.name == "sqlite" else "EXPLAIN"
    plans = []
    for statement, values in told:
        plan = database.read(lambda c, s=statement, v=values: c.exec_driver_sql(f"{explain} {s}", v).all())
        plans.append("\n".join(str(row[-1]) for row in plan))
    return plans


def test_a_claim_goes_by_indexes_however_much_waits(ledger: Ledger) -> None:
    of = "'push:' || (n % 500)"
    lane = f"{of} || ' T ' || (n / 1500)"
    fill = (
        "WITH RECURSIVE series(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM series WHERE n < 19999) "
        "INSERT INTO delivery (id, destination, payload, due_at, attempts, lease_until, lease_owner, state, "
        f"error, lane, urgent) SELECT 'd' || n, {of}, '', 0, 0, 0, '', 'due', '', {lane}, n = 19987 FROM series"
    )
    database: Any = ledger._database
    database.write(lambda c: c.execute(text(fill)))
    database.write(lambda c: c.execute(text("ANALYZE delivery")))
    claimed: list[str] = []

    def claim() -> None:
        claimed.extend(d.id for d in ledger.claim_due("push:487", "me", NOW, timedelta(seconds=9), 4))

    urgent, others = explained(ledger, claim)
    assert claimed == ["d19987", "d487", "d1987", "d3487"]
    assert "ix_delivery_urgent" in urgent
    assert "ix_delivery_queue" in others
    for plan in (urgent, others):
        assert "ix_delivery_lane" in plan
        assert not re.search(r"Seq Scan|SCAN (delivery|head)", plan)
