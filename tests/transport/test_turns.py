"""Turns: a few begin together, then the sockets are looked at, and what is urgent among what came goes first."""

from __future__ import annotations

from collections import deque

from gateway.transport import Bounds, Metrics
from gateway.transport.admission import Pass
from gateway.transport.line import Rank, cost_of
from gateway.transport.turns import TOGETHER, Turns

OCTETS = 10_000


def test_a_few_begin_together_and_the_urgent_before_the_next() -> None:
    calls, begun = deque(), []
    turns = Turns(Bounds(at_work=64), lambda: 0.0, calls.append, Metrics())

    def comes(name: str, rank: Rank) -> None:
        leave = Pass("VAN1", 0.0, 0, OCTETS, rank)
        turns.wait(leave).addCallback(lambda _: begun.append(name))

    for number in range(20):
        comes(str(number), Rank.B)
    assert begun == []  # nobody begins in the turn in which he comes
    calls.popleft()()
    first = len(begun)
    assert TOGETHER <= first * cost_of(OCTETS) < TOGETHER + cost_of(OCTETS)
    comes("urgent", Rank.A)
    calls.popleft()()
    assert begun[first] == "urgent"
    while calls:
        calls.popleft()()
    assert [name for name in begun if name != "urgent"] == [str(number) for number in range(20)]
