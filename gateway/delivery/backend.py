"""The courier to a back end: declarations there, decisions back, each with one effect."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from gateway import routing, security
from gateway.adapter import Backend, BackendUnavailable, Handover
from gateway.delivery.apart import each_readable, is_suspect, may_begin
from gateway.delivery.asking import Asking
from gateway.delivery.backoff import GIVE_UP_AFTER, delay
from gateway.delivery.breaker import Breakers
from gateway.delivery.courier import Courier, log
from gateway.delivery.leases import Leases
from gateway.delivery.saying import Numbering, Said, Saying, not_handed_over
from gateway.handbook import Handbook
from gateway.model import ACCEPTED, Decision, Delivery
from gateway.storage import GroupCommit, LedgerUnavailable

T = TypeVar("T")

BATCH = 50
"""Handovers and decisions in one round: enough to share commits, few enough to stay quick."""
LEASE = timedelta(seconds=3)
"""Another process, or this one after a fault, takes over what was claimed and not finished within this
time, and a courier looks within a second: less than the five that are promised.  A handover that was only
slow is then made twice, and its key sees to it that it counts once."""


HELP_AFTER = timedelta(seconds=2)
"""One node brings decisions back, or all would fetch and sign the same ones; the others take those that were left
for so long, as the one has died or has too much to do.  What two of them take is told once."""


class BackendCourier(Courier):
    """Carries due declarations to one back end and its decisions to the mailboxes."""

    def __init__(
        self,
        name: str,
        backend: Backend,
        commits: GroupCommit,
        numbers: Numbering,
        handbook: Callable[[], Handbook],
        key: security.Signatory,
        reactor: Any,
        pool: ThreadPool,
        clock: Callable[[], datetime],
        owner: str,
        on_decided: Callable[[], None] = lambda: None,
        on_answered: Callable[[bool], None] = lambda in_time: None,
        publish: str = "",
        on_duty: Callable[[], bool] = lambda: True,
        patience: float = 60.0,
    ) -> None:
        """``on_duty``: whether it is this node that brings decisions back at once.  ``on_answered``: told of each first
        decision for which a time was agreed, whether it came in time.  ``publish``: the broker that decisions go
        to as well, "" for none.  ``patience``: seconds that a call of the back end may take."""
        super().__init__(reactor, clock)
        self.name = f"backend:{name}"
        self._backend = backend
        self._commits = commits
        self._handbook = handbook
        self._saying = Saying(commits, numbers, handbook, key, self._in_thread, publish)
        self._pool = pool
        self._there = Asking(reactor, pool, patience)
        self._back = Asking(reactor, pool, patience)
        self._owner = owner
        self._on_decided = on_decided
        self._on_answered = on_answered
        self._on_duty = on_duty
        self._breakers = Breakers(self.name, commits, clock)
        self._leases = Leases(commits, reactor, clock, owner, LEASE)
        self._answers = f"answer:{name}"

    async def round(self) -> bool:
        await self.mind_clock(self._commits)
        handed = await self._hand_over()
        told = await self._tell_skipped()
        decided = await self._bring_back()
        return handed or told or decided

    def queues(self) -> tuple[str, ...]:
        return (self.name, self._answers)

    # -- there -----------------------------------------------------------------------------------

    async def _hand_over(self) -> bool:
        await self._breakers.look()
        due = await self._breakers.claim(self.name, self._owner, LEASE, BATCH)
        for delivery in due:
            self._leases.hold(delivery.id)
        try:
            return bool(due) and await self._carry(due)
        finally:
            for delivery in due:
                self._leases.let_go(delivery.id)

    async def _carry(self, due: Sequence[Delivery]) -> bool:
        """Hand over what was claimed; False where the back end is away."""
        of = {d.id: d for d in due}
        handovers = await self._read(due)
        suspects = [h for h in handovers if is_suspect(of[h.delivery])]
        sound = [h for h in handovers if not is_suspect(of[h.delivery])]
        try:
            if sound:
                await self._there.ask(self._backend.hand_over, sound, self._clock())
        except BackendUnavailable as error:
            await self._away([h.delivery for h in handovers], error)
            return False
        except LedgerUnavailable:
            raise  # in the midst of a very long one, which is read while it is taken: no fault of its own
        except Exception:  # noqa: BLE001
            # An adapter is anybody's code: whatever it raises, one poison declaration holds up no neighbour.
            log.exception("handover failed; each alone", extra={"courier": self.name})
            return await self._one_by_one(of, [*sound, *suspects])
        if sound:
            await self._breakers.worked(self.name)
            await self._commits.call("done", [h.delivery for h in sound], self._clock())
        return await self._one_by_one(of, suspects)

    async def _read(self, due: Sequence[Delivery]) -> list[Handover]:
        """What the deliveries hand over.  What this version cannot read waits for one that can, what carries
        nothing is dead."""
        ask = functools.partial(self._commits.call, "handovers")
        read, unread = await each_readable(ask, due)
        handovers: list[Handover] = [handover for some in read for handover in some]
        for delivery, error in unread:
            log.error("a declaration cannot be read", extra={"delivery": delivery.id})
            await self._again(delivery, error)
        known = {h.delivery for h in handovers} | {d.id for d, _ in unread}
        for orphan in [d for d in due if d.id not in known]:
            log.error("a delivery without a declaration", extra={"delivery": orphan.id})
            await self._commits.call("dead", orphan.id, "no declaration", self._clock(), self._owner)
        return handovers

    async def _away(self, ids: Sequence[str], error: BackendUnavailable) -> None:
        """The back end takes nothing from anybody: what waits for it has not been attempted."""
        again = await self._breakers.failed(self.name, str(error))
        await self._commits.call("put_back", self._owner, ids, again, str(error))

    async def _one_by_one(self, of: Mapping[str, Delivery], handovers: Sequence[Handover]) -> bool:
        """Each alone, ``of`` the deliveries by id; False where the back end is away."""
        for nth, handover in enumerate(handovers):
            for waiting in handovers[nth:]:
                self._leases.hold(waiting.delivery)  # each takes its own time
            delivery = of[handover.delivery]
            if is_suspect(delivery) and not await may_begin(
                self._commits, self._owner, delivery, self._clock()
            ):
                continue
            try:
                await self._there.ask(self._backend.hand_over, [handover], self._clock())
            except BackendUnavailable as error:
                await self._away([h.delivery for h in handovers[nth:]], error)
                return False
            except LedgerUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - as above: this one alone is tried again, and given up
                log.exception("handover failed", extra={"delivery": handover.delivery})
                await self._breakers.worked(self.name)  # it is there, and failed over this message alone
                await self._again(delivery, type(error).__name__)
            else:
                await self._breakers.worked(self.name)
                await self._commits.call("done", [handover.delivery], self._clock())
        return True

    async def _again(self, delivery: Delivery, error: str) -> None:
        attempts = delivery.attempts + 1
        if attempts >= GIVE_UP_AFTER:
            await self._commits.call("dead", delivery.id, error, self._clock(), self._owner)
            return
        due_at = self._clock() + delay(attempts, random.random())  # noqa: S311 - jitter, not a secret
        await self._commits.call("retry", delivery.id, due_at, error, self._owner)

    async def _tell_skipped(self) -> bool:
        """Who filed hears what an operator decided not to hand over; the message is refused by us."""
        call, now = self._commits.call, self._clock()
        if not await call("destinations", self._answers, now):
            return False
        due: list[Delivery] = await call("claim_due", self._answers, self._owner, now, LEASE, BATCH)
        if not due:
            return False
        why: dict[str, str] = await call("reasons", due)
        said = await self._saying.say([not_handed_over(d, why.get(d.id, ""), now) for d in due], now)
        await call("record", said.answers)
        told = {answer.decision.id for answer in said.answers}
        await call("done", [d.id for d in due if d.id in told], now)
        for delivery in [d for d in due if d.id not in told]:
            self._saying.unsaid.discard(delivery.id)
            await self._again(delivery, "the refusal cannot be said")
        self._on_decided()
        return True

    # -- and back --------------------------------------------------------------------------------

    async def _bring_back(self) -> bool:
        unsaid = self._saying.unsayable()
        offered: Sequence[Decision] = await self._back.ask(self._backend.decisions, BATCH + len(unsaid))
        decisions, now = [d for d in offered if d.id not in unsaid], self._clock()
        if not self._on_duty():
            decisions = [d for d in decisions if now - d.at >= HELP_AFTER]
        if not decisions:
            return False
        said = await self._saying.say(decisions, now)
        new: tuple[str, ...] = await self._commits.call("record", said.answers)
        self._tell_answered([d for d in decisions if d.id in new], said)
        await self._back.ask(self._backend.confirm, [answer.decision.id for answer in said.answers])
        self._on_decided()
        return True

    def _tell_answered(self, new: Sequence[Decision], said: Said) -> None:
        first: dict[str, datetime] = {}
        for decision in new:
            to = said.addressed.get(decision.message)
            if to is not None and to.state == ACCEPTED.value:  # nobody had decided before
                first[decision.message] = min(decision.at, first.get(decision.message, decision.at))
        for message, at in first.items():
            to = said.addressed[message]
            partner = said.handbook.register.partners.get(to.route.principal)
            agreed = partner and partner.terms.deadline(routing.identity.names_of(to))
            if agreed and agreed.answer:
                self._on_answered(at <= to.received_at + timedelta(minutes=agreed.answer))

    async def _in_thread(self, function: Callable[..., T], *args: object) -> T:
        done: T = await deferToThreadPool(self._reactor, self._pool, function, *args)
        return done
