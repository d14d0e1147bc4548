"""What was stored before there was a journal is taken into it, as it is found: attested from then on only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from gateway.evidence import entries
from gateway.evidence.entries import Attested
from gateway.evidence.records import MessageRecord, RefusalRecord, digest
from gateway.model import Event
from gateway.model.grants import MandateRow
from gateway.storage import attesting, slices, tables
from gateway.storage.codec import moment
from gateway.storage.journal import Page
from gateway.storage.reading import outgoing_of
from gateway.storage.registering import MANDATE

_j = tables.journal.c
_s, _m, _o, _d = tables.submission.c, tables.message.c, tables.outgoing.c, tables.delivery.c


def adopt(connection: Connection, page: Page, limit: int) -> int:
    """Add entries for at most ``limit`` submissions, and for all partners, mandates and refusals, of which
    none speaks; how many there were."""
    told = select(_j.about).where(_j.about == _s.id).exists()
    fresh = select(tables.submission).where(~told).order_by(_s.id).limit(limit)
    rows = connection.execute(fresh).all()
    for row in rows:
        page.add(entries.ADOPTED, row.id, _submission(connection, row))
    if rows:
        return len(rows)
    return _register(connection, page) + _refusals(connection, page)


def _submission(connection: Connection, row: Any) -> Attested:
    parts = _parts(connection, row.id)
    messages, decisions, events, outgoings = parts
    payloads = [f"{row.id}.{m.ordinal}" for m in messages] + [o.id for o in outgoings]
    deliveries = connection.execute(select(tables.delivery).where(_d.payload.in_(payloads))).all()
    lines = [Event(e.about, moment(e.at), e.what, e.detail) for e in events]
    return Attested(
        record=digest(attesting.submission_record(tuple(row)[1:])),
        body=row.digest,
        messages=tuple(digest(_message(connection, m)) for m in messages),
        sent={o.id: digest(attesting.outgoing_record(outgoing_of(o))) for o in outgoings},
        due={d.id: f"{d.destination} {d.payload}" for d in deliveries},
        events=attesting.events_of(lines),
        decisions=tuple(digest(attesting.decision_record(d)) for d in decisions),
    )


def _message(connection: Connection, row: Any) -> MessageRecord:
    staged = slices.digest(connection, row.submission, row.ordinal) if row.declaration == b"" else ""
    return attesting.message_record(tuple(row), staged)


def _parts(connection: Connection, submission: str) -> tuple[Sequence[Any], ...]:
    e, d = tables.event, tables.decision
    messages = connection.execute(
        select(tables.message).where(_m.submission == submission).order_by(_m.ordinal)
    ).all()
    decisions = connection.execute(select(d).where(d.c.submission == submission)).all()
    events = connection.execute(select(e).where(e.c.submission == submission)).all()
    told = {one.outgoing for one in decisions if one.outgoing is not None}
    about = [submission, *(f"{submission}.{m.ordinal}" for m in messages)]
    named = _o.id.in_(told) | _o.about.in_(about)
    outgoings = connection.execute(select(tables.outgoing).where(named)).all()
    return messages, decisions, events, outgoings


def _register(connection: Connection, page: Page) -> int:
    known = set(connection.scalars(select(_j.about).where(_j.about.contains(":"))))
    partners = connection.execute(select(tables.partner.c.id, tables.partner.c.body)).all()
    mandates = [MandateRow._make(row) for row in connection.execute(select(*MANDATE))]
    told = [
        (f"{entries.PARTNER}:{p.id}", entries.PARTNER, attesting.partner_text(p.body.encode()))
        for p in partners
    ]
    told += [(f"{entries.MANDATE}:{m.id}", entries.MANDATE, attesting.mandate_text(m)) for m in mandates]
    fresh = [one for one in told if one[0] not in known]
    for about, kind, text in fresh:
        page.add(kind, about, Attested(text=text, note="adopted"))
    return len(fresh)


def _refusals(connection: Connection, page: Page) -> int:
    told = map(entries.read_entry, connection.scalars(select(_j.entry).where(_j.about == "")))
    known = {entry.of.record for entry in told if entry.kind == entries.REFUSED}
    count = 0
    for row in connection.execute(select(tables.refusal)).all():
        record = RefusalRecord(row.partner, row.channel, row.code, row.digest, moment(row.at))
        if digest(record) not in known:
            attesting.refused(page, record)
            count += 1
    return count
