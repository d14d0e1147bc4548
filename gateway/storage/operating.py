"""What operators see of deliveries: page by page, one in full, what was given up, and every destination.

Pages go by the queue's own order (destination, then arrival), so that one costs the same with ten deliveries
waiting or ten million.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, select, text, tuple_

from gateway.evidence.entries import read_entry
from gateway.model import Delivery
from gateway.storage import claiming, past, publishing, sending, slices, tables
from gateway.storage.codec import micros, moment, submission_of

SCAN = 2_000
"""Rows of the queue that one page looks at, at most: those of an age may be rare."""
MAX_GROUPS = 1_000
"""Groups of dead letters that are told."""

_d, _n = tables.delivery.c, tables.decision.c
_s, _m, _j = tables.submission.c, tables.message.c, tables.journal.c
QUEUED = {tables.DUE: "ix_delivery_queue", tables.DEAD: "ix_delivery_dead"}
"""States that have an index of their own, in the order in which they are told."""


class Line(msgspec.Struct, frozen=True):
    """A delivery as a list has it.  ``since``: when what it carries was stored; ``under_way``: a courier has
    it now."""

    delivery: Delivery
    state: str
    since: datetime
    under_way: bool


class Wanted(msgspec.Struct, frozen=True):
    """Which deliveries: of a destination or a kind with its colon, of a state ("": all that have not arrived),
    stored before a time; behind the place ``after`` at which a page ended."""

    destination: str = ""
    state: str = ""
    before: datetime | None = None
    after: str = ""


class Act(msgspec.Struct, frozen=True):
    """An entry of the journal about one delivery; ``note``: who and why, where an operator did it."""

    at: datetime
    kind: str
    note: str


class Carried(msgspec.Struct, frozen=True):
    """What a delivery carries: a message's ``declaration``, an ``outgoing`` message to a partner, or a
    ``decision``; ``type`` and ``reference`` as its parties know it, ``partner``: who filed, or is told."""

    what: str
    about: str
    type: str
    reference: str
    partner: str
    octets: int


class Letters(msgspec.Struct, frozen=True):
    """Dead letters of one destination and one reason."""

    destination: str
    error: str
    count: int
    oldest: datetime
    newest: datetime


class Waits(msgspec.Struct, frozen=True):
    """A destination's deliveries that have not arrived."""

    due: int = 0
    dead: int = 0


def page(connection: Connection, wanted: Wanted, limit: int, now: datetime) -> tuple[list[Line], str]:
    """At most ``limit`` deliveries, and where the next page begins, "" at the end.

    A page may be short of the limit, or empty, and yet not the last: it looks at no more than SCAN rows.
    Raises ValueError for a place that no page ended at.
    """
    state, position, destination = _place(wanted.after)
    states = [wanted.state] if wanted.state else list(QUEUED)
    if state:
        states = states[states.index(state) :]
    found: list[Line] = []
    last = wanted.after
    most = SCAN if wanted.before is not None else limit + 1
    for one in states:
        begin = (destination, position) if one == state else ("", 0)
        rows = connection.execute(_query(one, wanted, begin).limit(most)).all()
        for row, one_line in zip(rows, _lines(connection, rows, now), strict=True):
            if wanted.before is not None and one_line.since >= wanted.before:
                continue
            if len(found) == limit:
                return found, last
            found.append(one_line)
            last = _told(row)
        if len(rows) == most:
            return found, _told(rows[-1])
    return found, ""


def _query(state: str, wanted: Wanted, begin: tuple[str, int]) -> Any:
    """Rows of one state behind a place."""
    of = select(tables.delivery).where(_d.state == text(f"'{state}'"))
    if wanted.destination:
        of = of.where(claiming.to(wanted.destination))
    if begin != ("", 0):
        of = of.where(tuple_(_d.destination, _d.position) > tuple_(*begin))
    return of.order_by(_d.destination, _d.position)


def _place(after: str) -> tuple[str, int, str]:
    if not after:
        return "", 0, ""
    state, _, rest = after.partition(".")
    position, _, destination = rest.partition(".")
    if state not in QUEUED or not position.isdecimal() or len(position) > 18:
        raise ValueError(f"no page ended at {after[:40]!r}")
    return state, int(position), destination


def _told(row: Row[Any]) -> str:
    return f"{row.state}.{row.position}.{row.destination}"


def line(connection: Connection, delivery: str, now: datetime) -> Line | None:
    """One delivery, over or not; None where unknown."""
    rows = connection.execute(select(tables.delivery).where(_d.id == delivery)).all()
    if rows:
        return _lines(connection, rows, now)[0]
    over = past.delivery(connection, delivery)
    if over is None:
        return None
    told = Delivery(over.id, over.destination, over.payload, over.at, error=over.why)
    stored = _stored(connection, [over])
    since = stored.get(over.payload) or stored.get(submission_of(over.payload)) or micros(over.at)
    return Line(told, over.state, moment(since), False)


def _lines(connection: Connection, rows: Sequence[Row[Any]], now: datetime) -> list[Line]:
    stored = _stored(connection, rows)
    at = micros(now)
    return [
        Line(
            claiming.delivery_of(row),
            row.state,
            moment(stored.get(row.payload) or stored.get(submission_of(row.payload)) or row.due_at),
            row.state == tables.DUE and claiming.held_at(row, at),
        )
        for row in rows
    ]


def _stored(connection: Connection, rows: Sequence[Any]) -> dict[str, int]:
    """When what the deliveries carry was stored, by payload or by its submission."""
    found: dict[str, int] = {}
    for some in _some([row.payload for row in rows]):
        of = select(_s.id, _s.received_at).where(_s.id.in_({submission_of(payload) for payload in some}))
        found |= {row.id: row.received_at for row in connection.execute(of)}
        pushed = sending.without_bodies(connection, [payload for payload in some if "." in payload])
        found |= {told.id: micros(told.created_at) for told, _ in pushed}
    decided = {row.payload: submission_of(row.id) for row in rows if publishing.carries_decision(row.id)}
    for some in _some(sorted(decided)):
        mine = _n.submission.in_({decided[one] for one in some}), _n.id.in_(some)
        found |= {row.id: row.at for row in connection.execute(select(_n.id, _n.at).where(*mine))}
    return found


def _some(ids: Sequence[str], size: int = 500) -> Iterable[Sequence[str]]:
    """In portions that a statement takes."""
    return (ids[start : start + size] for start in range(0, len(ids), size))


def carried(connection: Connection, delivery: Delivery) -> Carried | None:
    """What it carries; None where that is not here."""
    submission, _, ordinal = delivery.payload.partition(".")
    for told, size in sending.without_bodies(connection, [delivery.payload]):
        return Carried("outgoing", told.about, told.kind, told.reference, told.partner, size)
    if publishing.carries_decision(delivery.id):
        message = publishing.message_decided(delivery.id, delivery.payload)
        mine = _n.submission == submission_of(message), _n.id == delivery.payload
        row = connection.execute(select(tables.decision).where(*mine)).first()
        return None if row is None else Carried("decision", message, row.kind, "", "", len(row.body))
    if not ordinal.isdecimal():
        return None
    row = connection.execute(
        select(tables.message, _s.filer)
        .join(tables.submission, _s.id == _m.submission)
        .where(_m.submission == submission, _m.ordinal == int(ordinal))
    ).first()
    if row is None or row.declaration is None:
        return None
    octets = len(row.declaration) or sum(map(len, slices.each(connection, submission, int(ordinal))))
    return Carried("declaration", delivery.payload, row.identifier or row.type, row.lrn, row.filer, octets)


def acts(connection: Connection, delivery: str, about: str) -> list[Act]:
    """What the journal says befell a delivery, oldest first."""
    told = connection.scalars(select(_j.entry).where(_j.about == submission_of(about)))
    of = (entry for entry in map(read_entry, told) if delivery in entry.of.ids or delivery in entry.of.due)
    return [Act(e.at, e.kind, e.of.note) for e in sorted(of, key=lambda e: (e.at, e.seq))]


def dead_letters(connection: Connection) -> list[Letters]:
    """What was given up, by destination and reason, the most first."""
    count = func.count()
    grouped = (
        select(_d.destination, _d.error, count, func.min(_d.due_at), func.max(_d.due_at))
        .where(_d.state == text(f"'{tables.DEAD}'"))
        .group_by(_d.destination, _d.error)
        .order_by(count.desc(), _d.destination, _d.error)
        .limit(MAX_GROUPS)
    )
    return [Letters(r[0], r[1], r[2], moment(r[3]), moment(r[4])) for r in connection.execute(grouped)]


def waits(connection: Connection) -> dict[str, Waits]:
    """How many deliveries have not arrived, by destination."""
    counted: dict[str, dict[str, int]] = {}
    for state in QUEUED:
        of = (
            select(_d.destination, func.count())
            .where(_d.state == text(f"'{state}'"))
            .group_by(_d.destination)
        )
        for destination, count in connection.execute(of):
            counted.setdefault(destination, {})[state] = count
    return {to: Waits(**of) for to, of in counted.items()}
