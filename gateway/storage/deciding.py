"""Decisions: each recorded once with the answer that carries it, and how an answer finds its way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.evidence.records import DecisionRecord, raw
from gateway.model import Kind, Route
from gateway.storage import attesting, tables
from gateway.storage.codec import message_id, message_key, micros, moment, packed, submission_of, unpacked
from gateway.storage.journal import Page
from gateway.storage.records import Addressed, Recorded
from gateway.storage.settling import insert_deliveries, insert_events, insert_outgoings

_m = tables.message.c
_insert = {
    "sqlite": sqlite.insert(tables.decision).on_conflict_do_nothing().returning(tables.decision.c.id),
    "postgresql": postgresql.insert(tables.decision).on_conflict_do_nothing().returning(tables.decision.c.id),
}
# A decision that comes late gives its registration, but does not undo the state of a newer one.
_newest = _m.decided_at <= bindparam("taken_at")
_decided = (
    update(tables.message)
    .where(_m.submission == bindparam("of"), _m.ordinal == bindparam("nth"))
    .values(
        registration=case((bindparam("number") != "", bindparam("number")), else_=_m.registration),
        state=case((_newest, bindparam("decided")), else_=_m.state),
        decided_at=case((_newest, bindparam("taken_at")), else_=_m.decided_at),
    )
)


def record(connection: Connection, batch: Sequence[Recorded], page: Page) -> tuple[str, ...]:
    """Store the decisions that are not known yet, with their answers; the ids of those.

    Idempotent on the decision's id: a known one leaves nothing, whatever its answer is.  A decision
    about a message that we do not know is kept all the same.
    """
    first: dict[str, Recorded] = {}
    for one in batch:
        first.setdefault(one.decision.id, one)
    if not first:
        return ()
    rows = {id_: _row(one) for id_, one in first.items()}
    new = set(connection.execute(_insert[connection.dialect.name], list(rows.values())).scalars())
    fresh = [one for one in first.values() if one.decision.id in new]
    if fresh:
        connection.execute(_decided, [_change(one) for one in fresh])
    insert_outgoings(connection, [one.outgoing for one in fresh if one.outgoing is not None])
    insert_deliveries(connection, [delivery for one in fresh for delivery in one.due])
    insert_events(connection, [event for one in fresh for event in one.events])
    for one in fresh:
        row = rows[one.decision.id]
        told = DecisionRecord(row["id"], row["message"], row["outgoing"], raw(row["body"]))
        attesting.decided(page, one, told)
    return tuple(one.decision.id for one in fresh)


def routes(connection: Connection, message_ids: Sequence[str]) -> dict[str, Addressed]:
    """How to answer about these messages, by id; unknown ones are left out."""
    columns = [c for c in tables.message.c if c.name not in ("declaration", "findings")]
    rows = connection.execute(
        select(*columns, tables.submission.c.route, tables.submission.c.received_at)
        .join(tables.submission, tables.submission.c.id == _m.submission)
        .where(message_in(message_ids))
    )
    return {
        message_id(row.submission, row.ordinal): Addressed(
            route=unpacked(row.route, Route),
            ordinal=row.ordinal,
            type=row.type,
            reference=row.reference,
            identifier=row.identifier,
            lrn=row.lrn,
            function=row.function,
            kind=None if row.kind is None else Kind(row.kind),
            registration=row.registration,
            state=row.state,
            received_at=moment(row.received_at),
        )
        for row in rows
    }


def message_in(message_ids: Sequence[str]) -> ColumnElement[bool]:
    """The messages with these ids."""
    keys = [message_key(id_) for id_ in message_ids]
    # SQLite finds no index for pairs: the first of them leads it there.
    return and_(
        _m.submission.in_({submission for submission, _ in keys}),
        tuple_(_m.submission, _m.ordinal).in_(keys),
    )


def _row(one: Recorded) -> dict[str, Any]:
    decision = one.decision
    return {
        "id": decision.id,
        "submission": submission_of(decision.message),
        "message": decision.message,
        "kind": decision.kind.value,
        "at": micros(decision.at),
        "body": packed(decision),
        "outgoing": None if one.outgoing is None else one.outgoing.id,
    }


def _change(one: Recorded) -> dict[str, Any]:
    decision = one.decision
    submission, ordinal = message_key(decision.message)
    return {
        "of": submission,
        "nth": ordinal,
        "number": decision.registration,
        "decided": decision.kind.value,
        "taken_at": micros(decision.at),
    }
