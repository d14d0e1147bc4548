"""Octets of large submissions, in rows of bounded size: written in many short transactions before anything
refers to them, so that no transaction is long and nobody else waits.

Nothing of them is seen by partners until the submission that they belong to is stored; those of one that never
was are swept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import count

from sqlalchemy import Connection, delete, func, select, tuple_

from gateway.model import Finding
from gateway.storage import tables
from gateway.storage.codec import packed
from gateway.storage.faults import LedgerError
from gateway.storage.rows import Rows

SLICE = 262_144
"""Octets of a row: some milliseconds of a database's time."""
BODY = 0
"""The part that is a submission's own octets; those above are its messages' declarations, by ordinal."""
LAST = 2**31 - 1
BEHIND = " "
"""An id with this is the next after it: no id has anything that sorts before."""
AT_ONCE = 64
"""Rows that are dropped in one transaction."""

WORKING = "API202"
"""The finding of a large submission that is being worked on; it names who does."""

_c, _h = tables.slice.c, tables.held.c
_rows = Rows(tables.slice)

Row = tuple[str, int, int, bytes]
"""Submission, part, number from 0, octets."""
Reader = Callable[[str, int, int], bytes | None]
"""Reads a row, in a transaction of its own: submission, part, number; None behind the last."""


def cut(submission: str, part: int, octets: bytes) -> Iterator[Row]:
    """The rows of a part that is in memory; one at least."""
    for number, at in enumerate(range(0, max(len(octets), 1), SLICE)):
        yield submission, part, number, octets[at : at + SLICE]


def add(connection: Connection, rows: Sequence[Row], owner: str) -> None:
    """Put rows of one submission away.  Raises LedgerError where its owner has it no more: what another one
    puts away, or what is stored, is not touched."""
    check_owned(connection, rows[0][0], owner)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA shrink_memory")  # nobody reads again what was written before
    _rows.insert(connection, rows)


def check_owned(connection: Connection, submission: str, owner: str) -> None:
    """Raises LedgerError where a submission is held and its owner's no more."""
    if not owned(connection, submission, owner):
        raise LedgerError(f"{submission} is worked on by another one")


def owned(connection: Connection, submission: str, owner: str) -> bool:
    """Whether a submission waits, and is worked on by this owner; or neither waits nor is stored, where none
    is named."""
    of = select(_h.became, _h.findings).where(_h.id == submission)
    # Until this transaction ends nobody else becomes the owner, and relies on what is there.
    row = connection.execute(of.with_for_update(read=True)).first()
    if not owner:
        stored = select(tables.submission.c.id).where(tables.submission.c.id == submission)
        return (row is None or row.became != "") and connection.scalar(stored) is None
    return row is not None and not row.became and row.findings == packed((working(owner),))


def working(owner: str) -> Finding:
    """What a large submission waits for, while it is worked on."""
    return Finding(WORKING, found=owner)


def one(connection: Connection, submission: str, part: int, number: int) -> bytes | None:
    """The octets of one row; None where there is none."""
    found = select(_c.octets).where(_c.submission == submission, _c.part == part, _c.number == number)
    octets = connection.scalar(found)
    return None if octets is None else bytes(octets)


def each(connection: Connection, submission: str, part: int) -> Iterator[bytes]:
    """The octets of a part, row by row."""
    number = 0
    while (octets := one(connection, submission, part, number)) is not None:
        yield octets
        number += 1


def rows(connection: Connection, parts: Collection[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """How many rows each of these parts (submission, part) has: all but the last are full."""
    if not parts:
        return {}
    counted = (
        select(_c.submission, _c.part, func.count())
        .where(_c.submission.in_({submission for submission, _ in parts}))
        .where(tuple_(_c.submission, _c.part).in_(list(parts)))
        .group_by(_c.submission, _c.part)
    )
    return {(submission, part): count for submission, part, count in connection.execute(counted)}


def later(again: Reader, submission: str, part: int) -> Iterator[bytes]:
    """The octets of a part, row by row, each in a transaction of its own."""
    for number in count():
        octets = again(submission, part, number)
        if octets is None:
            return
        yield octets


def whole(connection: Connection, submission: str, part: int) -> bytes:
    """All octets of a part."""
    return b"".join(each(connection, submission, part))


def digest(connection: Connection, submission: str, part: int) -> str:
    """Hex SHA-256 of a part."""
    made = hashlib.sha256()
    for octets in each(connection, submission, part):
        made.update(octets)
    return made.hexdigest()


def drop(connection: Connection, submission: str, first: int = BODY, last: int = LAST) -> int:
    """Drop some rows of parts; how many: none are left where that is less than AT_ONCE."""
    which = (_c.submission == submission, _c.part >= first, _c.part <= last)
    found = connection.execute(select(_c.part, _c.number).where(*which).limit(AT_ONCE)).all()
    for part, number in found:
        connection.execute(
            delete(tables.slice).where(_c.submission == submission, _c.part == part, _c.number == number)
        )
    return len(found)


def stray(connection: Connection, after: str, before: str) -> str:
    """A submission with slices and nothing else: neither stored nor held; of ids from ``after`` to below ``before``.
    "" where there is none."""
    stored = select(tables.submission.c.id).where(tables.submission.c.id == _c.submission).exists()
    waits = select(tables.held.c.id).where(tables.held.c.id == _c.submission, tables.held.c.became == "")
    found = (
        select(_c.submission)
        .where(_c.part == BODY, _c.number == 0, ~stored, ~waits.exists())
        .where(_c.submission >= after, _c.submission < before)
        .order_by(_c.submission)
        .limit(1)
    )
    return connection.scalar(found) or ""
