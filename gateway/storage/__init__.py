"""The ledger: what was acknowledged is here, durably, and nothing leaves this room but plain values."""

from gateway.storage.database import LedgerError, LedgerMissing, LedgerUnavailable
from gateway.storage.groupcommit import GroupCommit, Overloaded
from gateway.storage.ledger import Ledger
from gateway.storage.migrations import SchemaNewer, SchemaOlder, migrate
from gateway.storage.records import (
    Addressed,
    Clash,
    Counts,
    Entry,
    Filed,
    MessageStatus,
    Recorded,
    Settlement,
    Status,
)
from gateway.storage.registering import Taken

__all__ = [
    "Addressed",
    "Clash",
    "Counts",
    "Entry",
    "Filed",
    "GroupCommit",
    "Ledger",
    "LedgerError",
    "LedgerMissing",
    "LedgerUnavailable",
    "MessageStatus",
    "Overloaded",
    "Recorded",
    "SchemaNewer",
    "SchemaOlder",
    "Settlement",
    "Status",
    "Taken",
    "migrate",
]
