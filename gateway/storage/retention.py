"""Rows of old submissions leave the ledger for archive files, and come back.

What stays: the submission's own row, with the receipt that answers a repetition of it; the keys by which one is
known; journal, checkpoints and exhibits.  On SQLite the rest is deleted with the mark that it is archived.  On
PostgreSQL it stays until all of its month is archived, and goes with its partition (`departing`): deleting
millions of rows would write as much again as they are.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, insert, or_, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from gateway.evidence import entries
from gateway.evidence.archives import Row, Value
from gateway.evidence.entries import Attested, read_entry
from gateway.storage import tables
from gateway.storage.codec import micros, moment, submission_of
from gateway.storage.faults import LedgerError
from gateway.storage.journal import Page
from gateway.storage.months import kept, month_of

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
AT_ONCE = 4
"""Rows in memory, of which one may have a MB or some."""
MOST_OCTETS = 1 << 28
"""Octets of slices, as they are kept, in one archive file, where more than one submission has them: a file is copied,
and read back, as one."""
AFTER_POINT = "/"
"""The character that sorts next to the point: an id's own ids are between it and the id with this."""


CLOCKS = timedelta(days=1)
"""By which the time in an id may be off that of its arrival: the clock was set between them.  One that is off by
more is archived so much later."""


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
        .where(or_(*_between(kept(connection, tables.octets.name, before + CLOCKS))))
        .order_by(_s.id)
        .limit(limit)
    )
    ids = list(connection.scalars(page))
    fit = _fitting(connection, ids)
    after = ids[fit - 1] if fit and (fit < len(ids) or len(ids) == limit) else ""
    return [i for i in ids[:fit] if not owes(connection, i, f"{i}{AFTER_POINT}")], after


def _fitting(connection: Connection, ids: Sequence[str]) -> int:
    """How many of the first are not too much for one file; one at least."""
    s = tables.slice.c
    of = select(s.submission, func.sum(func.length(s.octets))).where(s.submission.in_(ids))
    octets = {row[0]: int(row[1]) for row in connection.execute(of.group_by(s.submission))}
    sums = accumulate(octets.get(i, 0) for i in ids)
    return max(sum(1 for total in sums if total <= MOST_OCTETS), min(len(ids), 1))


def _between(ranges: Iterable[tuple[str, str]]) -> Iterator[ColumnElement[bool]]:
    for first, end in ranges:
        yield and_(_s.id >= first, _s.id < end) if end else _s.id >= first


def owes(connection: Connection, first: str, end: str) -> bool:
    """Whether something is due whose id is from the first to before the end."""
    due = select(_d.id).where(_d.id >= first, _d.id < end, _d.state == tables.DUE)
    return connection.scalar(due.limit(1)) is not None


class Outline(msgspec.Struct, frozen=True):
    """What tells whether rows are the same: the SHA-256 of them all, of slices without their octets.  ``counts``: rows
    that are in months, by submission; ``queued``: those that are not, themselves."""

    digest: str
    counts: dict[str, int]
    queued: tuple[Row, ...]


def outline(rows: Iterable[Row]) -> Outline:
    """Of rows in their order.

    Octets of slices are left out, which there are is not: nobody changes any of what is stored, and to read hundreds
    of MB again would keep all others from writing.
    """
    made, counts, queued = hashlib.sha256(), Counter[str](), list[Row]()
    for row in rows:
        told: dict[str, object] = dict(row.columns)
        if row.table == tables.slice.name:
            told.pop("octets", None)
        made.update(msgspec.msgpack.encode((row.table, told)))
        if tables.metadata.tables[row.table] in CUT:
            counts[_whose(row)] += 1
        else:
            queued.append(row)
    return Outline(made.hexdigest(), dict(counts), tuple(queued))


def dump(connection: Connection, ids: Sequence[str]) -> Iterator[Row]:
    """The rows that leave with these submissions, table by table; some are in memory at a time."""
    for table, _ in _leaving(connection, ids):
        yield from _of_table(connection, ids, table, list(table.columns))


def _outlined(connection: Connection, ids: Sequence[str]) -> Outline:
    """Of what is here now."""
    s = tables.slice.c

    def rows() -> Iterator[Row]:
        for table, _ in _leaving(connection, ids):
            columns: list[Any] = list(table.columns)
            if table is tables.slice:
                columns = [s.submission, s.part, s.number]
            yield from _of_table(connection, ids, table, columns)

    return outline(rows())


def _of_table(connection: Connection, ids: Sequence[str], table: Table, columns: list[Any]) -> Iterator[Row]:
    which = dict(_leaving(connection, ids))[table]
    wanted = select(*columns).where(which).order_by(*table.primary_key.columns)
    with connection.execute(wanted, execution_options={"yield_per": AT_ONCE}) as found:
        yield from (Row(str(table.name), _columns(row)) for row in found)


def remove(
    connection: Connection, ids: Sequence[str], kept: Outline, name: str, digest: str, page: Page
) -> None:
    """Take these submissions out, where they still are as the archive has them.  Raises Changed.

    Once more with the same archive nothing happens: the commit may have been made and not heard of.
    """
    if _are_in(connection, ids, digest):
        return
    if _outlined(connection, ids) != kept:
        raise Changed(f"{name}: a submission changed meanwhile")
    at = micros(page.at)
    alone = ids if connection.dialect.name == "sqlite" else [i for i in ids if month_of(i) is None]
    for table, which in _leaving(connection, ids):
        if table in CUT:
            continue
        gone = connection.execute(delete(table).where(which).returning(*table.columns)).all()
        # On PostgreSQL others commit between our statements: what came since is still to do, and in no archive.
        if _by_key(table, map(_columns, gone)) != _by_key(table, _of(table, kept.queued)):
            raise Changed(f"{name}: something is to do meanwhile")
    for table in CUT if alone else ():
        connection.execute(delete(table).where(table.c.submission.in_(alone)))
    for identity in ids:
        page.add(entries.ARCHIVED, identity, Attested(record=digest, note=name))
    connection.execute(
        insert(tables.archived),
        [
            {"submission": i, "archive": name, "digest": digest, "at": at, "rows": kept.counts.get(i, 0)}
            for i in ids
        ],
    )


def _are_in(connection: Connection, ids: Sequence[str], digest: str) -> bool:
    found = select(func.count()).where(_a.submission.in_(ids), _a.digest == digest)
    return connection.scalar(found) == len(ids)


def _of(table: Table, rows: Iterable[Row]) -> Iterator[dict[str, Value]]:
    return (row.columns for row in rows if row.table == table.name)


def _by_key(table: Table, rows: Iterable[dict[str, Value]]) -> dict[tuple[Value, ...], dict[str, Value]]:
    names = [column.name for column in table.primary_key.columns]
    return {tuple(row[name] for name in names): row for row in rows}


def restore(connection: Connection, ids: Sequence[str], rows: Iterable[Row], page: Page) -> list[str]:
    """Bring archived submissions back, with their rows out of the archive; those that were away.

    What is here by now stays as it is: all of a month that did not leave, some of one that is leaving, and what
    was sent once more.
    """
    away = list(connection.scalars(select(_a.submission).where(_a.submission.in_(ids))))
    into = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    for row in rows:
        if _whose(row) in away:
            table = tables.metadata.tables[row.table]
            back = into(table).values(_placed(connection, table, row))
            connection.execute(back.on_conflict_do_nothing())
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
    """Which rows of which tables leave; the receipt stays, as it answers who sends the same again; it waits no more."""
    yield from ((table, table.c.submission.in_(ids)) for table in CUT)
    yield tables.delivery, or_(*((_d.id >= i) & (_d.id < f"{i}{AFTER_POINT}") for i in ids))
    answers = select(_o.partner, _o.position).where(_o.submission.in_(ids))
    receipts = select(_s.filer, _s.position).where(_s.id.in_(ids))
    waiting = tuple_(_w.partner, _w.position)
    # Each finds its index by its own form only.
    either = waiting.in_(answers) | waiting.in_(receipts)
    alone = connection.dialect.name == "sqlite"
    yield tables.waiting, either if alone else waiting.in_(answers.union_all(receipts))
