"""Reading: what became of a submission, what waits in a mailbox, and where a reference is found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, text, union, update

from gateway.evidence import entries
from gateway.model import (
    Decision,
    Event,
    Finding,
    Kind,
    Outcome,
    Outgoing,
    Partner,
    Role,
    Submission,
)
from gateway.storage import attesting, slices, tables
from gateway.storage.codec import message_id, micros, moment, unpacked
from gateway.storage.joining import JOINED, joined
from gateway.storage.journal import Page
from gateway.storage.records import Counts, Entry, Filed, MessageStatus, Status

MAX_FOUND = 100
"""Submissions that one search lists, newest first."""

RECEIPT = "receipt"

_s = tables.submission.c
_m = tables.message.c
_o = tables.outgoing.c
_d = tables.delivery.c


def status(connection: Connection, partner: str, submission: str) -> Status | None:
    """The submission with its messages and timeline; None where absent or not the partner's to see.

    Who sent the same octets later sees the messages that it joined, and what befell these.
    """
    columns = [c for c in tables.submission.c if c.name != "body"]
    row = connection.execute(select(*columns).where(_s.id == submission)).first()
    if row is None:
        return None
    whole = _may_see(connection, partner, row)
    shown = frozenset() if whole else joined(connection, partner, submission)
    if not whole and not shown:
        return None
    messages = _messages(connection, submission)
    timeline = (*unpacked(row.events, tuple[Event, ...]), *_later(connection, submission))
    if not whole and submission not in shown:
        messages = tuple(m for m in messages if m.id in shown)
    if not whole:
        seen = {submission, *(m.id for m in messages)}
        timeline = tuple(e for e in timeline if e.about in seen and (e.what != JOINED or e.detail == partner))
    return Status(
        submission=row.id,
        partner=row.filer,
        principal=row.principal,
        reference=row.reference,
        outcome=Outcome(row.outcome),
        received_at=moment(row.received_at),
        receipt=row.receipt,
        findings=unpacked(row.findings, tuple[Finding, ...]),
        messages=messages,
        timeline=timeline,
    )


def raw(connection: Connection, submission: str) -> Submission | None:
    """The submission as it arrived, octet for octet."""
    row = connection.execute(select(tables.submission).where(_s.id == submission)).first()
    if row is None:
        return None
    return Submission(
        id=row.id,
        partner=row.partner,
        channel=row.channel,
        media_type=row.media_type,
        body=row.body or slices.whole(connection, row.id, slices.BODY),
        digest=row.digest,
        received_at=moment(row.received_at),
    )


def find(connection: Connection, partner: str, reference: str) -> list[Filed]:
    """The submissions, of those the partner may see, that carry this reference: their own, an LRN, or
    customs' registration of one of their messages; newest first, at most MAX_FOUND."""
    if not reference:
        return []
    messages = select(_m.submission).where(
        or_(
            _heads(_m.lrn, reference), and_(_heads(_m.registration, reference), _m.registration != text("''"))
        )
    )
    ids = union(select(_s.id).where(_heads(_s.reference, reference)), messages).subquery()
    found = select(_s.id, _s.reference, _s.claim, _s.outcome, _s.received_at).where(
        _s.id.in_(select(ids.c.id))
    )
    if not _is_customs(connection, partner):
        found = found.where(or_(*(column == partner for column in _parties())))
    rows = connection.execute(found.order_by(_s.position.desc()).limit(MAX_FOUND))
    return [
        Filed(
            submission=row.id,
            reference=row.reference,
            outcome=Outcome(row.outcome),
            received_at=moment(row.received_at),
            claimed=row.claim is not None,
        )
        for row in rows
    ]


def mailbox(
    connection: Connection, partner: str, after: str, limit: int, include_acknowledged: bool
) -> list[Entry]:
    """Entries in order of arrival, those after the entry ``after`` ("" or unknown: from the first).

    Two processes may commit out of order, so that an entry appears before one already listed: ask from
    the first again once the end is reached; acknowledging is what moves a reader on.
    """
    columns = [c for c in tables.outgoing.c if c.name != "body"]
    entries = select(*columns, func.length(_o.body).label("size")).where(_o.partner == partner)
    if after:
        start = select(_o.position).where(_o.id == after, _o.partner == partner).scalar_subquery()
        entries = entries.where(_o.position > func.coalesce(start, 0))
    if not include_acknowledged:
        entries = entries.where(_o.acknowledged_at.is_(None))
    return [
        Entry(
            id=row.id,
            kind=row.kind,
            about=row.about,
            reference=row.reference,
            media_type=row.media_type,
            size=row.size,
            created_at=moment(row.created_at),
            acknowledged_at=None if row.acknowledged_at is None else moment(row.acknowledged_at),
        )
        for row in connection.execute(entries.order_by(_o.position).limit(limit))
    ]


def fetch(connection: Connection, partner: str, outgoing: str) -> Outgoing | None:
    """One entry of the partner's own mailbox, with its body; or a receipt that answered it, too."""
    row = connection.execute(select(tables.outgoing).where(_o.id == outgoing)).first()
    if row is None:
        return None
    own = row.partner == partner or (row.kind == RECEIPT and bool(joined(connection, partner, row.about)))
    return outgoing_of(row) if own else None


def acknowledge(
    connection: Connection, partner: str, outgoings: Sequence[str], at: datetime, page: Page
) -> int:
    """Mark the partner's own entries as taken; how many are its own (those taken before included).

    What the partner has need not be pushed to it any more.
    """
    taken = (
        update(tables.outgoing)
        .where(_o.partner == partner, _o.id.in_(outgoings), _o.acknowledged_at.is_(None))
        .values(acknowledged_at=micros(at))
    )
    fresh = connection.execute(taken.returning(_o.id, _o.about)).all()
    own = list(connection.scalars(select(_o.id).where(_o.partner == partner, _o.id.in_(outgoings))))
    pushed = update(tables.delivery).where(_d.payload.in_(own), tables.is_push, _d.state != tables.DONE)
    connection.execute(pushed.values(state=tables.DONE, error=""))
    for row in fresh:
        attesting.happened(page, entries.ACKNOWLEDGED, row.about, (row.id,))
    return len(own)


def counts(connection: Connection) -> Counts:
    """What waits now; every number comes from a small partial index."""
    by_state = {
        state: connection.execute(
            select(_d.destination, func.count(), func.min(_d.due_at))
            .where(_d.state == text(f"'{state}'"))  # a literal: the partial index is chosen by it
            .group_by(_d.destination)
        ).all()
        for state in (tables.DUE, tables.DEAD)
    }
    waiting = connection.scalar(select(func.count()).where(_o.acknowledged_at.is_(None)))
    refusals = connection.execute(select(tables.refusal.c.code, func.count()).group_by(tables.refusal.c.code))
    return Counts(
        due={row[0]: row[1] for row in by_state[tables.DUE]},
        dead={row[0]: row[1] for row in by_state[tables.DEAD]},
        oldest_due_at={row[0]: moment(row[2]) for row in by_state[tables.DUE]},
        unacknowledged=waiting or 0,
        refusals={row[0]: row[1] for row in refusals},
    )


def outgoing_of(row: Any) -> Outgoing:
    """The message to a partner that a whole row of its table holds."""
    return Outgoing(
        id=row.id,
        partner=row.partner,
        kind=row.kind,
        about=row.about,
        reference=row.reference,
        media_type=row.media_type,
        body=row.body,
        created_at=moment(row.created_at),
    )


def _messages(connection: Connection, submission: str) -> tuple[MessageStatus, ...]:
    decided: dict[str, list[Decision]] = {}
    decision = tables.decision.c
    bodies = (
        select(decision.message, decision.body)
        .where(decision.submission == submission)
        .order_by(decision.at, decision.position)
    )
    for row in connection.execute(bodies):
        decided.setdefault(row.message, []).append(unpacked(row.body, Decision))
    columns = [c for c in tables.message.c if c.name != "declaration"]
    rows = connection.execute(select(*columns).where(_m.submission == submission).order_by(_m.ordinal))
    return tuple(
        MessageStatus(
            id=message_id(row.submission, row.ordinal),
            ordinal=row.ordinal,
            type=row.type,
            reference=row.reference,
            lrn=row.lrn,
            kind=None if row.kind is None else Kind(row.kind),
            outcome=Outcome(row.outcome),
            registration=row.registration,
            state=row.state,
            findings=unpacked(row.findings, tuple[Finding, ...]),
            decisions=tuple(decided.get(message_id(row.submission, row.ordinal), ())),
        )
        for row in rows
    )


def _later(connection: Connection, submission: str) -> tuple[Event, ...]:
    event = tables.event.c
    rows = connection.execute(
        select(tables.event).where(event.submission == submission).order_by(event.at, event.position)
    )
    return tuple(Event(row.about, moment(row.at), row.what, row.detail) for row in rows)


def _parties() -> tuple[ColumnElement[str], ...]:
    return (_s.partner, _s.signer, _s.filer, _s.principal)


def _may_see(connection: Connection, partner: str, row: Any) -> bool:
    parties = (row.partner, row.signer, row.filer, row.principal)
    return partner in parties or _is_customs(connection, partner)


def _is_customs(connection: Connection, partner: str) -> bool:
    body = connection.scalar(select(tables.partner.c.body).where(tables.partner.c.id == partner))
    if body is None:
        return False
    found = unpacked(body, Partner)
    return found.active and Role.CUSTOMS in found.roles


def _heads(column: ColumnElement[str], value: str) -> ColumnElement[bool]:
    # The index holds the head only (tables.HEAD); the whole value decides.  Joined to nothing it is no
    # constant to SQLite, which would put it into the head and then find no index.
    head = func.substr(column, text("1"), text(str(tables.HEAD)))
    return and_(head == value[: tables.HEAD], column.concat(text("''")) == value)
