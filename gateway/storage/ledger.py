"""The ledger: the gateway's durable memory.  Plain values in and out; every call blocks.

Each method is one transaction; when a writing method returns, what it stored is on disk.  All raise
LedgerUnavailable where the database is away, and LedgerError where it refused a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Self, TypeVar

from sqlalchemy import Connection

from gateway.evidence import entries
from gateway.evidence.archives import Row
from gateway.evidence.gathered import Gathered, Sealed
from gateway.model import (
    Answer,
    Delivery,
    Event,
    Finding,
    Handover,
    Mandate,
    Outgoing,
    Partner,
    Register,
    Submission,
)
from gateway.model.grants import row_of
from gateway.security import SigningKey
from gateway.storage import (
    admitting,
    adopting,
    attesting,
    auditing,
    comparing,
    courier,
    deciding,
    enrolled,
    evidence,
    holding,
    reading,
    registering,
    retention,
    revocation,
    settling,
)
from gateway.storage.auditing import Audited, Breach
from gateway.storage.database import Database
from gateway.storage.holding import Holding
from gateway.storage.journal import Journal, Page
from gateway.storage.migrations import migrate, require_current
from gateway.storage.records import (
    Addressed,
    Clash,
    Counts,
    Entry,
    Expiry,
    Filed,
    Recorded,
    Settlement,
    Stale,
    Status,
)
from gateway.storage.retention import Archived
from gateway.storage.revocation import Known, Learned, Sighting

T = TypeVar("T")


def utc_now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


class Ledger:
    """An open ledger; threads may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._read = database.read
        self._write = database.write
        self.clock = utc_now
        """Gives the times of journal entries, aware."""
        self._attest = Journal(database, lambda: self.clock()).write

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

    def settle(self, batch: Sequence[Settlement]) -> list[Answer | Clash | Stale]:
        """Store submissions with all their effects in one transaction; an answer for each, in order.

        The same bytes from the same transport partner, or under the same claim, get the receipt that
        was given first; the same claim with other bytes is a Clash, of which nothing is stored; one that
        is admitted by what changed since it was judged is Stale, and nothing of it is stored either.
        Raises LedgerError where an id belongs to another submission; then nothing is stored.
        """
        try:
            return self._attest(lambda c, page: settling.settle_fresh(c, batch, page))
        except settling.Doubled:
            return self._attest(lambda c, page: settling.settle_carefully(c, batch, page))

    def refuse(self, partner: str, channel: str, code: str, digest: str, at: datetime) -> None:
        """Note an unproven sender for audit; the newest ``settling.MAX_REFUSALS`` are kept."""
        self._attest(lambda c, page: settling.refuse(c, partner, channel, code, digest, at, page))

    def note(self, events: Sequence[Event]) -> None:
        """Add lines to timelines."""
        self._attest(lambda c, page: settling.note(c, events, page))

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
        return self._attest(lambda c, page: reading.acknowledge(c, partner, outgoing_ids, at, page))

    # -- revocation ------------------------------------------------------------------------------

    def sight(self, sightings: Sequence[Sighting], now: datetime) -> None:
        """Note certificates of proven chains; a new one's revocation is asked after at once."""
        self._write(lambda c: revocation.sight(c, sightings, now))

    def unmet(self, now: datetime, limit: int) -> list[bytes]:
        """Registered certificates (DER) in force that were not met yet; those that were met stay met."""
        return self._write(lambda c: revocation.unmet(c, now, limit))

    def claim_certificates(
        self, owner: str, now: datetime, lease: timedelta, idle: timedelta, limit: int
    ) -> list[Known]:
        """Lease certificates that are due to be asked after, but none that was not seen for ``idle``."""
        return self._write(lambda c: revocation.claim_certificates(c, owner, now, lease, idle, limit))

    def asked(self, fingerprint: str, due_at: datetime, at: datetime | None, error: str) -> None:
        """A certificate was asked after, and learned of ``at`` a time or not at all; due again later."""
        self._write(lambda c: revocation.asked(c, fingerprint, due_at, at, error))

    def hurry(self, fingerprints: Sequence[str], now: datetime) -> int:
        """Ask after these certificates now, or after all where none is named; how many."""
        return self._write(lambda c: revocation.hurry(c, fingerprints, now))

    def certificates(self, limit: int) -> list[Known]:
        """Certificates that were met, those that expire first."""
        return self._read(lambda c: revocation.certificates(c, limit))

    def learn(self, items: Sequence[Learned]) -> int:
        """Keep responses and CRLs, each where it is newer than what is kept; the version thereafter."""
        return self._write(lambda c: revocation.learn(c, items))

    def learned(self, after: int, limit: int) -> tuple[list[Learned], int]:
        """What was learned after a version, and the version that it brings one to."""
        return self._read(lambda c: revocation.learned(c, after, limit))

    def revocation_version(self) -> int:
        """Rises with everything that is learned of revocations in any process; cheap to ask."""
        return self._read(revocation.version)

    def hold(
        self,
        submission: Submission,
        findings: Sequence[Finding],
        certificates: Sequence[bytes],
        deadline: datetime,
        sightings: Sequence[Sighting],
    ) -> Holding:
        """Keep a submission until it can be judged; the same bytes of a partner are kept once."""

        def hold(connection: Connection, page: Page) -> Holding:
            held = holding.hold(connection, submission, findings, certificates, deadline, sightings)
            if held.id == submission.id:
                attesting.held(page, submission)
            return held

        return self._attest(hold)

    def holding(self, partner: str, submission_id: str) -> Holding | None:
        """The partner's own held submission, or what became of it."""
        return self._read(lambda c: holding.holding(c, partner, submission_id))

    def holdings(self, after: str, limit: int) -> list[Holding]:
        """Submissions that wait, oldest first, from behind the one of this id."""
        return self._read(lambda c: holding.holdings(c, after, limit))

    def held_count(self) -> int:
        """How many submissions wait."""
        return self._read(holding.held_count)

    def held_submission(self, submission_id: str) -> Submission | None:
        """A submission that waits, octet for octet."""
        return self._read(lambda c: holding.held_submission(c, submission_id))

    def let_go(self, submission_id: str, became: str) -> None:
        """A held submission was settled, as this one."""

        def let_go(connection: Connection, page: Page) -> None:
            holding.let_go(connection, submission_id, became)
            attesting.happened(page, entries.LET_GO, became or submission_id, (submission_id,))

        self._attest(let_go)

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
        return self._attest(lambda c, page: courier.done(c, ids, at, page))

    def retry(self, delivery_id: str, due_at: datetime, error: str) -> bool:
        """This attempt failed; due again at a later time.  False where it is no longer due."""
        return self._write(lambda c: courier.retry(c, delivery_id, due_at, error))

    def dead(self, delivery_id: str, error: str, at: datetime) -> bool:
        """Not tried again until revived.  False where it is no longer due."""
        return self._attest(lambda c, page: courier.dead(c, delivery_id, error, at, page))

    def due(self, destination: str, limit: int) -> list[Delivery]:
        """Deliveries that wait, for a courier or for their next time; ``destination`` as for claim_due."""
        return self._read(lambda c: courier.due(c, destination, limit))

    def dead_letters(self, destination: str, limit: int) -> list[Delivery]:
        """Dead deliveries, oldest first; ``destination`` as for claim_due."""
        return self._read(lambda c: courier.dead_letters(c, destination, limit))

    def revive(self, ids: Sequence[str], now: datetime) -> int:
        """Dead deliveries become due now; how many did."""
        return self._attest(lambda c, page: courier.revive(c, ids, now, page))

    def resend(self, outgoing_id: str, now: datetime) -> bool:
        """Offer a message once more, delivered or not, in the mailbox and by push.  False: unknown."""
        return self._attest(lambda c, page: courier.resend(c, outgoing_id, now, page))

    # -- decisions -------------------------------------------------------------------------------

    def record(self, batch: Sequence[Recorded]) -> tuple[str, ...]:
        """Store decisions with their answers in one transaction; the ids of those that were new."""
        return self._attest(lambda c, page: deciding.record(c, batch, page))

    def routes(self, message_ids: Sequence[str]) -> dict[str, Addressed]:
        """How to answer about messages, by message id; unknown ones are left out."""
        return self._read(lambda c: deciding.routes(c, message_ids))

    # -- evidence --------------------------------------------------------------------------------

    def cover(self, key: SigningKey, now: datetime, limit: int = evidence.MAX_ENTRIES) -> Sealed | None:
        """Sign a checkpoint over at most ``limit`` journal entries that none holds yet; None: there is none.

        Raises ValueError where the key cannot sign at ``now``.
        """
        return self._attest(lambda c, page: evidence.cover(c, key, now, page, limit))

    def stamp(self, number: int, token: bytes, at: datetime, chain: Sequence[bytes]) -> bool:
        """Keep a verified time stamp over a checkpoint's signature, its time and its signer's chain (DER);
        False where it has one."""
        return self._attest(lambda c, page: evidence.stamp(c, number, token, at, chain, page))

    def unstamped(self) -> Sealed | None:
        """The newest checkpoint, where it has no time stamp."""
        return self._read(evidence.unstamped)

    def named(self, identity: str) -> list[str]:
        """Ids of the submissions that an id or a reference means."""
        return self._read(lambda c: evidence.submission_named(c, identity))

    def audit(
        self,
        tell: Callable[[Breach], None],
        known: auditing.Known,
        stamped: auditing.Stamped,
        progress: auditing.Progress = lambda count: None,
    ) -> Audited:
        """Verify the journal and everything that it speaks of, as of one moment; each breach is told as it
        is found, the first of a chain first."""

        def walk(connection: Connection) -> Audited:
            audit = auditing.Audit(connection, known, stamped, progress)
            for breach in audit.breaches():
                tell(breach)
            for breach in comparing.breaches(connection, audit.audited, progress):
                tell(breach)
            return audit.audited

        return self._read(walk)

    def checkpoint(self, number: int) -> Sealed | None:
        """A checkpoint by its number."""
        return self._read(lambda c: evidence.checkpoint(c, number))

    def adopt(self, limit: int = 1_000) -> int:
        """Journal, as they are found now, at most ``limit`` things of which no entry speaks; how many."""
        return self._attest(lambda c, page: adopting.adopt(c, page, limit))

    def old(self, before: datetime, after: str, limit: int) -> tuple[list[str], str]:
        """Ids of submissions received before a time that may be archived, of a page behind ``after``; and
        where the page ends, "" where it is the last."""
        return self._read(lambda c: retention.old(c, before, after, limit))

    def dump(self, ids: Sequence[str]) -> list[Row]:
        """The rows that leave with these submissions when they are archived."""
        return self._read(lambda c: retention.dump(c, ids))

    def remove(self, ids: Sequence[str], rows: Sequence[Row], name: str, digest: str) -> None:
        """Take archived submissions out.  Raises retention.Changed where they are not as the rows say."""
        self._attest(lambda c, page: retention.remove(c, ids, rows, name, digest, page))

    def restore(self, ids: Sequence[str], rows: Sequence[Row]) -> list[str]:
        """Bring submissions back with the rows of their archive; those that were away."""
        return self._attest(lambda c, page: retention.restore(c, ids, rows, page))

    def archives(self) -> list[Archived]:
        """Archive files in which something is."""
        return self._read(retention.archives)

    def archive_of(self, submission: str) -> str:
        """The archive file in which a submission is, "" where it is here."""
        return self._read(lambda c: retention.archive_of(c, submission))

    def attested_digest(self, submission: str) -> str:
        """The digest of its archive file as the journal has it."""
        return self._read(lambda c: retention.attested_digest(c, submission))

    def gather(self, submission: str) -> Gathered | None:
        """All that is stored about a submission; None where it is unknown."""
        return self._read(lambda c: evidence.gather(c, submission))

    # -- partners, mandates, numbers -------------------------------------------------------------

    def put_partner(self, partner: Partner) -> None:
        """Add or replace.  Raises Taken where a subject, identifier, token or certificate is another's."""
        self.put_all(lambda: [[partner]])

    def partner(self, identity: str) -> Partner | None:
        """One partner with its certificates, or None."""
        return self._read(lambda c: registering.partner(c, identity))

    def partners(self) -> list[Partner]:
        """All partners by id; for a large register see ``find_partners`` and ``each``."""
        return self._read(lambda c: list(enrolled.partners(c)))

    def find_partners(self, search: str = "", after: str = "", limit: int = 100) -> list[Partner]:
        """Partners by id whose id, name, identifiers, subjects or certificates hold every word of the
        search (without case and diacritics), from behind the id ``after``."""
        return self._read(lambda c: enrolled.find_partners(c, search, after, limit))

    def count_partners(self, search: str = "") -> int:
        """How many partners a search finds."""
        return self._read(lambda c: enrolled.count_partners(c, search))

    def unregistered(self, ids: Sequence[str]) -> set[str]:
        """Those of the ids that are no partner's."""
        return self._read(lambda c: enrolled.unregistered(c, ids))

    def owners(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Whose these keys are (kind, text), of those that are somebody's."""
        return self._read(lambda c: registering.owners(c, keys))

    def unknown_mandates(self, ids: Sequence[str]) -> set[str]:
        """Those of the ids that are no mandate's."""
        return self._read(lambda c: enrolled.unknown_mandates(c, ids))

    def put_mandate(self, mandate: Mandate) -> None:
        """Add or replace."""
        self.put_all(lambda: [[mandate]])

    def put_all(self, batches: Callable[[], Iterable[Sequence[Partner | Mandate]]]) -> int:
        """Put all batches or none, in one transaction; how many there were.  ``batches`` may be asked for
        more than once.  Raises Taken."""
        return self._attest(lambda c, page: registering.put_all(c, attesting.each(page, batches())))

    def revoke_mandate(self, mandate_id: str, at: datetime) -> bool:
        """End a mandate; an earlier revocation stands.  False where it is unknown.  When this returns,
        nothing is settled by the mandate any more, in any process."""
        return self._attest(lambda c, page: _revoked(c, page, mandate_id, at))

    def mandate(self, identity: str) -> Mandate | None:
        """One mandate, or None."""
        return self._read(lambda c: registering.mandate(c, identity))

    def mandates(self) -> list[Mandate]:
        """All mandates by id, those that ended too; for a large register see ``find_mandates``."""
        return self._read(lambda c: list(enrolled.mandates(c)))

    def find_mandates(
        self,
        agent: str = "",
        principal: str = "",
        after: str = "",
        limit: int = 100,
        at: datetime | None = None,
    ) -> list[Mandate]:
        """Mandates by id of an agent and a principal ("": any), from behind the id ``after``; ``at``: only
        those that hold then."""
        return self._read(lambda c: enrolled.find_mandates(c, agent, principal, after, limit, at))

    def mandates_of(self, party: str, limit: int = 100) -> list[Mandate]:
        """Mandates in which the party is agent or principal, by id."""
        return self._read(lambda c: enrolled.mandates_of(c, party, limit))

    def each(self, work: Callable[[Iterator[Partner], Iterator[Mandate]], T]) -> T:
        """What the work makes of all partners and all mandates as of one moment, streamed."""
        return self._read(lambda c: work(enrolled.partners(c), enrolled.mandates(c)))

    def register(self) -> Register:
        """Partners and mandates as of one moment."""
        return self._read(enrolled.register)

    def refreshed(self, known: Register) -> Register:
        """The register as of now: ``known`` itself where nothing changed, else with the changes taken in."""
        return self._read(lambda c: enrolled.refreshed(c, known))

    def register_version(self) -> int:
        """Rises with every change of a partner or mandate in any process; cheap to ask."""
        return self._read(admitting.register_version)

    def expiring(
        self, since: datetime, until: datetime, limit: int = 100_000, ids: Sequence[str] | None = None
    ) -> list[Expiry]:
        """Credentials, and certificates seen at work, that end from ``since`` to ``until`` and that nothing
        is there to replace, the earliest first; those of the partners ``ids`` only, where given."""
        return self._read(lambda c: enrolled.expiring(c, since, until, limit, ids))

    def references(self, name: str, count: int) -> range:
        """The next block of a named, durable counter, from 1; no number is handed out twice."""
        return self._write(lambda c: registering.references(c, name, count))


def _revoked(connection: Connection, page: Page, mandate_id: str, at: datetime) -> bool:
    known = registering.revoke_mandate(connection, mandate_id, at)
    ended = registering.mandate(connection, mandate_id)
    if ended is not None:
        attesting.mandate(page, row_of(ended))
    return known
