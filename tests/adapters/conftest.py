"""An office on each database, with its default configuration."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clearance_samples import Partners


@pytest.fixture
def partners(database_url: str) -> Iterator[Partners]:
    """The gateway's side of an empty office, once on each database."""
    partners = Partners(database_url)
    yield partners
    partners.close()
