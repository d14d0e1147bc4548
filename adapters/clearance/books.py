"""The office's database: one engine, one writer at a time, every write durable before it returns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pysqlite3 import dbapi2 as sqlite

from adapters.clearance import tables
from adapters.clearance.docket import Docket
from adapters.clearance.settings import Config
from gateway.adapter import BackendUnavailable

BUSY_SECONDS = 30
"""How long SQLite waits for another process's write before it gives up."""

POOL = 5
"""Connections kept: one writes, the others read."""

UNAVAILABLE = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError)
"""The database is away, locked or out of connections: worth trying again later."""

AWAY = ("25006", "25P03")
"""PostgreSQL's words that it takes nothing now, as a standby or one that was set so, and that it ended a
transaction which idled, as where this process stood still: likewise."""

DAMAGED = (11, 26)
"""SQLite's words (SQLITE_CORRUPT, SQLITE_NOTADB) that its file is to be restored: no declaration's fault."""

SILENT_SERVER = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
}
"""libpq's words for when a server that says nothing is away: seconds, and milliseconds for the last.  What the URL
says counts more."""

ASKED = {
    "synchronous_commit": "on",
    "tcp_keepalives_idle": 5,
    "tcp_keepalives_interval": 2,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "idle_in_transaction_session_timeout": 10_000,
}
"""Of the server.  Its default may not wait for the disk; a handover that was taken needs the commit there.  The rest
lets go of what a node holds that fell silent: everybody queues behind the one that writes."""


class Refusing(Exception):
    """The database refused a statement, which is a fault of ours: nothing was written.  What it was about is
    business, and is not told: this ends in logs."""


class Books:
    """The database of one office.  May be used from any thread."""

    def __init__(self, url: str) -> None:
        parsed = sa.make_url(url)
        # Else an error of the database's would bring a declaration's values into the log.
        options: dict[str, Any] = {"pool_pre_ping": True, "hide_parameters": True}
        if parsed.get_backend_name() == "sqlite":
            # Not the system's: until 3.51.3 several processes that write and checkpoint can spoil the file.
            options |= {"connect_args": {"timeout": BUSY_SECONDS}, "module": sqlite}
        else:
            options |= {"pool_size": POOL, "max_overflow": POOL, "connect_args": _connecting(parsed)}
        self.engine = sa.create_engine(parsed, **options)
        if self.engine.dialect.name == "sqlite":
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)

    def migrate(self, now: datetime) -> None:
        """Bring the tables up to date.  Raises SchemaTooNew, BackendUnavailable."""
        with self._available(), self._transaction(writing=True) as connection:
            tables.migrate(connection, now)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A consistent view.  Raises BackendUnavailable."""
        with self._available(), self._transaction(writing=False) as connection:
            yield connection

    def octets(self, query: sa.Select[Any]) -> bytes | None:
        """What a query for one row's octets gives, in a transaction of its own.  Raises BackendUnavailable."""
        with self.reading() as connection:
            found: bytes | None = connection.scalar(query)
            return found

    @contextmanager
    def writing(self, config: Config, now: datetime) -> Iterator[Docket]:
        """A docket in a transaction of its own, committed where the block ends without an exception.

        Raises BackendUnavailable; then nothing, or (a lost answer to the commit) all of it is written; Refusing.
        """
        try:
            with self._available(), self._transaction(writing=True) as connection:
                docket = Docket(connection, config, now)
                yield docket
                docket.write()
        except sa.exc.DBAPIError as error:
            raise Refusing(f"{type(error).__name__}: {_reason(error)}") from None

    @contextmanager
    def _transaction(self, *, writing: bool) -> Iterator[sa.Connection]:
        with self.engine.connect() as connection:
            connection = connection.execution_options(clearance_writing=writing)
            with connection.begin():
                yield connection

    @contextmanager
    def _available(self) -> Iterator[None]:
        try:
            yield
        except UNAVAILABLE as error:
            raise BackendUnavailable(f"{type(error).__name__}: {_reason(error)}") from error
        except sa.exc.DatabaseError as error:
            if getattr(error.orig, "sqlstate", "") in AWAY:
                self.engine.dispose()  # the next connection may find who took over
            elif getattr(error.orig, "sqlite_errorcode", 0) & 0xFF not in DAMAGED:
                raise
            raise BackendUnavailable(f"{type(error).__name__}: {_reason(error)}") from error

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _connecting(url: sa.URL) -> dict[str, Any]:
    options = " ".join(f"-c {name}={value}" for name, value in ASKED.items())
    given = {name: value for name, value in SILENT_SERVER.items() if name not in url.query}
    return {"options": options, "application_name": "clearance"} | given


def _reason(error: sa.exc.SQLAlchemyError) -> str:
    """What the database's driver said, in one line; never the statement or its values."""
    said = str(getattr(error, "orig", None) or error).strip()
    return said.splitlines()[0] if said else "no reason given"


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """Durable commits (WAL with a full sync), and transactions begun by us, not by the driver."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    """A writer takes the lock at once: no transaction fails for having read before it wrote."""
    writing = connection.get_execution_options().get("clearance_writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
