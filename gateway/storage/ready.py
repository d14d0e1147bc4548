"""Settlements made ready: their rows and what the journal says of them, before the transaction that stores them.

So a transaction is as short as the database can make it, however many messages a submission has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from gateway.evidence.entries import Attested
from gateway.model import Delivery, Judged
from gateway.model.shelf import beside
from gateway.storage import attesting, tables
from gateway.storage.codec import claim_of, message_id, micros, octets, packed
from gateway.storage.records import Settlement
from gateway.storage.rows import Row


class Ready(msgspec.Struct, frozen=True):
    """A settlement with its rows of the tables message and delivery, held as the verdict's messages are.

    ``numbered``: customs' numbers, by the ids of messages that name one; ``attested``: but for what the submission's
    own row and the exhibits are.
    """

    settlement: Settlement
    messages: Collection[Row]
    deliveries: Collection[Row]
    numbered: dict[str, str]
    attested: Attested


def made_ready(settlement: Settlement) -> Ready:
    """Touches no database."""
    messages = beside(settlement.verdict.messages, tuple, _message_rows(settlement))
    deliveries = beside(settlement.verdict.messages, tuple, delivery_rows(settlement.deliveries))
    attested = attesting.attested(settlement, messages)
    return Ready(settlement, messages, deliveries, dict(_numbered(settlement)), attested)


def _message_rows(settlement: Settlement) -> Iterator[Row]:
    for message in settlement.verdict.messages:
        yield (
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
        )


def _declared(message: Judged, settlement: Settlement) -> bytes | None:
    if message.declaration is None:
        return None
    return b"" if message.ordinal in settlement.staged else octets(message.declaration)


def _numbered(settlement: Settlement) -> Iterator[tuple[str, str]]:
    for message in settlement.verdict.messages:
        number = "" if message.declaration is None else message.declaration.registration.strip()
        if number:
            yield message_id(settlement.submission.id, message.ordinal), number


def delivery_rows(deliveries: Iterable[Delivery]) -> Iterator[Row]:
    """Rows of deliveries that are due from the commit on."""
    for delivery in deliveries:
        yield (
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
            delivery.urgent,
        )


PAYLOAD, LANE = 2, 9
"""Where they stand in such a row."""


def in_lane(row: Sequence[Any], lane: str) -> Row:
    """The row of a delivery, in another lane."""
    return (*row[:LANE], claim_of(lane), *row[LANE + 1 :])
