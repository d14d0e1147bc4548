"""The table's rows, read from ``table.toml``."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path

import msgspec

HERE = Path(__file__).parent


class Attack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row.

    ``section``: what is attacked.  ``name``: the attack.  ``tests``: those that show it refused, without
    parameters.  ``seconds``, ``mebibytes``: what one of them may take of processor and memory.
    ``elsewhere``: where it does not apply, why.
    """

    section: str
    name: str
    tests: tuple[str, ...] = ()
    seconds: float = 10.0
    mebibytes: float = 128.0
    elsewhere: str = ""


@functools.cache
def rows() -> tuple[Attack, ...]:
    """Every row in order."""
    told = tomllib.loads((HERE / "table.toml").read_text(encoding="utf-8"))
    return msgspec.convert(told["attack"], tuple[Attack, ...])


@functools.cache
def _by_test() -> dict[str, Attack]:
    return {test: row for row in rows() for test in row.tests}


def attacked(test: str) -> Attack | None:
    """The row that the test is of, or None."""
    return _by_test().get(test)
