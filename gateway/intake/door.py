"""Takes submissions in: inspected, answered, settled in one commit with all their effects."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway import inbound, security
from gateway.handbook import Handbook
from gateway.intake.abreast import Abreast
from gateway.intake.effects import REVOCATION, settlement
from gateway.intake.journey import Worked, drafting, sealed, working
from gateway.intake.numbers import Numbers
from gateway.intake.settled import TRIES, Settled, settled, used
from gateway.model import Answer, Channel, Finding, Pending, Register, Submission
from gateway.storage import Clash, GroupCommit, Holding, LedgerUnavailable, Overloaded, Settlement, Sighting

log = logging.getLogger("gateway.intake")

T = TypeVar("T")

INLINE_BYTES = 64 * 1024
"""Up to this a submission is inspected on the reactor's thread: some ten milliseconds at most, where a
hand-off would cost more than it saves.  Larger ones go to a worker process."""

HOLD = timedelta(hours=24)
"""How long a submission is held where the operator does not say."""

MET_AGAIN = timedelta(hours=1)
"""How exactly it is known when a certificate was last used."""

MAX_MET = 20_000
"""Certificates that a process remembers to have noted."""


class Workers(Protocol):
    """Where large submissions are worked on, away from the reactor's thread."""

    def work(
        self, submission: Submission, sunk: Finding | None, at: datetime | None = None
    ) -> Deferred[Worked]:
        """As journey.work."""
        ...


class Aside(Protocol):
    """Calls a function in a thread of its own."""

    def __call__(self, function: Callable[..., Worked], *args: object) -> Awaitable[Worked]: ...


class Intake:
    """Takes submissions in.

    ``hold``: how long one waits for what nobody could tell.  ``refresh``: brings ``handbook`` up to the
    ledger's register; without it, the register is read here.  ``aside``: where signing is done that has to
    wait for another device.  ``publish``: the broker that accepted declarations go to as well.  ``abreast``: with
    which others a submission goes; without it, each goes by itself.  ``suspected``: whether a process may have ended
    over octets with this SHA-256, which only a worker judges then.  ``inline``: up to how many octets others are
    judged here.
    """

    def __init__(
        self,
        commits: GroupCommit,
        numbers: Numbers,
        handbook: Callable[[], Handbook],
        key: security.Signatory,
        clock: Callable[[], datetime],
        backend: str,
        workers: Workers | None = None,
        on_settled: Callable[[], None] = lambda: None,
        hold: timedelta = HOLD,
        refresh: Callable[[], Awaitable[object]] | None = None,
        aside: Aside | None = None,
        on_late: Callable[[int], None] = lambda count: None,
        publish: str = "",
        abreast: Abreast | None = None,
        suspected: Callable[[str], bool] = lambda digest: False,
        inline: int = INLINE_BYTES,
    ) -> None:
        self._commits = commits
        self._numbers = numbers
        self._handbook = handbook
        self._key = key
        self._clock = clock
        self._settlement = partial(settlement, backend=backend, publish=publish)
        self._workers = workers
        self._on_settled = on_settled
        self._on_late = on_late
        self._hold_for = hold
        self._refresh = refresh
        self._aside = aside
        self._abreast = abreast
        self._suspected = suspected
        self._inline = inline
        self._newest: Register | None = None
        self._met: dict[bytes, datetime] = {}

    def now(self) -> datetime:
        """The time by the gateway's clock, aware, UTC."""
        return self._clock()

    async def submit(self, submission: Submission) -> Answer | Pending:
        """The answer, once it is durable.  The same bytes get the same answer.

        Pending where the policy is to wait until somebody can tell whether a certificate was revoked.
        Raises security.Refused and inbound.Unreadable where there is nobody to answer or nothing to
        answer with, storage.Overloaded where the ledger cannot keep up.
        """
        try:
            return await self.settle(lambda finding: self._judged(submission, finding))
        except (security.Refused, inbound.Unreadable) as refused:
            return await self._unanswered(submission, refused)

    async def _unanswered(
        self, submission: Submission, refused: security.Refused | inbound.Unreadable, *, again: bool = True
    ) -> Answer | Pending:
        """The answer given before, or that it is held; else raise the refusal once it stands whatever
        another process changed of partners and mandates meanwhile."""
        known: Answer | None = await self._commits.call("known", submission.partner, submission.digest)
        if known is not None:
            return known
        if isinstance(refused, security.Held):
            return await self._hold(submission, refused)
        if again and await self._commits.call("register_version") != self._knowledge().register.version:
            await self._catch_up()
            try:
                return await self.settle(lambda finding: self._judged(submission, finding))
            except (security.Refused, inbound.Unreadable) as still:
                return await self._unanswered(submission, still, again=False)
        await self.note_refusal(submission, refused)
        raise refused

    async def resume(self, submission: Submission, sunk: Finding | None = None) -> Answer:
        """The answer to a submission that was held, judged as of when it was received.

        ``sunk``: the finding that it is rejected for.  Raises security.Held where it must wait on, Refused
        and inbound.Unreadable where it cannot be answered as it is.
        """
        return await self.settle(lambda finding: self._resumed(submission, finding or sunk))

    async def registered(self, partner: str) -> bool:
        """Whether the partner is registered as of now, by whatever process; from here on it is judged by that."""
        if await self._commits.call("register_version") != self._knowledge().register.version:
            await self._catch_up()
        return partner in self._knowledge().register.partners

    async def settle(self, judge: Callable[[Finding | None], Awaitable[Settlement]]) -> Answer:
        """Judge, and settle in one commit; judge again where the reference is another's, or where a
        partner or mandate changed between the two."""
        finding = None
        for _ in range(TRIES):
            settlement = await judge(finding)
            answer = await self._commits.settle(settlement)
            if isinstance(answer, Answer):
                return self.ended(settled(settlement, answer))
            if isinstance(answer, Clash):
                finding = used(answer)
            else:
                await self._catch_up()
        raise Overloaded("the register changes faster than this can be settled")

    def ended(self, one: Settled) -> Answer:
        """One was settled, here or in another process: who has to do with it is told."""
        self._on_settled()
        if one.late:
            self._on_late(one.late)
        self._note(one.chains)
        return one.answer

    async def _catch_up(self) -> None:
        """Have the register as it is now."""
        if self._refresh is not None:
            await self._refresh()
        else:
            self._newest = await self._commits.call("refreshed", self._knowledge().register)

    async def note_refusal(
        self, submission: Submission, refused: security.Refused | inbound.Unreadable
    ) -> None:
        """Keep a note of who was refused, for audit."""
        code = refused.findings[0].code if refused.findings else ""
        await self._commits.call(
            "refuse",
            submission.partner,
            submission.channel,
            code,
            submission.digest,
            submission.received_at,
        )

    async def _hold(self, submission: Submission, held: security.Held) -> Answer | Pending:
        """Keep it durably; the same bytes are kept once, and are told the same."""
        deadline = submission.received_at + self._hold_for
        met = tuple(sightings(held.certificates, "sign"))
        kept: Holding = await self._commits.call(
            "hold", submission, held.findings, held.certificates, deadline, met
        )
        if kept.became:
            # Settled between our look and our hold: its answer is there now.
            known: Answer | None = await self._commits.call("known", submission.partner, submission.digest)
            if known is not None:
                return known
        log.info("held", extra={"submission": kept.id, "code": held.code})
        return Pending(kept.id, kept.findings, repeated=kept.id != submission.id)

    async def _judged(self, submission: Submission, sunk: Finding | None) -> Settlement:
        worked, now = await self._worked(submission, sunk)
        return self._settled(submission, worked, sunk, now)

    async def _resumed(self, submission: Submission, sunk: Finding | None) -> Settlement:
        worked, now = await self._worked(submission, sunk, submission.received_at)
        return self._settled(submission, worked, sunk, now, held=REVOCATION)

    def _settled(
        self, submission: Submission, worked: Worked, sunk: Finding | None, now: datetime, held: str = ""
    ) -> Settlement:
        pushed, claim = self._is_pushed(worked), sunk is None
        return self._settlement(submission, worked, now=now, claim=claim, pushed=pushed, held=held)

    async def _worked(
        self, submission: Submission, sunk: Finding | None, at: datetime | None = None
    ) -> tuple[Worked, datetime]:
        """As journey.work, by a worker where it is large or suspect; and when that was done."""
        suspect = self._suspected(submission.digest)
        if self._workers is not None and (suspect or len(submission.body) > self._inline):
            try:
                worked = await self._workers.work(submission, sunk, at)
                return worked, self._clock()
            except security.KeyUnusable:
                # A worker that began lately has not the key that goes on here from memory.
                if suspect:
                    raise
        await self._numbers.ahead(self._commits.call)
        now = self._clock()
        return await self._here(submission, now, sunk, at), now

    async def _here(
        self, submission: Submission, now: datetime, sunk: Finding | None, at: datetime | None
    ) -> Worked:
        """As journey.work.  A key in a token is asked from another thread: it may take its time."""
        key, book, numbers = self._key.signing(now), self._knowledge(), self._numbers.take
        if key.remote and self._aside is not None:
            drafts = await self._made(drafting(submission, book, numbers, now, sunk, at), submission)
            return await self._aside(sealed, drafts, key, now)
        return await self._made(working(submission, book, key, numbers, now, sunk, at), submission)

    async def _made(self, steps: inbound.Steps[T], submission: Submission) -> T:
        if self._abreast is None:
            return inbound.at_once(steps)
        return await self._abreast.take(steps, submission.digest)

    def _knowledge(self) -> Handbook:
        """As it is now; with the register that was read meanwhile, where that is newer."""
        handbook, newest = self._handbook(), self._newest
        if newest is None or (newest.version or 0) <= (handbook.register.version or 0):
            self._newest = None
            return handbook
        return handbook.with_register(newest)

    def _is_pushed(self, worked: Worked) -> bool:
        partner = self._knowledge().register.partners[worked.verdict.route.partner]
        return partner.channel is Channel.PUSH

    def _note(self, chains: Iterable[tuple[bytes, ...]]) -> None:
        """Tell the ledger, soon and without waiting, which certificates are in use."""
        if self._handbook().policy.revocation == "off":
            return
        now = self._clock()
        for chain in chains:
            if self._met.get(chain[0], now - MET_AGAIN) > now - MET_AGAIN:
                continue
            if len(self._met) >= MAX_MET:
                self._met.clear()
            self._met[chain[0]] = now
            self._sight(sightings(chain, "sign"), now)

    def _sight(self, met: list[Sighting], now: datetime) -> None:
        try:
            noted = self._commits.call("sight", met, now)
        except Overloaded:
            return  # stopping; the next message with it notes it
        noted.addErrback(_away)


def sightings(certificates: tuple[bytes, ...], use: str) -> list[Sighting]:
    """The certificates of a proven chain (DER, the anchor last) as the ledger notes them."""
    return [
        Sighting(m.fingerprint, m.der, m.issuer, m.subject, m.not_after, use)
        for m in security.met_in(certificates)
    ]


def _away(failure: Failure) -> Failure | None:
    """The ledger is away for now: what was not noted is noted with a later message."""
    return None if isinstance(failure.value, LedgerUnavailable | Overloaded) else failure
