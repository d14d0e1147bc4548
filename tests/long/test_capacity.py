"""A plan follows from its figures: twice the traffic takes twice as much, and there is always a node to spare."""

from __future__ import annotations

import msgspec
import pytest

from bench import capacity
from bench.capacity import Cost, Traffic, plan

COST = Cost(2_000, 3_000, 2_000, 5_000, 12_000, 40_000, 80_000, 5, 250, 300, 200)


def test_twice_as_much_takes_twice_as_much() -> None:
    once, twice = plan(Traffic(), COST), plan(Traffic(declarations=1_400_000, a_year=22_000_000), COST)
    for name in ("declarations_a_second", "door_cores", "database_cores", "network_mbit", "wal_gb_a_day"):
        assert getattr(twice, name) == pytest.approx(2 * getattr(once, name))
    assert twice.database_gb == pytest.approx(2 * once.database_gb)
    assert twice.behind_hours == pytest.approx(once.behind_hours)


def test_the_worst_day_by_hand() -> None:
    said = plan(Traffic(), COST, cores_a_node=8)
    assert said.declarations_a_second == pytest.approx(29.17, abs=0.01)
    assert said.messages_a_second == pytest.approx(145.8, abs=0.1)
    assert said.door_cores == pytest.approx(29.17 * 0.002 / 0.6, abs=0.001)
    assert said.nodes == 2
    assert said.database_gb_a_year == pytest.approx(440)
    assert said.database_gb == pytest.approx(2_200)
    assert said.archive_gb == pytest.approx(11e6 * 17_000 * 5 / 1e9)


def test_couriers_have_one_core_of_each_node() -> None:
    heavy = msgspec.structs.replace(COST, courier_us=60_000)
    said = plan(Traffic(), heavy, cores_a_node=32)
    assert said.courier_cores > 2.9
    assert said.nodes == 4


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="two cores"):
        plan(Traffic(), COST, cores_a_node=1)
    with pytest.raises(ValueError, match="twenty-fourth"):
        plan(Traffic(peak_share=0.01), COST)


def test_the_figures_that_come_along_are_read_and_a_plan_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert capacity.measured().door_us > 0
    assert capacity.main(["--declarations", "700000", "--peak-share", "0.15"]) == 0
    assert "29.2 declarations/s, 146 messages/s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["--year", "nowhere.json"], "No such file"),
        (["--year", __file__], "--year: "),
        (["--declarations", "0"], "more than none"),
        (["--peak-share", "15"], "0.15 is 15 %"),
        (["--cores", "1"], "two cores"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_planned_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str], given: list[str], why: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        capacity.main(given)
    assert ended.value.code == 2
    assert why in capsys.readouterr().err.splitlines()[-1]
