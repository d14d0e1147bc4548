"""The registration numbers that the office gives out: one running number a year, without gaps."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from adapters.clearance import identifiers, tables
from adapters.clearance.settings import OfficeFacts
from adapters.clearance.states import LETTERS
from gateway.model import Kind


class Numbers:
    """The numbers of one transaction, which is the only one that takes any; ``write`` keeps them."""

    def __init__(self, connection: sa.Connection, office: OfficeFacts, now: datetime) -> None:
        self._connection, self._office = connection, office
        self._year = now.astimezone(ZoneInfo(office.time_zone)).year
        self._counter = f"registered-{self._year}"
        self._last: int | None = None

    def next(self, kind: Kind) -> str:
        """The next registration number of the office's year.  Raises OverflowError after the last."""
        self._last = (self._found() if self._last is None else self._last) + 1
        return identifiers.registration_number(
            self._year, self._office.country, self._office.registration_code, self._last, LETTERS[kind]
        )

    def skip(self, count: int) -> None:
        """Never give out the next so many: somebody may hold them from before a backup was restored."""
        self._last = (self._found() if self._last is None else self._last) + count

    def _found(self) -> int:
        """The last number of the transactions before; a new year's counter begins at 0."""
        query = sa.select(tables.counter.c.value).where(tables.counter.c.name == self._counter)
        current = self._connection.scalar(query)
        if current is None:
            self._connection.execute(tables.counter.insert().values(name=self._counter, value=0))
        return current or 0

    def write(self) -> None:
        """What was given out, into the transaction."""
        if self._last is not None:
            query = tables.counter.update().where(tables.counter.c.name == self._counter)
            self._connection.execute(query.values(value=self._last))
