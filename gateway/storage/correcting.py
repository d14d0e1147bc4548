"""Corrections: an operator hands over something else than the original, which stays as it was signed.

Each is a row of its own, with who, when, why and what differs; the journal vouches for it by its digest.  The
last one of a delivery counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select, update

from gateway.evidence import entries
from gateway.evidence.entries import Attested, sha256
from gateway.evidence.records import CorrectionRecord, digest, raw
from gateway.model import Change, Correction, Declaration, Delivery, Event, How
from gateway.storage import attesting, slices, tables
from gateway.storage.claiming import unheld_at
from gateway.storage.codec import message_key, micros, moment, octets, packed, submission_of, unpacked
from gateway.storage.journal import Page
from gateway.storage.settling import insert_events
from gateway.storage.skipping import about_of, reasoned

_c, _d, _m = tables.correction.c, tables.delivery.c, tables.message.c


class Corrected(msgspec.Struct, frozen=True):
    """A correction as it is kept: what the back end is told of it, and what it gets instead."""

    correction: Correction
    declaration: Declaration | None
    address: str


class Original(msgspec.Struct, frozen=True):
    """An accepted declaration, and the hex SHA-256 of its JSON as it is stored."""

    declaration: Declaration
    digest: str


def original(connection: Connection, message: str) -> Original | None:
    """The declaration of an accepted message, as it was taken from what was signed; None where there is none."""
    submission, ordinal = message_key(message)
    of = select(_m.declaration).where(_m.submission == submission, _m.ordinal == ordinal)
    stored = connection.scalar(of)
    if stored is None:
        return None
    whole = bytes(stored) or slices.whole(connection, submission, ordinal)
    return Original(unpacked(whole, Declaration), sha256(whole))


def correct(
    connection: Connection,
    delivery: str,
    made: Corrected,
    now: datetime,
    page: Page,
) -> bool:
    """Hand over or push this instead, from now on, and at once.  False where the delivery is unknown, has
    arrived, was skipped, or a courier has it now.  The correction's number is given here.

    Raises ValueError for a reason that is empty or too long.
    """
    reasoned(made.correction.why)
    waits = (_d.state == tables.DUE) & unheld_at(micros(now))
    free = {"state": tables.DUE, "due_at": micros(now), "attempts": 0, "lease_until": 0, "lease_owner": ""}
    changed = update(tables.delivery).where(_d.id == delivery, waits | (_d.state == tables.DEAD))
    row = connection.execute(changed.values(**free).returning(_d.id, _d.destination, _d.payload)).first()
    if row is None:
        return False
    about = about_of(connection, row)
    made = msgspec.structs.replace(made, correction=_numbered(connection, delivery, made.correction))
    stored = _row(submission_of(about), delivery, made)
    connection.execute(insert(tables.correction).values(stored))
    event = Event(about, now, entries.CORRECTED, f"{row.destination}: {made.correction.why}")
    insert_events(connection, [event])
    note = f"{made.correction.who}: {made.correction.why}"
    of = Attested(
        record=digest(record(stored)), ids=(delivery,), events=attesting.events_of([event]), note=note
    )
    page.add(entries.CORRECTED, submission_of(about), of)
    page.add(entries.REVIVED, submission_of(about), Attested(ids=(delivery,), note=note))
    return True


def corrections(connection: Connection, deliveries: Sequence[str]) -> dict[str, list[Corrected]]:
    """Those of these deliveries, each delivery's in their order."""
    mine = _c.submission.in_({submission_of(one) for one in deliveries}), _c.delivery.in_(deliveries)
    of = select(tables.correction).where(*mine).order_by(_c.delivery, _c.number)
    found: dict[str, list[Corrected]] = {}
    for row in connection.execute(of):
        found.setdefault(row.delivery, []).append(_corrected(row))
    return found


def handed_over(connection: Connection, deliveries: Sequence[Delivery]) -> dict[str, Corrected]:
    """The last correction of each delivery that hands over another declaration, by delivery."""
    found = corrections(connection, [d.id for d in deliveries])
    told = ((i, [c for c in some if c.declaration is not None]) for i, some in found.items())
    return {i: some[-1] for i, some in told if some}


def addresses(connection: Connection, deliveries: Sequence[Delivery]) -> dict[str, str]:
    """Where these are pushed instead of to their partner's own address, by delivery."""
    found = corrections(connection, [d.id for d in deliveries])
    told = ((i, [c.address for c in some if c.address]) for i, some in found.items())
    return {i: some[-1] for i, some in told if some}


def record(row: Any) -> CorrectionRecord:
    """What the journal vouches for, of a row's columns by name."""
    declaration = row["declaration"]
    return CorrectionRecord(
        row["submission"],
        row["delivery"],
        row["number"],
        row["how"],
        moment(row["at"]),
        row["who"],
        row["why"],
        row["original"],
        None if declaration is None else sha256(bytes(declaration)),
        row["address"],
        raw(row["changes"]),
    )


def _numbered(connection: Connection, delivery: str, made: Correction) -> Correction:
    mine = _c.submission == submission_of(delivery), _c.delivery == delivery
    numbers = connection.scalars(select(_c.number).where(*mine)).all()
    return msgspec.structs.replace(made, number=1 + max(numbers, default=0))


def _row(submission: str, delivery: str, made: Corrected) -> dict[str, Any]:
    correction = made.correction
    return {
        "submission": submission,
        "delivery": delivery,
        "number": correction.number,
        "how": correction.how.value,
        "at": micros(correction.at),
        "who": correction.who,
        "why": correction.why,
        "original": correction.original,
        "declaration": None if made.declaration is None else octets(made.declaration),
        "address": made.address,
        "changes": packed(correction.changes),
    }


def _corrected(row: Any) -> Corrected:
    changes = unpacked(row.changes, tuple[Change, ...])
    correction = Correction(row.number, How(row.how), moment(row.at), row.who, row.why, row.original, changes)
    declaration = None if row.declaration is None else unpacked(bytes(row.declaration), Declaration)
    return Corrected(correction, declaration, row.address)
