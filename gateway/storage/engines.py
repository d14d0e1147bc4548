"""Engines: how SQLite and PostgreSQL are connected to, made durable, and told when the other end is silent."""

from __future__ import annotations

import os
import time
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from gateway.storage.faults import LedgerMissing
from gateway.storage.sqlite import require_sound, sqlite3

BUSY_MS = 10_000
"""How long a SQLite writer waits for another process's transaction (milliseconds)."""

CHECKPOINT_PAGES = 4_000
"""SQLite WAL pages between checkpoints (16 MB): each one costs two more syncs."""

LOG_BYTES = 134_217_728
"""How long SQLite's write-ahead log may be before it is begun anew (128 MiB): readers that overlap without end keep
it from that otherwise."""

CACHE_KIB = 32_768
"""SQLite page cache of one connection."""

PAUSE_SECONDS = 0.02
"""Between two tries to turn the log on."""

POOL_SIZE = 8
"""Connections kept open: the writer, the readers and the couriers of one process."""

_POOL = {
    "pool_size": POOL_SIZE,
    "max_overflow": POOL_SIZE,
    # Who writes most gets its own connection again: SQLite forgets a connection's pages when another one wrote, so
    # that by turns each commit would read the trees anew, and every connection would fill its cache.
    "pool_use_lifo": True,
    "hide_parameters": True,
}

SILENT_SERVER = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
}
"""libpq's words for when a server that says nothing is away: seconds, and milliseconds for the last.  Its
own defaults are for ever and two hours.  What the URL says counts more."""

SILENT_NODE = {
    "tcp_keepalives_idle": 5,
    "tcp_keepalives_interval": 2,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "idle_in_transaction_session_timeout": 10_000,
}
"""The same for the server, of this node: seconds, and milliseconds for the last two.  A machine that vanishes says
nothing; its session would keep its locks for two hours, by the system's own keep-alive.  A process that stands
still in the middle of a transaction is there, and keeps everybody waiting all the same."""


def parse_url(url: str) -> URL:
    """The URL with its driver.  Raises ValueError where it is neither a SQLite file nor PostgreSQL."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ValueError(str(error)) from error
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise ValueError(f"neither sqlite nor postgresql: {backend}")
    if not parsed.database or parsed.database == ":memory:":
        raise ValueError("a ledger in memory is not durable: name a file")
    return parsed


def require_file(path: Path, create: bool) -> None:
    """Raises LedgerMissing where there is no file and none is to be made."""
    if path.exists():
        return
    if not create:
        raise LedgerMissing(f"no ledger at {path}")
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def sqlite_engine(url: URL) -> Engine:
    """Durable at each commit; whoever writes has the lock of a writer from the beginning."""
    require_sound()
    engine = create_engine(url, module=sqlite3, **_POOL)

    @event.listens_for(engine, "connect")
    def connected(dbapi: sqlite3.Connection, _record: object) -> None:
        dbapi.isolation_level = None  # transactions begin where we say, data definitions included
        dbapi.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        _write_ahead(dbapi)
        for pragma in (
            "synchronous=FULL",
            "foreign_keys=ON",
            f"wal_autocheckpoint={CHECKPOINT_PAGES}",
            f"journal_size_limit={LOG_BYTES}",
            f"cache_size=-{CACHE_KIB}",
        ):
            dbapi.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        writes = connection.get_execution_options().get("ledger_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _write_ahead(dbapi: sqlite3.Connection) -> None:
    """Turn the log on; the file remembers.  Of processes that turn it on together SQLite tells all but one
    that the file is locked, without the wait that it grants elsewhere: the others wait here."""
    until = time.monotonic() + BUSY_MS / 1_000
    while True:
        try:
            dbapi.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return


def postgresql_engine(url: URL) -> Engine:
    """Durable at each commit, whatever the server is told."""
    # A server's default may be off; an acknowledgement needs the commit on disk.
    asked = {"synchronous_commit": "on", "timezone": "UTC", **SILENT_NODE}
    options = " ".join(f"-c {name}={value}" for name, value in asked.items())
    ours = {"options": options, "application_name": "cvan"}
    given = {name: value for name, value in SILENT_SERVER.items() if name not in url.query}
    return create_engine(
        url,
        connect_args=ours | given,
        **_POOL,
    )
