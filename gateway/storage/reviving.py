"""What is carried once more, and what is carried elsewhere, because an operator said so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select, update

from gateway.evidence import entries
from gateway.model import Delivery, Outgoing
from gateway.storage import attesting, claiming, correcting, courier, past, publishing, tables
from gateway.storage.codec import micros
from gateway.storage.journal import Page

_d = tables.delivery.c


def pushes(
    connection: Connection, deliveries: Sequence[Delivery]
) -> tuple[dict[str, Outgoing], dict[str, str]]:
    """The messages that these deliveries carry, by outgoing id; and where they go instead of to their partner's
    own address, by delivery."""
    return courier.outgoings(connection, deliveries), correcting.addresses(connection, deliveries)


def again(connection: Connection, delivery: str, now: datetime, page: Page, note: str) -> bool:
    """Send once more, at once, what was given up, waits for its next time, or has arrived: under the same id.
    False where it is unknown, was skipped, or a courier has it now."""
    row = connection.execute(select(tables.delivery).where(_d.id == delivery)).first()
    if row is None:
        return _arrived_again(connection, delivery, now, page, note)
    free = (_d.state == tables.DEAD) | ((_d.state == tables.DUE) & claiming.unheld_at(micros(now)))
    values = {"state": tables.DUE, "due_at": micros(now), "attempts": 0, **claiming.free()}
    changed = update(tables.delivery).where(_d.id == delivery, free).values(**values)
    if not connection.execute(changed).rowcount:
        return False
    about = publishing.abouts(connection, [row]).get(row.payload, row.payload)
    attesting.happened(page, entries.REVIVED, about, (delivery,), note=note)
    return True


def _arrived_again(connection: Connection, delivery: str, now: datetime, page: Page, note: str) -> bool:
    over = past.delivery(connection, delivery)
    if over is None or over.state != tables.DONE:
        return False
    if over.destination.startswith(publishing.PUSH):
        return courier.resend(connection, over.payload, now, page, note)
    courier.due_again(connection, delivery, now)
    about = publishing.abouts(connection, [over]).get(over.payload, over.payload)
    attesting.happened(page, entries.RESENT, about, (delivery,), note=note)
    return True
