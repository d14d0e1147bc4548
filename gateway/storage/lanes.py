"""Lanes: what is filed about one declaration is in one, what a partner is told about one is in another, and only
the first of what waits there may be claimed.

A queue may begin with ten thousand deliveries of one lane: they are not looked at one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, func, or_, select, text, tuple_, update

from gateway.model import Delivery
from gateway.storage import tables
from gateway.storage.codec import claim_of, message_id, message_key
from gateway.storage.publishing import PUSH
from gateway.storage.ready import LANE, PAYLOAD, Ready, in_lane
from gateway.storage.rows import Row

MORE = 10
"""Beyond what is wanted, looked at in the first window: some may wait behind another of their lane."""
LONG_PART = 8
"""A lane with more than this part of a window is a long one."""
MAX_WINDOW = 1_000
"""Rows of the last windows: each is twice the one before it."""
IN_ONE_QUERY = 500
"""Customs' numbers that are looked up at once."""

_d, _n, _m, _s = tables.delivery.c, tables.decision.c, tables.message.c, tables.submission.c
_first = tables.delivery.alias("head")


def lane_of(principal: str, named: str) -> str:
    """The lane of what is filed about a declaration under this name: a reference of its principal's, or customs'
    number; "" for one without a name."""
    return f"{principal} {named}" if named else ""


def lane_of_answers(partner: str, principal: str, named: str) -> str:
    """The lane of what a partner is told about a declaration; of its own name, as it may be long while the other is
    looked into."""
    return lane_of(f"{PUSH}{partner} {principal}", named)


def placed(connection: Connection, one: Ready) -> Iterable[Row]:
    """Its deliveries, each in its lane: one that names customs' number goes where the message went that got it."""
    numbers, principal = one.numbered, one.settlement.verdict.route.principal
    if not numbers:
        return one.deliveries
    known = originals(connection, {(principal, number) for number in numbers.values()})
    lanes = {n: lane_of(principal, known.get((principal, n), "") or n) for n in numbers.values()}
    return (
        in_lane(row, lanes[numbers[row[PAYLOAD]]]) if row[LANE] and row[PAYLOAD] in numbers else row
        for row in one.deliveries
    )


def originals(connection: Connection, named: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
    """Of principals with customs' numbers: the reference of the principal's first message that got the number, where
    it is here."""
    found: dict[tuple[str, str], str] = {}
    coming = iter(sorted(named))
    while some := list(islice(coming, IN_ONE_QUERY)):
        found |= _originals(connection, some)
    return found


def _originals(connection: Connection, named: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    message = func.min(_n.submission + _n.about)
    got = (
        select(_s.principal, _n.registration, message.label("message"))
        .join(tables.submission, _s.id == _n.submission)
        .where(
            tables.by_heads(_n.registration, {number for _, number in named}), _n.registration != text("''")
        )
        .where(_s.principal.in_({principal for principal, _ in named}))
        .group_by(_s.principal, _n.registration)
    )
    first = {(row.principal, row.registration): row.message for row in connection.execute(got)}
    lrns = _references(connection, {first[one] for one in named if one in first})
    return {one: lrns.get(first[one], "") for one in named if one in first}


def _references(connection: Connection, messages: Collection[str]) -> dict[str, str]:
    keys = [message_key(one) for one in messages]
    if not keys:
        return {}
    # SQLite finds no index for pairs: the first of them leads it there.
    mine = _m.submission.in_({key[0] for key in keys}), tuple_(_m.submission, _m.ordinal).in_(keys)
    rows = connection.execute(select(_m.submission, _m.ordinal, _m.lrn).where(*mine))
    return {message_id(row.submission, row.ordinal): row.lrn for row in rows}


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
    or it could arrive after what follows it; a push that was given up does not.  They are looked for a window at a
    time.  A lane that fills much of one has its first there or before it: the rest of it waits, and is passed over
    without a look at each.
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


def hurry(connection: Connection, deliveries: Iterable[Delivery]) -> None:
    """What waits in the lanes of urgent deliveries is as urgent as these, which wait for it."""
    lanes = {claim_of(d.lane) for d in deliveries if d.urgent and d.lane}
    if lanes:
        waits = _d.lane.in_(sorted(lanes)), text("lane != ''"), ~_d.urgent
        connection.execute(update(tables.delivery).where(*waits).values(urgent=True))


def locked(
    connection: Connection, rows: Sequence[Any], ready: Sequence[ColumnElement[bool]]
) -> Sequence[Any]:
    """Those that no other node is at, and that are still as they were; SQLite has one writer."""
    if not rows or connection.dialect.name == "sqlite":
        return rows
    free = select(tables.delivery).where(_d.position.in_([row.position for row in rows]), *ready)
    return connection.execute(free.order_by(_d.position).with_for_update(skip_locked=True)).all()


def holds(delivery: FromClause) -> ColumnElement[bool]:
    """Whether what follows this one in its lane waits for it: a push that was given up holds up nobody, as it is found
    in the mailbox."""
    c = delivery.c
    return or_(c.state == text(f"'{tables.DUE}'"), func.substr(c.destination, 1, len(PUSH)) != PUSH)


def _with_heads(window: Select[Any]) -> Select[Any]:
    """Each row with the position of its lane's first that has not arrived."""
    of = window.subquery("ready")
    head = (
        select(_first.c.position)
        .where(
            _first.c.lane == of.c.lane,
            _first.c.destination == of.c.destination,
            text("head.lane != ''"),  # as the index of lanes says it
            holds(_first),
        )
        .order_by(_first.c.position)
        .limit(1)
        .scalar_subquery()
    )
    return select(of, head.label("head")).order_by(of.c.position)
