"""Nobody starves, bounds hold, and one partner's own keep their order, whatever comes and goes."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.transport.line import WEIGHTS, WINDOW, Drain, Line, Rank, Shares, Waiting, cost_of

RANKS = st.sampled_from(list(Rank))
NAMES = st.sampled_from(["P1", "P2", "P3", "P4"])


def line(at_work: int = 8, target: float = 1e9, patience: float = 1e9) -> Line[int]:
    return Line(at_work, target, patience)


def put(
    into: Line[int], what: int, partner: str = "P1", rank: Rank = Rank.B, now: float = 0, cost: float = 1
):
    into.join(Waiting(what, partner, rank, now, cost), now)


def served(by: Line[int], count: int, now: float = 0.0) -> list[Waiting[int]]:
    """So many turns, each over before the next."""
    turns = []
    for _ in range(count):
        turn = by.next(now)
        assert turn is not None
        by.done(turn.rank, now)
        turns.append(turn)
    return turns


@given(
    st.lists(
        st.tuples(st.sampled_from(["join", "next", "done", "wait"]), NAMES, RANKS, st.floats(0.1, 50)),
        max_size=300,
    )
)
def test_order_and_places_hold_and_nobody_is_lost_or_served_twice(steps):
    subject, now = Line[int](8, 5.0, 20.0), 0.0
    joined: dict[tuple[str, Rank], list[int]] = defaultdict(list)
    begun: list[Waiting[int]] = []
    late: list[Waiting[int]] = []
    working: list[Rank] = []
    for number, (what, partner, rank, size) in enumerate(steps):
        if what == "join":
            put(subject, number, partner, rank, now, size)
            joined[partner, rank].append(number)
        elif what == "next" and (turn := subject.next(now)) is not None:
            begun.append(turn)
            working.append(turn.rank)
        elif what == "done" and working:
            subject.done(working.pop(0), now)
        elif what == "wait":
            now += size / 10
            late += subject.overdue(now)
        assert len(working) <= 8
        assert sum(rank >= Rank.B for rank in working) <= 7
        assert working.count(Rank.C) <= 2
        assert subject.waiting.total() == sum(map(len, joined.values())) - len(begun) - len(late)
    for (partner, rank), numbers in joined.items():
        mine = [t.what for t in begun if (t.partner, t.rank) == (partner, rank)]
        gone = [t.what for t in late if (t.partner, t.rank) == (partner, rank)]
        assert mine == sorted(mine)
        assert gone == sorted(gone)
        assert not set(mine) & set(gone)
        assert set(mine) | set(gone) <= set(numbers)


@given(st.integers(2, 12), st.integers(50, 400), st.data())
def test_a_flood_takes_nothing_from_others(partners, flood, data):
    """Whoever asks for no more than its share is served within one round, however much another sends."""
    subject = line()
    for number in range(flood):
        put(subject, number, "flood")
    served(subject, data.draw(st.integers(0, flood // 2)))
    for number in range(partners):
        put(subject, number, f"P{number}")
    turns = [turn.partner for turn in served(subject, partners + 1)]
    assert {f"P{number}" for number in range(partners)} <= set(turns)


@settings(max_examples=40)
@given(st.lists(st.tuples(NAMES, st.integers(1, 20)), min_size=60, max_size=120))
def test_all_that_always_want_more_get_the_same(jobs):
    """By cost, not by number: who sends large ones gets fewer of them."""
    subject, costs = line(), defaultdict(float)
    for number, (partner, cost) in enumerate(jobs):
        put(subject, number, partner, cost=cost)
    wanted = defaultdict(float)
    for partner, cost in jobs:
        wanted[partner] += cost
    least = min(wanted.values())
    while subject.waiting.total():
        (turn,) = served(subject, 1)
        costs[turn.partner] += turn.cost
        if max(costs.values()) > least - 20:
            break
        assert max(costs.values()) - min(costs.get(p, 0) for p in wanted) <= 2 * 20


def test_classes_share_by_weight_and_the_least_is_served_too():
    subject = line()
    for number in range(400):
        for rank in Rank:
            put(subject, number, f"P{rank}", rank)
    counts = defaultdict(int)
    for turn in served(subject, sum(WEIGHTS.values()) * 10):
        counts[turn.rank] += 1
    for rank, weight in WEIGHTS.items():
        assert counts[rank] == pytest.approx(weight * 10, abs=2)


def test_what_takes_long_leaves_places_to_the_urgent():
    subject = line(at_work=8)
    for number in range(50):
        put(subject, number, "P1", Rank.C)
        put(subject, number, "P2", Rank.B)
    begun = []
    while (turn := subject.next(0.0)) is not None:
        begun.append(turn.rank)
    assert len(begun) == 7
    assert 1 <= begun.count(Rank.C) <= 2
    put(subject, 1, "P3", Rank.A)
    turn = subject.next(0.0)
    assert turn is not None
    assert turn.rank is Rank.A


def test_who_was_away_has_saved_nothing_up():
    shares: Shares[str] = Shares()
    for _ in range(1000):
        shares.charge("busy", 1)
    turns = []
    for _ in range(6):
        turns.append(shares.least(["busy", "new"]))
        shares.charge(turns[-1], 1)
    assert turns.count("new") in (3, 4)


def test_shares_remember_only_who_owes():
    subject = line()
    for number in range(5000):
        put(subject, number, f"P{number}", now=0.0)
        served(subject, 1)
    assert sum(len(shares) for shares in subject._partners.values()) == 0


def test_a_burst_may_wait_long_and_a_standing_line_not():
    subject = line(at_work=1, target=0.5, patience=2.0)
    for number in range(10):
        put(subject, number)
    assert subject.overdue(1.9) == []
    put(subject, 10, "P2", now=1.9)
    assert [t.what for t in subject.overdue(2.1)] == list(range(10))
    assert subject.overdue(2.3) == []
    turn = subject.next(2.3)
    assert turn is not None
    assert turn.what == 10
    put(subject, 11, now=2.3)
    assert subject.overdue(4.2) == []


def test_a_drain_is_measured_only_while_others_wait():
    drain = Drain()
    for step in range(100):
        drain.done(step * 0.1, busy=False)
    assert drain.rate == 0
    for step in range(101):
        drain.done(10 + step * 0.01, busy=True)
    assert drain.rate == pytest.approx(100, rel=0.05)
    drain.done(11.5, busy=False)
    drain.done(100.0, busy=True)
    assert drain.rate == pytest.approx(100, rel=0.05)
    assert WINDOW < 1


def test_larger_costs_more():
    assert cost_of(0) == 1
    assert cost_of(10_485_760) > 100 * cost_of(16_384)


def test_where_the_line_does_not_end_only_the_urgent_wait_for_long() -> None:
    line: Line[str] = Line(at_work=1, target=1.0, patience=5.0)

    def comes(name: str, rank: Rank, now: float) -> None:
        line.join(Waiting(name, "VAN1", rank, now), now)

    comes("first", Rank.B, 0.0)
    assert line.overdue(4.0) == []  # a burst: all may wait
    for name, rank, now in [
        ("a", Rank.A, 4.5),
        ("b", Rank.B, 4.5),
        ("c", Rank.C, 4.5),
        ("late", Rank.B, 5.5),
    ]:
        comes(name, rank, now)
    assert sorted(one.what for one in line.overdue(6.0)) == ["b", "c", "first"]
    assert [one.what for one in line.overdue(9.6)] == ["a", "late"]
