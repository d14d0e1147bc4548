"""Deliveries: what they carry, and what became of each.

A delivery is due until it is done or dead.  A courier claims it for the length of a lease (`claiming`); a
courier that dies loses its lease, and the delivery is claimed again.  Every claim counts as an attempt, so
that a delivery that kills its courier is noticed too.  One that is done has no row any more: the journal has it.

``destination`` selects one destination by its whole name (``push:ACME``), or a kind of them by its
prefix with the colon (``push:``).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, delete, or_, select, text, update

from gateway.evidence import entries
from gateway.model import Declaration, Delivery, Event, Handover, Outgoing
from gateway.model.stored import opened
from gateway.storage import attesting, correcting, lanes, past, publishing, sending, slices, tables
from gateway.storage.claiming import MAX_ERROR, arrival, delivery_of, free, is_due, owned, to
from gateway.storage.codec import message_id, micros, moment, submission_of, unpacked
from gateway.storage.deciding import message_in
from gateway.storage.journal import Page
from gateway.storage.settling import insert_deliveries, insert_events
from gateway.storage.slices import Reader

log = logging.getLogger("gateway.storage")

AFTER_SKIP = ": arrived although it was skipped"
"""What a timeline says of a delivery that was under way, unheard, when an operator skipped it."""

_d = tables.delivery.c
_dead = _d.state == text(f"'{tables.DEAD}'")


HELD = 4 * 1_048_576
"""Octets of declarations out of slices that are held together, of those that are read at once; what is more is read
again each time that somebody goes through it."""


def handovers(connection: Connection, deliveries: Sequence[Delivery], again: Reader) -> list[Handover]:
    """The declarations that these deliveries carry, in their order, each as it was corrected last; a delivery
    whose payload is no accepted message is left out.  ``again``: reads later of what is not held together."""
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
    instead = correcting.handed_over(connection, deliveries)
    stored = _Stored(connection, [r for r in found.values() if not r.declaration], again)
    return [
        _handover(stored, d, found[d.payload], instead.get(d.id)) for d in deliveries if d.payload in found
    ]


def outgoings(connection: Connection, deliveries: Sequence[Delivery]) -> dict[str, Outgoing]:
    """The messages to partners that these deliveries carry, by outgoing id (= payload)."""
    return sending.outgoings(connection, [d.payload for d in deliveries])


def done(connection: Connection, ids: Sequence[str], at: datetime, page: Page) -> int:
    """These deliveries arrived, as their timelines say; how many were not known to have.

    A receiver that took a push has the message: it waits in no mailbox any more.  What was skipped stays
    skipped: the reason was told.  That it arrived all the same stands in its timeline.
    """
    gone = delete(tables.delivery).where(_d.id.in_(ids)).returning(_d.id, _d.destination, _d.payload)
    rows = connection.execute(gone).all()
    taken = [row.payload for row in rows if row.destination.startswith(publishing.PUSH)]
    sending.acknowledged(connection, sending.sent(connection, taken).values())
    _note(connection, rows, at, entries.DELIVERED, page)
    if len(rows) < len(ids):
        over = past.of(connection, set(ids) - {row.id for row in rows})
        skipped = [one for one in over if one.state == tables.SKIPPED and not one.arrived]
        _note(connection, skipped, at, entries.DELIVERED, page, AFTER_SKIP)
    return len(rows)


def retry(
    connection: Connection, delivery: str, due_at: datetime, error: str, owner: str | None = None
) -> bool:
    """A failed attempt: due again at a later time.  False where it is no longer due, or where another than
    the owner holds it (None: whoever holds it)."""
    values = {"due_at": micros(due_at), "error": error[:MAX_ERROR], **free()}
    return connection.execute(owned(delivery, owner).values(**values)).rowcount > 0


def put_back(connection: Connection, owner: str, ids: Sequence[str], due_at: datetime, error: str) -> int:
    """The destination took nothing from anybody: due again, and the attempt was none.  How many the owner
    still held."""
    held = update(tables.delivery).where(_d.id.in_(ids), is_due, _d.lease_owner == owner)
    values = {"due_at": micros(due_at), "error": error[:MAX_ERROR], "attempts": _d.attempts - 1, **free()}
    return connection.execute(held.values(**values)).rowcount


def dead(
    connection: Connection, delivery: str, error: str, at: datetime, page: Page, owner: str | None = None
) -> bool:
    """No further attempt until someone revives it, as its timeline says.  False as in `retry`."""
    values = {"state": tables.DEAD, "error": error[:MAX_ERROR], **free()}
    changed = owned(delivery, owner).values(**values).returning(_d.id, _d.destination, _d.payload)
    rows = connection.execute(changed).all()
    _note(connection, rows, at, entries.DEAD, page)
    return bool(rows)


def due(connection: Connection, destination: str, limit: int) -> list[Delivery]:
    """Deliveries that have not arrived and are not dead, whether their time has come or not, in order of
    arrival."""
    waiting = (
        select(tables.delivery).where(is_due, to(destination)).order_by(arrival(destination)).limit(limit)
    )
    return [delivery_of(row) for row in connection.execute(waiting)]


def dead_letters(connection: Connection, destination: str, limit: int) -> list[Delivery]:
    """Dead deliveries, oldest first."""
    letters = (
        select(tables.delivery).where(_dead, to(destination)).order_by(arrival(destination)).limit(limit)
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
    before = or_(lanes.holds(tables.delivery), _d.id == delivery.id)
    of = select(_d.id).where(*mine, before)
    first = connection.scalar(of.order_by(_d.position).limit(1))
    return "" if first is None or first == delivery.id else first


def revive(connection: Connection, ids: Sequence[str], now: datetime, page: Page, note: str = "") -> int:
    """Dead deliveries become due now, with their attempts counted anew; how many did."""
    changed = update(tables.delivery).where(_d.id.in_(ids), _dead)
    values = {"state": tables.DUE, "due_at": micros(now), "attempts": 0}
    rows = connection.execute(changed.values(**values).returning(_d.id, _d.destination, _d.payload)).all()
    about = publishing.abouts(connection, rows)
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
    due_again(connection, sending.push_id(outgoing), now)
    attesting.happened(page, entries.RESENT, told.about, (outgoing,), note=note)
    return True


def due_again(connection: Connection, delivery: str, now: datetime) -> bool:
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


def _note(
    connection: Connection, rows: Sequence[Any], at: datetime, what: str, page: Page, more: str = ""
) -> None:
    """One line each in the timelines: about the message, or about what the outgoing was about.  What is
    published is no matter of the parties: the journal has it, their timelines do not."""
    about = publishing.abouts(connection, rows)
    events = {r.id: Event(about.get(r.payload, r.payload), at, what, r.destination + more) for r in rows}
    told = {i: (e,) for i, e in events.items() if not e.detail.startswith(publishing.PREFIX)}
    insert_events(connection, [event for (event,) in told.values()])
    for identity, event in events.items():
        attesting.happened(page, what, event.about, (identity,), told.get(identity, ()))
        if more:
            log.error("%s%s", what, more, extra={"delivery": identity})


class _Stored:
    """Declarations out of slices: read at once as long as there is room, else in pieces as they are gone through."""

    def __init__(self, connection: Connection, rows: Sequence[Any], again: Reader) -> None:
        self._connection = connection
        self._again = again
        self._rows = slices.rows(connection, [(row.submission, row.ordinal) for row in rows])
        self._room = HELD

    def declaration(self, row: Any) -> Declaration:
        """Of a row of the message table."""
        if row.declaration:
            return unpacked(row.declaration, Declaration)
        part = row.submission, row.ordinal
        full = self._rows.get(part, 1) - 1
        if (full + 1) * slices.SLICE > self._room and (full or self._room <= 0):
            last = slices.one(self._connection, *part, full) or b""
            size = full * slices.SLICE + len(last)
            return opened(partial(slices.later, self._again, *part), size)
        stored = slices.whole(self._connection, *part)
        self._room -= len(stored)
        return unpacked(stored, Declaration)


def _handover(
    stored: _Stored, delivery: Delivery, row: Any, instead: correcting.Corrected | None
) -> Handover:
    declaration = None if instead is None else instead.declaration
    return Handover(
        delivery=delivery.id,
        message=delivery.payload,
        filer=row.filer,
        principal=row.principal,
        received_at=moment(row.received_at),
        declaration=stored.declaration(row) if declaration is None else declaration,
        correction=None if instead is None else instead.correction,
    )
