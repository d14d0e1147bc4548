"""Many rows into one table, at the driver's own speed.

Where messages flow, SQLAlchemy's handling of each row's parameters costs as much as the database does
(measured: 40 of 100 microseconds a message); its compiler is used once, and rows go in as tuples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, create_engine
from sqlalchemy.dialects import postgresql, sqlite

from gateway.storage.compression import Compressed, compressed

T = TypeVar("T")

_POSTGRESQL = create_engine("postgresql+psycopg://", paramstyle="format").dialect


Row = tuple[Any, ...]
"""Values in the order of a table's columns, but for those that it generates."""
LOT = 1_000
"""Rows that are held, and inserted, at once."""


def in_lots(rows: Iterable[T]) -> Iterator[list[T]]:
    """As they come, so many at a time."""
    coming = iter(rows)
    while lot := list(islice(coming, LOT)):
        yield lot


class Rows:
    """How rows of one table are inserted, on either database."""

    def __init__(
        self, table: Table, *, generated: Sequence[str] = (), on_conflict_do_nothing: bool = False
    ) -> None:
        """``generated``: columns that the rows leave out."""
        names = [c.name for c in table.columns if c.name not in generated]
        self._compressed = [n for n, name in enumerate(names) if isinstance(table.c[name].type, Compressed)]
        in_sqlite, in_postgresql = sqlite.insert(table), postgresql.insert(table)
        if on_conflict_do_nothing:
            in_sqlite = in_sqlite.on_conflict_do_nothing()
            in_postgresql = in_postgresql.on_conflict_do_nothing()
        self._statements = {
            "sqlite": str(in_sqlite.compile(dialect=sqlite.dialect(), column_keys=names)),
            "postgresql": str(in_postgresql.compile(dialect=_POSTGRESQL, column_keys=names)),
        }

    def insert(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Insert them; how many that made."""
        if not rows:
            return 0
        if self._compressed:
            rows = [self._smaller(row) for row in rows]
        return connection.exec_driver_sql(self._statements[connection.dialect.name], list(rows)).rowcount

    def _smaller(self, row: Row) -> Row:
        values = list(row)
        for at in self._compressed:
            if values[at] is not None:
                values[at] = compressed(values[at])
        return tuple(values)
