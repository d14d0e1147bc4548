"""Settling: a submission's outcome, receipt, deliveries and claim, many submissions in one transaction.

Insert first: the unique constraints decide who is new, so two processes that settle the same
submission at the same moment cannot both win.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from gateway.evidence import entries
from gateway.evidence.records import RefusalRecord
from gateway.model import Answer, Delivery, Event, Judged, Outcome, Outgoing
from gateway.storage import attesting, tables
from gateway.storage.admitting import outdated
from gateway.storage.codec import claim_of, micros, moment, octets, packed, submission_of
from gateway.storage.database import LedgerError
from gateway.storage.joining import join
from gateway.storage.journal import Page
from gateway.storage.records import Clash, Settlement, Stale
from gateway.storage.rows import Rows
from gateway.storage.slices import owned

MAX_REFUSALS = 10_000
"""Refusals kept for audit: unproven senders must not be able to fill the disk."""

_s = tables.submission.c
_o = tables.outgoing.c

_submissions = Rows(tables.submission, on_conflict_do_nothing=True, generated=("position",))
_messages = Rows(tables.message)
_outgoings = Rows(tables.outgoing, generated=("position", "acknowledged_at"))
_deliveries = Rows(tables.delivery, generated=("position",))
_events = Rows(tables.event, generated=("position",))

_first = select(
    _s.id,
    _s.partner,
    _s.signer,
    _s.claim,
    _s.digest,
    _s.outcome,
    _s.reference,
    _o.id.label("receipt_id"),
    _o.partner.label("receipt_partner"),
    _o.kind,
    _o.about,
    _o.reference.label("receipt_reference"),
    _o.media_type,
    _o.body,
    _o.created_at,
).join(tables.outgoing, _o.id == _s.receipt)
_by_bytes = _first.where(_s.partner == bindparam("of"), _s.digest == bindparam("sha256"))
_by_claim = _first.where(_s.signer == bindparam("of"), _s.claim == bindparam("named"))


def known(connection: Connection, partner: str, digest: str) -> Answer | None:
    """The answer first given to these bytes from this transport partner."""
    row = connection.execute(_by_bytes, {"of": partner, "sha256": digest}).first()
    return None if row is None else _answer(row, repeated=True)


def claimed(connection: Connection, partner: str, claim: str) -> tuple[str, str] | None:
    """(submission id, digest) that owns this claim of the signer's."""
    row = connection.execute(_by_claim, {"of": partner, "named": claim_of(claim)}).first()
    return None if row is None else (row.id, row.digest)


class Doubled(Exception):
    """Some of the batch is not new, or stale; the transaction must be undone and the batch settled carefully."""


def settle_fresh(
    connection: Connection, batch: Sequence[Settlement], page: Page
) -> list[Answer | Clash | Stale]:
    """Store a batch in which all is new, as nearly every one is.  Raises Doubled where it is not."""
    if outdated(connection, batch) or _taken_over(connection, batch):
        raise Doubled
    rows = [_submission_row(settlement) for settlement in batch]
    if _submissions.insert(connection, rows) != len(rows):
        raise Doubled
    _insert_parts(connection, batch, rows, page)
    return [_fresh_answer(settlement) for settlement in batch]


def settle_carefully(
    connection: Connection, batch: Sequence[Settlement], page: Page
) -> list[Answer | Clash | Stale]:
    """Store what is new of a batch, one by one, and answer every settlement in order.

    Raises LedgerError where an id belongs to other bytes (an id given twice is our fault).
    """
    answers: list[Answer | Clash | Stale] = []
    stale = outdated(connection, batch) | _taken_over(connection, batch)
    for settlement in batch:
        if settlement.submission.id in stale:
            answers.append(Stale())
            continue
        row = _submission_row(settlement)
        if _submissions.insert(connection, [row]):
            _insert_parts(connection, [settlement], [row], page)
            answers.append(_fresh_answer(settlement))
        else:
            answers.append(_old_answer(connection, settlement, page))
    return answers


def refuse(
    connection: Connection, partner: str, channel: str, code: str, digest: str, at: datetime, page: Page
) -> None:
    """Keep a note of an unproven sender, and drop the oldest beyond MAX_REFUSALS."""
    row = {"partner": partner, "channel": channel, "code": code, "digest": digest, "at": micros(at)}
    position = connection.scalar(insert(tables.refusal).returning(tables.refusal.c.position), row)
    oldest = (position or 0) - MAX_REFUSALS
    connection.execute(delete(tables.refusal).where(tables.refusal.c.position <= oldest))
    attesting.refused(page, RefusalRecord(partner, channel, code, digest, moment(micros(at))))


def insert_outgoings(connection: Connection, outgoings: Sequence[Outgoing]) -> None:
    """Store messages to partners; they are in the mailboxes from the commit on."""
    _outgoings.insert(connection, [_outgoing_row(outgoing) for outgoing in outgoings])


def insert_deliveries(connection: Connection, deliveries: Sequence[Delivery]) -> None:
    """Store deliveries; they are due from the commit on."""
    _deliveries.insert(connection, [_delivery_row(delivery) for delivery in deliveries])


def insert_events(connection: Connection, events: Sequence[Event]) -> None:
    """Add lines to timelines."""
    _events.insert(connection, [_event_row(event) for event in events])


def note(connection: Connection, events: Sequence[Event], page: Page) -> None:
    """Add lines to timelines, journalled."""
    insert_events(connection, events)
    for event in events:
        attesting.happened(page, entries.NOTED, event.about, (), (event,))


def _insert_parts(
    connection: Connection, fresh: Sequence[Settlement], rows: Sequence[tuple[Any, ...]], page: Page
) -> None:
    messages = [_message_rows(settlement) for settlement in fresh]
    _messages.insert(connection, [row for of_one in messages for row in of_one])
    for settlement, row, of_one in zip(fresh, rows, messages, strict=True):
        attesting.received(page, settlement, row, of_one)
    insert_outgoings(connection, [o for s in fresh for o in (s.receipt, *s.answers)])
    insert_deliveries(connection, [d for s in fresh for d in s.deliveries])


def _taken_over(connection: Connection, batch: Sequence[Settlement]) -> set[str]:
    """The ids of large submissions that another one works on by now."""
    large = [s for s in batch if s.owner]
    return {s.submission.id for s in large if not owned(connection, s.submission.id, s.owner)}


def _old_answer(connection: Connection, settlement: Settlement, page: Page) -> Answer | Clash:
    submission, claim = settlement.submission, _claim(settlement)
    row = connection.execute(_by_bytes, {"of": submission.partner, "sha256": submission.digest}).first()
    if row is None and claim is not None:
        row = connection.execute(_by_claim, {"of": settlement.verdict.partner, "named": claim}).first()
    if row is None:
        raise LedgerError(f"submission id {submission.id} belongs to another submission")
    if row.digest != submission.digest:
        return Clash(row.id, row.digest, row.reference)
    if row.partner != submission.partner:
        join(connection, row.id, settlement, page)
    # The same id: this very settlement, committed before its answer was heard.
    return _answer(row, repeated=row.id != submission.id)


def _claim(settlement: Settlement) -> str | None:
    verdict = settlement.verdict
    named = verdict.claim or verdict.reference
    return claim_of(named) if settlement.claim and named else None


def _fresh_answer(settlement: Settlement) -> Answer:
    return Answer(settlement.submission.id, settlement.verdict.outcome, settlement.receipt)


def _answer(row: Any, *, repeated: bool) -> Answer:
    receipt = Outgoing(
        id=row.receipt_id,
        partner=row.receipt_partner,
        kind=row.kind,
        about=row.about,
        reference=row.receipt_reference,
        media_type=row.media_type,
        body=row.body,
        created_at=moment(row.created_at),
    )
    return Answer(row.id, Outcome(row.outcome), receipt, repeated)


# Rows are tuples in the order of the tables' columns.


def _submission_row(settlement: Settlement) -> tuple[Any, ...]:
    submission, verdict, route = settlement.submission, settlement.verdict, settlement.verdict.route
    if "." in submission.id:
        raise ValueError(f"a submission id holds no point: {submission.id}")
    return (
        submission.id,
        submission.partner,
        submission.channel,
        submission.media_type,
        submission.body,
        submission.digest,
        micros(submission.received_at),
        str(verdict.outcome),
        verdict.partner,
        route.partner,
        route.principal,
        verdict.reference,
        _claim(settlement),
        settlement.receipt.id,
        packed(route),
        packed(verdict.findings),
        None if verdict.signer is None else packed(verdict.signer),
        packed(settlement.events),
    )


def _message_rows(settlement: Settlement) -> list[tuple[Any, ...]]:
    return [
        (
            settlement.submission.id,
            message.ordinal,
            message.type,
            message.reference,
            message.identifier,
            message.lrn,
            message.function,
            None if message.kind is None else str(message.kind),
            str(message.outcome),
            packed(message.findings),
            _declared(message, settlement),
            "",
            str(message.outcome),
            0,
        )
        for message in settlement.verdict.messages
    ]


def _declared(message: Judged, settlement: Settlement) -> bytes | None:
    if message.declaration is None:
        return None
    return b"" if message.ordinal in settlement.staged else octets(message.declaration)


def _outgoing_row(outgoing: Outgoing) -> tuple[Any, ...]:
    return (
        outgoing.id,
        outgoing.partner,
        outgoing.kind,
        outgoing.about,
        outgoing.reference,
        outgoing.media_type,
        outgoing.body,
        micros(outgoing.created_at),
    )


def _delivery_row(delivery: Delivery) -> tuple[Any, ...]:
    return (
        delivery.id,
        delivery.destination,
        delivery.payload,
        micros(delivery.due_at),
        delivery.attempts,
        0,
        "",
        tables.DUE,
        delivery.error,
        claim_of(delivery.lane),
    )


def _event_row(event: Event) -> tuple[Any, ...]:
    return submission_of(event.about), event.about, micros(event.at), event.what, event.detail
