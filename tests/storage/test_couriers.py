"""Couriers: each delivery to one courier at a time, in order, until it is done or dead."""

from __future__ import annotations

import subprocess
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.model import DecisionKind, Delivery, Handover
from gateway.storage import Ledger
from gateway.storage.claiming import LONGEST_LEASE

from .making import BACKEND, LEASE, NOW, SECOND, declaration, recorded, settlement


@pytest.fixture
def queue(ledger: Ledger) -> Ledger:
    """Five deliveries to the back end."""
    ledger.settle([settlement(f"s{n}") for n in range(5)])
    return ledger


def ids(deliveries: list[Delivery]) -> list[str]:
    return [d.id for d in deliveries]


def test_due_deliveries_come_in_order_and_once(queue: Ledger) -> None:
    first = queue.claim_due(BACKEND, "me", NOW, LEASE, 3)
    assert ids(first) == ["s0.1", "s1.1", "s2.1"]
    assert [d.attempts for d in first] == [0, 0, 0]
    assert ids(queue.claim_due(BACKEND, "you", NOW, LEASE, 9)) == ["s3.1", "s4.1"]
    assert queue.claim_due(BACKEND, "me", NOW, LEASE, 9) == []


def test_nothing_is_due_before_its_time(queue: Ledger) -> None:
    assert queue.claim_due(BACKEND, "me", NOW - SECOND, LEASE, 9) == []


def test_a_lease_that_ran_out_is_claimed_again_and_counted(queue: Ledger) -> None:
    queue.claim_due(BACKEND, "dead courier", NOW, LEASE, 2)
    later = queue.claim_due(BACKEND, "me", NOW + LEASE, LEASE, 2)
    assert ids(later) == ["s0.1", "s1.1"]
    assert [d.attempts for d in later] == [1, 1]


@pytest.mark.parametrize("destination", ["backend:clear", "backend", "backend:clearance2", "%", ""])
def test_another_destination_gets_nothing(queue: Ledger, destination: str) -> None:
    assert queue.claim_due(destination, "me", NOW, LEASE, 9) == []


def test_a_kind_of_destinations_is_named_with_its_colon(queue: Ledger) -> None:
    queue.record([recorded("D1", "s0.1", push=True)])
    assert len(queue.claim_due("backend:", "me", NOW, LEASE, 9)) == 5
    assert ids(queue.claim_due("push:", "me", NOW, LEASE, 9)) == ["s0.1.D1.d.p"]


def test_a_failed_one_steps_aside(queue: Ledger) -> None:
    queue.claim_due(BACKEND, "me", NOW, LEASE, 1)
    assert queue.retry("s0.1", NOW + 30 * SECOND, "no answer")
    assert ids(queue.claim_due(BACKEND, "me", NOW, LEASE, 1)) == ["s1.1"]
    again = queue.claim_due(BACKEND, "me", NOW + 30 * SECOND, LEASE, 1)
    assert ids(again) == ["s0.1"]
    assert (again[0].attempts, again[0].error) == (1, "no answer")


def test_in_order_nothing_passes_a_waiting_one(queue: Ledger) -> None:
    claimed = queue.claim_in_order("backend:", "me", NOW, LEASE, 2)
    assert ids(claimed) == ["s0.1", "s1.1"]
    assert queue.claim_in_order(BACKEND, "you", NOW, LEASE, 9) == []
    queue.retry("s0.1", NOW + 30 * SECOND, "no answer")
    queue.done(["s1.1"], NOW)
    assert queue.claim_in_order(BACKEND, "me", NOW, LEASE, 9) == []
    queue.dead("s0.1", "poison", NOW)
    assert ids(queue.claim_in_order(BACKEND, "me", NOW, LEASE, 2)) == ["s2.1", "s3.1"]


def test_done_is_done_and_in_the_timeline(queue: Ledger) -> None:
    claimed = queue.claim_due(BACKEND, "me", NOW, LEASE, 2)
    assert queue.done(ids(claimed), NOW + SECOND) == 2
    assert queue.done(ids(claimed), NOW + SECOND) == 0
    assert not queue.retry("s0.1", NOW, "late")
    assert not queue.dead("s0.1", "late", NOW)
    assert len(queue.claim_due(BACKEND, "me", NOW + 2 * LEASE, LEASE, 9)) == 3
    status = queue.status("VAN1", "s0")
    assert status is not None
    last = status.timeline[-1]
    assert (last.about, last.what, last.detail, last.at) == ("s0.1", "delivered", BACKEND, NOW + SECOND)


def test_dead_letters_are_listed_and_revived(queue: Ledger) -> None:
    queue.claim_due(BACKEND, "me", NOW, LEASE, 1)
    assert queue.dead("s0.1", "x" * 10_000, NOW)
    (letter,) = queue.dead_letters("backend:", 9)
    assert (letter.id, len(letter.error)) == ("s0.1", 500)
    assert queue.revive(["s0.1", "s1.1"], NOW + SECOND) == 1
    assert queue.dead_letters(BACKEND, 9) == []
    assert ids(queue.claim_due(BACKEND, "me", NOW + SECOND, LEASE, 1)) == ["s0.1"]


def test_handovers_carry_the_declarations_in_order(queue: Ledger) -> None:
    claimed = queue.claim_due(BACKEND, "me", NOW, LEASE, 2)[::-1]
    expected = [
        Handover(f"s{n}.1", f"s{n}.1", "VAN1", "TRADER1", NOW, declaration(f"LRN-s{n}-1")) for n in (1, 0)
    ]
    assert queue.handovers(claimed) == expected
    strangers = [Delivery("x", BACKEND, payload, NOW) for payload in ("s0.2", "none.1", "s0", "s0.x")]
    assert queue.handovers(strangers) == []
    assert queue.handovers([]) == []


def test_a_delivered_message_can_be_sent_again_under_its_id(queue: Ledger) -> None:
    queue.record([recorded("D1", "s0.1", DecisionKind.RELEASED, push=True)])
    (push,) = queue.claim_due("push:VAN1", "me", NOW, LEASE, 9)
    assert list(queue.outgoings([push])) == ["s0.1.D1.d"]
    assert "s0.1.D1.d" in [e.id for e in queue.mailbox("VAN1", "", 99)]
    queue.done([push.id], NOW)
    assert queue.resend("s0.1.D1.d", NOW + SECOND)
    (again,) = queue.claim_due("push:VAN1", "me", NOW + SECOND, LEASE, 9)
    assert again.id == push.id
    assert "s0.1.D1.d" in [e.id for e in queue.mailbox("VAN1", "", 99)]
    assert not queue.resend("unknown", NOW)


def test_a_push_that_arrived_is_acknowledged(queue: Ledger) -> None:
    pushed = [recorded(f"D{n}", "s0.1", DecisionKind.RELEASED, push=True) for n in range(3)]
    queue.record([*pushed, recorded("D3", "s1.1", DecisionKind.RELEASED)])
    queue.clock = lambda: NOW
    queue.acknowledge("VAN1", ["s0.1.D1.d"])
    queue.clock = lambda: NOW + SECOND
    assert queue.done(["s0.1.D0.d.p", "s0.1"], NOW + SECOND) == 2
    waiting = [e.id for e in queue.mailbox("VAN1", "", 99)]
    assert [i for i in waiting if i.endswith(".d")] == ["s0.1.D2.d", "s1.1.D3.d"]
    assert "s0.r" in waiting  # a handover to customs acknowledges nothing
    entries = {e.id: e.acknowledged_at for e in queue.mailbox("VAN1", "", 99, include_acknowledged=True)}
    assert (entries["s0.1.D0.d"], entries["s0.1.D1.d"]) == (NOW + SECOND, NOW)
    queue.dead("s0.1.D2.d.p", "404", NOW)
    assert "s0.1.D2.d" in [e.id for e in queue.mailbox("VAN1", "", 99)]


def test_threads_claim_each_delivery_once(database_url: str, ledger: Ledger) -> None:
    ledger.settle([settlement(f"s{n:03}") for n in range(200)])
    taken: list[list[str]] = [[] for _ in range(4)]

    def work(own: list[str]) -> None:
        mine = Ledger.open(database_url)
        while claimed := mine.claim_due(BACKEND, "me", NOW, LEASE, 7):
            own += ids(claimed)
        mine.close()

    run([threading.Thread(target=work, args=(own,)) for own in taken])
    everything = [delivery for own in taken for delivery in own]
    assert sorted(everything) == [f"s{n:03}.1" for n in range(200)]
    assert all(own == sorted(own) for own in taken)


def test_couriers_in_order_never_overlap(database_url: str, ledger: Ledger) -> None:
    ledger.settle([settlement(f"s{n:03}") for n in range(60)])
    taken: list[str] = []

    def work() -> None:
        mine = Ledger.open(database_url)
        while len(taken) < 60:
            claimed = ids(mine.claim_in_order(BACKEND, "me", NOW, LEASE, 7))
            taken.extend(claimed)  # before `done`: nobody else may have claimed yet
            mine.done(claimed, NOW)
        mine.close()

    run([threading.Thread(target=work) for _ in range(3)])
    assert taken == [f"s{n:03}.1" for n in range(60)]


CLAIMER = """
import sys
from datetime import datetime, timedelta
from gateway.storage import Ledger
ledger = Ledger.open(sys.argv[1])
now = datetime.fromisoformat(sys.argv[2])
while claimed := ledger.claim_due("backend:clearance", sys.argv[3], now, timedelta(seconds=60), 5):
    for delivery in claimed:
        print(delivery.id, flush=True)
ledger.close()
"""


def test_processes_claim_each_delivery_once(database_url: str, ledger: Ledger, python: str) -> None:
    ledger.settle([settlement(f"s{n:03}") for n in range(200)])
    root = Path(__file__).parents[2]
    children = [
        subprocess.Popen(
            [python, "-c", CLAIMER, database_url, (NOW + timedelta(0)).isoformat(), name],
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
        )
        for name in ("one", "two")
    ]
    taken = [child.communicate(timeout=60)[0].split() for child in children]
    assert all(child.returncode == 0 for child in children)
    assert sorted(taken[0] + taken[1]) == [f"s{n:03}.1" for n in range(200)]


def run(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def test_destinations_are_those_with_something_to_claim(queue: Ledger) -> None:
    queue.record([recorded("D1", "s0.1", push=True)])
    (push,) = queue.destinations("push:", NOW)
    assert push.startswith("push:")
    assert queue.destinations("push:", NOW - SECOND) == ()
    queue.claim_due(push, "me", NOW, LEASE, 9)
    assert queue.destinations("push:", NOW) == ()


def test_a_renewed_lease_is_nobody_elses(queue: Ledger) -> None:
    queue.claim_due(BACKEND, "me", NOW, LEASE, 2)
    assert queue.renew("me", ["s0.1", "s1.1", "s2.1", "unknown"], NOW + 2 * LEASE) == {"s0.1", "s1.1"}
    assert ids(queue.claim_due(BACKEND, "you", NOW + LEASE, LEASE, 9)) == ["s2.1", "s3.1", "s4.1"]
    assert queue.renew("me", [], NOW + 2 * LEASE) == set()
    assert ids(queue.claim_due(BACKEND, "you", NOW + 2 * LEASE, LEASE, 2)) == ["s0.1", "s1.1"]


def test_renewing_revives_nothing_that_was_taken_over(queue: Ledger) -> None:
    queue.claim_due(BACKEND, "me", NOW, LEASE, 3)
    queue.claim_due(BACKEND, "you", NOW + LEASE, LEASE, 1)
    queue.done(["s1.1"], NOW)
    queue.retry("s2.1", NOW + LEASE, "no answer")
    assert queue.renew("me", ["s0.1", "s1.1", "s2.1"], NOW + 9 * LEASE) == set()
    # Nor did it make another's lease longer, or begin one where there is none.
    assert ids(queue.claim_due(BACKEND, "they", NOW + 2 * LEASE, LEASE, 2)) == ["s0.1", "s2.1"]


def test_a_lease_by_a_clock_that_was_ahead_counts_as_ended(queue: Ledger) -> None:
    hours = timedelta(hours=3)
    queue.claim_due(BACKEND, "a day ahead", NOW + hours, LEASE, 2)
    assert ids(queue.claim_in_order(BACKEND, "me", NOW, LEASE, 1)) == ["s0.1"]
    assert queue.renew("a day ahead", ["s0.1", "s1.1"], NOW + hours) == {"s1.1"}
    assert ids(queue.claim_due(BACKEND, "you", NOW, LEASE, 1)) == ["s1.1"]
    # A little ahead is what clocks are: what such a one took is left to it.
    queue.claim_due(BACKEND, "a little ahead", NOW + 2 * SECOND, 4 * SECOND, 1)
    assert ids(queue.claim_due(BACKEND, "me", NOW, LEASE, 1)) == ["s3.1"]


def test_those_that_were_tried_least_are_claimed(queue: Ledger) -> None:
    for identity in ("s0.1", "s1.1", "s3.1"):
        queue.claim_due(BACKEND, "me", NOW, LEASE, 1)
        queue.retry(identity, NOW, "no answer", "me")
    queue.claim_due(BACKEND, "me", NOW, LEASE, 9)
    for identity in ("s0.1", "s1.1", "s2.1", "s3.1"):
        queue.retry(identity, NOW, "no answer", "me")
    queue.claim_due(BACKEND, "another", NOW, LEASE, 1)
    least = queue.claim_least_tried(BACKEND, "me", NOW, LEASE, 9)
    assert ids(least) == ["s1.1", "s2.1", "s3.1"]  # in order; the first and the last are held
    for delivery in least:
        queue.retry(delivery.id, NOW, "no answer", "me")
    attempts = {d.id: d.attempts for d in queue.due(BACKEND, 9)}
    (one,) = queue.claim_least_tried(BACKEND, "me", NOW, LEASE, 1)
    assert one.attempts == min(attempts[i] for i in ("s1.1", "s2.1", "s3.1"))


def test_what_never_failed_is_brought_forward_and_what_is_held_is_not(queue: Ledger) -> None:
    later = NOW + timedelta(hours=3)
    for identity, error in (("s0.1", ""), ("s1.1", "no answer"), ("s2.1", "no answer")):
        queue.retry(identity, later, error)
    queue.claim_due(BACKEND, "me", NOW, LEASE, 1)  # s3.1
    queue.suspect("me", "s3.1", later, "its courier ended")
    assert queue.bring_forward(BACKEND, NOW, later, False) == 1
    assert [d.id for d in queue.due(BACKEND, 9) if d.due_at > NOW] == ["s1.1", "s2.1", "s3.1"]
    assert queue.bring_forward(BACKEND, NOW, later - SECOND, False) == 2  # no clock that is right says so
    queue.retry("s2.1", later, "no answer")
    assert queue.bring_forward(BACKEND, NOW, later, True) == 1
    assert queue.bring_forward("backend:", NOW, later, True) == 0
    assert queue.bring_forward("backend:", NOW + LEASE, later, True) == 1  # nobody holds it any more


def test_a_courier_changes_only_what_it_holds(queue: Ledger) -> None:
    queue.claim_due(BACKEND, "me", NOW, LEASE, 1)
    assert not queue.retry("s0.1", NOW, "no answer", "you")
    assert not queue.dead("s0.1", "no answer", NOW, "you")
    assert not queue.suspect("you", "s0.1", NOW, "no answer")
    assert queue.dead("s0.1", "no answer", NOW, "me")


def test_nothing_is_skipped_until_nobody_can_be_at_it(queue: Ledger) -> None:
    queue.claim_due(BACKEND, "me", NOW, LEASE, 1)
    assert not queue.skip("s0.1", NOW + LEASE + SECOND, "Mai", "unreadable")  # its courier may only be slow
    assert queue.skip("s0.1", NOW + LEASE + LONGEST_LEASE, "Mai", "unreadable")
    assert queue.done(["s0.1", "s1.1"], NOW) == 1
    found = queue.delivery("s0.1")
    assert found is not None
    assert (found[0].error, found[1]) == ("unreadable", "skipped")
