"""Numbers and ids that are not given a second time after a restore.

The office counts registrations, and what it said of each, in its database, the gateway its interchanges.  What they
gave out after the backup, somebody holds, and the restored database would give to another: a declarant would have
another's number, a receiver would drop a decision as one that it knows.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from adapters.clearance import load
from adapters.clearance.books import Books
from gateway.intake import OUTGOING
from gateway.operations import settings
from gateway.storage import Ledger

SKIPPED = 1_000_000
"""More than a nation registers on its busiest day; a year has a hundred times as many."""


INTERCHANGES = 10
"""Left out for each registration number: a message has a receipt and some decisions.  There are 10^14."""


def skip_numbers(home: Path, count: int, *, office: bool = True) -> None:
    """Leave out the next so many registration numbers of this year, and those of interchanges; decisions get ids
    that none had before.  ``office``: False where it has no tables yet.

    Raises ConfigBroken, BackendUnavailable, OverflowError, LedgerError.
    """
    chosen = settings.load(home).database
    ledger = Ledger.open(settings.database_url(home, chosen.ledger))
    try:
        ledger.references(OUTGOING, INTERCHANGES * count)
    finally:
        ledger.close()
    if not office:
        return
    books = Books(settings.database_url(home, chosen.clearance))
    try:
        with books.writing(load(home / "conf" / "clearance"), datetime.now(UTC)) as docket:
            docket.numbers.skip(count)
            docket.begin_epoch()
    finally:
        books.close()
