"""Claims: which deliveries a courier may try now, and for how long they are its own.

Every question goes by a queue's own index and looks at what it takes, not at all that waits.

``destination`` selects one destination by its whole name (``push:ACME``), or a kind of them by its
prefix with the colon (``push:``).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Subquery,
    Update,
    exists,
    func,
    or_,
    select,
    text,
    update,
)

from gateway.model import Delivery
from gateway.storage import lanes, tables
from gateway.storage.codec import micros, moment
from gateway.storage.publishing import PUSH

MAX_ERROR = 500
"""Characters of a failed attempt's error that are kept."""

LOOKED_AT = 1_000
"""Deliveries, the first that are ready, of which those are taken that were tried least."""

BROUGHT_FORWARD = 10_000
"""Deliveries that are due at once after the clock was set back, of one kind; what is beyond keeps its time."""

LONGEST_LEASE = timedelta(seconds=60)
"""What any lease may last (gateways before the renewing of leases took so long ones).  One that seems to
last longer was taken by a clock that was ahead, and counts as ended: nobody waits until then."""

LONGEST = LONGEST_LEASE // timedelta(microseconds=1)
"""The same in microseconds."""

_d = tables.delivery.c

is_due = _d.state == text(f"'{tables.DUE}'")  # a literal: the partial index is chosen by it
is_urgent = _d.urgent == text("true")  # likewise


def claim_due(
    connection: Connection, destination: str, owner: str, now: datetime, lease: timedelta, limit: int
) -> list[Delivery]:
    """Due deliveries, urgent ones first, else in order of arrival, now leased to the owner; ``attempts`` are those
    before.

    One that failed steps aside until its next time and holds nobody up but those behind it in its lane.
    """
    rows = _first(connection, destination, micros(now), limit)
    return _lease(connection, rows, owner, micros(now + lease))


def claim_least_tried(
    connection: Connection, destination: str, owner: str, now: datetime, lease: timedelta, limit: int
) -> list[Delivery]:
    """As claim_due, but of the first LOOKED_AT whose turn it is those that were tried least, and of these any: what
    a destination fails over must not be what it is tried with again and again."""
    ready = _ready(destination, micros(now))
    rows = _first(connection, destination, micros(now), LOOKED_AT, lock=False)
    random.shuffle(rows)
    least = sorted(rows, key=lambda row: (row.attempts, not row.urgent))[:limit]
    least = sorted(lanes.locked(connection, least, ready), key=lambda row: row.position)
    return _lease(connection, least, owner, micros(now + lease))


def _first(connection: Connection, destination: str, at: int, limit: int, lock: bool = True) -> list[Any]:
    """Those whose turn it is, the urgent ones among them found by an index of their own; only pushes are."""
    ready, place, rows = _ready(destination, at), arrival(destination), list[Any]()
    if destination.startswith(PUSH):
        rows = lanes.first(connection, (*ready, is_urgent), place, limit, lock)
    if len(rows) < limit:
        others = (*ready, _d.position.not_in([row.position for row in rows])) if rows else ready
        rows += lanes.first(connection, others, place, limit - len(rows), lock)
    return rows


def _ready(destination: str, at: int) -> tuple[ColumnElement[bool], ...]:
    return is_due, _d.due_at <= at, free_at(at), to(destination)


def under_way(connection: Connection, destination: str, now: datetime) -> bool:
    """Whether a courier that lives is at one of the first that are due there, twice as many as a probe is
    chosen from."""
    at = micros(now)
    busy = ~free_at(at)
    first = select(_d.lease_until).where(is_due, to(destination), or_(_d.due_at <= at, busy))
    until = first.order_by(arrival(destination)).limit(2 * LOOKED_AT).subquery().c.lease_until
    found = select(exists().where(until > at, until <= at + LONGEST))
    return bool(connection.scalar(found))


def destinations(connection: Connection, kind: str, now: datetime) -> tuple[str, ...]:
    """The destinations of a kind (``push:``), or the one, at which something can be claimed now."""
    at = micros(now)
    if not kind.endswith(":"):
        of = select(_d.destination).where(is_due, to(kind), _d.due_at <= at, free_at(at))
        return tuple(connection.scalars(of.limit(1)))
    here = _waiting(kind)
    ready = exists().where(is_due, _d.destination == here.c.destination, _d.due_at <= at, free_at(at))
    found = select(here.c.destination).where(here.c.destination.is_not(None), ready)
    return tuple(connection.scalars(found.order_by(here.c.destination)))


def _waiting(kind: str) -> Subquery:
    """Destinations for which something is due, now or later: one seek for each in the queue's own index,
    however much waits for it.  A last row has none (NULL).

    Each is the least after the one before it, by whatever order the database gives texts: a range of names
    would rest on that order.
    """
    least = select(func.min(_d.destination).label("destination")).where(is_due)
    seek = least.cte("seek", recursive=True)
    following = select(func.min(_d.destination)).where(is_due, _d.destination > seek.c.destination)
    more = select(following.scalar_subquery()).where(seek.c.destination.is_not(None))
    seek = seek.union_all(more)
    return select(seek.c.destination).where(_is_of(seek.c.destination, kind)).subquery()


def claim_in_order(
    connection: Connection, destination: str, owner: str, now: datetime, lease: timedelta, limit: int
) -> list[Delivery]:
    """As claim_due, but within a destination nothing passes an earlier delivery that is waiting for
    its next time or is leased: what waits behind it waits too."""
    at = micros(now)
    names = [destination]
    if destination.endswith(":"):
        here = _waiting(destination).c.destination
        names = list(connection.scalars(select(here).where(here.is_not(None)).order_by(here)))
    rows: list[Any] = []
    for name in names:
        # Locks are waited for, not skipped: who comes second must see what the first one leased.
        queue = (
            select(tables.delivery)
            .where(is_due, _d.destination == name)
            .order_by(_d.position)
            .limit(limit - len(rows))
            .with_for_update()
        )
        rows += _head(connection.execute(queue), at)
        if len(rows) >= limit:
            break
    return _lease(connection, rows, owner, micros(now + lease))


def renew(connection: Connection, owner: str, ids: Sequence[str], until: datetime) -> set[str]:
    """Hold on to what the owner still holds, until a later time; the ids of these.

    Whoever takes over writes a name of his own: what another one took is not touched, whenever its lease
    ends.  A lease that ended and that nobody took goes on.
    """
    held = update(tables.delivery).where(_d.id.in_(ids), is_due, _d.lease_owner == owner)
    return set(connection.scalars(held.values(lease_until=micros(until)).returning(_d.id)))


def suspect(connection: Connection, owner: str, delivery: str, due_at: datetime, error: str) -> bool:
    """Before an attempt that may end its courier: not before a later time again, should it come to that.
    False where the owner no longer holds it."""
    values = {"due_at": micros(due_at), "error": error[:MAX_ERROR]}
    return connection.execute(owned(delivery, owner).values(**values)).rowcount > 0


def owned(delivery: str, owner: str | None) -> Update:
    """The delivery, while it is due, and the owner's."""
    of = update(tables.delivery).where(_d.id == delivery, is_due)
    return of if owner is None else of.where(_d.lease_owner == owner)


def astray(
    connection: Connection, destination: str, now: datetime, beyond: datetime, everything: bool
) -> list[int]:
    """Places of what would wait although no clock that is right put it off: what never failed and is due later
    than now, and what is due later than ``beyond``.  ``everything``: all that is due later than now.

    What a courier has is left to him.  At most BROUGHT_FORWARD.
    """
    late = select(_d.position).where(*_astray(destination, now, beyond, everything))
    return list(connection.scalars(late.order_by(arrival(destination)).limit(BROUGHT_FORWARD)))


def bring_forward(
    connection: Connection,
    positions: Sequence[int],
    destination: str,
    now: datetime,
    beyond: datetime,
    everything: bool,
) -> int:
    """Those of these places that are astray still are due now; how many."""
    late = update(tables.delivery).where(
        _d.position.in_(positions), *_astray(destination, now, beyond, everything)
    )
    return connection.execute(late.values(due_at=micros(now))).rowcount


def _astray(
    destination: str, now: datetime, beyond: datetime, everything: bool
) -> tuple[ColumnElement[bool], ...]:
    at = micros(now)
    late = (
        _d.due_at > at if everything else (_d.due_at > at) & ((_d.error == "") | (_d.due_at > micros(beyond)))
    )
    return is_due, to(destination), late, free_at(at)


def _lease(connection: Connection, rows: Sequence[Any], owner: str, until: int) -> list[Delivery]:
    if rows:
        leased = update(tables.delivery).where(_d.position.in_([row.position for row in rows]))
        values = {"lease_until": until, "lease_owner": owner, "attempts": _d.attempts + 1}
        connection.execute(leased.values(**values))
    return [delivery_of(row) for row in rows]


def _head(rows: Iterable[Any], at: int) -> list[Any]:
    head = []
    for row in rows:
        if row.due_at > at or at < row.lease_until <= at + LONGEST:
            break
        head.append(row)
    return head


def free_at(at: int) -> ColumnElement[bool]:
    """Nobody holds it: no lease, one that ended, or one by a clock that was ahead."""
    return or_(_d.lease_until <= at, _d.lease_until > at + LONGEST)


def unheld_at(at: int) -> ColumnElement[bool]:
    """No courier can be at it: nobody claimed it, or who did has not renewed his lease for the longest that one
    lasts.  A lease that only ended may be that of a courier who was held up, and still delivers."""
    return or_(_d.lease_owner == "", _d.lease_until <= at - LONGEST, _d.lease_until > at + LONGEST)


def held_at(row: Any, at: int) -> bool:
    """The opposite of `unheld_at`, of a row that was read."""
    return bool(row.lease_owner) and at - LONGEST < row.lease_until <= at + LONGEST


def to(destination: str) -> ColumnElement[bool]:
    """That a delivery goes to a destination, or to one of a kind, told with its colon."""
    if destination.endswith(":"):
        return _is_of(_d.destination, destination)
    return _d.destination == destination


def _is_of(destination: ColumnElement[str], kind: str) -> ColumnElement[bool]:
    return func.substr(destination, 1, len(kind)) == kind


def arrival(destination: str) -> ColumnElement[int]:
    """What to order by.  A queue's own index is in order; that of all queues of a kind is not, and the
    order must then be no column, or the whole table is read for being in it."""
    return _d.position + text("0") if destination.endswith(":") else _d.position


def free() -> dict[str, Any]:
    """What a row holds that no courier has."""
    return {"lease_until": 0, "lease_owner": ""}


def delivery_of(row: Any) -> Delivery:
    """A row of the queue as a value."""
    return Delivery(
        id=row.id,
        destination=row.destination,
        payload=row.payload,
        due_at=moment(row.due_at),
        attempts=row.attempts,
        error=row.error,
        lane=row.lane,
        urgent=row.urgent,
    )
