"""Brings held submissions to their end: judged as soon as somebody can tell, refused when time runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from gateway import inbound, security
from gateway.handbook import Handbook
from gateway.intake.door import Intake
from gateway.model import Answer, Channel, Finding, Outgoing, Place, Submission
from gateway.storage import GroupCommit, Holding, LedgerUnavailable, Overloaded, copied, push_of

log = logging.getLogger("gateway.intake.held")

ROUND = 1_000
"""Held submissions looked at in one round, oldest first; the next round goes on behind them."""

AGAIN = timedelta(seconds=2)
"""How soon all are looked at again where nothing more is known: for those that came meanwhile, and for time
that runs out."""

MAX_TRIED = 100_000
"""Held submissions that are remembered to wait for something else than they said."""

AT_ONCE = 20
"""Of them, judged in one round, so that other work on the same thread gets its turn."""

AFTER_FAULT = timedelta(minutes=5)
"""How soon one is tried again that we failed over."""

LATE = "SIG304"


class Resuming:
    """Looks through what is held whenever more is known, or time has passed."""

    def __init__(
        self,
        intake: Intake,
        commits: GroupCommit,
        handbook: Callable[[], Handbook],
        clock: Callable[[], datetime],
        on_count: Callable[[int], None] = lambda count: None,
    ) -> None:
        self._intake = intake
        self._commits = commits
        self._handbook = handbook
        self._clock = clock
        self._on_count = on_count
        self._tried: dict[str, int] = {}
        self._failed: dict[str, datetime] = {}
        self._version = -1
        self._after = ""
        self._look_at = clock()

    async def round(self) -> bool:
        """Settle what can be; True where there may be more at once.

        A process that is killed in between leaves the submission held or settled, never both twice: its
        bytes are claimed by the settlement, and the same bytes get the same answer.
        """
        self._on_count(await self._commits.call("held_count"))
        now, version = self._clock(), self._handbook().trust.revocations.version
        if version != self._version:
            self._version, self._after, self._look_at = version, "", now
        if now < self._look_at:
            return False
        page: list[Holding] = await self._commits.call("holdings", self._after, ROUND)
        ready = self._ready(page, now)
        for holding in ready[:AT_ONCE]:
            await self._try(holding, now)
        if len(ready) > AT_ONCE:
            return True
        self._after = page[-1].id if len(page) == ROUND else ""
        if not self._after:
            self._look_at = now + AGAIN
        return bool(self._after)

    def _ready(self, page: list[Holding], now: datetime) -> list[Holding]:
        """Those that can be judged now, or whose time has run out."""
        handbook = self._handbook()
        unknown: dict[tuple[bytes, ...], bool] = {}
        ready = []
        for holding in page:
            if self._failed.get(holding.id, now) > now:
                continue
            if holding.certificates not in unknown:
                unknown[holding.certificates] = _still_unknown(holding, handbook)
            tried = self._tried.get(holding.id) == self._version
            if now >= holding.deadline or not (unknown[holding.certificates] or tried):
                ready.append(holding)
        return ready

    async def _try(self, holding: Holding, now: datetime) -> None:
        """Resume one; a fault of ours over it holds up none of the others, and is told again and again."""
        self._failed.pop(holding.id, None)
        try:
            await self._resume(holding, now)
        except (LedgerUnavailable, Overloaded, security.KeyUnusable):
            raise  # it is not about this one: all are looked at again when that is over
        except Exception:
            # The whole journey over octets that a stranger chose: an error of ours must not end this for all.
            log.exception("held and not resumed", extra={"submission": holding.id})
            self._put_off(holding, now)

    def _put_off(self, holding: Holding, now: datetime) -> None:
        if len(self._failed) >= MAX_TRIED:
            self._failed.clear()
        self._failed[holding.id] = now + AFTER_FAULT

    async def _resume(self, holding: Holding, now: datetime) -> None:
        submission: Submission | None = await self._commits.call("held_submission", holding.id)
        if submission is None:
            return
        if not await self._intake.registered(submission.partner):
            await self._lost(holding, "the partner is no longer registered")
            return
        try:
            answer = await self._intake.resume(submission)
        except security.Held as held:
            if now < holding.deadline:
                # Something else of it, a time stamp's signer, is unknown too: look again when more is known.
                if len(self._tried) >= MAX_TRIED:
                    self._tried.clear()
                self._tried[holding.id] = self._version
                return
            place = Place(part="certificate")
            late = Finding(LATE, place, f"{holding.deadline:%Y-%m-%dT%H:%M:%SZ}", held.findings[0].found)
            await self._refuse(holding, submission, late)
        except security.Refused as refused:
            await self._refuse(holding, submission, refused.findings[0])
        except inbound.Unreadable as unreadable:
            if unreadable.findings[0].code == inbound.SET_ASIDE and now < holding.deadline:
                # Our fault, not its: the operator may let it be tried again.
                self._put_off(holding, now)
                log.error("held, and set aside until somebody looks", extra={"submission": holding.id})
                return
            await self._lost(holding, str(unreadable))
        else:
            await self._let_go(
                holding, answer.submission, answer.outcome.value, self._copy(holding, answer, now)
            )

    async def _refuse(self, holding: Holding, submission: Submission, reason: Finding) -> None:
        """A signed answer that rejects it; we know who signed, only not that they still might."""
        try:
            answer = await self._intake.resume(submission, reason)
        except (security.Refused, inbound.Unreadable) as unanswerable:
            await self._lost(holding, f"{reason.code}; {unanswerable}")
            return
        await self._let_go(holding, answer.submission, reason.code)

    async def _lost(self, holding: Holding, why: str) -> None:
        """Nobody can be answered any more; what is left is the note of it."""
        log.error("held and not to be answered: %s", why, extra={"submission": holding.id})
        await self._let_go(holding, holding.id, "unanswerable")

    def _copy(self, holding: Holding, answer: Answer, now: datetime) -> list[Outgoing]:
        """The receipt, for who heard no more than that its octets are held, where another's same octets were
        settled before."""
        if not answer.repeated or answer.receipt.partner == holding.partner:
            return []
        return [copied(answer.receipt, holding.id, holding.partner, now)]

    async def _let_go(self, holding: Holding, became: str, how: str, told: Sequence[Outgoing] = ()) -> None:
        partner = self._handbook().register.partners.get(holding.partner)
        pushed = partner is not None and partner.channel is Channel.PUSH
        due = list(map(push_of, told)) if pushed else []
        await self._commits.call("let_go", holding.id, became, told, due)
        log.info("no longer held", extra={"submission": holding.id, "outcome": how})


def _still_unknown(holding: Holding, handbook: Handbook) -> bool:
    """True where the chain that it waits for is still one that nobody can speak of: a quick look before
    the whole journey."""
    try:
        handbook.trust.prove(holding.certificates, handbook.policy, holding.received_at)
    except security.Held:
        return True
    except security.Refused:
        return False
    return False
