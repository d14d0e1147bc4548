"""The ledger's tables, the same on SQLite and PostgreSQL."""

from gateway.storage.tables.base import metadata
from gateway.storage.tables.journey import (
    DEAD,
    DONE,
    DUE,
    HEAD,
    decision,
    delivery,
    event,
    is_push,
    message,
    outgoing,
    refusal,
    submission,
)
from gateway.storage.tables.register import counter, mandate, partner, partner_key

__all__ = [
    "DEAD",
    "DONE",
    "DUE",
    "HEAD",
    "counter",
    "decision",
    "delivery",
    "event",
    "is_push",
    "mandate",
    "message",
    "metadata",
    "outgoing",
    "partner",
    "partner_key",
    "refusal",
    "submission",
]
