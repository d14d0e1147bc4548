"""Months leave PostgreSQL: what is wholly archived, and owes nothing, is detached and dropped.

Detached ``CONCURRENTLY``, table by table, each time without a lock on the table; counted again, as nobody writes
there any more; and dropped in one transaction.  What came at the last moment is put back.  Whoever is killed
half way leaves partitions that are detached, and the next run goes on with these.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, text

from gateway.storage import tables
from gateway.storage.database import Database
from gateway.storage.journal import Page
from gateway.storage.months import (
    LEAVING,
    LOCK_MS,
    Month,
    detach,
    existing,
    hold,
    leaving,
    partition,
    patiently,
    pending_partitions,
)
from gateway.storage.retention import owes, reopen

log = logging.getLogger("gateway.months")

LOCK = 0x63766170
"""PostgreSQL advisory lock: who has it takes months out."""

Attest = Callable[[Callable[[Connection, Page], bool]], bool]


def archived_months(connection: Connection) -> list[Month]:
    """Months of which something is archived and partitions are still here, oldest first."""
    if connection.dialect.name != "postgresql":
        return []
    names = connection.scalars(
        text(
            "SELECT DISTINCT substr(relname, length(:table) + 2, 7) FROM pg_class WHERE relkind = 'r' "
            "AND pg_table_is_visible(oid) AND relname ~ ('^' || :table || '_[0-9]{4}_[0-9]{2}(_leaving)?$')"
        ),
        {"table": tables.octets.name},
    )
    months = sorted(Month(int(name[:4]), int(name[5:])) for name in names)
    some = text("SELECT 1 FROM archived WHERE submission >= :first AND submission < :end LIMIT 1")
    return [m for m in months if connection.scalar(some, {"first": m.begins, "end": m.next.begins})]


def depart(database: Database, attest: Attest, month: Month) -> bool:
    """Take a month out where all of it is archived as it is, and nothing of it is owed; False where not.

    Raises LedgerUnavailable where somebody kept it from being detached; the next time goes on from there.
    """
    return database.apart(lambda alone: _alone(alone, database, attest, month))


def _alone(alone: Connection, database: Database, attest: Attest, month: Month) -> bool:
    if not alone.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": LOCK}):
        return False
    try:
        if not _begun(alone, month) and not attest(lambda c, page: _ready(c, month, page)):
            return False
        for table in LEAVING:
            _detached(database, table, month)
        return patiently(lambda: attest(lambda c, page: _drop(c, month, page)))
    finally:
        alone.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": LOCK})


def _begun(connection: Connection, month: Month) -> bool:
    """It was found ready before, and who took it out came no further."""
    pending = {partition(table, month) for table in LEAVING} & pending_partitions(connection)
    return bool(pending) or bool(existing(connection, [leaving(table, month) for table in LEAVING]))


def _ready(connection: Connection, month: Month, page: Page) -> bool:
    """Every row is of a submission that was archived with so many.  One that has more by now is archived no more: the
    next run takes it with what came."""
    if owes(connection, month.begins, month.next.begins):
        return False
    differing = _differing(connection, existing(connection, [partition(t, month) for t in LEAVING]))
    grown = [row.submission for row in differing if row.rows is not None and row.n > row.rows]
    reopen(connection, grown, page)
    return not differing


def _differing(connection: Connection, partitions: Sequence[str]) -> Sequence[Any]:
    """Submissions that have other rows here than were archived, with both numbers."""
    if not partitions:
        return []
    parts = " UNION ALL ".join(f"SELECT submission FROM {name}" for name in partitions)  # noqa: S608 - ours
    counted = f"SELECT submission, count(*) AS n FROM ({parts}) AS part GROUP BY submission"  # noqa: S608
    return connection.execute(
        text(
            f"SELECT c.submission, c.n, a.rows FROM ({counted}) AS c "  # noqa: S608
            "LEFT JOIN archived a ON a.submission = c.submission WHERE a.rows IS NULL OR a.rows <> c.n"
        )
    ).all()


def _detached(database: Database, table: str, month: Month) -> None:
    """Outside of any transaction, in steps each of which may be the last of a process."""

    def step(connection: Connection) -> None:
        try:
            connection.execute(text(f"SET lock_timeout = {LOCK_MS}"))
            detach(connection, table, month)
        finally:
            connection.execute(text("RESET lock_timeout"))

    patiently(lambda: database.apart(step))


def _drop(connection: Connection, month: Month, page: Page) -> bool:
    hold(connection)
    there = existing(connection, [leaving(table, month) for table in LEAVING])
    gone = {table: leaving(table, month) for table in LEAVING if leaving(table, month) in there}
    differing = _differing(connection, there)
    late = [row.submission for row in differing]
    # Some of it may have been brought back from its archive meanwhile.
    for table, name in gone.items() if late else ():
        columns = ", ".join(f'"{c.name}"' for c in tables.metadata.tables[table].columns)
        kept = text(
            f"INSERT INTO {table} ({columns}) "  # noqa: S608 - ours
            f"SELECT {columns} FROM {name} WHERE submission = ANY(:late) ON CONFLICT DO NOTHING"
        )
        connection.execute(kept, {"late": late})
    reopen(connection, [row.submission for row in differing if row.rows is not None], page)
    if gone:
        connection.execute(text(f"DROP TABLE {', '.join(gone.values())}"))
        log.info("the month %s left, with %d partitions; %d submissions stay", month, len(gone), len(late))
    return not late
