"""Bounds hold at every moment, and the time to try again is true."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Limits, Partner, Role
from gateway.transport.admission import (
    MAX_RETRY,
    PORTIONS,
    Admission,
    Bucket,
    Handshakes,
    Held,
    Pass,
)
from gateway.transport.bounds import Bounds, body_due
from gateway.transport.line import Drain, Rank

ONE = Partner("P1", "One")
TWO = Partner("P2", "Two")


@given(st.integers(1, 500), st.lists(st.floats(0, 30), max_size=300))
def test_a_bucket_gives_no_more_than_its_rate_and_its_burst(per_minute, pauses):
    now, taken, bucket = 0.0, 0, Bucket(per_minute, 0.0)
    for pause in pauses:
        now += pause
        taken += bucket.take(now) == 0.0
    assert taken <= per_minute + now * per_minute / 60 + 1e-6


@given(st.integers(1, 500), st.integers(0, 40))
def test_a_bucket_refuses_exactly_until_the_time_it_names(per_minute, extra):
    bucket = Bucket(per_minute, 0.0)
    for _ in range(per_minute):
        assert bucket.take(0.0) == 0.0
    wait = bucket.take(0.0)
    assert wait > 0
    assert bucket.take(wait * 0.9) > 0
    assert bucket.take(wait + 1e-6 + extra) == 0.0


def test_rate_refusal_names_the_rate_and_when():
    admission = Admission(Bounds(per_minute=2))
    assert isinstance(admission.enter(ONE, 10, 0.0), Pass)
    assert isinstance(admission.enter(ONE, 10, 0.0), Pass)
    held = admission.enter(ONE, 10, 0.0)
    assert isinstance(held, Held)
    assert (held.status, held.finding.code, held.finding.expected, held.retry_after) == (
        429,
        "API429",
        "2",
        30,
    )
    assert isinstance(admission.enter(ONE, 10, 30.0), Pass)


def test_one_partner_at_its_rate_does_not_hinder_another():
    admission = Admission(Bounds(per_minute=1))
    admission.enter(ONE, 1, 0.0)
    assert isinstance(admission.enter(ONE, 1, 0.0), Held)
    assert isinstance(admission.enter(TWO, 1, 0.0), Pass)


def test_reading_has_a_rate_of_its_own():
    admission = Admission(Bounds(per_minute=1))
    admission.enter(ONE, 1, 0.0)
    assert [admission.read(ONE, 0.0) for _ in range(4)] == [None] * 4
    held = admission.read(ONE, 0.0)
    assert held is not None
    assert held.retry_after == 15


def test_in_flight_is_bounded_by_partner_and_in_all():
    admission = Admission(Bounds(in_flight=2, total_in_flight=3))
    first = admission.enter(ONE, 1, 0.0)
    admission.enter(ONE, 1, 0.0)
    held = admission.enter(ONE, 1, 0.0)
    assert (held.status, held.finding.code) == (429, "API4291")
    admission.enter(TWO, 1, 0.0)
    held = admission.enter(TWO, 1, 0.0)
    assert (held.status, held.finding.code) == (503, "API503")
    admission.leave(first, 1.0)
    assert isinstance(admission.enter(TWO, 1, 1.0), Pass)


def test_a_refusal_for_lack_of_room_costs_no_token():
    admission = Admission(Bounds(in_flight=1, per_minute=2))
    first = admission.enter(ONE, 1, 0.0)
    for _ in range(5):
        assert admission.enter(ONE, 1, 0.0).finding.code == "API4291"
    admission.leave(first, 0.0)
    assert isinstance(admission.enter(ONE, 1, 0.0), Pass)


def test_partners_limits_override_the_defaults():
    partner = Partner("P3", "Three", limits=Limits(max_bytes=5, per_minute=1, in_flight=1))
    admission = Admission(Bounds())
    held = admission.enter(partner, 6, 0.0)
    assert (held.status, held.finding.expected, held.finding.found, held.retry_after) == (413, "5", "6", 0)
    entered = admission.enter(partner, None, 0.0)
    assert admission.grow(entered, 5, 0.0) is None
    assert admission.grow(entered, 6, 0.0).status == 413


def test_retry_follows_how_long_submissions_take():
    admission = Admission(Bounds(in_flight=1))
    now = 0.0
    for _ in range(100):
        entered = admission.enter(ONE, 1, now)
        now += 10
        admission.leave(entered, now)
    admission.enter(ONE, 1, now)
    assert admission.enter(ONE, 1, now).retry_after == 10


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["enter", "chunked", "grow", "leave", "twice"]),
            st.integers(0, 400),
            st.integers(0, 9),
        ),
        max_size=120,
    )
)
def test_memory_and_places_are_within_bounds_and_given_back(steps):
    bounds = Bounds(max_bytes=300, total_bytes=700, in_flight=4, total_in_flight=6, per_minute=10_000)
    admission, inside = Admission(bounds), []
    for index, (what, size, which) in enumerate(steps):
        if what in ("enter", "chunked"):
            partner = ONE if which % 2 else TWO
            got = admission.enter(partner, size if what == "enter" else None, float(index))
            if isinstance(got, Pass):
                inside.append(got)
            else:
                assert got.retry_after <= MAX_RETRY
        elif inside and what == "grow":
            admission.grow(inside[which % len(inside)], size, float(index))
        elif inside:
            leave = inside.pop(which % len(inside))
            admission.leave(leave, float(index))
            if what == "twice":
                admission.leave(leave, float(index))
        assert admission.bytes_held == sum(p.held for p in inside) <= bounds.total_bytes
        assert admission.total_inside == len(inside) <= bounds.total_in_flight
        assert all(count <= bounds.in_flight for count in admission.inside.values())
    for leave in inside:
        admission.leave(leave, 1000.0)
    assert (admission.bytes_held, admission.total_inside, dict(admission.inside)) == (0, 0, {})


def test_connections_of_a_partner_are_bounded():
    admission = Admission(Bounds(connections_per_partner=1))
    assert admission.attach("P1") is None
    assert admission.attach("P1").finding.code == "API4292"
    admission.detach("P1")
    assert admission.attach("P1") is None


@given(st.integers(0, 10**9))
def test_a_body_is_due_later_the_more_of_it_has_come(received):
    bounds = Bounds(body_grace=10.0, body_rate=1000)
    assert body_due(bounds, 5.0, received) == 15.0 + received / 1000


PORT = Partner("P9", "Port", roles=(Role.PORT,), limits=Limits(per_minute=40))
TRADER = Partner("P8", "Trader", roles=(Role.TRADER,))


@pytest.mark.parametrize(
    ("partner", "priority", "length", "rank"),
    [
        (TRADER, "", 5_000, Rank.B),
        (TRADER, "u=0", 5_000, Rank.B),  # nobody agreed to that
        (PORT, "", 5_000, Rank.B),
        (PORT, "u=0", 5_000, Rank.A),
        (PORT, "i, u=2;x=1", 5_000, Rank.A),
        (PORT, "u=3", 5_000, Rank.B),
        (PORT, "u=0", 70_000, Rank.C),
        (PORT, "u=0", None, Rank.C),
        (TRADER, "u=5", 5_000, Rank.C),
        (PORT, "u=9", 5_000, Rank.B),
        (PORT, "u=10", 5_000, Rank.B),
        (PORT, "xu=0", 5_000, Rank.B),
        (TRADER, "", 70_000, Rank.C),
        (TRADER, "", None, Rank.C),
    ],
)
def test_the_class_is_known_before_the_body(partner, priority, length, rank):
    assert Admission(Bounds()).rank(partner, priority, length, 0.0) is rank


def test_not_all_is_urgent_that_a_port_says_is():
    admission = Admission(Bounds())
    ranks = [admission.rank(PORT, "u=0", 100, 0.0) for _ in range(40)]
    assert ranks == [Rank.A] * 10 + [Rank.B] * 30
    assert admission.rank(PORT, "u=0", 100, 6.0) is Rank.A


def drained(rate: float) -> Drain:
    drain = Drain()
    drain.rate = rate
    return drain


@given(st.integers(1, 40))
def test_when_the_door_is_nearly_full_who_has_least_inside_still_comes_in(flood):
    """However much some want, a newcomer finds a place until all have one."""
    bounds = Bounds(total_in_flight=64, in_flight=64)
    admission = Admission(bounds)
    for _ in range(64):
        for number in range(flood):
            admission.enter(Partner(f"F{number}", ""), 1, 0.0)
    counts = list(admission.inside.values())
    assert max(counts) - min(counts) <= 2
    if flood <= 16:
        free = 64 * PORTIONS[Rank.B] - admission.total_inside
        assert free >= 1
        assert isinstance(admission.enter(Partner("new", ""), 1, 0.0), Pass)


def test_bulk_and_declarations_leave_room_for_the_urgent():
    admission = Admission(Bounds(total_in_flight=64))
    inside = dict.fromkeys(Rank, 0)
    for rank in (Rank.C, Rank.B, Rank.A):
        for number in range(200):
            got = admission.enter(Partner(f"{rank}{number}", ""), 1, 0.0, rank)
            inside[rank] += isinstance(got, Pass)
    assert inside == {Rank.C: 32, Rank.B: 24, Rank.A: 8}


def test_one_partners_large_bodies_leave_memory_to_others():
    admission = Admission(Bounds(max_bytes=100, total_bytes=100))
    assert isinstance(admission.enter(ONE, 100, 0.0), Pass)  # who holds nothing may hold what fits
    admission = Admission(Bounds(max_bytes=100, total_bytes=100))
    while isinstance(admission.enter(ONE, 10, 0.0), Pass):
        pass
    assert admission.bytes_held == 60
    assert isinstance(admission.enter(TWO, 30, 0.0), Pass)


def test_as_many_are_inside_as_are_done_within_the_target():
    bounds = Bounds(at_work=4, target=0.5, total_in_flight=256)
    assert Admission(bounds).places == 256
    assert Admission(bounds, drained(100)).places == 50
    assert Admission(bounds, drained(1)).places == 8
    assert Admission(bounds, drained(100_000)).places == 256


def test_who_has_nothing_inside_comes_in_though_others_fill_what_can_be_done_in_time():
    drain = Drain()
    admission = Admission(Bounds(at_work=4, target=0.5), drain)
    while isinstance(admission.enter(ONE, 1, 0.0), Pass):
        pass
    drain.rate = 10.0
    assert admission.total_inside > admission.places
    assert admission.enter(ONE, 1, 0.0).status == 429
    assert isinstance(admission.enter(TWO, 1, 0.0), Pass)
    assert admission.enter(TWO, 1, 0.0).status == 503


def test_retry_after_is_when_all_that_were_turned_away_could_have_been_done():
    admission = Admission(Bounds(at_work=1, target=0.5), drained(10))
    while isinstance(held := admission.enter(ONE, 1, 0.0), Pass):
        pass
    assert (held.status, held.retry_after) == (503, 1)
    waits = [admission.busy(0.5).retry_after for _ in range(100)]
    assert waits == sorted(waits)
    assert waits[-1] == 11
    assert admission.busy(5.0).retry_after == 1


def test_handshakes_are_bounded_in_all_and_by_address():
    handshakes = Handshakes(Bounds(handshakes=5, handshakes_per_address=3))
    assert [handshakes.begin("a", 1.1) for _ in range(5)] == [True] * 3 + [False] * 2
    assert [handshakes.begin("b", 1.9) for _ in range(5)] == [True] * 2 + [False] * 3
    assert handshakes.begin("a", 2.0)
