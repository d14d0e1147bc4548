"""What is filed about one declaration arrives in the order in which it was filed, whoever carries it."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from gateway.intake.effects import _lane
from gateway.model import Declaration, Entity, Judged, Kind, Outcome, Value
from gateway.storage import Ledger, Settlement, migrate, tables
from gateway.storage.codec import micros
from tests.delivery.conftest import File
from tests.operations.knowledge import TRADER
from tests.storage.making import BACKEND, LEASE, NOW, SECOND, recorded, settlement

CLAIMERS = ("one", "two")


def put(ledger: Ledger, identity: str, lane: str, destination: str = BACKEND) -> None:
    """One delivery in a lane."""
    made = settlement(identity)
    due = tuple(msgspec.structs.replace(d, lane=lane, destination=destination) for d in made.deliveries)
    ledger.settle([msgspec.structs.replace(made, deliveries=due)])


def claimed(ledger: Ledger, who: str = "me", at: int = 0, limit: int = 9) -> list[str]:
    return [d.id for d in ledger.claim_due(BACKEND, who, NOW + at * SECOND, LEASE, limit)]


def test_nothing_passes_what_came_before_it_in_its_lane(ledger: Ledger) -> None:
    for identity, lane in (("a0", "A"), ("a1", "A"), ("b0", "B"), ("n0", ""), ("n1", "")):
        put(ledger, identity, lane)
    assert claimed(ledger, "one") == ["a0.1", "b0.1", "n0.1", "n1.1"]
    assert claimed(ledger, "two") == []  # leased is not there yet
    ledger.retry("a0.1", NOW + 30 * SECOND, "no answer")
    assert claimed(ledger, "two", 29) == []
    assert claimed(ledger, "two", 30) == ["a0.1"]
    ledger.done(["a0.1"], NOW)
    assert claimed(ledger, "one", 30) == ["a1.1"]


def test_what_was_given_up_holds_its_lane_until_somebody_decides(ledger: Ledger) -> None:
    put(ledger, "a0", "A")
    put(ledger, "a1", "A")
    assert claimed(ledger) == ["a0.1"]
    ledger.dead("a0.1", "poison", NOW)
    assert claimed(ledger, at=90) == []
    ledger.revive(["a0.1"], NOW + 90 * SECOND)
    assert claimed(ledger, at=90) == ["a0.1"]


def test_a_lane_is_one_destinations_own(ledger: Ledger) -> None:
    put(ledger, "a0", "A", "backend:another")
    put(ledger, "a1", "A")
    assert claimed(ledger) == ["a1.1"]


def test_a_lane_is_the_numbers_where_there_is_one_and_else_the_references() -> None:
    def lane(number: str, lrn: str, principal: str = "T1") -> str:
        root = Entity("Declaration", (Value("ID", number),) if number else ())
        read = Declaration(Kind.IMPORT, root)
        return _lane(principal, Judged(1, "IM", "", Outcome.ACCEPTED, lrn=lrn, declaration=read))

    assert lane("", "L1") == lane("", "L1")
    assert lane("26VN1", "L2") == lane(" 26VN1 ", "L3")
    assert len({lane("", "L1"), lane("26VN1", "L1"), lane("", "L1", "T2"), lane("", "")}) == 4
    assert lane("", "") == ""


def filed(identity: str, lrn: str, number: str = "", principal: str = "TRADER1") -> Settlement:
    """A message about a declaration, under a reference, and by customs' number where it names one."""
    made = settlement(identity, signer=principal)
    judged, rejected = made.verdict.messages
    assert judged.declaration is not None
    root = Entity("Declaration", (Value("ID", number),) if number else ())
    judged = msgspec.structs.replace(judged, lrn=lrn, declaration=Declaration(Kind.IMPORT, root))
    verdict = msgspec.structs.replace(made.verdict, messages=(judged, rejected))
    due = tuple(msgspec.structs.replace(d, lane=_lane(principal, judged)) for d in made.deliveries)
    return msgspec.structs.replace(made, verdict=verdict, deliveries=due)


def test_what_names_customs_number_follows_what_names_the_reference(ledger: Ledger) -> None:
    ledger.settle([filed("a0", "L1")])
    assert claimed(ledger) == ["a0.1"]
    ledger.done(["a0.1"], NOW)
    ledger.record([recorded("d1", "a0.1", registration="26VN1")])
    by_reference, by_number = filed("a1", "L1"), filed("a2", "OTHER", "26VN1 ")
    ledger.settle([by_reference])
    ledger.settle([by_number, filed("a3", "L9", "26VN1", "TRADER2"), filed("a4", "L8", "26VN7")])
    assert claimed(ledger) == ["a1.1", "a3.1", "a4.1"]
    ledger.done(["a1.1"], NOW)
    ledger.record([recorded("d2", "a1.1", registration="26VN1")])
    ledger.settle([filed("a5", "L1")])
    assert claimed(ledger) == ["a2.1"]
    ledger.done(["a2.1"], NOW)
    assert claimed(ledger) == ["a5.1"]


def test_who_files_the_original_is_the_one_who_orders_it(ledger: Ledger) -> None:
    """A number that another one's message got is no name for what is filed here."""
    ledger.settle([filed("b0", "L1", principal="TRADER2")])
    ledger.record([recorded("d1", "b0.1", registration="26VN2")])
    ledger.settle([filed("b1", "L1"), filed("b2", "L5", "26VN2")])
    assert claimed(ledger) == ["b0.1", "b1.1", "b2.1"]


acts = st.lists(
    st.tuples(
        st.sampled_from(("claim", "claim", "part", "done", "fail", "die", "give up", "revive", "later")),
        st.sampled_from(CLAIMERS),
        st.integers(1, 5),
    ),
    max_size=40,
)


def test_a_long_lane_and_many_that_wait_hold_up_nobody(ledger: Ledger) -> None:
    """More than several windows of it; and no lane is passed over for good because others wait."""
    long = [("long", "due")] * 300
    waits = [(f"w{n}", state) for n in range(120) for state in ("dead", "due")]
    free = [("", "due"), ("f1", "due"), ("f1", "due"), ("f2", "due")]
    at = micros(NOW)
    rows = [
        {"id": f"{n}.1", "destination": BACKEND, "payload": f"{n}.1", "due_at": at, "attempts": 0}
        | {"lease_until": 0, "lease_owner": "", "state": state, "error": "", "lane": lane}
        for n, (lane, state) in enumerate([*long, *waits, *free])
    ]
    database: Any = ledger._database
    database.write(lambda c: c.execute(insert(tables.delivery), rows))
    begin = len(long) + len(waits)
    assert claimed(ledger, limit=2) == ["0.1", f"{begin}.1"]
    assert claimed(ledger) == [f"{begin + 1}.1", f"{begin + 3}.1"]
    assert claimed(ledger) == []
    ledger.done(["0.1"], NOW)
    assert claimed(ledger, limit=1) == ["1.1"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(lanes=["A", "A", "A"], acts=[("claim", "one", 3), ("part", "one", 1)])
@given(lanes=st.lists(st.sampled_from(("", "A", "B")), min_size=3, max_size=12), acts=acts)
def test_whatever_happens_each_lane_arrives_in_order(
    tmp_path_factory: pytest.TempPathFactory, lanes: list[str], acts: list[tuple[str, str, int]]
) -> None:
    """Several claimers, some of which fail, end without a word, or come after another took over."""
    url = f"sqlite:///{tmp_path_factory.mktemp('lanes') / 'l.db'}"
    migrate(url)
    ledger = Ledger.open(url)
    arrived = _carried(ledger, lanes, acts)
    ledger.close()
    for lane in set(lanes) - {""}:
        expected = [f"s{n:02}.1" for n, of in enumerate(lanes) if of == lane]
        assert [i for i in arrived if i in expected] == expected
    assert sorted(arrived) == [f"s{n:02}.1" for n in range(len(lanes))]


def _carried(ledger: Ledger, lanes: list[str], acts: list[tuple[str, str, int]]) -> list[str]:
    for n, lane in enumerate(lanes):
        put(ledger, f"s{n:02}", lane)
    now, arrived = NOW, list[str]()
    holds: dict[str, list[str]] = {who: [] for who in CLAIMERS}
    finish = [("revive", "one", 5)] + [("later", "one", 5), ("claim", "one", 5), ("done", "one", 5)] * 40
    for act, who, count in [*acts, *finish]:
        mine = holds[who]
        if act == "claim":
            mine += [d.id for d in ledger.claim_due(BACKEND, who, now, LEASE, count)]
        elif act == "done":
            # As a back end does: each key has one effect, the first time that it comes.
            arrived += [i for i in dict.fromkeys(mine) if i not in arrived]
            ledger.done(mine, now)
            mine.clear()
        elif act == "part":  # the first fails, the others arrive
            _ = [ledger.retry(i, now + 10 * SECOND, "no") for i in mine[:1] if i not in arrived]
            arrived += [i for i in dict.fromkeys(mine[1:]) if i not in arrived]
            ledger.done(mine[1:], now)
            mine.clear()
        elif act == "fail":
            _ = [ledger.retry(i, now + 10 * SECOND, "no") for i in mine[:count] if i not in arrived]
            del mine[:count]
        elif act == "die":
            mine.clear()
        elif act == "give up":
            _ = [ledger.dead(i, "no", now) for i in mine[:count] if i not in arrived]
            del mine[:count]
        elif act == "revive":
            ledger.revive([d.id for d in ledger.dead_letters(BACKEND, 99)], now)
        else:
            now += timedelta(seconds=30 * count)
    return arrived


def test_claimers_at_once_keep_every_lane_in_order(database_url: str, ledger: Ledger) -> None:
    """Each on a connection of its own, as nodes are."""
    for n in range(60):
        put(ledger, f"s{n:02}", f"lane {n % 7}")
    arrived: list[str] = []

    def carry(who: str) -> None:
        mine = Ledger.open(database_url)
        while len(arrived) < 60:
            taken = [d.id for d in mine.claim_due(BACKEND, who, NOW, LEASE, 5)]
            arrived.extend(taken)  # before `done`: what follows cannot have been claimed yet
            mine.done(taken, NOW)
        mine.close()

    threads = [threading.Thread(target=carry, args=(who,)) for who in CLAIMERS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(arrived) == [f"s{n:02}.1" for n in range(60)]
    for lane in range(7):
        expected = [f"s{n:02}.1" for n in range(lane, 60, 7)]
        assert [i for i in arrived if i in expected] == expected


def test_an_amendment_waits_for_its_original_on_the_way_from_the_door(file: File, ledger: Ledger) -> None:
    """The door gives each handover its lane."""
    file()
    file()
    first, second = ledger.due("backend:office", 9)
    assert first.lane.startswith(f"{TRADER.id} ")
    assert first.lane != second.lane
