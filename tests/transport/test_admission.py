"""Bounds hold at every moment, and the time to try again is true."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Limits, Partner
from gateway.transport.admission import (
    MAX_RETRY,
    Admission,
    Bounds,
    Bucket,
    Held,
    Pass,
    body_due,
)

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
    assert admission.grow(entered, 5) is None
    assert admission.grow(entered, 6).status == 413


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
            admission.grow(inside[which % len(inside)], size)
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
