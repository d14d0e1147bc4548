"""Takes large submissions in: put away first, judged in a worker's own time, answered when that is done.

Who waits no longer than the door may let him is told that it is kept, and finds the receipt in his mailbox.  What
was kept is brought to its end by whoever finds that nobody works on it any more.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, DeferredSemaphore, maybeDeferred
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from gateway import inbound, security
from gateway.intake.door import HOLD, Intake
from gateway.intake.kept import Spool, another_s, dropped, put_away, remove, written
from gateway.intake.lane import Lane
from gateway.model import Answer, Finding, Pending, Place, Submission
from gateway.storage import (
    BODY,
    WORKING,
    GroupCommit,
    Holding,
    LedgerError,
    Overloaded,
    working,
)

log = logging.getLogger("gateway.intake.large")

ANSWER_SECONDS = 30.0
"""From its last octet until its sender is told that it is kept: half of what a door lets anybody wait."""
LEASE = timedelta(seconds=4)
RENEW_SECONDS = 1.0
"""Three renewals may fail or come late before another process takes it over."""
ASK_AGAIN = timedelta(seconds=60)
"""How soon it is proven anew where nobody could tell whether a certificate was revoked."""
ASIDE_AGAIN = timedelta(minutes=10)
"""Likewise where workers ended over it: memory may be there again, or the operator has looked."""
PUT_AWAY_AT_ONCE = 2
"""Of a process: each takes a thread and half of a disk's time."""
LATE = "SIG304"

Told = (Finding(WORKING),)
"""What is said of one that is worked on; by whom is nobody's business."""


class Large:
    """Large submissions of one process.

    ``lanes``: where an owner has them settled, one after the other, away from all others; ``owner``: this process;
    ``spool``: where their octets lie while they are worked on.  ``judged``: is told of each how many seconds
    after it was received.
    """

    def __init__(
        self,
        intake: Intake,
        commits: GroupCommit,
        lanes: Callable[[str], Lane],
        reactor: Any,
        owner: str,
        spool: Spool,
        *,
        seconds: float = ANSWER_SECONDS,
        hold: timedelta = HOLD,
        judged: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._intake = intake
        self._commits = commits
        self._lanes = lanes
        self._reactor = reactor
        self._owner = owner
        self._spool = spool
        self._seconds = seconds
        self._hold_for = hold
        self._judged = judged
        self._keeping = DeferredSemaphore(PUT_AWAY_AT_ONCE)

    async def submit(self, submission: Submission) -> Answer | Pending:
        """As Intake.submit, for a submission whose octets are in a file, which is removed in the end.

        Pending where it takes longer, or where the same bytes are worked on already.
        """
        began = self._reactor.seconds()
        try:
            found = await self._found(submission)
            if not isinstance(found, Submission):
                return found
            submission = found
            owner = f"{self._owner}:{submission.id}:{os.urandom(4).hex()}"
            kept = await self._keep(submission, owner)
        except BaseException:
            remove(submission)
            raise
        if kept is not None:
            remove(submission)
            return kept
        work = Deferred.fromCoroutine(self._finish(submission, owner))
        return await self._in_time(submission, work, began)

    async def resume(self) -> bool:
        """Bring one to its end that nobody works on any more; False where there is none."""
        owner = f"{self._owner}:{os.urandom(8).hex()}"
        now = self._intake.now()
        found: Submission | None = await self._commits.call("take_over", owner, now, now + LEASE)
        if found is None:
            return False
        await self._resume(found, owner)
        return True

    async def _resume(self, submission: Submission, owner: str) -> None:
        log.warning("taken over", extra={"submission": submission.id})
        renewing = self._renew(submission, owner)
        try:
            file = await self._commits.with_ledger(lambda ledger: written(ledger, submission, self._spool))
        finally:
            renewing.stop()
        if not file:
            # Its sender was not told yet that it is kept, and sends it again.
            await self._refused(submission, owner, ())
            return
        submission = msgspec.structs.replace(submission, file=file)
        try:
            await self._finish(submission, owner, submission.received_at)
        except (security.Refused, inbound.Unreadable) as refused:
            log.info("refused", extra={"submission": submission.id, "code": refused.findings[0].code})

    async def _found(self, submission: Submission) -> Answer | Pending | Submission:
        """What is known of these bytes; the submission, under the id that they had before, where that is nothing."""
        known: Answer | None = await self._commits.call("known", submission.partner, submission.digest)
        if known is not None:
            remove(submission)
            return known
        held: Holding | None = await self._commits.call("held_as", submission.partner, submission.digest)
        if held is None:
            return submission
        if held.became != held.id:
            remove(submission)
            return Pending(held.id, Told, repeated=True)
        return msgspec.structs.replace(submission, id=held.id)

    async def _keep(self, submission: Submission, owner: str) -> Answer | Pending | None:
        """Put it away durably; None where it is this process's to work on, else what its sender is told."""
        with another_s():
            rows: int = await self._keeping.run(
                self._commits.with_ledger, lambda ledger: put_away(ledger, submission)
            )
        until = self._intake.now() + LEASE
        mine = (working(owner),)
        kept: Holding = await self._commits.call("hold", submission, mine, (), until, ())
        if kept.findings == mine:
            if await self._commits.call("slice_count", submission.id, BODY) == rows:
                return None
            # The same bytes came twice at once under the id that they had when they were refused before, and who
            # began second forgot what was there: nobody was told that they are kept.
            await self._refused(submission, owner, ())
            raise Overloaded("put away by two at once")
        if kept.id != submission.id:
            await self._commits.with_ledger(lambda ledger: dropped(ledger, submission))
        if kept.became:
            # Settled between our look and our hold: its answer is there now.
            known: Answer | None = await self._commits.call("known", submission.partner, submission.digest)
            if known is not None:
                return known
        return Pending(kept.id, Told, repeated=True)

    def _in_time(
        self, submission: Submission, work: Deferred[Answer | Pending], began: float
    ) -> Deferred[Answer | Pending]:
        """The answer; or, where that takes too long, that it will come."""
        told: Deferred[Answer | Pending] = Deferred()

        def late() -> None:
            told.callback(Pending(submission.id, Told))

        def ended(result: Any) -> None:
            if timer.active():
                timer.cancel()
            if not told.called:
                told.callback(result)  # a failure is one there too
            elif isinstance(result, Failure):
                _told_later(result, submission)

        left = max(0.0, began + self._seconds - self._reactor.seconds())
        timer = self._reactor.callLater(left, late)
        work.addBoth(ended)
        return told

    async def _finish(
        self, submission: Submission, owner: str, at: datetime | None = None
    ) -> Answer | Pending:
        """Judge and settle, while nobody else may; then nothing of it waits any more."""
        renewing = self._renew(submission, owner)
        try:
            answer = await self._settled(submission, owner, at)
            if isinstance(answer, Answer):
                took = self._intake.now() - submission.received_at
                self._judged(took.total_seconds())
                if answer.submission != submission.id:
                    await self._commits.with_ledger(lambda ledger: dropped(ledger, submission))
        except (security.Refused, inbound.Unreadable) as refused:
            await self._refused(submission, owner, refused.findings)
            await self._intake.note_refusal(submission, refused)
            raise
        finally:
            renewing.stop()
            remove(submission)
        return answer

    async def _settled(self, submission: Submission, owner: str, at: datetime | None) -> Answer | Pending:
        deadline = submission.received_at + self._hold_for
        waits = self._intake.now() < deadline
        try:
            return await self._judge(submission, owner, None, at)
        except inbound.Unreadable as aside:
            if not waits or aside.findings[0].code != inbound.SET_ASIDE:
                raise
            return await self._wait(submission, owner, aside.findings, ASIDE_AGAIN)
        except security.Held as held:
            if waits:
                return await self._wait(submission, owner, held.findings, ASK_AGAIN)
            late = Finding(
                LATE, Place(part="certificate"), f"{deadline:%Y-%m-%dT%H:%M:%SZ}", held.findings[0].found
            )
            return await self._judge(submission, owner, late, submission.received_at)
        except LedgerError:
            known: Answer | None = await self._commits.call("known", submission.partner, submission.digest)
            if known is None:
                with another_s():
                    raise
            return known

    async def _wait(
        self, submission: Submission, owner: str, findings: tuple[Finding, ...], time: timedelta
    ) -> Pending:
        """Nothing can be said of it now, and nothing is wrong with it: somebody looks again after a time."""
        await self._commits.call("renew_held", submission.id, owner, self._intake.now() + time)
        return Pending(submission.id, findings)

    async def _judge(
        self, submission: Submission, owner: str, sunk: Finding | None, at: datetime | None
    ) -> Answer:
        return self._intake.ended(await self._lanes(owner).settle(submission, sunk, at))

    async def _refused(self, submission: Submission, owner: str, findings: tuple[Finding, ...]) -> None:
        if await self._commits.call("refuse_held", submission.id, owner, findings):
            await self._commits.with_ledger(lambda ledger: dropped(ledger, submission))

    def _renew(self, submission: Submission, owner: str) -> LoopingCall:
        def again() -> Any:
            until = self._intake.now() + LEASE
            # Too much to do is said at once, and would end this loop for good.
            renewed = maybeDeferred(self._commits.call, "renew_held", submission.id, owner, until)
            return renewed.addErrback(lambda failure: log.warning("not renewed: %s", failure.value))

        call = LoopingCall(again)
        call.clock = self._reactor
        call.start(RENEW_SECONDS, now=False)
        return call


def _told_later(failure: Failure, submission: Submission) -> None:
    """Its sender was told that it is kept: refused, it is said by its status; else it is taken up again."""
    error, told = failure.value, {"submission": submission.id}
    if isinstance(error, security.Refused | inbound.Unreadable):
        log.info("refused", extra=told | {"code": error.findings[0].code if error.findings else ""})
    elif isinstance(error, LedgerError | Overloaded | security.KeyUnusable):
        log.warning("waits: %s", error, extra=told)
    else:
        log.error("not judged: %s", failure.getTraceback(), extra=told)
