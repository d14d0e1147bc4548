"""Rows of old submissions leave the ledger for archive files, and come back.

What stays: the submission's own row without its octets, with the keys by which a repetition is known; the
receipt that answers one; journal, checkpoints and exhibits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, insert, select, update

from gateway.evidence import entries
from gateway.evidence.archives import Row, Value
from gateway.evidence.entries import Attested, read_entry
from gateway.storage import slices, tables
from gateway.storage.codec import micros, moment
from gateway.storage.database import LedgerError
from gateway.storage.journal import Page

_s, _a, _d, _o = (t.c for t in (tables.submission, tables.archived, tables.delivery, tables.outgoing))
_l = tables.slice.c
_e, _m, _n = tables.event.c, tables.message.c, tables.decision.c
OCTETS = "octets"
"""The name, in an archive, of what is taken out of the submission's own row."""


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
    return [i for i in ids if not _owes(connection, i)], ids[-1] if len(ids) == limit else ""


def _owes(connection: Connection, submission: str) -> bool:
    _, due = _named(connection, submission)
    return bool(connection.scalar(select(func.count()).where(_d.id.in_(due), _d.state == tables.DUE)))


def dump(connection: Connection, ids: Sequence[str]) -> list[Row]:
    """The rows that leave with these submissions."""
    rows: list[Row] = []
    for identity in ids:
        body = connection.scalar(select(_s.body).where(_s.id == identity)) or b""
        body = body or slices.whole(connection, identity, slices.BODY)
        rows.append(Row(OCTETS, {"submission": identity, "body": body}))
        for table, which in _leaving(connection, identity):
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
    for identity in ids:
        for table, which in _leaving(connection, identity):
            connection.execute(delete(table).where(which))
        page.add(entries.ARCHIVED, identity, Attested(record=digest, note=name))
    connection.execute(update(tables.submission).where(_s.id.in_(ids)).values(body=b""))
    connection.execute(delete(tables.slice).where(_l.submission.in_(ids)))
    connection.execute(
        insert(tables.archived),
        [{"submission": i, "archive": name, "digest": digest, "at": at} for i in ids],
    )


def restore(connection: Connection, ids: Sequence[str], rows: Sequence[Row], page: Page) -> list[str]:
    """Bring archived submissions back, with their rows out of the archive; those that were away."""
    away = list(connection.scalars(select(_a.submission).where(_a.submission.in_(ids))))
    wanted, current = set(away), ""
    for row in rows:
        if row.table == OCTETS:
            current = str(row.columns["submission"])
        if current not in wanted:
            continue
        if row.table == OCTETS:
            body = {"body": row.columns["body"]}
            connection.execute(update(tables.submission).where(_s.id == current).values(**body))
        else:
            table = tables.metadata.tables[row.table]
            connection.execute(insert(table), _placed(connection, table, row))
    for identity in away:
        page.add(entries.RESTORED, identity, Attested())
    connection.execute(delete(tables.archived).where(_a.submission.in_(away)))
    return away


def _placed(connection: Connection, table: Table, row: Row) -> dict[str, Value]:
    """The row's columns; without its position where that is another row's by now: SQLite gives the last
    ones again when their rows are gone.  Then it is the newest."""
    columns = dict(row.columns)
    if "position" in columns:
        taken = select(table.c.position).where(table.c.position == columns["position"])
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


def _named(connection: Connection, submission: str) -> tuple[list[str], list[str]]:
    """The outgoings and the deliveries that entries about a submission name."""
    told = connection.scalars(select(tables.journal.c.entry).where(tables.journal.c.about == submission))
    of = [read_entry(text).of for text in told]
    return [i for one in of for i in one.sent], [i for one in of for i in one.due]


def _leaving(connection: Connection, submission: str) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """Which rows of which tables leave; the receipt stays, as it answers who sends the same again."""
    sent, due = _named(connection, submission)
    receipt = connection.scalar(select(_s.receipt).where(_s.id == submission))
    yield tables.message, _m.submission == submission
    yield tables.slice, and_(_l.submission == submission, _l.part > slices.BODY)
    yield tables.decision, _n.submission == submission
    yield tables.event, _e.submission == submission
    yield tables.outgoing, _o.id.in_([i for i in sent if i != receipt])
    yield tables.delivery, _d.id.in_(due)
    yield tables.correction, tables.correction.c.submission == submission
