"""Submissions, their answers, and the mailboxes of partners."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gateway.model import Answer, Event, Outgoing, Submission
from gateway.storage import reading, settling
from gateway.storage.ledger.opened import Opened
from gateway.storage.ready import made_ready
from gateway.storage.records import Clash, Counts, Entry, Filed, Settlement, Stale, Status


class Submissions(Opened):
    """What came in, and what partners fetch."""

    def known(self, partner: str, digest: str) -> Answer | None:
        """The answer first given to these bytes from this transport partner, marked repeated."""
        answer = self._read(lambda c: settling.known(c, partner, digest))
        if answer is not None:
            self._database.confirm()  # whoever stored it may not have heard of the commit
        return answer

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
        ready = [made_ready(settlement) for settlement in batch]
        try:
            return self._attest(lambda c, page: settling.settle_fresh(c, ready, page))
        except settling.Doubled:
            answers = self._attest(lambda c, page: settling.settle_carefully(c, ready, page))
            self._database.confirm()
            return answers

    def refuse(self, partner: str, channel: str, code: str, digest: str, at: datetime) -> None:
        """Note an unproven sender for audit; the newest ``settling.MAX_REFUSALS`` are kept."""
        self._attest(lambda c, page: settling.refuse(c, partner, channel, code, digest, at, page))

    def note(self, events: Sequence[Event]) -> None:
        """Add lines to timelines."""
        self._attest(lambda c, page: settling.note(c, events, page))

    def status(
        self, partner: str, submission_id: str, after: int = 0, limit: int = reading.MESSAGES
    ) -> Status | None:
        """A submission for its transport partner, filer, signer or principal, or for customs; for who
        sent the same octets later, those messages that it was entitled to file; else None, as where there
        is none.  At most ``limit`` of its messages, behind the ordinal ``after``."""
        return self._read(lambda c: reading.status(c, partner, submission_id, after, limit))

    def find(self, partner: str, reference: str) -> list[Filed]:
        """Submissions that the partner may see, by their reference, an LRN or a registration."""
        return self._read(lambda c: reading.find(c, partner, reference))

    def raw(self, submission_id: str) -> Submission | None:
        """The submission octet for octet; for evidence and replay, not for partners."""
        return self._read(lambda c: reading.raw(c, submission_id))

    def counts(self) -> Counts:
        """What waits now: deliveries, mailboxes, refusals."""
        return self._read(reading.counts)

    def mailbox(
        self, partner: str, after: str, limit: int, include_acknowledged: bool = False
    ) -> list[Entry]:
        """Entries in order of arrival, those after the entry ``after`` ("" or unknown: the first)."""
        return self._read(lambda c: reading.mailbox(c, partner, after, limit, include_acknowledged))

    def fetch(self, partner: str, outgoing_id: str) -> Outgoing | None:
        """One entry of the partner's own mailbox, acknowledged or not; also a receipt of another's
        submission that answered the same octets from this partner."""
        return self._read(lambda c: reading.fetch(c, partner, outgoing_id))

    def acknowledge(self, partner: str, outgoing_ids: Sequence[str]) -> int:
        """Mark the partner's own entries as taken, and push them no more; how many are its own (again
        included)."""
        return self._attest(lambda c, page: reading.acknowledge(c, partner, outgoing_ids, page))
