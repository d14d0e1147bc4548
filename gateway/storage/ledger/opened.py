"""A ledger opened and closed; every part of it stands on this."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Self

from gateway.storage import months
from gateway.storage.database import Database
from gateway.storage.journal import Journal
from gateway.storage.migrations import migrate, require_usable
from gateway.storage.writes import Writes


def utc_now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


class Opened:
    """An open ledger: how its methods read, write, and write with an entry in the journal."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._read = database.read
        self._write = database.write
        self.clock = utc_now
        """Gives the times of journal entries, aware."""
        self._attest = Journal(database, lambda: self.clock()).write
        database.mend = partial(months.mend, database)

    @classmethod
    def open(cls, url: str, *, create: bool = False) -> Self:
        """Open ``sqlite:///FILE`` or ``postgresql://...``; ``create``: make or migrate its tables first.

        Raises ValueError for another URL, LedgerMissing where there is no ledger, SchemaOlder where it
        must be migrated first, SchemaNewer where a gateway made it that is more than one schema ahead.
        """
        if create:
            migrate(url)
        database = Database(url)
        try:
            database.read(require_usable)
        except BaseException:
            database.close()
            raise
        months.keep_ahead(database, utc_now())
        return cls(database)

    def keep_months_ahead(self) -> int:
        """Make the coming months' partitions where they are not; how many that were."""
        return months.keep_ahead(self._database, self.clock())

    @property
    def writes(self) -> Writes:
        """What became of this process's writes."""
        return self._database.writes

    def try_out(self, change: bool) -> None:
        """Whether something could be committed now; ``change``: by committing something.

        Raises LedgerUnavailable.
        """
        self._database.try_out(change=change)

    def trim_log(self) -> bool:
        """Begin SQLite's write-ahead log anew where it is long; True where it was."""
        return self._database.trim_log()

    def close(self) -> None:
        """Give every connection back."""
        self._database.close()
