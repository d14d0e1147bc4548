"""Shelves: what is not held is there as it was, as often as one goes through it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Finding, Judged, Outcome, Place
from gateway.model.shelf import Anew, Pile, beside

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
FINDINGS = st.builds(Finding, TEXT, st.builds(Place, segment=st.integers(0, 2**31)), TEXT, TEXT)
JUDGED = st.builds(
    Judged,
    ordinal=st.integers(1, 2**31),
    type=TEXT,
    reference=TEXT,
    outcome=st.sampled_from(Outcome),
    findings=st.lists(FINDINGS, max_size=3).map(tuple),
)


@given(st.lists(JUDGED, max_size=60))
def test_a_pile_is_what_was_put_on_it(many: list[Judged]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pile = Pile(Judged, Path(folder))
        for number, one in enumerate(many):
            assert len(pile) == number
            pile.append(one)
        assert list(pile) == list(pile) == many
        assert pile == tuple(many)
        assert tuple(many) == pile
        assert pile != [*many, None]
        assert all(one in pile for one in many)
        assert os.listdir(folder) == []  # a file without a name: it is gone with the process


@given(st.lists(st.tuples(st.integers(-(2**63), 2**64 - 1), st.none() | st.binary(max_size=99), TEXT)))
def test_what_is_beside_others_is_held_as_they_are(rows: list[tuple[object, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pile = beside(Pile(Judged, Path(folder)), tuple, rows)
        assert isinstance(pile, Pile)
        assert pile == rows
        assert beside((), tuple, rows) == rows


def test_two_may_go_through_it_at_once(tmp_path: Path) -> None:
    pile = Pile(int, tmp_path)
    for number in range(50_000):
        pile.append(number)
    assert all(one == other for one, other in zip(pile, pile, strict=True))


def test_what_is_made_anew_is_made_each_time() -> None:
    made: list[int] = []

    def make() -> list[int]:
        made.append(len(made))
        return list(made)

    again = Anew(make)
    assert (list(again), list(again)) == ([0], [0, 1])
