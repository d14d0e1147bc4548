"""The courier to partners' own addresses: each partner's queue moves alone."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.delivery.backoff import GIVE_UP_AFTER, delay
from gateway.delivery.courier import Courier, bring_forward, log
from gateway.handbook import Handbook
from gateway.model import Delivery, Outgoing, Partner
from gateway.storage import GroupCommit

LEASE = timedelta(seconds=60)
"""Longer than any push may take (transport.push bounds one attempt to half of it), so that no other
process sends it at the same time; after a crash, this long until it is sent again."""
AT_ONCE = 4
"""Messages under way to one partner."""


class Undeliverable(Exception):
    """A push failed; ``retry`` says whether trying again can help, ``retry_after`` the seconds that the
    receiver asked for, or 0."""

    def __init__(self, reason: str, retry: bool = True, retry_after: int = 0) -> None:
        super().__init__(reason)
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
        self._under_way: dict[str, int] = {}
        self._sends: set[Deferred[None]] = set()

    async def round(self) -> bool:
        """Claim for partners that have room and send without waiting for the slow ones."""
        if self.set_back():
            await bring_forward(self._commits, self.name, self._clock())
        started = False
        partners = self._handbook().register.partners
        waiting: tuple[str, ...] = await self._commits.call("destinations", self.name, self._clock())
        for destination in waiting:
            partner = partners.get(destination.removeprefix(self.name))
            room = AT_ONCE - self._under_way.get(partner.id, 0) if partner is not None else 0
            if partner is None or room <= 0 or not partner.push_url or not partner.active:
                continue
            due: list[Delivery] = await self._commits.call(
                "claim_due", destination, self._owner, self._clock(), LEASE, room
            )
            outgoings: dict[str, Outgoing] = await self._commits.call("outgoings", due) if due else {}
            for delivery in due:
                outgoing = outgoings.get(delivery.payload)
                if outgoing is None:
                    await self._commits.call("dead", delivery.id, "no such message", self._clock())
                    continue
                self._begin(delivery, outgoing, partner)
                started = True
        return started

    async def stop(self) -> None:
        await super().stop()
        for send in list(self._sends):
            await send

    def _begin(self, delivery: Delivery, outgoing: Outgoing, partner: Partner) -> None:
        self._under_way[partner.id] = self._under_way.get(partner.id, 0) + 1
        send = Deferred.fromCoroutine(self._send(delivery, outgoing, partner))
        self._sends.add(send)
        send.addBoth(self._ended, partner.id, send)

    def _ended(self, result: object, partner: str, send: Deferred[None]) -> None:
        if isinstance(result, Failure):
            # Not the partner's fault; the delivery is tried again when its lease has run out.
            log.error("push not settled: %s", result.getErrorMessage(), extra={"partner": partner})
        self._sends.discard(send)
        self._under_way[partner] -= 1
        self.poke()

    async def _send(self, delivery: Delivery, outgoing: Outgoing, partner: Partner) -> None:
        try:
            await self._sender.send(outgoing, partner)
        except Undeliverable as failure:
            await self._failed(delivery, failure)
        else:
            await self._commits.call("done", [delivery.id], self._clock())

    async def _failed(self, delivery: Delivery, failure: Undeliverable) -> None:
        attempts = delivery.attempts + 1
        if not failure.retry or attempts >= GIVE_UP_AFTER:
            await self._commits.call("dead", delivery.id, failure.reason, self._clock())
            return
        wait = delay(attempts, random.random())  # noqa: S311 - jitter, not a secret
        due_at = self._clock() + max(wait, timedelta(seconds=failure.retry_after))
        await self._commits.call("retry", delivery.id, due_at, failure.reason)
