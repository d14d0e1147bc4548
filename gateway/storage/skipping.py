"""Skipping: an operator decides that a delivery is not to be made, and says why.

What was filed and is not handed over is answered: the same transaction makes a delivery to ``answer:NAME``
by which the courier of that back end tells the filer, under the gateway's signature.  What was to be pushed
stays in the mailbox.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select

from gateway.evidence import entries
from gateway.evidence.entries import Attested
from gateway.model import Delivery, Event
from gateway.storage import attesting, publishing, tables
from gateway.storage.claiming import unheld_at
from gateway.storage.codec import micros, submission_of
from gateway.storage.journal import Page
from gateway.storage.settling import insert_deliveries, insert_events

ANSWER = "answer:"
BACKEND = "backend:"
OF_SKIPPED = ".skipped"
"""How the id of an answer's delivery ends; before it stands the id of what was skipped."""
MAX_REASON = 300
"""Characters of a reason: it travels in a statement, which holds 512."""

_d, _e = tables.delivery.c, tables.event.c


def skip(connection: Connection, delivery: str, now: datetime, who: str, why: str, page: Page) -> bool:
    """It is never made.  False where it is unknown, has arrived, was skipped, or a courier has it now.

    Raises ValueError for a reason that is empty or too long.
    """
    reasoned(why)
    given_up = _d.state == tables.DEAD
    waits = (_d.state == tables.DUE) & unheld_at(micros(now))
    gone = (
        delete(tables.delivery)
        .where(_d.id == delivery, given_up | waits)
        .returning(_d.id, _d.destination, _d.payload)
    )
    row = connection.execute(gone).first()
    if row is None:
        return False
    about = about_of(connection, row)
    event = Event(about, now, entries.SKIPPED, f"{row.destination}: {why}")
    insert_events(connection, [event])
    answers = _answers(delivery, row.destination, row.payload, now)
    insert_deliveries(connection, answers)
    of = Attested(
        ids=(delivery,), events=attesting.events_of([event]), due=attesting.due(answers), note=f"{who}: {why}"
    )
    page.add(entries.SKIPPED, submission_of(about), of)
    return True


def reasoned(why: str) -> None:
    """Raises ValueError for a reason that is empty or too long to travel."""
    if not 0 < len(why.strip()) <= MAX_REASON:
        raise ValueError(f"a reason of 1 to {MAX_REASON} characters is wanted")


def reasons(connection: Connection, answers: list[Delivery]) -> dict[str, str]:
    """Why that was skipped which these deliveries to ``answer:`` tell of, by their ids; the last time counts."""
    skipped = select(_e.submission, _e.about, _e.detail).where(
        _e.submission.in_({submission_of(d.payload) for d in answers}), _e.what == entries.SKIPPED
    )
    said: dict[tuple[str, str], str] = {}
    for row in connection.execute(skipped.order_by(_e.at, _e.position)):
        destination, _, why = row.detail.partition(": ")
        said[row.submission + row.about, destination] = why
    of = {d.id: (d.payload, BACKEND + d.destination.removeprefix(ANSWER)) for d in answers}
    return {identity: said[key] for identity, key in of.items() if key in said}


def _answers(delivery: str, destination: str, payload: str, now: datetime) -> list[Delivery]:
    if not destination.startswith(BACKEND):
        return []
    return [Delivery(f"{delivery}{OF_SKIPPED}", ANSWER + destination.removeprefix(BACKEND), payload, now)]


def about_of(connection: Connection, row: Any) -> str:
    """What the outgoing or decision that a delivery was to carry is about; a message's id is itself."""
    payload: str = row.payload
    return publishing.abouts(connection, [row]).get(payload, payload)
