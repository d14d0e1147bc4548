"""Lanes: what is filed about one declaration is in one, what a partner hears of it in another, and only the first of
what waits there may be claimed.

A queue may begin with ten thousand deliveries of one lane: they are not looked at one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select, text

from gateway.storage import tables
from gateway.storage.codec import message_key
from gateway.storage.publishing import PUSH
from gateway.storage.ready import LANE, PAYLOAD, Ready, in_lane
from gateway.storage.rows import Row

MORE = 10
"""Beyond what is wanted, looked at in the first window: some may wait behind another of their lane."""
LONG_PART = 8
"""A lane with more than this part of a window is a long one."""
MAX_WINDOW = 1_000
"""Rows of the last windows: each is twice the one before it."""

_d, _n, _m, _s = tables.delivery.c, tables.decision.c, tables.message.c, tables.submission.c
_first = tables.delivery.alias("head")


def lane_of(principal: str, named: str) -> str:
    """The lane of what is filed about a declaration under this name: a reference of its principal's, or customs'
    number; "" for one without a name."""
    return f"{principal} {named}" if named else ""


def placed(connection: Connection, one: Ready) -> Iterable[Row]:
    """Its deliveries, each in its lane: one that names customs' number goes where the message went that got it."""
    numbers, principal = one.numbered, one.settlement.verdict.route.principal
    if not numbers:
        return one.deliveries
    lanes = {number: _of_number(connection, principal, number) for number in set(numbers.values())}
    return (
        in_lane(row, lanes[numbers[row[PAYLOAD]]]) if row[LANE] and row[PAYLOAD] in numbers else row
        for row in one.deliveries
    )


def _of_number(connection: Connection, principal: str, number: str) -> str:
    """The lane of the first message of the principal's that got this number, where it is here."""
    got = (
        select(_n.submission, _n.about)
        .join(tables.submission, _s.id == _n.submission)
        .where(tables.by_head(_n.registration, number), _n.registration != text("''"))
        .where(_s.principal == principal)
        .order_by(_n.submission, _n.about)
        .limit(1)
    )
    row = connection.execute(got).first()
    submission, ordinal = message_key("" if row is None else row.submission + row.about)
    lrn = select(_m.lrn).where(_m.submission == submission, _m.ordinal == ordinal)
    return lane_of(principal, connection.scalar(lrn) or number)


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
    or it could arrive after what follows it; but a push holds up nobody once it was given up: what it carried waits in
    the mailbox, and what customs decided since must not.

    They are looked for a window at a time.  A lane that fills much of one has its first there or before it: the rest
    of it waits, and is passed over without a look at each.
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


def holds(delivery: Any) -> ColumnElement[bool]:
    """That a delivery which has not arrived holds up what follows it in its lane; its columns."""
    pushed = func.substr(delivery.destination, 1, len(PUSH)) == PUSH
    return or_(delivery.state == tables.DUE, ~pushed)


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
            holds(_first.c),
        )
        .order_by(_first.c.position)
        .limit(1)
        .scalar_subquery()
    )
    return select(of, head.label("head")).order_by(of.c.position)
