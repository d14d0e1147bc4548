"""Submissions that are held: durably kept, not yet judged, each with one effect when it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, func, select, text, update

from gateway.model import Finding, Submission
from gateway.storage import tables
from gateway.storage.codec import micros, moment, packed, unpacked
from gateway.storage.revocation import Sighting, sight
from gateway.storage.rows import Rows
from gateway.storage.slices import WORKING, working

_h = tables.held.c
_waits = _h.became == text("''")  # a literal: the partial index is chosen by it
_is_large = _h.findings.like(f'[{{"code":"{WORKING}"%')
_rows = Rows(tables.held, generated=("position",), on_conflict_do_nothing=True)

_AS_IT_COMES = [c.name for c in tables.held.c if c.name not in ("position", "id", "partner")]


class Holding(msgspec.Struct, frozen=True):
    """A held submission without its body.

    ``findings``: what it waits for; ``certificates``: the chain (DER) whose revocation nobody could tell;
    ``deadline``: when it is refused; ``became``: the submission that it was settled as, "" while it waits, its own
    id where nobody could be answered.
    """

    id: str
    partner: str
    received_at: datetime
    deadline: datetime
    findings: tuple[Finding, ...]
    certificates: tuple[bytes, ...]
    became: str = ""

    @property
    def large(self) -> bool:
        """Whether it waits, or waited, because it is large."""
        return not self.certificates

    @property
    def told(self) -> tuple[Finding, ...]:
        """The findings as its sender is told them: who works on it is nobody's business."""
        return tuple(Finding(WORKING) if f.code == WORKING else f for f in self.findings)


def hold(
    connection: Connection,
    submission: Submission,
    findings: Sequence[Finding],
    certificates: Sequence[bytes],
    deadline: datetime,
    sightings: Sequence[Sighting],
) -> Holding:
    """Keep a submission until it can be judged; the holding that these bytes of its partner first made.

    One that was let go unanswered waits again, as it comes now: these bytes were settled by nobody.
    """
    row = (
        submission.id,
        submission.partner,
        submission.channel,
        submission.media_type,
        submission.body,
        submission.digest,
        micros(submission.received_at),
        micros(deadline),
        packed(tuple(findings)),
        packed(tuple(certificates)),
        "",
    )
    whose = (_h.partner == submission.partner, _h.digest == submission.digest)
    if not _rows.insert(connection, [row]):
        anew = dict(zip(_AS_IT_COMES, row[2:], strict=True))
        connection.execute(update(tables.held).where(*whose, _h.became == _h.id).values(anew))
    sight(connection, sightings, submission.received_at)
    return _holding(connection.execute(select(*_without_body()).where(*whose)).one())


def holding(connection: Connection, partner: str, submission_id: str) -> Holding | None:
    """The partner's own held submission, or what became of it."""
    whose = (_h.id == submission_id, _h.partner == partner)
    row = connection.execute(select(*_without_body()).where(*whose)).first()
    return None if row is None else _holding(row)


def held_as(connection: Connection, partner: str, digest: str) -> Holding | None:
    """What was kept of these bytes from this partner, or what became of it."""
    row = connection.execute(
        select(*_without_body()).where(_h.partner == partner, _h.digest == digest)
    ).first()
    return None if row is None else _holding(row)


def became_of(connection: Connection, partner: str, digest: str) -> str | None:
    """The other submission that these bytes of this partner were settled as, once they were kept."""
    whose = (_h.partner == partner, _h.digest == digest, _h.became != "", _h.became != _h.id)
    return connection.scalar(select(_h.became).where(*whose))


def renew(connection: Connection, submission: str, owner: str, until: datetime) -> bool:
    """Go on working on a large submission; False where its owner has it no more."""
    mine = update(tables.held).where(_h.id == submission, _waits, _h.findings == _worked_on_by(owner))
    return connection.execute(mine.values(deadline=micros(until))).rowcount > 0


def take_over(connection: Connection, owner: str, now: datetime, until: datetime) -> Submission | None:
    """Become the owner of a large submission whose own one has let it lapse; the oldest, without its octets."""
    lapsed = (
        select(_h.id)
        .where(_waits, _h.deadline <= micros(now), _is_large)
        .order_by(_h.position)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    found = connection.scalar(lapsed)
    if found is None:
        return None
    taken = {"findings": _worked_on_by(owner), "deadline": micros(until)}
    connection.execute(update(tables.held).where(_h.id == found).values(taken))
    return _submission(connection.execute(select(tables.held).where(_h.id == found)).one())


def refuse(connection: Connection, submission: str, owner: str, findings: Sequence[Finding]) -> bool:
    """It is let go as one whose sender cannot be answered; False where another one works on it."""
    mine = update(tables.held).where(_h.id == submission, _waits, _h.findings == _worked_on_by(owner))
    return connection.execute(mine.values(became=submission, findings=packed(tuple(findings)))).rowcount > 0


def _worked_on_by(owner: str) -> str:
    return packed((working(owner),))


def holdings(connection: Connection, after: str, limit: int) -> list[Holding]:
    """Those that wait, oldest first, from behind the one of this id ("" or unknown: from the first)."""
    start = func.coalesce(select(_h.position).where(_h.id == after).scalar_subquery(), 0)
    waiting = select(*_without_body()).where(_waits, ~_is_large, _h.position > start)
    rows = connection.execute(waiting.order_by(_h.position).limit(limit))
    return [_holding(row) for row in rows]


def held_count(connection: Connection) -> int:
    """How many wait for somebody who can tell; large ones, which wait for nobody, are not among them."""
    return connection.scalar(select(func.count()).where(_waits, ~_is_large)) or 0


def large_waiting(connection: Connection) -> tuple[int, datetime | None]:
    """How many large ones are kept and not judged yet, and since when the first of them is."""
    found = select(func.count(), func.min(_h.received_at)).where(_waits, _is_large)
    count, first = connection.execute(found).one()
    return count, None if first is None else moment(first)


def held_submission(connection: Connection, submission_id: str) -> Submission | None:
    """A held submission octet for octet; None once it was settled."""
    row = connection.execute(select(tables.held).where(_h.id == submission_id, _waits)).first()
    return None if row is None else _submission(row)


def _submission(row: Any) -> Submission:
    return Submission(
        id=row.id,
        partner=row.partner,
        channel=row.channel,
        media_type=row.media_type,
        body=row.body,
        digest=row.digest,
        received_at=moment(row.received_at),
    )


def let_go(connection: Connection, submission_id: str, became: str) -> bool:
    """It was settled, as this submission, whose octets are there now; or unanswered, as itself.  False where
    it waited no more."""
    gone = update(tables.held).where(_h.id == submission_id, _waits)
    return connection.execute(gone.values(became=became, body=b"", certificates="[]")).rowcount > 0


def _without_body() -> list[Column[Any]]:
    return [c for c in tables.held.c if c.name != "body"]


def _holding(row: Any) -> Holding:
    return Holding(
        id=row.id,
        partner=row.partner,
        received_at=moment(row.received_at),
        deadline=moment(row.deadline),
        findings=unpacked(row.findings, tuple[Finding, ...]),
        certificates=unpacked(row.certificates, tuple[bytes, ...]),
        became=row.became,
    )
