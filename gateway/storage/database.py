"""An open database: SQLite or PostgreSQL, made durable, handing out reading and writing transactions."""

from __future__ import annotations

import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, func, select, text, true
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError

from gateway.storage.writes import Writes

T = TypeVar("T")

BUSY_MS = 10_000
"""How long a SQLite writer waits for another process's transaction (milliseconds)."""

CHECKPOINT_PAGES = 4_000
"""SQLite WAL pages between checkpoints (16 MB): each one costs two more syncs."""

LOG_BYTES = 134_217_728
"""How long SQLite's write-ahead log may be before it is begun anew (128 MiB): readers that overlap without end keep
it from that otherwise."""

LOG_WAIT_MS = 500
"""How long commits may wait for readers then; where that is too short it is tried again later."""

CACHE_KIB = 32_768
"""SQLite page cache of one connection."""

MAX_TRIES = 5
"""A transaction that lost a deadlock or its connection is repeated whole; every one of ours may be."""

PAUSE_SECONDS = 0.02
"""Before the second try; doubled for each further one."""

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

_AGAIN = frozenset({"40001", "40P01"})  # PostgreSQL: serialization failure, deadlock detected
_READ_ONLY = "25006"  # a standby, or a server that was told to take nothing
_AWAY = frozenset({_READ_ONLY, "25P03", "57P01", "57P02", "57P03", "57P05"})
"""Likewise where it ended the session for idling, is stopping, crashed, or is not there yet."""
_AWAY_CLASSES = ("08", "53", "58")  # connection; no room, memory or connections; the machine's own fault
_CHECK = "23514"  # of a constraint, which is then named; or of the bounds of partitions
_KEY = re.compile(r"\((?:submission|id)\) = \((.*)\)", re.DOTALL)
_WAITED = "SyncRepWaitForLSN"  # where PostgreSQL says, in whatever language, that it waits no longer


class LedgerError(Exception):
    """The ledger refused to store or read something; nothing of the transaction was kept."""


class LedgerUnavailable(LedgerError):
    """The database cannot be reached or written now (down, locked, disk full): try again later."""


class LedgerMissing(LedgerError):
    """There is no database at the URL, or it has no ledger in it."""


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


class Database:
    """One engine and the rules of its transactions.  Threads may share it."""

    def __init__(self, url: str, *, create: bool = False) -> None:
        """``create``: make a missing SQLite file (mode 0600; it holds business secrets).

        Raises ValueError for a URL that cannot be used, LedgerMissing where a file is absent.
        """
        parsed = parse_url(url)
        self.dialect = parsed.get_backend_name()
        if self.dialect == "sqlite":
            _require_file(Path(str(parsed.database)), create)
        self.engine = _sqlite(parsed) if self.dialect == "sqlite" else _postgresql(parsed)
        self.writes = Writes()
        self._unconfirmed = _Unconfirmed()
        self.mend: Callable[[str, str], None] | None = None
        """Makes the partition of a table for a key, where PostgreSQL found none; then the transaction is repeated."""
        if self.dialect == "postgresql":
            event.listen(self.engine, "connect", self._unconfirmed.heed)
            event.listen(self.engine, "checkin", _of_no_kind)
        self._writer = self.engine.execution_options(ledger_write=True)
        self._reader = self.engine
        if self.dialect == "postgresql":
            self._reader = self.engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        # SQLite has one writer at a time: threads queue fairly here rather than poll inside it.
        self._turn: AbstractContextManager[Any] = (
            threading.Lock() if self.dialect == "sqlite" else nullcontext()
        )

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run the work in one transaction that sees one state of the database."""
        return self._repeat(self._reader, work)

    def trim_log(self, longest: int = LOG_BYTES) -> bool:
        """Begin SQLite's write-ahead log anew where it is longer than so many octets; True where it was.

        A long reading can keep it from that, for no longer than LOG_WAIT_MS.
        """
        log = Path(f"{self.engine.url.database}-wal")
        if self.dialect != "sqlite" or not log.exists() or log.stat().st_size <= longest:
            return False
        with self._turn, self.engine.connect() as connection:
            dbapi: Any = connection.connection.dbapi_connection
            dbapi.execute(f"PRAGMA busy_timeout={LOG_WAIT_MS}")
            try:
                busy: int = dbapi.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0]
            finally:
                dbapi.execute(f"PRAGMA busy_timeout={BUSY_MS}")
            return not busy

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run the work in one transaction and commit it durably before returning.

        The work may run more than once (lost deadlock, lost connection): it must be repeatable.
        Raises LedgerUnavailable, or LedgerError where the database refused a value.
        """
        with self.writes.one(), self._turn:
            try:
                done = self._repeat(self._writer, work)
            except LedgerUnavailable as away:
                self.writes.failed(str(away))
                raise
            self.writes.committed()
            return done

    def try_out(self, *, change: bool) -> None:
        """Whether something could be committed now: a write that changes nothing, or one of a row of its own.

        Raises LedgerUnavailable.
        """
        try:
            self.write(lambda connection: _tried(connection, change))
        except LedgerUnavailable:
            self.engine.dispose()  # the next connection may find who took over
            raise

    def apart(self, work: Callable[[Connection], T]) -> T:
        """Run the work outside of any transaction, each statement for itself, once."""
        try:
            with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                return work(connection)
        except DBAPIError as error:
            raise _translated(error) from error

    def confirm(self) -> None:
        """Return once all that is visible now is where an acknowledged commit has to be.

        A commit that nobody waited for to its end (its connection broke, its server ended) may be visible
        and on no standby yet.  Any later commit that writes waits for what is before it too.  Elsewhere
        what is visible is durable.  Raises LedgerUnavailable.
        """
        if self.dialect == "postgresql":
            self.write(lambda c: c.execute(select(func.pg_logical_emit_message(true(), "cvan", ""))).all())

    def _repeat(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        for tried in range(1, MAX_TRIES + 1):
            self._unconfirmed.here = False
            try:
                with engine.begin() as connection:
                    result = work(connection)
            except DBAPIError as error:
                if _state(error) == _READ_ONLY:
                    self.engine.dispose()  # the next connection may find who took over
                homeless = _homeless(error)
                if tried == MAX_TRIES or not (_passing(error) or (homeless and self.mend)):
                    raise _translated(error) from error
                if homeless and self.mend:
                    self.mend(*homeless)
                    continue
            else:
                if self._unconfirmed.here:
                    raise LedgerUnavailable("committed, and not known to be on the standby")
                return result
            time.sleep(PAUSE_SECONDS * 2 ** (tried - 1))
        raise AssertionError("unreachable")


class _Unconfirmed(threading.local):
    """Whether PostgreSQL gave up waiting for the standby in this thread's transaction.

    A commit whose wait was cancelled succeeds, with no more than a warning, and is on one server only.
    """

    here = False

    def heed(self, dbapi: Any, _record: object) -> None:
        """Listen to a new connection's warnings; they come in the thread that commits."""
        dbapi.add_notice_handler(self._noticed)

    def _noticed(self, diagnostic: Any) -> None:
        self.here = self.here or diagnostic.source_function == _WAITED


def _of_no_kind(dbapi: Any, _record: object) -> None:
    """After a read a connection would begin its next transaction with READ WRITE, against what the server was
    told (``default_transaction_read_only``, to take it out of service): it leaves that to the server."""
    if dbapi is not None and not dbapi.closed:
        dbapi.read_only = None


def _tried(connection: Connection, change: bool) -> None:
    """SQLite takes the lock of a writer when the transaction begins; PostgreSQL has to be asked."""
    if connection.dialect.name == "postgresql":
        refuses = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean"
        if connection.scalar(text(refuses)):
            raise LedgerUnavailable("the server takes nothing: it is read-only, or a standby")
    if change:
        # A row that all nodes write over, in words that both databases know.
        row = "INSERT INTO duty (name, owner, until) VALUES ('trial', '', :now)"
        again = "ON CONFLICT (name) DO UPDATE SET until = excluded.until"
        connection.execute(text(f"{row} {again}"), {"now": time.time_ns() // 1_000})


def _passing(error: DBAPIError) -> bool:
    return error.connection_invalidated or _state(error) in _AGAIN


def _state(error: DBAPIError) -> str:
    """PostgreSQL's word for what happened, "" where it gave none."""
    return getattr(error.orig, "sqlstate", None) or ""


def sqlstate(error: LedgerError) -> str:
    """The same of an error that came of it."""
    return _state(error.__cause__) if isinstance(error.__cause__, DBAPIError) else ""


def _homeless(error: DBAPIError) -> tuple[str, str] | None:
    """Table and key of a row that belongs into no partition; None where it is not that."""
    told: Any = getattr(error.orig, "diag", None)
    if _state(error) != _CHECK or told is None or told.constraint_name:
        return None
    # In whatever language the rest is: the column and the value stand in parentheses.
    found = _KEY.search(told.message_detail or "")
    return (str(told.table_name), found[1]) if found else None


def _translated(error: DBAPIError) -> LedgerError:
    # The statement's parameters (message content) stay out of the text, which ends in logs.
    told = f"{type(error.orig).__name__}: {' '.join(str(error.orig).split())}"
    away = _state(error) in _AWAY or _state(error).startswith(_AWAY_CLASSES)
    if away or isinstance(error, OperationalError | InterfaceError):
        return LedgerUnavailable(told)
    return LedgerError(told)


def _require_file(path: Path, create: bool) -> None:
    if path.exists():
        return
    if not create:
        raise LedgerMissing(f"no ledger at {path}")
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, **_POOL)

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


def _postgresql(url: URL) -> Engine:
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
