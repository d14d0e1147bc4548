"""Decisions: each recorded once with the answer that carries it, and how an answer finds its way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from gateway.evidence.records import DecisionRecord, raw
from gateway.model import Kind, Route
from gateway.storage import arrival, attesting, lanes, tables
from gateway.storage.codec import (
    message_id,
    message_key,
    micros,
    moment,
    packed,
    part_of,
    submission_of,
    unpacked,
)
from gateway.storage.journal import Page
from gateway.storage.records import Addressed, Recorded
from gateway.storage.sending import insert_outgoings
from gateway.storage.settling import insert_deliveries, insert_events

_m, _n, _s = tables.message.c, tables.decision.c, tables.submission.c
_insert = {
    "sqlite": sqlite.insert(tables.decision).on_conflict_do_nothing().returning(_n.id),
    "postgresql": postgresql.insert(tables.decision).on_conflict_do_nothing().returning(_n.id),
}


def record(connection: Connection, batch: Sequence[Recorded], page: Page) -> tuple[str, ...]:
    """Store the decisions that are not known yet, with their answers; the ids of those.

    Idempotent on the decision's id among those about its message: a known one leaves nothing, whatever its
    answer is.  A decision about a message that we do not know is kept all the same.
    """
    first: dict[str, Recorded] = {}
    for one in batch:
        first.setdefault(one.decision.id, one)
    if not first:
        return ()
    positions = arrival.take(len(first))
    rows = {id_: _row(one, nth) for (id_, one), nth in zip(first.items(), positions, strict=True)}
    new = set(connection.execute(_insert[connection.dialect.name], list(rows.values())).scalars())
    fresh = [one for one in first.values() if one.decision.id in new]
    insert_outgoings(connection, [one.outgoing for one in fresh if one.outgoing is not None])
    due = [delivery for one in fresh for delivery in one.due]
    insert_deliveries(connection, due)
    lanes.hurry(connection, due)
    insert_events(connection, [event for one in fresh for event in one.events])
    for one in fresh:
        answer = None if one.outgoing is None else one.outgoing.id
        told = DecisionRecord(
            one.decision.id, one.decision.message, answer, raw(rows[one.decision.id]["body"])
        )
        attesting.decided(page, one, told)
    return tuple(one.decision.id for one in fresh)


def routes(connection: Connection, message_ids: Sequence[str]) -> dict[str, Addressed]:
    """How to answer about these messages, by id; unknown ones are left out."""
    columns = [c for c in tables.message.c if c.name not in ("declaration", "findings")]
    rows = connection.execute(
        select(*columns, _s.route, _s.received_at)
        .join(tables.submission, _s.id == _m.submission)
        .where(message_in(message_ids), _s.id.in_({submission_of(id_) for id_ in message_ids}))
    ).all()
    stand = standings(connection, message_ids)
    found = {}
    for row in rows:
        identity = message_id(row.submission, row.ordinal)
        standing = stand.get(identity, Standing(row.outcome))
        found[identity] = Addressed(
            route=unpacked(row.route, Route),
            ordinal=row.ordinal,
            type=row.type,
            reference=row.reference,
            identifier=row.identifier,
            lrn=row.lrn,
            function=row.function,
            kind=None if row.kind is None else Kind(row.kind),
            registration=standing.registration,
            state=standing.state,
            received_at=moment(row.received_at),
        )
    return found


class Standing(msgspec.Struct):
    """How a message stands: the kind of its newest decision, and the number that customs gave it last."""

    state: str
    registration: str = ""


def standings(connection: Connection, message_ids: Sequence[str]) -> dict[str, Standing]:
    """How those of these messages stand on which something was decided, by their ids.

    The state is that of the newest by customs' time; a registration that comes late is taken all the same.
    """
    submissions = {submission_of(id_) for id_ in message_ids}
    parts = {part_of(id_) for id_ in message_ids}
    return _standings(connection, _n.submission.in_(submissions) & _n.about.in_(parts))


def standings_of(connection: Connection, submission: str, parts: Sequence[str]) -> dict[str, Standing]:
    """The same of a submission's messages, by what their ids have behind its own."""
    return _standings(connection, and_(_n.submission == submission, _n.about.in_(parts)))


def _standings(connection: Connection, which: ColumnElement[bool]) -> dict[str, Standing]:
    known: dict[str, Standing] = {}
    given: dict[str, int] = {}
    of = select(_n.submission, _n.about, _n.kind, _n.registration, _n.position).where(which)
    for row in connection.execute(of.order_by(_n.at, _n.position)):
        message = row.submission + row.about
        standing = known.setdefault(message, Standing(""))
        standing.state = row.kind
        if row.registration and given.get(message, 0) < row.position:
            standing.registration, given[message] = row.registration, row.position
    return known


def message_in(message_ids: Sequence[str]) -> ColumnElement[bool]:
    """The messages with these ids."""
    keys = [message_key(id_) for id_ in message_ids]
    # SQLite finds no index for pairs: the first of them leads it there.
    return and_(
        _m.submission.in_({submission for submission, _ in keys}),
        tuple_(_m.submission, _m.ordinal).in_(keys),
    )


def _row(one: Recorded, position: int) -> dict[str, Any]:
    decision = one.decision
    submission = submission_of(decision.message)
    return {
        "submission": submission,
        "id": decision.id,
        "about": part_of(decision.message),
        "kind": decision.kind.value,
        "at": micros(decision.at),
        "registration": decision.registration,
        "body": packed(decision),
        "outgoing": None if one.outgoing is None else one.outgoing.id.removeprefix(f"{submission}."),
        "position": position,
    }
