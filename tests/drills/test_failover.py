"""The failover drill in its short form, and the proof that it would find a loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drills.failover import ASYNCHRONOUS, SYNCHRONOUS, Drill, table
from tests.postgres import NOT_INSTALLED, postgres_binaries

BACK_SECONDS = 5.0
"""From the primary's end to the next receipt, with the standby promoted at once."""

pytestmark = pytest.mark.skipif(postgres_binaries() is None, reason=NOT_INSTALLED)


def test_two_failovers_lose_nothing(tmp_path: Path) -> None:
    drilled = Drill(tmp_path / "stage", SYNCHRONOUS, rounds=2, seed=5, quiet=1.0).drill()
    print(table(drilled))
    assert drilled.good, table(drilled)
    assert len(drilled.outages) == 2
    assert drilled.found.count.acknowledged > 50
    assert all(outage.service < BACK_SECONDS for outage in drilled.outages), table(drilled)


@pytest.mark.long
def test_without_waiting_for_the_standby_acknowledged_work_is_lost(tmp_path: Path) -> None:
    """Unless all of the log had arrived, by luck."""
    drilled = Drill(tmp_path / "stage", ASYNCHRONOUS, rounds=1, seed=6).drill()
    print(table(drilled))
    assert drilled.outages
    assert drilled.found.count.lost > 0 or drilled.outages[0].died == 0, table(drilled)
