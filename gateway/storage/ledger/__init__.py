"""The ledger: the gateway's durable memory.  Plain values in and out; every call blocks.

Each method is one transaction; when a writing method returns, what it stored is on disk.  All raise
LedgerUnavailable where the database is away, and LedgerError where it refused a value.
"""

from gateway.storage.ledger.deliveries import Deliveries
from gateway.storage.ledger.evidence import Evidence
from gateway.storage.ledger.operating import Operating
from gateway.storage.ledger.register import Enrolment
from gateway.storage.ledger.revocations import Revocations
from gateway.storage.ledger.slices import Slices
from gateway.storage.ledger.submissions import Submissions

__all__ = ["Ledger"]


class Ledger(Submissions, Revocations, Deliveries, Operating, Evidence, Enrolment, Slices):
    """An open ledger; threads may share it."""
