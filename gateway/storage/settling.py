"""Settling: a submission's outcome, receipt, deliveries and claim, many submissions in one transaction.

Insert first: the unique constraints of ``taken`` and ``claim`` decide who is new, so two processes that settle
the same submission at the same moment cannot both win.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from gateway.evidence import entries
from gateway.evidence.records import RefusalRecord
from gateway.model import Answer, Delivery, Event, Outcome, Outgoing
from gateway.storage import arrival, attesting, holding, lanes, tables
from gateway.storage.admitting import outdated
from gateway.storage.codec import claim_of, micros, moment, packed, part_of, submission_of
from gateway.storage.faults import LedgerError
from gateway.storage.joining import join
from gateway.storage.journal import Page
from gateway.storage.ready import Ready, delivery_rows
from gateway.storage.records import Clash, Settlement, Stale
from gateway.storage.rows import Row, Rows, in_lots
from gateway.storage.sending import (
    RECEIPT_COLUMNS,
    check_receipt,
    copied,
    insert_outgoings,
    push_of,
    receipt_of,
    wait,
)
from gateway.storage.slices import owned

MAX_REFUSALS = 10_000
"""Refusals kept for audit: unproven senders must not be able to fill the disk."""

_s, _t, _c = tables.submission.c, tables.taken.c, tables.claim.c

_taken = Rows(tables.taken, on_conflict_do_nothing=True)
_claims = Rows(tables.claim, on_conflict_do_nothing=True)
_submissions = Rows(tables.submission, on_conflict_do_nothing=True)
_octets = Rows(tables.octets)
_messages = Rows(tables.message)
_deliveries = Rows(tables.delivery, generated=("position",))
_events = Rows(tables.event)

_by_bytes = select(_t.submission).where(_t.digest == bindparam("sha256"), _t.partner == bindparam("of"))
_by_claim = select(_c.submission).where(_c.signer == bindparam("of"), _c.claim == bindparam("named"))
_first = select(_s.partner, _s.digest, _s.outcome, *RECEIPT_COLUMNS).where(_s.id == bindparam("identity"))


def known(connection: Connection, partner: str, digest: str) -> Answer | None:
    """The answer first given to these bytes from this transport partner; where they were kept, and turned out to be
    another's that were settled before, the one given to those."""
    identity = connection.scalar(_by_bytes, {"of": partner, "sha256": digest})
    row = _settled(connection, identity or holding.became_of(connection, partner, digest))
    return None if row is None else _answer(row, repeated=True)


def claimed(connection: Connection, partner: str, claim: str) -> tuple[str, str] | None:
    """(submission id, digest) that owns this claim of the signer's."""
    row = _settled(connection, connection.scalar(_by_claim, {"of": partner, "named": claim_of(claim)}))
    return None if row is None else (row.id, row.digest)


def _settled(connection: Connection, identity: str | None) -> Any:
    # By the id itself, and not joined: then it is looked for in its month only.
    return None if identity is None else connection.execute(_first, {"identity": identity}).first()


class Doubled(Exception):
    """Some of the batch is not new, or stale; the transaction must be undone and the batch settled carefully."""


def settle_fresh(connection: Connection, ready: Sequence[Ready], page: Page) -> list[Answer | Clash | Stale]:
    """Store a batch in which all is new, as nearly every one is.  Raises Doubled where it is not."""
    batch = [one.settlement for one in ready]
    if outdated(connection, batch) or _taken_over(connection, batch):
        raise Doubled
    # In one order for all writers, so that no two wait for each other.
    taken = sorted(_taken_row(settlement) for settlement in batch)
    claims = sorted(row for row in map(_claim_row, batch) if row is not None)
    if _taken.insert(connection, taken) != len(taken) or _claims.insert(connection, claims) != len(claims):
        raise Doubled
    _insert_parts(connection, ready, page)
    return [_fresh_answer(settlement) for settlement in batch]


def settle_carefully(
    connection: Connection, ready: Sequence[Ready], page: Page
) -> list[Answer | Clash | Stale]:
    """Store what is new of a batch, one by one, and answer every settlement in order.

    Raises LedgerError where an id belongs to other bytes (an id given twice is our fault).
    """
    answers: list[Answer | Clash | Stale] = []
    batch = [one.settlement for one in ready]
    stale = outdated(connection, batch) | _taken_over(connection, batch)
    for one, settlement in zip(ready, batch, strict=True):
        if settlement.submission.id in stale:
            answers.append(Stale())
            continue
        first = _earlier(connection, settlement)
        if first is None:
            _insert_parts(connection, [one], page)
            answers.append(_fresh_answer(settlement))
        else:
            answers.append(_old_answer(connection, first, settlement, page))
    return answers


def _earlier(connection: Connection, settlement: Settlement) -> str | None:
    """The submission that has these bytes or this claim; None where none had: from now on this one has them."""
    submission = settlement.submission
    if not _taken.insert(connection, [_taken_row(settlement)]):
        by_bytes = {"of": submission.partner, "sha256": submission.digest}
        return str(connection.execute(_by_bytes, by_bytes).scalar_one())
    row = _claim_row(settlement)
    if row is None or _claims.insert(connection, [row]):
        return None
    whose = _t.digest == submission.digest, _t.partner == submission.partner
    connection.execute(delete(tables.taken).where(*whose))
    return str(connection.execute(_by_claim, {"of": row[0], "named": row[1]}).scalar_one())


def refuse(
    connection: Connection, partner: str, channel: str, code: str, digest: str, at: datetime, page: Page
) -> None:
    """Keep a note of an unproven sender, and drop the oldest beyond MAX_REFUSALS."""
    row = {"partner": partner, "channel": channel, "code": code, "digest": digest, "at": micros(at)}
    position = connection.scalar(insert(tables.refusal).returning(tables.refusal.c.position), row)
    oldest = (position or 0) - MAX_REFUSALS
    connection.execute(delete(tables.refusal).where(tables.refusal.c.position <= oldest))
    attesting.refused(page, RefusalRecord(partner, channel, code, digest, moment(micros(at))))


def insert_deliveries(connection: Connection, deliveries: Iterable[Delivery]) -> None:
    """Store deliveries; they are due from the commit on."""
    _insert_due(connection, delivery_rows(deliveries))


def _insert_due(connection: Connection, rows: Iterable[Row]) -> None:
    for lot in in_lots(rows):
        _deliveries.insert(connection, lot)


def insert_events(connection: Connection, events: Sequence[Event]) -> None:
    """Add lines to timelines."""
    positions = arrival.take(len(events))
    _events.insert(connection, [_event_row(e, nth) for e, nth in zip(events, positions, strict=True)])


def note(connection: Connection, events: Sequence[Event], page: Page) -> None:
    """Add lines to timelines, journalled."""
    insert_events(connection, events)
    for event in events:
        attesting.happened(page, entries.NOTED, event.about, (), (event,))


def _insert_parts(connection: Connection, ready: Sequence[Ready], page: Page) -> None:
    fresh = [one.settlement for one in ready]
    positions = arrival.take(len(fresh))
    rows = [_submission_row(one, nth) for one, nth in zip(fresh, positions, strict=True)]
    if _submissions.insert(connection, rows) != len(rows):
        raise LedgerError(f"a submission id belongs to another submission: one of {[row[0] for row in rows]}")
    _octets.insert(connection, [(s.submission.id, s.submission.body) for s in fresh])
    for lot in in_lots(row for one in ready for row in one.messages):
        _messages.insert(connection, lot)
    for one, row in zip(ready, rows, strict=True):
        attesting.received(page, one.settlement, row, one.attested)
    placed = zip(fresh, positions, strict=True)
    wait(connection, [(s.receipt.partner, n, s.receipt.id) for s, n in placed if s.receipt_waits])
    insert_outgoings(connection, (o for s in fresh for o in s.answers))
    _insert_due(connection, (row for one in ready for row in lanes.placed(connection, one)))
    for settlement in fresh:
        if settlement.owner:
            let_go(connection, settlement.submission.id, settlement.submission.id, (), (), page)


def let_go(
    connection: Connection,
    kept: str,
    became: str,
    told: Sequence[Outgoing],
    due: Sequence[Delivery],
    page: Page,
) -> None:
    """What was kept waits no more, from this commit on: nobody takes over what is settled.  ``told``: what its
    sender hears of that beyond what it was settled with, with the deliveries of it; once is enough."""
    if holding.let_go(connection, kept, became):
        insert_outgoings(connection, told)
        insert_deliveries(connection, due)
        attesting.let_go(page, kept, became, told, due)


def _taken_over(connection: Connection, batch: Sequence[Settlement]) -> set[str]:
    """The ids of large submissions that another one works on by now."""
    large = [s for s in batch if s.owner]
    return {s.submission.id for s in large if not owned(connection, s.submission.id, s.owner)}


def _old_answer(connection: Connection, first: str, settlement: Settlement, page: Page) -> Answer | Clash:
    submission, row = settlement.submission, _settled(connection, first)
    if row is None:
        raise LedgerError(f"submission {first} is claimed to be the first, and is not here")
    if row.digest != submission.digest:
        return Clash(row.id, row.digest, row.reference)
    told: tuple[Outgoing, ...] = ()
    if row.partner != submission.partner:
        join(connection, row.id, settlement, page)
        told = (copied(receipt_of(row), submission.id, submission.partner, settlement.receipt.created_at),)
    if settlement.owner:
        due = tuple(map(push_of, told)) if settlement.pushed else ()
        let_go(connection, submission.id, row.id, told, due, page)
    # The same id: this very settlement, committed before its answer was heard.
    return _answer(row, repeated=row.id != submission.id)


def _claim(settlement: Settlement) -> str | None:
    verdict = settlement.verdict
    named = verdict.claim or verdict.reference
    return claim_of(named) if settlement.claim and named else None


def _fresh_answer(settlement: Settlement) -> Answer:
    return Answer(settlement.submission.id, settlement.verdict.outcome, settlement.receipt)


def _answer(row: Any, *, repeated: bool) -> Answer:
    return Answer(row.id, Outcome(row.outcome), receipt_of(row), repeated)


# Rows are tuples in the order of the tables' columns.


def _taken_row(settlement: Settlement) -> tuple[str, str, str]:
    submission = settlement.submission
    return submission.digest, submission.partner, submission.id


def _claim_row(settlement: Settlement) -> tuple[str, str, str] | None:
    claim = _claim(settlement)
    return None if claim is None else (settlement.verdict.partner, claim, settlement.submission.id)


def _submission_row(settlement: Settlement, position: int) -> tuple[Any, ...]:
    submission, verdict, route = settlement.submission, settlement.verdict, settlement.verdict.route
    if "." in submission.id:
        raise ValueError(f"a submission id holds no point: {submission.id}")
    check_receipt(settlement)
    return (
        submission.id,
        submission.partner,
        submission.channel,
        submission.media_type,
        submission.digest,
        micros(submission.received_at),
        str(verdict.outcome),
        verdict.partner,
        route.partner,
        route.principal,
        verdict.reference,
        _claim(settlement),
        packed(route),
        packed(verdict.findings),
        None if verdict.signer is None else packed(verdict.signer),
        packed(settlement.events),
        position,
        micros(settlement.receipt.created_at),
        settlement.receipt.media_type,
        settlement.receipt.body,
    )


def _event_row(event: Event, position: int) -> tuple[Any, ...]:
    about = event.about
    return submission_of(about), position, part_of(about), micros(event.at), event.what, event.detail
