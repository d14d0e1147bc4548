"""An open database: SQLite or PostgreSQL, made durable, handing out reading and writing transactions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, event, func, select, text, true
from sqlalchemy.exc import DBAPIError

from gateway.storage.engines import (
    BUSY_MS,
    LOG_BYTES,
    parse_url,
    postgresql_engine,
    require_file,
    sqlite_engine,
)
from gateway.storage.faults import (
    READ_ONLY,
    LedgerDamaged,
    LedgerError,
    LedgerUnavailable,
    homeless_key,
    passing,
    state_of,
    translated,
)
from gateway.storage.writes import Writes

T = TypeVar("T")

LOG_WAIT_MS = 500
"""How long commits may wait for readers then; where that is too short it is tried again later."""

MAX_TRIES = 5
"""A transaction that lost a deadlock or its connection is repeated whole; every one of ours may be."""

MAX_MENDED = 240
"""Partitions that one transaction may miss and wait for: what is brought back from an archive may be of many months."""

PAUSE_SECONDS = 0.02
"""Before the second try; doubled for each further one."""

_WAITED = "SyncRepWaitForLSN"  # where PostgreSQL says, in whatever language, that it waits no longer


class Database:
    """One engine and the rules of its transactions.  Threads may share it."""

    def __init__(self, url: str, *, create: bool = False) -> None:
        """``create``: make a missing SQLite file (mode 0600; it holds business secrets).

        Raises ValueError for a URL that cannot be used, LedgerMissing where a file is absent.
        """
        parsed = parse_url(url)
        self.dialect = parsed.get_backend_name()
        if self.dialect == "sqlite":
            require_file(Path(str(parsed.database)), create)
        self.engine = sqlite_engine(parsed) if self.dialect == "sqlite" else postgresql_engine(parsed)
        self.writes = Writes()
        self._unconfirmed = _Unconfirmed()
        self._damage = ""
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
        Raises LedgerUnavailable, or LedgerError where the database refused a value.  A file that was once found
        damaged takes nothing more: what is acknowledged on it may be lost.
        """
        with self.writes.one(), self._turn:
            try:
                if self._damage:
                    raise LedgerDamaged(self._damage)
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
            raise self._told(error) from error

    def confirm(self) -> None:
        """Return once all that is visible now is where an acknowledged commit has to be.

        A commit that nobody waited for to its end (its connection broke, its server ended) may be visible
        and on no standby yet.  Any later commit that writes waits for what is before it too.  Elsewhere
        what is visible is durable.  Raises LedgerUnavailable.
        """
        if self.dialect == "postgresql":
            self.write(lambda c: c.execute(select(func.pg_logical_emit_message(true(), "cvan", ""))).all())

    def _told(self, error: DBAPIError) -> LedgerError:
        told = translated(error)
        if isinstance(told, LedgerDamaged):
            self._damage = str(told)
            self.writes.failed(self._damage)
        return told

    def _repeat(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        tried = mended = 0
        while True:
            self._unconfirmed.here = False
            try:
                with engine.begin() as connection:
                    result = work(connection)
            except DBAPIError as error:
                if state_of(error) == READ_ONLY:
                    self.engine.dispose()  # the next connection may find who took over
                homeless = homeless_key(error)
                if homeless and self.mend and mended < MAX_MENDED:
                    mended += 1
                    self.mend(*homeless)
                    continue
                tried += 1
                if tried == MAX_TRIES or not passing(error):
                    raise self._told(error) from error
                time.sleep(PAUSE_SECONDS * 2 ** (tried - 1))
            else:
                if self._unconfirmed.here:
                    raise LedgerUnavailable("committed, and not known to be on the standby")
                return result


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
