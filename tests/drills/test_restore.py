"""The short form of ``python -m tests.drills.restore``: each drill with a few declarations."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drills.restore import DRILLS, drill
from tests.postgres import postgres_or_skip

SHORT = "sqlite", "standby"
LONG = [name for name in DRILLS if name not in SHORT]


@pytest.mark.parametrize("name", [*SHORT, *(pytest.param(name, marks=pytest.mark.long) for name in LONG)])
def test_nothing_is_lost_and_nothing_doubled(name: str, tmp_path: Path) -> None:
    if name != "sqlite":
        postgres_or_skip()
    told = drill(name, tmp_path, 12)
    print(told.line())
    assert told.before >= 12
    assert told.known + told.fresh >= told.before + told.after
