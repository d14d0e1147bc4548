"""Intake: where the inbound journey meets the ledger.  Commit, then speak."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec
from twisted.internet.defer import Deferred

from gateway import inbound, outbound, security
from gateway.handbook import Handbook
from gateway.model import (
    Answer,
    Channel,
    Delivery,
    Event,
    Finding,
    Judged,
    Outcome,
    Outgoing,
    Place,
    Submission,
    Verdict,
)
from gateway.model.finding import worst
from gateway.storage import Clash, GroupCommit, Ledger, Settlement

log = logging.getLogger("gateway.intake")

INLINE_BYTES = 64 * 1024
"""Up to this a submission is inspected on the reactor's thread: some ten milliseconds at most, where a
hand-off would cost more than it saves.  Larger ones go to a worker process."""

NO_MANDATE = "PAR003"
"""What routing.authority finds where no mandate joins filer and signer."""


class Numbers:
    """Durable, unique numbers for what the gateway sends, taken from the ledger in blocks."""

    BLOCK = 10_000

    def __init__(self, ledger: Ledger, name: str = "outgoing") -> None:
        self._ledger = ledger
        self._name = name
        self._left: range = range(0)

    def take(self, count: int = 1) -> list[str]:
        """``count`` numbers of at most 14 digits (EDIFACT 0020, an..14); unused ones of a block are
        lost when the process ends, never used twice."""
        taken: list[int] = []
        while len(taken) < count:
            if not self._left:
                self._left = self._ledger.references(self._name, self.BLOCK)
            want = count - len(taken)
            taken += self._left[:want]
            self._left = self._left[want:]
        return [str(n) for n in taken]


@dataclass(frozen=True, slots=True)
class Worked:
    """What the journey made of a submission, signed and ready to settle."""

    verdict: Verdict
    receipt: tuple[str, bytes]
    refusals: tuple[tuple[int, str, bytes], ...] = ()


def work(
    submission: Submission,
    handbook: Handbook,
    key: security.SigningKey,
    numbers: Callable[[int], Sequence[str]],
    now: datetime,
    clash: Finding | None = None,
) -> Worked:
    """Inspect, draft and sign.  Runs on the reactor's thread or in a worker; raises security.Refused.

    ``clash``: the finding that this reference was used before for other bytes; it rejects all.
    """
    inspected = inbound.inspect(submission, handbook, now)
    if clash is not None:
        inspected = _sunk(inspected, clash)
    verdict = inspected.verdict
    due = [m for m in verdict.messages if outbound.beyond_syntax(m, handbook)]
    if verdict.route.syntax == "xml" or worst(verdict.findings):
        due = []
    first, *rest = numbers(1 + len(due))
    draft = outbound.receipt(verdict, inspected.interchange, handbook, first, now)
    receipt = outbound.seal(draft, verdict.route, key, now)
    refusals = []
    for message, number in zip(due, rest, strict=True):
        draft = outbound.refusal(message, verdict.route, handbook, number, now)
        refusals.append((message.ordinal, *outbound.seal(draft, verdict.route, key, now)))
    return Worked(verdict, receipt, tuple(refusals))


def _sunk(inspected: inbound.Inspected, clash: Finding) -> inbound.Inspected:
    """The same reading with every message rejected for one reason."""
    verdict = inspected.verdict
    messages = tuple(
        msgspec.structs.replace(m, outcome=Outcome.REJECTED, declaration=None) for m in verdict.messages
    )
    verdict = msgspec.structs.replace(
        verdict, outcome=Outcome.REJECTED, messages=messages, findings=(*verdict.findings, clash)
    )
    return inbound.Inspected(verdict, inspected.interchange)


class Workers(Protocol):
    """Where large submissions are worked on, away from the reactor's thread."""

    def work(self, submission: Submission, clash: Finding | None) -> Deferred[Worked]: ...


class Intake:
    """Takes submissions in: inspected, answered, settled in one commit with all their effects."""

    def __init__(
        self,
        commits: GroupCommit,
        numbers: Numbers,
        handbook: Callable[[], Handbook],
        key: security.SigningKey,
        clock: Callable[[], datetime],
        backend: str,
        workers: Workers | None = None,
        on_settled: Callable[[], None] = lambda: None,
    ) -> None:
        self._commits = commits
        self._numbers = numbers
        self._handbook = handbook
        self._key = key
        self._clock = clock
        self._backend = backend
        self._workers = workers
        self._on_settled = on_settled

    def use(self, key: security.SigningKey) -> None:
        """Sign with another key from the next message on."""
        self._key = key

    def now(self) -> datetime:
        """The time by the gateway's clock, aware, UTC."""
        return self._clock()

    async def submit(self, submission: Submission) -> Answer:
        """The answer, once it is durable.  The same bytes get the same answer.

        Raises security.Refused and inbound.Unreadable where there is nobody to answer or nothing to
        answer with, storage.Overloaded where the ledger cannot keep up.
        """
        try:
            settlement = await self._settlement(submission)
        except (security.Refused, inbound.Unreadable) as refused:
            known: Answer | None = await self._commits.call("known", submission.partner, submission.digest)
            if known is not None:
                return known
            code = refused.findings[0].code if refused.findings else ""
            await self._commits.call(
                "refuse",
                submission.partner,
                submission.channel,
                code,
                submission.digest,
                submission.received_at,
            )
            raise
        answer = await self._commits.settle(settlement)
        if isinstance(answer, Clash):
            answer = await self._commits.settle(await self._settlement(submission, answer))
        if isinstance(answer, Clash):
            raise RuntimeError("a settlement without a claim cannot clash")
        self._on_settled()
        return answer

    async def _settlement(self, submission: Submission, clash: Clash | None = None) -> Settlement:
        finding = None
        if clash is not None:
            finding = Finding("PAR007", Place(part="reference"), clash.reference, clash.submission)
        if self._workers is not None and len(submission.body) > INLINE_BYTES:
            worked = await self._workers.work(submission, finding)
            now = self._clock()
        else:
            now = self._clock()
            worked = work(submission, self._handbook(), self._key, self._numbers.take, now, finding)
        partner = self._handbook().register.partners[worked.verdict.route.partner]
        pushed = partner.channel is Channel.PUSH
        return settlement(submission, worked, self._backend, now, claim=clash is None, pushed=pushed)


def settlement(
    submission: Submission, worked: Worked, backend: str, now: datetime, *, claim: bool, pushed: bool = False
) -> Settlement:
    """All that one submission brings about, to be committed together.

    ``pushed``: who filed gets its messages pushed; the receipt is the answer to the submission itself.
    """
    verdict = worked.verdict
    media_type, body = worked.receipt
    receipt = Outgoing(
        id=f"{submission.id}.r",
        partner=verdict.route.partner,
        kind="receipt",
        about=submission.id,
        reference=verdict.reference,
        media_type=media_type,
        body=body,
        created_at=now,
    )
    answers = tuple(
        Outgoing(
            id=f"{submission.id}.{ordinal}.x",
            partner=verdict.route.partner,
            kind="rejected",
            about=f"{submission.id}.{ordinal}",
            reference=verdict.messages[ordinal - 1].lrn or verdict.reference,
            media_type=refusal_type,
            body=refusal,
            created_at=now,
        )
        for ordinal, refusal_type, refusal in worked.refusals
    )
    deliveries = tuple(
        Delivery(f"{submission.id}.{m.ordinal}", f"backend:{backend}", f"{submission.id}.{m.ordinal}", now)
        for m in verdict.messages
        if m.outcome is Outcome.ACCEPTED
    )
    if pushed:
        deliveries += tuple(Delivery(f"{a.id}.p", f"push:{a.partner}", a.id, now) for a in answers)
    return Settlement(
        submission=submission,
        verdict=verdict,
        receipt=receipt,
        deliveries=deliveries,
        events=tuple(_events(submission, verdict, now)),
        claim=claim and verdict.outcome is not Outcome.REJECTED,
        answers=answers,
        entitled=tuple(m.ordinal for m in verdict.messages if _entitled(m)),
    )


def _entitled(message: Judged) -> bool:
    """True where the message was read, and who filed it is its signer or has its signer's mandate."""
    return message.kind is not None and all(f.code != NO_MANDATE for f in message.findings)


def _events(submission: Submission, verdict: Verdict, now: datetime) -> Iterable[Event]:
    yield Event(submission.id, submission.received_at, "received", submission.channel)
    yield Event(submission.id, now, verdict.outcome.value, f"{len(verdict.messages)} message(s)")
