"""The rule books under test: the general one and those of profiles, as the package ships them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.rules import RuleBook, load

MAPPINGS = Path(__file__).parents[2] / "mappings"


@pytest.fixture(scope="session")
def book() -> RuleBook:
    return load(MAPPINGS / "rules", MAPPINGS / "codes")


@pytest.fixture(scope="session")
def vn_book() -> RuleBook:
    return load(MAPPINGS / "rules", MAPPINGS / "codes", "vn")
