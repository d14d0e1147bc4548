"""The attack table is whole: every row is tested, or says why it need not be."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.attacks.table import Attack, rows

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("row", rows(), ids=lambda r: r.name)
def test_a_row_is_tested_or_says_why_not(row: Attack) -> None:
    assert bool(row.tests) != bool(row.elsewhere)


@pytest.mark.parametrize("test", sorted({t for row in rows() for t in row.tests}))
def test_a_named_test_exists(test: str) -> None:
    path, name = test.split("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
