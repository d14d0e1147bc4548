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

_h = tables.held.c
_waits = _h.became == text("''")  # a literal: the partial index is chosen by it
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


def holdings(connection: Connection, after: str, limit: int) -> list[Holding]:
    """Those that wait, oldest first, from behind the one of this id ("" or unknown: from the first)."""
    start = func.coalesce(select(_h.position).where(_h.id == after).scalar_subquery(), 0)
    waiting = select(*_without_body()).where(_waits, _h.position > start)
    rows = connection.execute(waiting.order_by(_h.position).limit(limit))
    return [_holding(row) for row in rows]


def held_count(connection: Connection) -> int:
    """How many wait."""
    return connection.scalar(select(func.count()).where(_waits)) or 0


def held_submission(connection: Connection, submission_id: str) -> Submission | None:
    """A held submission octet for octet; None once it was settled."""
    row = connection.execute(select(tables.held).where(_h.id == submission_id, _waits)).first()
    if row is None:
        return None
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
