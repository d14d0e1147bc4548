"""The ledger: what was acknowledged is here, durably, and nothing leaves this room but plain values."""

from gateway.storage.auditing import Audited, Breach
from gateway.storage.breaking import Breaker
from gateway.storage.correcting import Corrected, Original
from gateway.storage.faults import LedgerDamaged, LedgerError, LedgerMissing, LedgerUnavailable
from gateway.storage.groupcommit import GroupCommit, Overloaded
from gateway.storage.holding import Holding
from gateway.storage.lanes import lane_of, lane_of_answers
from gateway.storage.ledger import Ledger
from gateway.storage.migrations import SchemaNewer, SchemaOlder, migrate
from gateway.storage.operating import Act, Carried, Letters, Line, Waits, Wanted
from gateway.storage.pausing import Paused, Standing
from gateway.storage.publishing import answer_id, carries_decision, decision_due, declaration_due
from gateway.storage.records import (
    Addressed,
    Clash,
    Counts,
    Entry,
    Expiry,
    Filed,
    MessageStatus,
    Recorded,
    Settlement,
    Stale,
    Status,
)
from gateway.storage.registering import Taken
from gateway.storage.revocation import Known, Learned, Sighting
from gateway.storage.sending import copied, push_of
from gateway.storage.slices import BODY, SLICE, WORKING, later, working
from gateway.storage.staging import Staging, Writing
from gateway.storage.standing import Written
from gateway.storage.writes import Writes

__all__ = [
    "BODY",
    "SLICE",
    "WORKING",
    "Act",
    "Addressed",
    "Audited",
    "Breach",
    "Breaker",
    "Carried",
    "Clash",
    "Corrected",
    "Counts",
    "Entry",
    "Expiry",
    "Filed",
    "GroupCommit",
    "Holding",
    "Known",
    "Learned",
    "Ledger",
    "LedgerDamaged",
    "LedgerError",
    "LedgerMissing",
    "LedgerUnavailable",
    "Letters",
    "Line",
    "MessageStatus",
    "Original",
    "Overloaded",
    "Paused",
    "Recorded",
    "SchemaNewer",
    "SchemaOlder",
    "Settlement",
    "Sighting",
    "Staging",
    "Stale",
    "Standing",
    "Status",
    "Taken",
    "Waits",
    "Wanted",
    "Writes",
    "Writing",
    "Written",
    "answer_id",
    "carries_decision",
    "copied",
    "decision_due",
    "declaration_due",
    "lane_of",
    "lane_of_answers",
    "later",
    "migrate",
    "push_of",
    "working",
]
