"""The courier to partners' own addresses: each partner's queue moves alone."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.delivery.apart import each_readable, is_suspect, may_begin
from gateway.delivery.backoff import GIVE_UP_AFTER, delay
from gateway.delivery.breaker import Breakers
from gateway.delivery.courier import Courier, log
from gateway.delivery.leases import LEASE, Leases
from gateway.handbook import Handbook
from gateway.model import Delivery, Outgoing, Partner
from gateway.storage import GroupCommit

AT_ONCE = 4
"""Messages under way to one partner."""


class Undeliverable(Exception):
    """A push failed; ``retry`` says whether trying again can help, ``retry_after`` the seconds that the
    receiver asked for, or 0; ``answered``: it was there, and may have failed over this message alone."""

    def __init__(self, reason: str, retry: bool = True, retry_after: int = 0, answered: bool = False) -> None:
        super().__init__(reason)
        self.answered = answered
        self.reason = reason
        self.retry = retry
        self.retry_after = retry_after


class Sender(Protocol):
    """What carries one message to one partner's address; raises Undeliverable."""

    async def send(self, outgoing: Outgoing, partner: Partner) -> None: ...


class PushCourier(Courier):
    """Sends what is due to partners who want their messages pushed."""

    name = "push:"

    def __init__(
        self,
        sender: Sender,
        commits: GroupCommit,
        handbook: Callable[[], Handbook],
        reactor: Any,
        clock: Callable[[], datetime],
        owner: str,
    ) -> None:
        super().__init__(reactor, clock)
        self._sender = sender
        self._commits = commits
        self._handbook = handbook
        self._owner = owner
        self._leases = Leases(commits, reactor, clock, owner)
        self._breakers = Breakers(self.name, commits, clock)
        self._under_way: dict[str, int] = {}
        self._sends: set[Deferred[None]] = set()

    async def round(self) -> bool:
        """Claim for partners that have room and send without waiting for the slow ones."""
        await self.mind_clock(self._commits)
        started = False
        partners = self._handbook().register.partners
        await self._breakers.look()
        waiting: tuple[str, ...] = await self._commits.call("destinations", self.name, self._clock())
        for destination in waiting:
            partner = partners.get(destination.removeprefix(self.name))
            if partner is None or not partner.push_url or not partner.active:
                continue
            room = AT_ONCE - self._under_way.get(partner.id, 0)
            if room > 0 and await self._push(destination, partner, room):
                started = True
        return started

    async def _push(self, destination: str, partner: Partner, room: int) -> bool:
        """Begin to send a partner what is due, as much as there is room for; False where nothing was begun."""
        due: list[Delivery] = []
        for delivery in await self._breakers.claim(destination, self._owner, LEASE, room):
            if delivery.id in self._leases:
                self._leases.hold(delivery.id)  # under way here still; its lease had ended, and is anew
            else:
                due.append(delivery)
        outgoings, elsewhere = await self._read(due)
        begun = False
        for delivery in due:
            outgoing = outgoings.get(delivery.id)
            if outgoing is None:
                continue
            if is_suspect(delivery) and not await may_begin(
                self._commits, self._owner, delivery, self._clock()
            ):
                continue
            address = elsewhere.get(delivery.id, partner.push_url)
            self._begin(delivery, outgoing, msgspec.structs.replace(partner, push_url=address))
            begun = True
        return begun

    async def _read(self, due: Sequence[Delivery]) -> tuple[dict[str, Outgoing], dict[str, str]]:
        """The messages that these deliveries carry, and where they go instead, by delivery.  What this version
        cannot read waits for one that can, what carries nothing is dead."""
        read, unread = await each_readable(functools.partial(self._commits.call, "pushes"), due)
        carried: dict[str, Outgoing] = {identity: one for some, _ in read for identity, one in some.items()}
        elsewhere: dict[str, str] = {delivery: to for _, some in read for delivery, to in some.items()}
        for delivery, error in unread:
            log.error("a message cannot be read", extra={"delivery": delivery.id})
            await self._again(delivery, Undeliverable(error))
        errors = {delivery.id for delivery, _ in unread}
        for orphan in [d for d in due if d.payload not in carried and d.id not in errors]:
            await self._commits.call("dead", orphan.id, "no such message", self._clock(), self._owner)
        return {d.id: carried[d.payload] for d in due if d.payload in carried}, elsewhere

    async def stop(self) -> None:
        await super().stop()
        for send in list(self._sends):
            await send

    def _begin(self, delivery: Delivery, outgoing: Outgoing, partner: Partner) -> None:
        self._under_way[partner.id] = self._under_way.get(partner.id, 0) + 1
        self._leases.hold(delivery.id)
        send = Deferred.fromCoroutine(self._send(delivery, outgoing, partner))
        self._sends.add(send)
        send.addBoth(self._ended, partner.id, delivery.id, send)

    def _ended(self, result: object, partner: str, delivery: str, send: Deferred[None]) -> None:
        self._leases.let_go(delivery)
        if isinstance(result, Failure):
            # Not the partner's fault; the delivery is tried again when its lease has run out.
            log.error(
                "push not settled: %s",
                result.getErrorMessage(),
                extra={"delivery": delivery, "partner": partner},
            )
        self._sends.discard(send)
        self._under_way[partner] -= 1
        self.poke()

    async def _send(self, delivery: Delivery, outgoing: Outgoing, partner: Partner) -> None:
        try:
            await self._sender.send(outgoing, partner)
        except Undeliverable as failure:
            await self._failed(delivery, failure)
        except Exception as error:  # noqa: BLE001 - counted as any failure, or it is tried at each lease's end
            log.exception("push failed", extra={"delivery": delivery.id, "partner": partner.id})
            await self._put_off(delivery, Undeliverable(type(error).__name__))
        else:
            await self._breakers.worked(delivery.destination)
            await self._commits.call("done", [delivery.id], self._clock())

    async def _failed(self, delivery: Delivery, failure: Undeliverable) -> None:
        if not failure.retry:  # it answered, and about this message
            await self._breakers.worked(delivery.destination)
        elif failure.answered:
            await self._breakers.ailing(delivery.destination, failure.reason, failure.retry_after)
        else:
            await self._breakers.failed(delivery.destination, failure.reason, failure.retry_after)
        await self._put_off(delivery, failure)

    async def _put_off(self, delivery: Delivery, failure: Undeliverable) -> None:
        if self._leases.ours(delivery.id):
            await self._again(delivery, failure)

    async def _again(self, delivery: Delivery, failure: Undeliverable) -> None:
        attempts = delivery.attempts + 1
        if not failure.retry or attempts >= GIVE_UP_AFTER:
            await self._commits.call("dead", delivery.id, failure.reason, self._clock(), self._owner)
            return
        wait = delay(attempts, random.random())  # noqa: S311 - jitter, not a secret
        due_at = self._clock() + max(wait, timedelta(seconds=failure.retry_after))
        await self._commits.call("retry", delivery.id, due_at, failure.reason, self._owner)
