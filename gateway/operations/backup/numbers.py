"""Registration numbers that are not given a second time after a restore.

The office counts them in its database.  What it gave out after the backup, a declarant holds, and the restored
database would give to another.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from adapters.clearance import load
from adapters.clearance.books import Books
from gateway.operations import settings

SKIPPED = 1_000_000
"""More than a nation registers on its busiest day; a year has a hundred times as many."""


def skip_numbers(home: Path, count: int) -> None:
    """The office leaves out its next so many numbers of this year.  Raises ConfigBroken, BackendUnavailable,
    OverflowError."""
    chosen = settings.load(home).database
    books = Books(settings.database_url(home, chosen.clearance))
    try:
        with books.writing(load(home / "conf" / "clearance"), datetime.now(UTC)) as docket:
            docket.numbers.skip(count)
    finally:
        books.close()
