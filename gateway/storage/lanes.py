"""Lanes: of what waits about one declaration, only the first may be claimed.

A queue may begin with ten thousand deliveries of one lane: they are not looked at one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select, text

from gateway.storage import tables

MORE = 10
"""Beyond what is wanted, looked at in the first window: some may wait behind another of their lane."""
LONG_PART = 8
"""A lane with more than this part of a window is a long one."""
MAX_WINDOW = 1_000
"""Rows of the last windows: each is twice the one before it."""

_d = tables.delivery.c
_first = tables.delivery.alias("head")


def first(
    connection: Connection,
    ready: Sequence[ColumnElement[bool]],
    place: ColumnElement[int],
    limit: int,
    lock: bool = True,
) -> list[Any]:
    """Rows of ready deliveries, by their place in the queue, whose turn it is; ours until the transaction ends, or,
    without ``lock``, as they were.

    Nothing of their lane that came before is still to arrive.  What was given up holds it until somebody decides,
    or it could arrive after what follows it.  They are looked for a window at a time.  A lane that fills much of
    one has its first there or before it: the rest of it waits, and is passed over without a look at each.
    """
    found: list[Any] = []
    long: set[str] = set()
    after, size = 0, limit + MORE
    while len(found) < limit:
        behind = [place > after] if after else []
        behind += [_d.lane.not_in(sorted(long))] if long else []
        window = select(tables.delivery).where(*ready, *behind).order_by(place).limit(size)
        rows = connection.execute(_with_heads(window)).all()
        turn = [row for row in rows if not row.lane or row.head == row.position]
        while turn and len(found) < limit:
            some, turn = turn[: limit - len(found)], turn[limit - len(found) :]
            found += locked(connection, some, ready) if lock else some
        if len(rows) < size:
            break
        after = rows[-1].position
        lanes = Counter(row.lane for row in rows if row.lane)
        long.update(lane for lane, count in lanes.items() if count > size // LONG_PART)
        size = min(2 * size, MAX_WINDOW)
    return found


def locked(
    connection: Connection, rows: Sequence[Any], ready: Sequence[ColumnElement[bool]]
) -> Sequence[Any]:
    """Those that no other node is at, and that are still as they were; SQLite has one writer."""
    if not rows or connection.dialect.name == "sqlite":
        return rows
    free = select(tables.delivery).where(_d.position.in_([row.position for row in rows]), *ready)
    return connection.execute(free.order_by(_d.position).with_for_update(skip_locked=True)).all()


def _with_heads(window: Select[Any]) -> Select[Any]:
    """Each row with the position of its lane's first that has not arrived."""
    of = window.subquery("ready")
    head = (
        select(_first.c.position)
        .where(
            _first.c.lane == of.c.lane,
            _first.c.destination == of.c.destination,
            text("head.lane != ''"),  # as the index of lanes says it
        )
        .order_by(_first.c.position)
        .limit(1)
        .scalar_subquery()
    )
    return select(of, head.label("head")).order_by(of.c.position)
