"""What is known of certificates, and submissions that wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection

from gateway.model import Delivery, Finding, Outgoing, Submission
from gateway.storage import attesting, holding, revocation, settling
from gateway.storage.holding import Holding
from gateway.storage.journal import Page
from gateway.storage.ledger.opened import Opened
from gateway.storage.revocation import Known, Learned, Sighting


class Revocations(Opened):
    """Certificates that were met, what was learned of them, and what is held until then."""

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

    def renew_certificates(self, owner: str, fingerprints: Sequence[str], until: datetime) -> set[str]:
        """Hold on to those that the owner is still asking after, until then; which these are."""
        return self._write(lambda c: revocation.renew_certificates(c, owner, fingerprints, until))

    def asked(self, known: Known, due_at: datetime, at: datetime | None, error: str) -> None:
        """A certificate claimed as ``known`` was asked after, and learned of ``at`` a time or not at all; due
        again later, or at once where it was hurried meanwhile."""
        self._write(lambda c: revocation.asked(c, known, due_at, at, error))

    def hurry(self, fingerprints: Sequence[str], now: datetime) -> int:
        """Ask after these certificates now, or after all where none is named; how many."""
        return self._write(lambda c: revocation.hurry(c, fingerprints, now))

    def certificates(self, limit: int, now: datetime) -> list[Known]:
        """Certificates that were met: those that expire first, and behind them those that have ended."""
        return self._read(lambda c: revocation.certificates(c, limit, now))

    def forget(self, before: datetime) -> int:
        """Forget certificates that ended before a time, and what was learned of them but revocations."""
        return self._write(lambda c: revocation.forget(c, before))

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
            if held.received_at == submission.received_at:  # else these bytes waited already
                attesting.held(page, msgspec.structs.replace(submission, id=held.id))
            return held

        held = self._attest(hold)
        if held.id != submission.id:
            self._database.confirm()  # nothing may have been written, and its sender is told that it is kept
        return held

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

    def let_go(
        self, submission_id: str, became: str, told: Sequence[Outgoing] = (), due: Sequence[Delivery] = ()
    ) -> None:
        """A held submission was settled, as this one; ``told``: what its sender is to hear of that, with the
        deliveries of it.  Once is enough."""

        self._attest(lambda c, page: settling.let_go(c, submission_id, became, told, due, page))
