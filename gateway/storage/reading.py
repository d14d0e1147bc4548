"""Reading: what became of a submission, what waits in a mailbox, and where a reference is found."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, func, or_, select, text, union

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
from gateway.storage.codec import message_id, message_key, moment, part_of, receipt_id, unpacked
from gateway.storage.deciding import Standing, standings_of
from gateway.storage.joining import JOINED, joined
from gateway.storage.journal import Page
from gateway.storage.past import taken_at
from gateway.storage.records import Counts, Entry, Filed, MessageStatus, Status
from gateway.storage.sending import RECEIPT, acknowledged, outgoings, push_id, sent, waits, without_bodies

MAX_FOUND = 100
"""Submissions that one search lists, newest first."""

_s, _m, _o = tables.submission.c, tables.message.c, tables.outgoing.c
_d, _w, _n = tables.delivery.c, tables.waiting.c, tables.decision.c


MESSAGES = 100
"""Of a submission, told at a time where nothing else is said."""

FINDINGS_OCTETS = 262_144
"""Of the messages told at a time, beyond which no further one is: some 1,500 findings, and those of one message more.
They are put into words on the thread that answers everybody."""


def status(
    connection: Connection, partner: str, submission: str, after: int = 0, limit: int = MESSAGES
) -> Status | None:
    """The submission with its messages and timeline; None where absent or not the partner's to see.

    At most ``limit`` messages, behind the ordinal ``after``, fewer where their findings are many (FINDINGS_OCTETS); and
    what befell these and the submission itself.  Who sent the same octets later sees the messages that it joined.
    """
    columns = [c for c in tables.submission.c if c.name != "receipt"]
    row = connection.execute(select(*columns).where(_s.id == submission)).first()
    if row is None:
        return None
    whole = _may_see(connection, partner, row)
    shown = frozenset() if whole else joined(connection, partner, submission)
    if not whole and not shown:
        return None
    among = None if whole or submission in shown else shown
    messages, more = _messages(connection, submission, after, limit, among)
    seen = {submission, *(m.id for m in messages)}
    all_of_it = whole and not after and not more
    befell = _later(connection, submission, None if all_of_it else seen)
    timeline = (*unpacked(row.events, tuple[Event, ...]), *befell)
    if not all_of_it:
        timeline = tuple(e for e in timeline if e.about in seen)
    if not whole:
        timeline = tuple(e for e in timeline if e.what != JOINED or e.detail == partner)
    return Status(
        submission=row.id,
        partner=row.filer,
        principal=row.principal,
        reference=row.reference,
        outcome=Outcome(row.outcome),
        received_at=moment(row.received_at),
        receipt=receipt_id(row.id),
        findings=unpacked(row.findings, tuple[Finding, ...]),
        messages=messages,
        timeline=timeline,
        next=messages[-1].ordinal if more else 0,
    )


def raw(connection: Connection, submission: str, *, whole: bool = True) -> Submission | None:
    """The submission as it arrived, octet for octet; archived octets are empty, and all others where it is not
    to be ``whole``."""
    row = connection.execute(select(tables.submission).where(_s.id == submission)).first()
    if row is None:
        return None
    return Submission(
        id=row.id,
        partner=row.partner,
        channel=row.channel,
        media_type=row.media_type,
        body=octets_of(connection, submission) if whole else b"",
        digest=row.digest,
        received_at=moment(row.received_at),
    )


def octets_of(connection: Connection, submission: str) -> bytes:
    """What was received; of what is archived nothing is here."""
    b = tables.octets.c
    body = connection.scalar(select(b.body).where(b.submission == submission))
    return bytes(body or b"") or slices.whole(connection, submission, slices.BODY)


def find(connection: Connection, partner: str, reference: str) -> list[Filed]:
    """The submissions, of those the partner may see, that carry this reference: their own, an LRN, or
    customs' registration of one of their messages; newest first, at most MAX_FOUND."""
    if not reference:
        return []
    ids = union(
        select(_s.id).where(tables.by_head(_s.reference, reference)),
        select(_m.submission).where(tables.by_head(_m.lrn, reference)),
        select(_n.submission).where(
            tables.by_head(_n.registration, reference), _n.registration != text("''")
        ),
    )
    found = select(_s.id, _s.reference, _s.claim, _s.outcome, _s.received_at).where(
        _s.id.in_(list(connection.scalars(ids)))
    )
    if not _is_customs(connection, partner):
        found = found.where(or_(*(column == partner for column in _parties())))
    rows = connection.execute(found.order_by(_s.id.desc()).limit(MAX_FOUND))
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
    start = sent(connection, [after]).get(after) if after else None
    position = start.position if start is not None and start.partner == partner else 0
    if include_acknowledged:
        return _whole_mailbox(connection, partner, position, limit)
    page = select(_w.outgoing).where(_w.partner == partner, _w.position > position)
    ids = list(connection.scalars(page.order_by(_w.position, _w.outgoing).limit(limit)))
    found = _entries(connection, ids)
    return [found[identity] for identity in ids if identity in found]


def _whole_mailbox(connection: Connection, partner: str, position: int, limit: int) -> list[Entry]:
    """Acknowledged ones too, out of every month: each is asked for its own first few."""
    answers = select(_o.submission, _o.name, _o.position).where(_o.partner == partner, _o.position > position)
    receipts = select(_s.id, _s.position).where(_s.filer == partner, _s.position > position)
    told = [
        (r.position, f"{r.submission}.{r.name}")
        for r in connection.execute(answers.order_by(_o.position).limit(limit))
    ]
    told += [
        (r.position, receipt_id(r.id))
        for r in connection.execute(receipts.order_by(_s.position).limit(limit))
    ]
    ids = [identity for _, identity in sorted(told)[:limit]]
    found = _entries(connection, ids)
    waiting = waits(connection, list(sent(connection, ids).values()))
    taken = taken_at(connection, [identity for identity in ids if identity not in waiting])
    return [
        msgspec.structs.replace(found[identity], acknowledged_at=taken.get(identity))
        for identity in ids
        if identity in found
    ]


def _entries(connection: Connection, ids: Sequence[str]) -> dict[str, Entry]:
    return {
        one.id: Entry(
            id=one.id,
            kind=one.kind,
            about=one.about,
            reference=one.reference,
            media_type=one.media_type,
            size=size,
            created_at=one.created_at,
            acknowledged_at=None,
        )
        for one, size in without_bodies(connection, ids)
    }


def fetch(connection: Connection, partner: str, outgoing: str) -> Outgoing | None:
    """One entry of the partner's own mailbox, with its body; or a receipt that answered it, too."""
    found = outgoings(connection, [outgoing]).get(outgoing)
    if found is None:
        return None
    shared = found.kind == RECEIPT and found.partner != partner
    own = found.partner == partner or (shared and bool(joined(connection, partner, found.about)))
    return found if own else None


def acknowledge(connection: Connection, partner: str, outgoings: Sequence[str], page: Page) -> int:
    """Mark the partner's own entries as taken; how many are its own (those taken before included).

    What the partner has need not be pushed to it any more.
    """
    own = [one for one in sent(connection, outgoings).values() if one.partner == partner]
    fresh = acknowledged(connection, own)
    connection.execute(delete(tables.delivery).where(_d.id.in_([push_id(one.id) for one in own])))
    for one in own:
        if one.id in fresh:
            attesting.happened(page, entries.ACKNOWLEDGED, one.about, (one.id,))
    return len(own)


def counts(connection: Connection) -> Counts:
    """What waits now; every number comes from a small table."""
    by_state = {
        state: connection.execute(
            select(_d.destination, func.count(), func.min(_d.due_at), func.min(_d.position))
            .where(_d.state == text(f"'{state}'"))  # a literal: the partial index is chosen by it
            .group_by(_d.destination)
        ).all()
        for state in (tables.DUE, tables.DEAD)
    }
    refusals = connection.execute(select(tables.refusal.c.code, func.count()).group_by(tables.refusal.c.code))
    return Counts(
        due={row[0]: row[1] for row in by_state[tables.DUE]},
        dead={row[0]: row[1] for row in by_state[tables.DEAD]},
        oldest_due_at={row[0]: moment(row[2]) for row in by_state[tables.DUE]},
        first={row[0]: row[3] for row in by_state[tables.DUE]},
        refusals={row[0]: row[1] for row in refusals},
    )


def _messages(
    connection: Connection, submission: str, after: int, limit: int, among: Set[str] | None
) -> tuple[tuple[MessageStatus, ...], bool]:
    """The messages behind an ordinal, ``among`` these ids where given; and whether there are more."""
    columns = [c for c in tables.message.c if c.name != "declaration"]
    behind = [_m.submission == submission, _m.ordinal > after]
    if among is not None:
        ordinals = sorted(ordinal for _, ordinal in map(message_key, among) if ordinal > after)
        behind.append(_m.ordinal.in_(ordinals[: limit + 1]))
    last, more = _page(connection, behind, limit)
    rows = connection.execute(select(*columns).where(*behind, _m.ordinal <= last).order_by(_m.ordinal)).all()
    parts = [part_of(message_id(submission, row.ordinal)) for row in rows]
    decided: dict[str, list[Decision]] = {}
    bodies = select(_n.about, _n.body).where(_n.submission == submission, _n.about.in_(parts))
    for row in connection.execute(bodies.order_by(_n.at, _n.position)):
        decided.setdefault(submission + row.about, []).append(unpacked(row.body, Decision))
    stand = standings_of(connection, submission, parts)
    found = []
    for row in rows:
        identity = message_id(row.submission, row.ordinal)
        standing = stand.get(identity, Standing(row.outcome))
        found.append(
            MessageStatus(
                id=identity,
                ordinal=row.ordinal,
                type=row.type,
                reference=row.reference,
                lrn=row.lrn,
                kind=None if row.kind is None else Kind(row.kind),
                outcome=Outcome(row.outcome),
                registration=standing.registration,
                state=standing.state,
                findings=unpacked(row.findings, tuple[Finding, ...]),
                decisions=tuple(decided.get(identity, ())),
            )
        )
    return tuple(found), more


def _page(connection: Connection, behind: Sequence[ColumnElement[bool]], limit: int) -> tuple[int, bool]:
    """The ordinal of a page's last message, and whether there are more."""
    sizes = select(_m.ordinal, func.octet_length(_m.findings)).where(*behind).order_by(_m.ordinal)
    last = octets = 0
    for nth, (ordinal, size) in enumerate(connection.execute(sizes.limit(limit + 1))):
        octets += size
        if nth == limit or (nth and octets > FINDINGS_OCTETS):
            return last, True
        last = ordinal
    return last, False


def _later(connection: Connection, submission: str, abouts: Set[str] | None) -> tuple[Event, ...]:
    event = tables.event.c
    of = [event.submission == submission]
    if abouts is not None:
        of.append(event.about.in_([part_of(about) for about in abouts]))
    rows = connection.execute(select(tables.event).where(*of).order_by(event.at, event.position))
    return tuple(Event(submission + row.about, moment(row.at), row.what, row.detail) for row in rows)


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
