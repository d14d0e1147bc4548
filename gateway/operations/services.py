"""What the doors ask for, given by the intake and the ledger."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway import inbound, security, storage, transport
from gateway.handbook import Handbook
from gateway.intake import HELD, LARGE, REVOCATION, Intake, Large
from gateway.model import Answer, Catalogue, Event, Outgoing, Pending, Register, Submission
from gateway.operations.desk import Desk
from gateway.operations.readiness import Parts, Readiness
from gateway.operations.server import BACKEND
from gateway.storage import GroupCommit
from gateway.transport.desk import Asked

T = TypeVar("T")
REFUSED = "refused"
"""What is said of one that was kept and then turned out to be nobody's: there is no receipt."""

AWAY = (security.KeyUnusable, storage.Overloaded, storage.LedgerUnavailable)
"""The ledger or the signing key is not to be had, or cannot keep up: the sender is to come again."""

log = logging.getLogger("gateway.services")


class Doorkeeping:
    """The doors' services over one ledger; implements transport.Services."""

    def __init__(
        self,
        intake: Intake,
        commits: GroupCommit,
        handbook: Callable[[], Handbook],
        readiness: Readiness,
        large: Large | None = None,
    ) -> None:
        self._readiness = readiness
        self._intake = intake
        self._large = large
        self._commits = commits
        self._handbook = handbook

    @property
    def register(self) -> Register:
        """The partners as they are now."""
        return self._handbook().register

    @property
    def catalogue(self) -> Catalogue:
        """The meanings of findings as they are now."""
        return self._handbook().catalogue

    async def submit(self, submission: Submission) -> Answer | Pending:
        """Judge and commit, or keep.  Raises transport.Refusal and transport.Overloaded."""
        try:
            if submission.file and self._large is not None:
                return await self._large.submit(submission)
            return await self._intake.submit(submission)
        except security.Refused as refused:
            raise transport.Refusal(refused.findings, 403) from refused
        except inbound.Unreadable as unreadable:
            raise transport.Refusal(unreadable.findings, 422) from unreadable
        except AWAY as away:
            raise _overloaded(away) from away

    def status(
        self, partner: str, submission_id: str, after: int, limit: int
    ) -> Deferred[transport.Status | None]:
        """What became of a submission that this partner filed or signed."""
        return _deferred(self._status(partner, submission_id, after, limit))

    async def _status(
        self, partner: str, submission_id: str, after: int, limit: int
    ) -> transport.Status | None:
        asked = (partner, submission_id, after, limit)
        known: storage.Status | None = await self._commits.call("status", *asked)
        if known is None:
            return await self._held(*asked)
        catalogue = self.catalogue
        return transport.Status(
            submission=known.submission,
            reference=known.reference,
            outcome=known.outcome.value,
            received_at=known.received_at,
            receipt=known.receipt,
            messages=tuple(
                transport.MessageStatus(
                    ordinal=m.ordinal,
                    type=m.type,
                    reference=m.reference,
                    outcome=m.outcome.value,
                    lrn=m.lrn,
                    registration=m.registration,
                    decision=m.decisions[-1].kind.value if m.decisions else "",
                    findings=tuple(transport.said(f, catalogue) for f in m.findings),
                )
                for m in known.messages
            ),
            timeline=known.timeline,
            findings=tuple(transport.said(f, catalogue) for f in known.findings),
            next=known.next,
        )

    async def _held(
        self, partner: str, submission_id: str, after: int, limit: int
    ) -> transport.Status | None:
        """A submission that is held; what it became, where that has another id."""
        held: storage.Holding | None = await self._commits.call("holding", partner, submission_id)
        if held is None:
            return None
        if held.became and held.became != submission_id:
            return await self._status(partner, held.became, after, limit)
        if held.became and (held.certificates or not held.findings):
            return None
        catalogue = self.catalogue
        why = LARGE if held.large else REVOCATION
        return transport.Status(
            submission=held.id,
            reference="",
            outcome=REFUSED if held.became else HELD,
            received_at=held.received_at,
            receipt="",
            timeline=(Event(held.id, held.received_at, HELD, why),),
            findings=tuple(transport.said(finding, catalogue) for finding in held.told),
        )

    def mailbox(
        self, partner: str, after: str, limit: int, acknowledged: bool
    ) -> Deferred[list[transport.Entry]]:
        """The partner's waiting messages, oldest first."""
        return _deferred(self._mailbox(partner, after, limit, acknowledged))

    async def _mailbox(
        self, partner: str, after: str, limit: int, acknowledged: bool
    ) -> list[transport.Entry]:
        entries: list[storage.Entry] = await self._commits.call(
            "mailbox", partner, after, limit, acknowledged
        )
        return [
            transport.Entry(
                id=e.id,
                kind=e.kind,
                about=e.about,
                reference=e.reference,
                media_type=e.media_type,
                size=e.size,
                created_at=e.created_at,
                acknowledged_at=e.acknowledged_at,
            )
            for e in entries
        ]

    def fetch(self, partner: str, outgoing_id: str) -> Deferred[Outgoing | None]:
        """One message of the partner's mailbox."""
        return _deferred(self._fetch(partner, outgoing_id))

    async def _fetch(self, partner: str, outgoing_id: str) -> Outgoing | None:
        outgoing: Outgoing | None = await self._commits.call("fetch", partner, outgoing_id)
        return outgoing

    def acknowledge(self, partner: str, ids: list[str]) -> Deferred[int]:
        """Mark as received, durably."""
        return _deferred(self._acknowledge(partner, ids))

    async def _acknowledge(self, partner: str, ids: list[str]) -> int:
        count: int = await self._commits.call("acknowledge", partner, ids)
        return count

    def at_desk(self, asked: Asked[T]) -> Deferred[T]:
        """What an operator asks or does, in a thread of the ledger's."""
        return _deferred(self._at_desk(asked))

    async def _at_desk(self, asked: Asked[T]) -> T:
        done: T = await self._commits.with_ledger(
            lambda ledger: asked(Desk(ledger, self._handbook, self._intake.now, BACKEND))
        )
        return done

    def ready(self) -> Deferred[Parts]:
        """Whether work can be committed; a gateway that cannot must not be given any."""
        return _deferred(self._readiness.parts())


def _deferred(work: Coroutine[Any, Any, T]) -> Deferred[T]:
    """Fails with transport.Overloaded where the ledger or the signing key is away, or cannot keep up."""
    return Deferred.fromCoroutine(work).addErrback(_away)


def _away(failure: Failure) -> Failure:
    if isinstance(failure.value, AWAY):
        raise _overloaded(failure.value) from failure.value
    return failure


def _overloaded(away: BaseException) -> transport.Overloaded:
    if isinstance(away, security.KeyUnusable):
        log.error("nothing can be signed: %s", away)
    return transport.Overloaded()
