"""Submissions that go abreast: step by step, each with its own end, in the order in which they came."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inbound import at_once
from gateway.intake.abreast import MOST, Abreast


class Turns:
    """The turns of a reactor: what is called later is called in the next one."""

    def __init__(self):
        self._calls = deque()

    def later(self, call):
        self._calls.append(call)

    def turn(self):
        for _ in range(len(self._calls)):
            self._calls.popleft()()
        return bool(self._calls)


class Broken(Exception):
    pass


def steps(name, count, seen, *, breaks=False):
    for number in range(count):
        seen.append((number, name))
        yield
    if breaks:
        raise Broken(name)
    return name


def taken(works):
    """What became of each, in the order in which they were told, and the steps as they were taken."""
    turns, seen, told = Turns(), [], []
    abreast = Abreast(turns.later)
    for name, (count, breaks) in enumerate(works):
        done = abreast.take(steps(name, count, seen, breaks=breaks), "")
        done.addCallbacks(told.append, lambda failure: told.append(failure.value))
    assert seen == []  # nothing is done in the turn in which it comes
    while turns.turn():
        pass
    return told, seen


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=3 * MOST))
def test_each_is_told_what_became_of_it_and_no_other(works):
    told, _ = taken(works)
    assert len(told) == len(works)
    for name, (end, (_, breaks)) in enumerate(zip(told, works, strict=True)):
        assert isinstance(end, Broken) if breaks else end == name


@given(st.lists(st.integers(0, 4), max_size=3 * MOST))
def test_a_step_of_all_is_taken_before_the_next_of_any(counts):
    _, seen = taken([(count, False) for count in counts])
    for first in range(0, len(counts), MOST):
        group = [step for step in seen if first <= step[1] < first + MOST]
        assert group == sorted(group)
    assert len(seen) == sum(counts)


def test_no_more_go_abreast_in_one_turn_than_may():
    turns, seen = Turns(), []
    abreast = Abreast(turns.later)
    for name in range(MOST + 1):
        abreast.take(steps(name, 1, seen), "")
    turns.turn()
    assert [name for _, name in seen] == list(range(MOST))
    turns.turn()
    assert len(seen) == MOST + 1


@given(st.integers(0, 4))
def test_steps_by_themselves_make_the_same(count):
    assert at_once(steps("alone", count, [])) == "alone"


def test_whose_steps_are_taken_is_noted_before_and_no_longer_after():
    turns, seen = Turns(), []
    abreast = Abreast(turns.later, lambda digests: seen.append(list(digests)))
    for name in range(MOST + 1):
        abreast.take(steps(name, 1, seen, breaks=name == 1), str(name)).addErrback(lambda failure: None)
    turns.turn()
    first = [str(name) for name in range(MOST)]
    assert (seen[0], seen[1], seen[-1]) == (first, (0, 0), [])
    turns.turn()
    assert seen[-3:] == [[str(MOST)], (0, MOST), []]


def test_it_is_noted_no_longer_where_the_interpreter_itself_gives_up():
    turns, seen = Turns(), []

    def ends():
        raise KeyboardInterrupt
        yield

    Abreast(turns.later, lambda digests: seen.append(list(digests))).take(ends(), "1")
    with pytest.raises(KeyboardInterrupt):
        turns.turn()
    assert seen == [["1"], []]
