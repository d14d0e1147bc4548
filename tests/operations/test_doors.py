"""What a door tells the process that delivers."""

from __future__ import annotations

from twisted.internet.task import Clock

from gateway.operations.doors import once_a_turn


def test_however_many_are_settled_in_a_turn_it_is_told_once_and_again_in_the_next():
    clock, told = Clock(), []
    settled = once_a_turn(lambda: told.append(clock.seconds()), clock)
    for _ in range(8):
        settled()
    assert told == []
    clock.advance(1)
    assert told == [1]
    clock.advance(1)
    assert told == [1]
    settled()
    clock.advance(1)
    assert told == [1, 3]
