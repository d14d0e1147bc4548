"""Deliveries: who may try which one now, and what became of it.

A delivery is due until it is done or dead.  A courier claims it for the length of a lease; a courier
that dies loses its lease, and the delivery is claimed again.  Every claim counts as an attempt, so that
a delivery that kills its courier is noticed too.  One that is done has no row any more: the journal has it.

``destination`` selects one destination by its whole name (``push:ACME``), or a kind of them by its
prefix with the colon (``push:``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, exists, func, or_, select, text, update

from gateway.evidence import entries
from gateway.model import Declaration, Delivery, Event, Handover, Outgoing
from gateway.storage import attesting, past, publishing, sending, slices, tables
from gateway.storage.codec import message_id, micros, moment, submission_of, unpacked
from gateway.storage.deciding import message_in
from gateway.storage.journal import Page
from gateway.storage.settling import insert_deliveries, insert_events

PUSH = "push:"
MAX_ERROR = 500
"""Characters of a failed attempt's error that are kept."""

LONGEST_LEASE = timedelta(seconds=60)
"""What any lease may last (gateways before the renewing of leases took so long ones).  One that seems to
last longer was taken by a clock that was ahead, and counts as ended: nobody waits until then."""

LONGEST = LONGEST_LEASE // timedelta(microseconds=1)
"""The same in microseconds."""
_d = tables.delivery.c
_due = _d.state == text(f"'{tables.DUE}'")  # a literal: the partial index is chosen by it
_dead = _d.state == text(f"'{tables.DEAD}'")
_earlier = tables.delivery.alias("earlier")
_its_turn = or_(
    _d.lane == "",
    ~exists().where(
        _earlier.c.lane == _d.lane,
        _earlier.c.position < _d.position,
        _earlier.c.destination == _d.destination,
        text("earlier.lane != ''"),  # as the index of lanes says it
    ),
)
"""Nothing of its lane that came before is still to arrive; what was given up holds it until somebody
decides, or it could arrive after what follows it."""


def claim_due(
    connection: Connection, destination: str, owner: str, now: datetime, lease: timedelta, limit: int
) -> list[Delivery]:
    """Due deliveries in order of arrival, now leased to the owner; ``attempts`` are those before.

    One that failed steps aside until its next time and holds nobody up but those behind it in its lane.
    """
    at = micros(now)
    ready = (
        select(tables.delivery)
        .where(_due, _d.due_at <= at, free_at(at), to(destination), _its_turn)
        .order_by(_arrival(destination))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return _lease(connection, list(connection.execute(ready)), owner, micros(now + lease))


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
    """The declarations that these deliveries carry, in their order; a delivery whose payload is no
    accepted message is left out."""
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
        .where(
            message_in([d.payload for d in deliveries]),
            submission.id.in_({submission_of(d.payload) for d in deliveries}),
            message.declaration.is_not(None),
        )
    )
    found = {message_id(row.submission, row.ordinal): row for row in rows}
    return [_handover(connection, d, found[d.payload]) for d in deliveries if d.payload in found]


def outgoings(connection: Connection, deliveries: Sequence[Delivery]) -> dict[str, Outgoing]:
    """The messages to partners that these deliveries carry, by outgoing id (= payload)."""
    return sending.outgoings(connection, [d.payload for d in deliveries])


def done(connection: Connection, ids: Sequence[str], at: datetime, page: Page) -> int:
    """These deliveries arrived, as their timelines say; how many were not known to have.

    A receiver that took a push has the message: it waits in no mailbox any more.
    """
    gone = delete(tables.delivery).where(_d.id.in_(ids)).returning(_d.id, _d.destination, _d.payload)
    rows = connection.execute(gone).all()
    taken = [row.payload for row in rows if row.destination.startswith(PUSH)]
    sending.acknowledged(connection, sending.sent(connection, taken).values())
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
    if row is not None:
        return delivery_of(row), row.state
    over = past.delivery(connection, delivery)
    if over is None:
        return None
    return Delivery(over.id, over.destination, over.payload, over.at, error=over.why), over.state


def ahead(connection: Connection, delivery: Delivery) -> str:
    """The delivery that is the first of its lane to have not arrived, "" where it is this one or has no lane."""
    if not delivery.lane:
        return ""
    mine = (_d.lane == delivery.lane, _d.destination == delivery.destination, text("lane != ''"))
    of = select(_d.id).where(*mine)
    first = connection.scalar(of.order_by(_d.position).limit(1))
    return "" if first is None or first == delivery.id else first


def revive(connection: Connection, ids: Sequence[str], now: datetime, page: Page, note: str = "") -> int:
    """Dead deliveries become due now, with their attempts counted anew; how many did."""
    changed = update(tables.delivery).where(_d.id.in_(ids), _dead)
    values = {"state": tables.DUE, "due_at": micros(now), "attempts": 0}
    rows = connection.execute(changed.values(**values).returning(_d.id, _d.destination, _d.payload)).all()
    about = abouts(connection, rows)
    for row in rows:
        attesting.happened(page, entries.REVIVED, about.get(row.payload, row.payload), (row.id,), note=note)
    return len(rows)


def resend(connection: Connection, outgoing: str, now: datetime, page: Page, note: str = "") -> bool:
    """Offer a message to its partner once more, whatever became of it: its mailbox entry is
    unacknowledged again and its push (under the same delivery id) due now.  False where unknown."""
    told = sending.sent(connection, [outgoing]).get(outgoing)
    if told is None:
        return False
    if not sending.waits(connection, [told]):
        sending.wait(connection, [(told.partner, told.position, told.id)])
    _due_again(connection, sending.push_id(outgoing), now)
    attesting.happened(page, entries.RESENT, told.about, (outgoing,), note=note)
    return True


def again(connection: Connection, delivery: str, now: datetime, page: Page, note: str = "") -> bool:
    """Make a delivery that arrived once more, under the same id.  False where it did not arrive."""
    over = past.delivery(connection, delivery)
    if over is None or over.state != tables.DONE:
        return False
    if over.destination.startswith(PUSH):
        return resend(connection, over.payload, now, page, note)
    if not _due_again(connection, delivery, now):
        return False
    about = abouts(connection, [over]).get(over.payload, over.payload)
    attesting.happened(page, entries.RESENT, about, (delivery,), note=note)
    return True


def _due_again(connection: Connection, delivery: str, now: datetime) -> bool:
    """Due now, with its attempts counted anew; made again where it is over.  False where there never was one.

    Made again it has no lane: what it follows has arrived, and it holds nobody up.
    """
    values = {"state": tables.DUE, "due_at": micros(now), "attempts": 0, "error": "", **free()}
    if connection.execute(update(tables.delivery).where(_d.id == delivery).values(**values)).rowcount:
        return True
    over = past.delivery(connection, delivery)
    if over is None:
        return False
    insert_deliveries(connection, [Delivery(over.id, over.destination, over.payload, now)])
    return True


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
    decided = {r.payload: r.id for r in rows if publishing.carries_decision(r.id)}
    pushed = [row.payload for row in rows if row.destination.startswith(PUSH)]
    about = {identity: told.about for identity, told in sending.sent(connection, pushed).items()}
    return about | {d: publishing.message_decided(identity, d) for d, identity in decided.items()}


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
    if destination.endswith(":"):
        return func.substr(_d.destination, 1, len(destination)) == destination
    return _d.destination == destination


def _arrival(destination: str) -> ColumnElement[int]:
    """What to order by.  A queue's own index is in order; that of all queues of a kind is not, and the
    order must then be no column, or the whole table is read for being in it."""
    return _d.position + text("0") if destination.endswith(":") else _d.position


def free() -> dict[str, Any]:
    return {"lease_until": 0, "lease_owner": ""}


def delivery_of(row: Any) -> Delivery:
    return Delivery(
        id=row.id,
        destination=row.destination,
        payload=row.payload,
        due_at=moment(row.due_at),
        attempts=row.attempts,
        error=row.error,
        lane=row.lane,
    )


def _handover(connection: Connection, delivery: Delivery, row: Any) -> Handover:
    declaration = row.declaration or slices.whole(connection, row.submission, row.ordinal)
    return Handover(
        delivery=delivery.id,
        message=delivery.payload,
        filer=row.filer,
        principal=row.principal,
        received_at=moment(row.received_at),
        declaration=unpacked(declaration, Declaration),
    )
