"""Deliveries: who may try which one now, and what became of it.

A delivery is due until it is done or dead.  A courier claims it for the length of a lease; a courier
that dies loses its lease, and the delivery is claimed again.  Every claim counts as an attempt, so that
a delivery that kills its courier is noticed too.

``destination`` selects one destination by its whole name (``push:ACME``), or a kind of them by its
prefix with the colon (``push:``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_, select, text, update

from gateway.evidence import entries
from gateway.model import Declaration, Delivery, Event, Handover, Outgoing
from gateway.storage import attesting, correcting, lanes, publishing, slices, tables
from gateway.storage.codec import message_id, micros, moment, unpacked
from gateway.storage.deciding import message_in
from gateway.storage.journal import Page
from gateway.storage.reading import outgoing_of
from gateway.storage.settling import insert_events

MAX_ERROR = 500
"""Characters of a failed attempt's error that are kept."""

LONGEST_LEASE = timedelta(seconds=60)
"""What any lease may last (gateways before the renewing of leases took so long ones).  One that seems to
last longer was taken by a clock that was ahead, and counts as ended: nobody waits until then."""

LONGEST = LONGEST_LEASE // timedelta(microseconds=1)
"""The same in microseconds."""
_d = tables.delivery.c
_o = tables.outgoing.c
_due = _d.state == text(f"'{tables.DUE}'")  # a literal: the partial index is chosen by it
_dead = _d.state == text(f"'{tables.DEAD}'")


def claim_due(
    connection: Connection, destination: str, owner: str, now: datetime, lease: timedelta, limit: int
) -> list[Delivery]:
    """Due deliveries in order of arrival, now leased to the owner; ``attempts`` are those before.

    One that failed steps aside until its next time and holds nobody up but those behind it in its lane.
    """
    at = micros(now)
    ready = _due, _d.due_at <= at, free_at(at), to(destination)
    rows = lanes.first(connection, ready, _arrival(destination), limit)
    return _lease(connection, rows, owner, micros(now + lease))


def destinations(connection: Connection, kind: str, now: datetime) -> tuple[str, ...]:
    """The destinations of a kind (``push:``) at which something can be claimed now."""
    at = micros(now)
    ready = select(_d.destination).where(_due, _d.due_at <= at, free_at(at), to(kind))
    return tuple(connection.scalars(ready.distinct().order_by(_d.destination)))


def claim_in_order(
    connection: Connection, destination: str, owner: str, now: datetime, lease: timedelta, limit: int
) -> list[Delivery]:
    """As claim_due, but within a destination nothing passes an earlier delivery that is waiting for
    its next time or is leased: what waits behind it waits too."""
    at = micros(now)
    names = select(_d.destination).where(_due, to(destination)).distinct().order_by(_d.destination)
    rows: list[Any] = []
    for name in list(connection.scalars(names)):
        # Locks are waited for, not skipped: who comes second must see what the first one leased.
        queue = (
            select(tables.delivery)
            .where(_due, _d.destination == name)
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
    held = update(tables.delivery).where(_d.id.in_(ids), _due, _d.lease_owner == owner)
    return set(connection.scalars(held.values(lease_until=micros(until)).returning(_d.id)))


def handovers(connection: Connection, deliveries: Sequence[Delivery]) -> list[Handover]:
    """The declarations that these deliveries carry, in their order, each as it was corrected last; a delivery
    whose payload is no accepted message is left out."""
    message, submission = tables.message.c, tables.submission.c
    rows = connection.execute(
        select(
            message.submission,
            message.ordinal,
            message.declaration,
            submission.filer,
            submission.principal,
            submission.received_at,
        )
        .join(tables.submission, submission.id == message.submission)
        .where(message_in([d.payload for d in deliveries]), message.declaration.is_not(None))
    )
    found = {message_id(row.submission, row.ordinal): row for row in rows}
    instead = correcting.handed_over(connection, deliveries)
    return [
        _handover(connection, d, found[d.payload], instead.get(d.id))
        for d in deliveries
        if d.payload in found
    ]


def outgoings(connection: Connection, deliveries: Sequence[Delivery]) -> dict[str, Outgoing]:
    """The messages to partners that these deliveries carry, by outgoing id (= payload)."""
    rows = connection.execute(
        select(tables.outgoing).where(tables.outgoing.c.id.in_([d.payload for d in deliveries]))
    )
    return {row.id: outgoing_of(row) for row in rows}


def done(connection: Connection, ids: Sequence[str], at: datetime, page: Page) -> int:
    """These deliveries arrived, as their timelines say; how many were not known to have.

    A receiver that took a push has the message: it waits in no mailbox any more.
    """
    changed = (
        update(tables.delivery)
        .where(_d.id.in_(ids), _d.state != tables.DONE)
        .values(state=tables.DONE, error="", **free())
        .returning(_d.id, _d.destination, _d.payload)
    )
    rows = connection.execute(changed).all()
    taken = [row.payload for row in rows if row.destination.startswith("push:")]
    if taken:
        acknowledged = func.coalesce(_o.acknowledged_at, micros(at))
        waiting = update(tables.outgoing).where(_o.id.in_(taken))
        connection.execute(waiting.values(acknowledged_at=acknowledged))
    _note(connection, rows, at, entries.DELIVERED, page)
    return len(rows)


def retry(connection: Connection, delivery: str, due_at: datetime, error: str) -> bool:
    """A failed attempt: due again at a later time.  False where it is no longer due."""
    changed = update(tables.delivery).where(_d.id == delivery, _due)
    values = {"due_at": micros(due_at), "error": error[:MAX_ERROR], **free()}
    return connection.execute(changed.values(**values)).rowcount > 0


def put_back(connection: Connection, owner: str, ids: Sequence[str], due_at: datetime, error: str) -> int:
    """The destination took nothing from anybody: due again, and the attempt was none.  How many the owner
    still held."""
    held = update(tables.delivery).where(_d.id.in_(ids), _due, _d.lease_owner == owner)
    values = {"due_at": micros(due_at), "error": error[:MAX_ERROR], "attempts": _d.attempts - 1, **free()}
    return connection.execute(held.values(**values)).rowcount


def dead(connection: Connection, delivery: str, error: str, at: datetime, page: Page) -> bool:
    """No further attempt until someone revives it, as its timeline says.  False where no longer due."""
    values = {"state": tables.DEAD, "error": error[:MAX_ERROR], **free()}
    changed = (
        update(tables.delivery)
        .where(_d.id == delivery, _due)
        .values(**values)
        .returning(_d.id, _d.destination, _d.payload)
    )
    rows = connection.execute(changed).all()
    _note(connection, rows, at, entries.DEAD, page)
    return bool(rows)


def due(connection: Connection, destination: str, limit: int) -> list[Delivery]:
    """Deliveries that have not arrived and are not dead, whether their time has come or not, in order of
    arrival."""
    waiting = (
        select(tables.delivery).where(_due, to(destination)).order_by(_arrival(destination)).limit(limit)
    )
    return [delivery_of(row) for row in connection.execute(waiting)]


def dead_letters(connection: Connection, destination: str, limit: int) -> list[Delivery]:
    """Dead deliveries, oldest first."""
    letters = (
        select(tables.delivery).where(_dead, to(destination)).order_by(_arrival(destination)).limit(limit)
    )
    return [delivery_of(row) for row in connection.execute(letters)]


def found(connection: Connection, delivery: str) -> tuple[Delivery, str] | None:
    """A delivery with its state (``due``, ``done``, ``dead``, ``skipped``); None where unknown."""
    row = connection.execute(select(tables.delivery).where(_d.id == delivery)).first()
    return None if row is None else (delivery_of(row), row.state)


def ahead(connection: Connection, delivery: Delivery) -> str:
    """The delivery that is the first of its lane to have not arrived, "" where it is this one or has no lane."""
    if not delivery.lane:
        return ""
    waits = text("state IN ('due', 'dead') AND lane != ''")
    of = select(_d.id).where(_d.lane == delivery.lane, _d.destination == delivery.destination, waits)
    first = connection.scalar(of.order_by(_d.position).limit(1))
    return "" if first is None or first == delivery.id else first


def revive(connection: Connection, ids: Sequence[str], now: datetime, page: Page, note: str = "") -> int:
    """Dead deliveries become due now, with their attempts counted anew; how many did."""
    changed = update(tables.delivery).where(_d.id.in_(ids), _dead)
    values = {"state": tables.DUE, "due_at": micros(now), "attempts": 0}
    rows = connection.execute(changed.values(**values).returning(_d.id, _d.payload)).all()
    about = abouts(connection, rows)
    for row in rows:
        attesting.happened(page, entries.REVIVED, about.get(row.payload, row.payload), (row.id,), note=note)
    return len(rows)


def resend(connection: Connection, outgoing: str, now: datetime, page: Page, note: str = "") -> bool:
    """Offer a message to its partner once more, whatever became of it: its mailbox entry is
    unacknowledged again and its push (under the same delivery id) due now.  False where unknown."""
    pushed = update(tables.delivery).where(_d.payload == outgoing, tables.is_push)
    connection.execute(pushed.values(state=tables.DUE, due_at=micros(now), attempts=0, error="", **free()))
    offered = update(tables.outgoing).where(tables.outgoing.c.id == outgoing)
    about = connection.scalar(offered.values(acknowledged_at=None).returning(_o.about))
    if about is not None:
        attesting.happened(page, entries.RESENT, about, (outgoing,), note=note)
    return about is not None


def _note(connection: Connection, rows: Sequence[Any], at: datetime, what: str, page: Page) -> None:
    """One line each in the timelines: about the message, or about what the outgoing was about.  What is
    published is no matter of the parties: the journal has it, their timelines do not."""
    about = abouts(connection, rows)
    events = {r.id: Event(about.get(r.payload, r.payload), at, what, r.destination) for r in rows}
    told = {i: (e,) for i, e in events.items() if not e.detail.startswith(publishing.PREFIX)}
    insert_events(connection, [event for (event,) in told.values()])
    for identity, event in events.items():
        attesting.happened(page, what, event.about, (identity,), told.get(identity, ()))


def abouts(connection: Connection, rows: Sequence[Any]) -> dict[str, str]:
    """What the outgoings and decisions among the deliveries' payloads are about, by their ids."""
    wanted = select(_o.id, _o.about).where(_o.id.in_([row.payload for row in rows]))
    about = {row.id: row.about for row in connection.execute(wanted)}
    decisions = [row.payload for row in rows if publishing.carries_decision(row.id)]
    return about | publishing.messages_decided(connection, decisions)


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


def to(destination: str) -> ColumnElement[bool]:
    """That a delivery goes to a destination, or to one of a kind, told with its colon."""
    if destination.endswith(":"):
        return func.substr(_d.destination, 1, len(destination)) == destination
    return _d.destination == destination


def _arrival(destination: str) -> ColumnElement[int]:
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
    )


def _handover(
    connection: Connection, delivery: Delivery, row: Any, instead: correcting.Corrected | None
) -> Handover:
    declaration = None if instead is None else instead.declaration
    if declaration is None:
        stored = row.declaration or slices.whole(connection, row.submission, row.ordinal)
        declaration = unpacked(stored, Declaration)
    return Handover(
        delivery=delivery.id,
        message=delivery.payload,
        filer=row.filer,
        principal=row.principal,
        received_at=moment(row.received_at),
        declaration=declaration,
        correction=None if instead is None else instead.correction,
    )
