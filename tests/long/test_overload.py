"""The overload is measured fairly: on cores of its own, by what others left of them; and a few seconds for real."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import overload
from bench.overload import Phase
from bench.overload_load import Told


def told(accepted: list[int], refused: int = 0, seconds: float = 10.0) -> Told:
    answers = {"200": sum(accepted), "503": refused}
    return Told(seconds, accepted, answers, 3_000, 100, 5.0, [10.0, 20.0, 30.0], {}, 40, 1.0, 0)


def test_gateway_and_load_have_cores_of_their_own_where_there_are_two() -> None:
    assert overload.cores(frozenset({3})) == overload.Cores(frozenset({3}), frozenset({3}))
    chosen = overload.cores(frozenset(range(5)))
    assert chosen == overload.Cores(frozenset({0, 1}), frozenset({2, 3, 4}))


def test_what_others_took_of_the_cores_is_not_the_gateway_s_fault() -> None:
    before, after = Phase(told([500, 500]), 6.0, 0.0), Phase(told([400, 400]), 4.8, 0.2)
    over = Phase(told([300, 300], refused=1_000), 3.72, 0.4)
    said = overload.figures((before, after), over, 5, (100.0, 120.0))
    assert said["of_best"] == pytest.approx(60 / 90)
    assert said["of_best_left"] == pytest.approx(1.0)
    assert said["of_best_spent"] == pytest.approx(0.006 * 600 / 3.72)
    assert said["refusal_us"] == pytest.approx((3.72 - 3.6) / 1_000 * 1e6)
    assert said["refusals_share"] == pytest.approx(0.12 / 3.72)
    assert "67% of the best (goal 90 %); 100% by what others left" in overload.text(said)


def test_a_few_seconds_of_it(tmp_path: Path) -> None:
    said = overload.measured(tmp_path, partners=2, seconds=4.0, factor=3.0, warming=0.5, some=800)
    assert said["rate"] > 1
    assert said["offered"] >= said["rate"]
    assert said["urgent_wrong"] == {}
    assert {"200"} <= said["answers"].keys() <= {"0", "200", "429", "503"}
