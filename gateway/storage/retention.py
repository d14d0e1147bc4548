"""Rows of old submissions leave the ledger for archive files, and come back.

What stays: the submission's own row, with the receipt that answers a repetition of it; the keys by which one is
known; journal, checkpoints and exhibits.  On SQLite the rest is deleted with the mark that it is archived.  On
PostgreSQL it stays until all of its month is archived, and goes with its partition (`departing`): deleting
millions of rows would write as much again as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, delete, func, insert, or_, select, tuple_

from gateway.evidence import entries
from gateway.evidence.archives import Row, Value
from gateway.evidence.entries import Attested, read_entry
from gateway.storage import tables
from gateway.storage.codec import micros, moment, submission_of
from gateway.storage.faults import LedgerError
from gateway.storage.journal import Page
from gateway.storage.months import month_of

_s, _a, _d, _o, _w = (
    t.c for t in (tables.submission, tables.archived, tables.delivery, tables.outgoing, tables.waiting)
)
CUT = (
    tables.octets,
    tables.slice,
    tables.message,
    tables.decision,
    tables.event,
    tables.outgoing,
    tables.correction,
)
"""What is in months, a row for each submission or many; beside it what waits in queues."""
AFTER_POINT = "/"
"""The character that sorts next to the point: an id's own ids are between it and the id with this."""


class Archived(msgspec.Struct, frozen=True):
    """An archive file and how many submissions are still in it.  ``digest``: of the file, hex SHA-256."""

    name: str
    digest: str
    at: datetime
    submissions: int


class Changed(LedgerError):
    """Something was added to a submission while it was being archived; it stays where it is."""


def old(connection: Connection, before: datetime, after: str, limit: int) -> tuple[list[str], str]:
    """Ids of submissions received before a time that are here and owe nothing (no delivery of theirs is
    due), of one page behind the id ``after``; and the id at which the page ends, "" where it is the last."""
    page = (
        select(_s.id)
        .outerjoin(tables.archived, _a.submission == _s.id)
        .where(_s.received_at < micros(before), _a.submission.is_(None), _s.id > after)
        .order_by(_s.id)
        .limit(limit)
    )
    ids = list(connection.scalars(page))
    return [i for i in ids if not owes(connection, i, f"{i}{AFTER_POINT}")], ids[-1] if len(
        ids
    ) == limit else ""


def owes(connection: Connection, first: str, end: str) -> bool:
    """Whether something is due whose id is from the first to before the end."""
    due = select(_d.id).where(_d.id >= first, _d.id < end, _d.state == tables.DUE)
    return connection.scalar(due.limit(1)) is not None


def dump(connection: Connection, ids: Sequence[str]) -> list[Row]:
    """The rows that leave with these submissions, table by table."""
    rows: list[Row] = []
    for table, which in _leaving(connection, ids):
        found = connection.execute(select(table).where(which).order_by(*table.primary_key.columns))
        rows += [Row(str(table.name), _columns(row)) for row in found]
    return rows


def remove(
    connection: Connection, ids: Sequence[str], rows: Sequence[Row], name: str, digest: str, page: Page
) -> None:
    """Take these submissions out, where they still are as the archive has them.  Raises Changed."""
    if dump(connection, ids) != list(rows):
        raise Changed(f"{name}: a submission changed meanwhile")
    at = micros(page.at)
    alone = ids if connection.dialect.name == "sqlite" else [i for i in ids if month_of(i) is None]
    for table, which in _leaving(connection, ids):
        if table not in CUT:
            connection.execute(delete(table).where(which))
    for table in CUT if alone else ():
        connection.execute(delete(table).where(table.c.submission.in_(alone)))
    for identity in ids:
        page.add(entries.ARCHIVED, identity, Attested(record=digest, note=name))
    counted = Counter(_whose(row) for row in rows if tables.metadata.tables[row.table] in CUT)
    connection.execute(
        insert(tables.archived),
        [{"submission": i, "archive": name, "digest": digest, "at": at, "rows": counted[i]} for i in ids],
    )


def restore(connection: Connection, ids: Sequence[str], rows: Sequence[Row], page: Page) -> list[str]:
    """Bring archived submissions back, with their rows out of the archive; those that were away."""
    away = list(connection.scalars(select(_a.submission).where(_a.submission.in_(ids))))
    here = set(
        connection.scalars(select(tables.octets.c.submission).where(tables.octets.c.submission.in_(away)))
    )
    for row in rows:
        table, whose = tables.metadata.tables[row.table], _whose(row)
        if whose in away and not (whose in here and table in CUT):
            connection.execute(insert(table), _placed(connection, table, row))
    reopen(connection, away, page)
    return away


def reopen(connection: Connection, ids: Sequence[str], page: Page) -> None:
    """These are archived no more: what they have is here."""
    for identity in ids:
        page.add(entries.RESTORED, identity, Attested())
    connection.execute(delete(tables.archived).where(_a.submission.in_(ids)))


def _placed(connection: Connection, table: Table, row: Row) -> dict[str, Value]:
    """The row's columns; a delivery's without its position where that is another one's by now: SQLite gives
    the last ones again when their rows are gone.  Then it is the newest."""
    columns = dict(row.columns)
    if table is tables.delivery:
        taken = select(_d.position).where(_d.position == columns["position"])
        if connection.scalar(taken) is not None:
            del columns["position"]
    return columns


def archives(connection: Connection) -> list[Archived]:
    """Archive files in which something still is, oldest first."""
    found = (
        select(_a.archive, _a.digest, func.min(_a.at), func.count())
        .group_by(_a.archive, _a.digest)
        .order_by(func.min(_a.at), _a.archive)
    )
    return [Archived(r[0], r[1], moment(r[2]), r[3]) for r in connection.execute(found)]


def archive_of(connection: Connection, submission: str) -> str:
    """The archive file that a submission is in, "" where it is here."""
    return connection.scalar(select(_a.archive).where(_a.submission == submission)) or ""


def attested_digests(connection: Connection, submission: str) -> set[str]:
    """The digests of archive files that the journal says it went into."""
    told = connection.scalars(select(tables.journal.c.entry).where(tables.journal.c.about == submission))
    return {e.of.record for e in map(read_entry, told) if e.kind == entries.ARCHIVED}


def _columns(row: Any) -> dict[str, Value]:
    # Names of columns are SQLAlchemy's own kind of text, and octets the driver's own kind of octets.
    return {str(n): bytes(v) if isinstance(v, memoryview) else v for n, v in row._mapping.items()}


def _whose(row: Row) -> str:
    """The submission that a row belongs to."""
    for column in ("submission", "outgoing", "id"):
        if column in row.columns and (column != "outgoing" or row.table == tables.waiting.name):
            return submission_of(str(row.columns[column]))
    raise ValueError(f"a row of {row.table} belongs to no submission")


def _leaving(connection: Connection, ids: Sequence[str]) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """Which rows of which tables leave; the receipt stays, as it answers who sends the same again."""
    yield from ((table, table.c.submission.in_(ids)) for table in CUT)
    yield tables.delivery, or_(*((_d.id >= i) & (_d.id < f"{i}{AFTER_POINT}") for i in ids))
    answers = select(_o.partner, _o.position).where(_o.submission.in_(ids))
    yield tables.waiting, tuple_(_w.partner, _w.position).in_(answers)
