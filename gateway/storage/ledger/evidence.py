"""The journal, its checkpoints, and archives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection

from gateway.evidence.archives import Row
from gateway.evidence.checkpoints import Checkpoint
from gateway.evidence.gathered import Gathered, Sealed
from gateway.security import SigningKey
from gateway.storage import auditing, checkpoints, comparing, departing, gathering, retention
from gateway.storage.auditing import Audited, Breach
from gateway.storage.ledger.slices import Slices
from gateway.storage.months import Month
from gateway.storage.retention import Archived, Outline

T = TypeVar("T")


class Evidence(Slices):
    """What proves later what was stored."""

    def cover(
        self,
        key: SigningKey,
        now: datetime,
        limit: int = checkpoints.MAX_ENTRIES,
        known: checkpoints.Known | None = None,
    ) -> Sealed | None:
        """Sign a checkpoint over at most ``limit`` journal entries that none holds yet; None: there is none.

        Raises Unsound where the last checkpoint's signer is not ``known``, ValueError where the key cannot
        sign at ``now``.
        """
        while True:
            over = self._read(lambda c: checkpoints.due(c, limit, known))
            if over.turned(key) and (over.rows or over.last is not None):
                return self._attest(lambda c, page: checkpoints.turn(c, key, now, page, limit, known))
            if not over.rows:
                return None
            # What takes long is done while others write.
            made = over.checkpoint(key, now)
            signature = key.sign(made.text().encode(), now)
            if sealed := self._stored(over, made, signature, key):
                return sealed

    def _stored(
        self, over: checkpoints.Due, made: Checkpoint, signature: bytes, key: SigningKey
    ) -> Sealed | None:
        return self._attest(lambda c, page: checkpoints.store(c, over, made, signature, page, key))

    def stamp(self, number: int, token: bytes, at: datetime, chain: Sequence[bytes]) -> bool:
        """Keep a verified time stamp over a checkpoint's signature, its time and its signer's chain (DER);
        False where it has one."""
        return self._attest(lambda c, page: checkpoints.stamp(c, number, token, at, chain, page))

    def covered_at(self) -> datetime | None:
        """When the last checkpoint was signed, while entries wait for the next; None where all are covered."""
        return self._read(checkpoints.covered_at)

    def unstamped(self) -> Sealed | None:
        """The newest checkpoint, where it has no time stamp."""
        return self._read(checkpoints.unstamped)

    def named(self, identity: str) -> list[str]:
        """Ids of the submissions that an id or a reference means."""
        return self._read(lambda c: gathering.submission_named(c, identity))

    def audit(
        self,
        tell: Callable[[Breach], None],
        known: checkpoints.Known,
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
        return self._read(lambda c: checkpoints.checkpoint(c, number))

    def old(self, before: datetime, after: str, limit: int) -> tuple[list[str], str]:
        """Ids of submissions received before a time that may be archived, of a page behind ``after``; and
        where the page ends, "" where it is the last."""
        return self._read(lambda c: retention.old(c, before, after, limit))

    def dumped(self, ids: Sequence[str], take: Callable[[Iterator[Row]], T]) -> T:
        """What is made of the rows that leave with these submissions when they are archived; ``take`` may be begun
        again, with all of them."""
        return self._read(lambda c: take(retention.dump(c, ids)))

    def remove(self, ids: Sequence[str], kept: Outline, name: str, digest: str) -> None:
        """Take archived submissions out.  Raises retention.Changed where they are not as the archive has them."""
        self._attest(lambda c, page: retention.remove(c, ids, kept, name, digest, page))

    def restore(self, ids: Sequence[str], rows: Callable[[], Iterable[Row]]) -> list[str]:
        """Bring submissions back with the rows of their archive, which are gone through each time that it is tried;
        those that were away."""
        return self._attest(lambda c, page: retention.restore(c, ids, rows(), page))

    def archived_months(self) -> list[Month]:
        """Months of which something is archived and partitions are still here; none on SQLite."""
        return self._read(departing.archived_months)

    def depart(self, month: Month) -> bool:
        """Drop the partitions of a month that is wholly archived and owes nothing; False where it is not so."""
        return departing.depart(self._database, self._attest, month)

    def archives(self) -> list[Archived]:
        """Archive files in which something is."""
        return self._read(retention.archives)

    def archive_of(self, submission: str) -> str:
        """The archive file in which a submission is, "" where it is here."""
        return self._read(lambda c: retention.archive_of(c, submission))

    def attested_digests(self, submission: str) -> set[str]:
        """The digests of the archive files that it went into, as the journal has them."""
        return self._read(lambda c: retention.attested_digests(c, submission))

    def gather(self, submission: str) -> Gathered | None:
        """All that is stored about a submission; None where it is unknown.  What is long of it is read again
        whenever it is gone through."""
        return self._read(lambda c: gathering.gather(c, submission, self.sliced))
