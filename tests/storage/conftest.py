"""An open ledger, once on each database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.storage import Ledger


@pytest.fixture
def ledger(database_url: str) -> Iterator[Ledger]:
    opened = Ledger.open(database_url)
    yield opened
    opened.close()
