"""What became of what is no longer to do: deliveries that arrived or were skipped, entries that were acknowledged.

Only what is still to do has rows; what is over stands in the journal, under the submission that it is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Connection, select

from gateway.evidence import entries
from gateway.evidence.entries import Entry, read_entry
from gateway.storage import tables
from gateway.storage.codec import submission_of

_j = tables.journal.c
_STATES = {
    entries.DELIVERED: tables.DONE,
    entries.ACKNOWLEDGED: tables.DONE,
    entries.SKIPPED: tables.SKIPPED,
    entries.DEAD: tables.DEAD,
    entries.REVIVED: tables.DUE,
    entries.RESENT: tables.DUE,
}
"""How what befell a delivery leaves it."""
_OF_OUTGOINGS = (entries.ACKNOWLEDGED, entries.RESENT)
"""These name what is pushed, and not the push."""


class Past(msgspec.Struct, frozen=True):
    """A delivery by the entries that speak of it.  ``at``: of the last one; ``why`` it was skipped;
    ``arrived``: it was heard of that it did, be it after it was skipped."""

    id: str
    destination: str
    payload: str
    state: str
    at: datetime
    why: str = ""
    arrived: bool = False


def told(connection: Connection, submissions: Iterable[str]) -> list[Entry]:
    """The journal's entries about submissions, in order of time."""
    texts = connection.scalars(select(_j.entry).where(_j.about.in_(sorted(submissions))))
    return sorted(map(read_entry, texts), key=lambda e: (e.at, e.chain, e.seq))


def deliveries(told: Sequence[Entry]) -> dict[str, Past]:
    """Every delivery that entries speak of, as they leave it, by id."""
    found: dict[str, Past] = {}
    carriers: dict[str, list[str]] = {}
    for entry in told:
        for identity, where in entry.of.due.items():
            destination, _, payload = where.partition(" ")
            found[identity] = Past(identity, destination, payload, tables.DUE, entry.at)
            carriers.setdefault(payload, []).append(identity)
    for entry in told:
        state = _STATES.get(entry.kind)
        if state is None:
            continue
        for identity in entry.of.ids:
            pushed = carriers.get(identity, ()) if entry.kind in _OF_OUTGOINGS else ()
            for one in (identity, *pushed) if identity in found else pushed:
                found[one] = _after(found[one], entry, state)
    return found


def _after(one: Past, entry: Entry, state: str) -> Past:
    if state == tables.DONE and one.state == tables.SKIPPED:
        return msgspec.structs.replace(one, arrived=True)  # the reason was told: it stays skipped
    why = entry.of.note.partition(": ")[2] if state == tables.SKIPPED else ""
    return msgspec.structs.replace(one, state=state, at=entry.at, why=why, arrived=state == tables.DONE)


def of(connection: Connection, identities: Iterable[str]) -> list[Past]:
    """Those of these deliveries that entries speak of."""
    wanted = sorted(identities)
    found = deliveries(told(connection, {submission_of(one) for one in wanted}))
    return [found[one] for one in wanted if one in found]


def delivery(connection: Connection, identity: str) -> Past | None:
    """One delivery; None where no entry speaks of it."""
    return deliveries(told(connection, {submission_of(identity)})).get(identity)


def taken_at(connection: Connection, outgoings: Sequence[str]) -> dict[str, datetime]:
    """When messages to partners were last acknowledged, or taken by their receivers, by outgoing id; a receipt that
    answered a submission and waits nowhere: when that was received."""
    found: dict[str, datetime] = {}
    if not outgoings:
        return found
    entries_ = told(connection, {submission_of(one) for one in outgoings})
    carriers = {i: where.rpartition(" ")[2] for e in entries_ for i, where in e.of.due.items()}
    for entry in entries_:
        if entry.kind in (entries.ACKNOWLEDGED, entries.DELIVERED, entries.RECEIVED):
            found |= {carriers.get(identity, identity): entry.at for identity in entry.of.ids}
    return {one: found[one] for one in outgoings if one in found}
