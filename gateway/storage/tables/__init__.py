"""The ledger's tables, the same on SQLite and PostgreSQL."""

from gateway.storage.tables.base import metadata
from gateway.storage.tables.evidence import archived, chain, checkpoint, exhibit, journal, span
from gateway.storage.tables.journey import (
    DEAD,
    DONE,
    DUE,
    HEAD,
    SKIPPED,
    breaker,
    decision,
    delivery,
    event,
    is_push,
    message,
    outgoing,
    refusal,
    slice,
    submission,
)
from gateway.storage.tables.operators import correction, duty, paused
from gateway.storage.tables.register import counter, credential, mandate, partner, partner_key
from gateway.storage.tables.revocation import certificate, held, learned

__all__ = [
    "DEAD",
    "DONE",
    "DUE",
    "HEAD",
    "SKIPPED",
    "archived",
    "breaker",
    "certificate",
    "chain",
    "checkpoint",
    "correction",
    "counter",
    "credential",
    "decision",
    "delivery",
    "duty",
    "event",
    "exhibit",
    "held",
    "is_push",
    "journal",
    "learned",
    "mandate",
    "message",
    "metadata",
    "outgoing",
    "partner",
    "partner_key",
    "paused",
    "refusal",
    "slice",
    "span",
    "submission",
]
