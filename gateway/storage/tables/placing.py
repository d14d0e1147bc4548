"""Where each table would be in a distributed PostgreSQL (docs/postgresql.md); on one server nobody looks here."""

from __future__ import annotations

from collections.abc import Mapping

OF_SUBMISSION, OF_CHAIN = "submission", "chain"

DISTRIBUTED: Mapping[str, tuple[str, str]] = {
    "submission": ("id", OF_SUBMISSION),
    "octets": ("submission", OF_SUBMISSION),
    "slice": ("submission", OF_SUBMISSION),
    "message": ("submission", OF_SUBMISSION),
    "outgoing": ("submission", OF_SUBMISSION),
    "decision": ("submission", OF_SUBMISSION),
    "event": ("submission", OF_SUBMISSION),
    "correction": ("submission", OF_SUBMISSION),
    "archived": ("submission", OF_SUBMISSION),
    "taken": ("digest", "digest"),
    "claim": ("claim", "claim"),
    "chain": ("id", OF_CHAIN),
    "journal": ("chain", OF_CHAIN),
    "span": ("chain", OF_CHAIN),
    "exhibit": ("digest", "digest"),
}
"""The column by which a table's rows are spread, and with which others they are together."""

REFERENCE = frozenset({"partner", "partner_key", "credential", "mandate"})
"""Whole on every worker: read for everything, and hardly ever written."""

LOCAL = frozenset(
    {
        "delivery",
        "waiting",
        "breaker",
        "paused",
        "duty",
        "counter",
        "checkpoint",
        "refusal",
        "held",
        "certificate",
        "learned",
    }
)
"""On the coordinator: queues, which are small and are locked row by row, and what is one thing for all."""
