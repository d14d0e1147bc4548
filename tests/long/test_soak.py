"""A few seconds of the soak for real, at a door that keeps something of each message: it is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import soak
from bench.slope import GROWS
from tests.chaos.node import LAUNCH


def test_a_door_that_leaks_is_found_and_nothing_else_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(LAUNCH))
    monkeypatch.setenv("CVAN_CHAOS_PLANT", "leak")
    said = soak.soak(tmp_path, minutes=0.08, step=0.25, large=False, calibration=1.0)
    assert said.growth["door 1"].verdict == GROWS
    assert not said.good
    assert not said.wrong
    assert said.rate == pytest.approx(said.capacity * soak.SHARE)
    assert {"door 1", "supervisor", "worker"} <= said.processes.keys()
    assert sum(line.count for line in said.lines) >= 1
    assert "door 1     grows" in soak.text(said)
