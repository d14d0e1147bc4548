"""The ledger: the gateway's durable memory.  Plain values in and out; every call blocks.

Each method is one transaction; when a writing method returns, what it stored is on disk.  All raise
LedgerUnavailable where the database is away, and LedgerError where it refused a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Self

from gateway.model import (
    Answer,
    Delivery,
    Event,
    Handover,
    Mandate,
    Outgoing,
    Partner,
    Register,
    Submission,
)
from gateway.storage import courier, deciding, reading, registering, settling
from gateway.storage.database import Database
from gateway.storage.migrations import migrate, require_current
from gateway.storage.records import Addressed, Clash, Counts, Entry, Filed, Recorded, Settlement, Status


class Ledger:
    """An open ledger; threads may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._read = database.read
        self._write = database.write

    @classmethod
    def open(cls, url: str, *, create: bool = False) -> Self:
        """Open ``sqlite:///FILE`` or ``postgresql://...``; ``create``: make or migrate its tables first.

        Raises ValueError for another URL, LedgerMissing where there is no ledger, SchemaOlder where it
        must be migrated first, SchemaNewer where a newer gateway made it.
        """
        if create:
            migrate(url)
        database = Database(url)
        try:
            database.read(require_current)
        except BaseException:
            database.close()
            raise
        return cls(database)

    def close(self) -> None:
        """Give every connection back."""
        self._database.close()

    # -- submissions -----------------------------------------------------------------------------

    def known(self, partner: str, digest: str) -> Answer | None:
        """The answer first given to these bytes from this transport partner, marked repeated."""
        return self._read(lambda c: settling.known(c, partner, digest))

    def claimed(self, partner: str, claim: str) -> tuple[str, str] | None:
        """(submission id, digest) that owns this claim (``Verdict.claim``) of a signer."""
        return self._read(lambda c: settling.claimed(c, partner, claim))

    def settle(self, batch: Sequence[Settlement]) -> list[Answer | Clash]:
        """Store submissions with all their effects in one transaction; an answer for each, in order.

        The same bytes from the same transport partner, or under the same claim, get the receipt that
        was given first; the same claim with other bytes is a Clash, of which nothing is stored.
        Raises LedgerError where an id belongs to another submission; then nothing is stored.
        """
        try:
            return self._write(lambda c: settling.settle_fresh(c, batch))
        except settling.Doubled:
            return self._write(lambda c: settling.settle_carefully(c, batch))

    def refuse(self, partner: str, channel: str, code: str, digest: str, at: datetime) -> None:
        """Note an unproven sender for audit; the newest ``settling.MAX_REFUSALS`` are kept."""
        self._write(lambda c: settling.refuse(c, partner, channel, code, digest, at))

    def note(self, events: Sequence[Event]) -> None:
        """Add lines to timelines."""
        self._write(lambda c: settling.insert_events(c, events))

    def status(self, partner: str, submission_id: str) -> Status | None:
        """A submission for its transport partner, filer, signer or principal, or for customs; for who
        sent the same octets later, those messages that it was entitled to file; else None, as where there
        is none."""
        return self._read(lambda c: reading.status(c, partner, submission_id))

    def find(self, partner: str, reference: str) -> list[Filed]:
        """Submissions that the partner may see, by their reference, an LRN or a registration."""
        return self._read(lambda c: reading.find(c, partner, reference))

    def raw(self, submission_id: str) -> Submission | None:
        """The submission octet for octet; for evidence and replay, not for partners."""
        return self._read(lambda c: reading.raw(c, submission_id))

    def counts(self) -> Counts:
        """What waits now: deliveries, mailboxes, refusals."""
        return self._read(reading.counts)

    # -- mailboxes -------------------------------------------------------------------------------

    def mailbox(
        self, partner: str, after: str, limit: int, include_acknowledged: bool = False
    ) -> list[Entry]:
        """Entries in order of arrival, those after the entry ``after`` ("" or unknown: the first)."""
        return self._read(lambda c: reading.mailbox(c, partner, after, limit, include_acknowledged))

    def fetch(self, partner: str, outgoing_id: str) -> Outgoing | None:
        """One entry of the partner's own mailbox, acknowledged or not; also a receipt of another's
        submission that answered the same octets from this partner."""
        return self._read(lambda c: reading.fetch(c, partner, outgoing_id))

    def acknowledge(self, partner: str, outgoing_ids: Sequence[str], at: datetime) -> int:
        """Mark the partner's own entries as taken, and push them no more; how many are its own (again
        included)."""
        return self._write(lambda c: reading.acknowledge(c, partner, outgoing_ids, at))

    # -- couriers --------------------------------------------------------------------------------

    def claim_due(
        self, destination: str, owner: str, now: datetime, lease: timedelta, limit: int
    ) -> list[Delivery]:
        """Lease due deliveries in order of arrival; one that failed steps aside and holds nobody up.

        ``destination``: a whole name, or a kind with its colon (``push:``).  ``attempts`` of each are
        those before this one.
        """
        return self._write(lambda c: courier.claim_due(c, destination, owner, now, lease, limit))

    def destinations(self, kind: str, now: datetime) -> tuple[str, ...]:
        """The destinations of a kind (``push:``) at which something can be claimed now."""
        return self._read(lambda c: courier.destinations(c, kind, now))

    def claim_in_order(
        self, destination: str, owner: str, now: datetime, lease: timedelta, limit: int
    ) -> list[Delivery]:
        """As claim_due, but nothing passes an earlier delivery to the same destination."""
        return self._write(lambda c: courier.claim_in_order(c, destination, owner, now, lease, limit))

    def handovers(self, deliveries: Sequence[Delivery]) -> list[Handover]:
        """The declarations these carry, in order; one whose payload is no accepted message is left out."""
        return self._read(lambda c: courier.handovers(c, deliveries))

    def outgoings(self, deliveries: Sequence[Delivery]) -> dict[str, Outgoing]:
        """The messages to partners these carry, by outgoing id."""
        return self._read(lambda c: courier.outgoings(c, deliveries))

    def done(self, ids: Sequence[str], at: datetime) -> int:
        """These arrived, and what was pushed is thereby acknowledged; how many were not known to have."""
        return self._write(lambda c: courier.done(c, ids, at))

    def retry(self, delivery_id: str, due_at: datetime, error: str) -> bool:
        """This attempt failed; due again at a later time.  False where it is no longer due."""
        return self._write(lambda c: courier.retry(c, delivery_id, due_at, error))

    def dead(self, delivery_id: str, error: str, at: datetime) -> bool:
        """Not tried again until revived.  False where it is no longer due."""
        return self._write(lambda c: courier.dead(c, delivery_id, error, at))

    def due(self, destination: str, limit: int) -> list[Delivery]:
        """Deliveries that wait, for a courier or for their next time; ``destination`` as for claim_due."""
        return self._read(lambda c: courier.due(c, destination, limit))

    def dead_letters(self, destination: str, limit: int) -> list[Delivery]:
        """Dead deliveries, oldest first; ``destination`` as for claim_due."""
        return self._read(lambda c: courier.dead_letters(c, destination, limit))

    def revive(self, ids: Sequence[str], now: datetime) -> int:
        """Dead deliveries become due now; how many did."""
        return self._write(lambda c: courier.revive(c, ids, now))

    def resend(self, outgoing_id: str, now: datetime) -> bool:
        """Offer a message once more, delivered or not, in the mailbox and by push.  False: unknown."""
        return self._write(lambda c: courier.resend(c, outgoing_id, now))

    # -- decisions -------------------------------------------------------------------------------

    def record(self, batch: Sequence[Recorded]) -> tuple[str, ...]:
        """Store decisions with their answers in one transaction; the ids of those that were new."""
        return self._write(lambda c: deciding.record(c, batch))

    def routes(self, message_ids: Sequence[str]) -> dict[str, Addressed]:
        """How to answer about messages, by message id; unknown ones are left out."""
        return self._read(lambda c: deciding.routes(c, message_ids))

    # -- partners, mandates, numbers -------------------------------------------------------------

    def put_partner(self, partner: Partner) -> None:
        """Add or replace.  Raises Taken where a subject, identifier or token is another partner's."""
        self._write(lambda c: registering.put_partner(c, partner))

    def partners(self) -> list[Partner]:
        """All partners by id."""
        return self._read(registering.partners)

    def put_mandate(self, mandate: Mandate) -> None:
        """Add or replace."""
        self._write(lambda c: registering.put_mandate(c, mandate))

    def revoke_mandate(self, mandate_id: str, at: datetime) -> bool:
        """End a mandate; an earlier revocation stands.  False where it is unknown."""
        return self._write(lambda c: registering.revoke_mandate(c, mandate_id, at))

    def mandates(self) -> list[Mandate]:
        """All mandates by id, those that ended too."""
        return self._read(registering.mandates)

    def register(self) -> Register:
        """Partners and mandates as of one moment."""
        return self._read(registering.register)

    def register_version(self) -> int:
        """Rises with every change of a partner or mandate in any process; cheap to ask."""
        return self._read(registering.register_version)

    def references(self, name: str, count: int) -> range:
        """The next block of a named, durable counter, from 1; no number is handed out twice."""
        return self._write(lambda c: registering.references(c, name, count))
