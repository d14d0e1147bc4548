"""The courier to a broker: accepted declarations and decisions, for whoever may read them there.

What it carries was due from the same commit as what it is about; the broker drops what it has by its id.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from gateway.adapter import BackendUnavailable, Handover, Publication, Publisher, Unpublishable
from gateway.delivery.apart import each_readable
from gateway.delivery.backoff import delay
from gateway.delivery.courier import Courier, log
from gateway.model import Decision, Declaration, Delivery
from gateway.model.shelf import Long, octets_of
from gateway.model.stored import Stored
from gateway.storage import GroupCommit, Standing, carries_decision

T = TypeVar("T")

BATCH = 100
"""Publications in one round: enough to share commits, few enough to be in memory together."""
LEASE = timedelta(seconds=4)
"""Another node takes over within five seconds.  What was only slow is then published by both, and the
broker keeps one."""
LONGEST_WAIT = timedelta(seconds=30)
"""A broker that comes back is noticed within this time.  It is our own: knocking harms nobody."""

WAITS_UNREADABLE = 20
"""Attempts, some ten minutes, that a publication which cannot be read holds up what follows it: a rolling upgrade
has brought another version by then."""

JSON = "application/json"
DECLARATION, DECISION = "cvan.declaration.v1", "cvan.decision.v1"
"""CloudEvents types; a change that readers must know of makes a v2."""

_encoder = msgspec.json.Encoder()


class DeclarationDocument(msgspec.Struct, frozen=True):
    """An accepted declaration, as it is published.

    ``message``: its id at the gateway, which decisions name; ``filer`` and ``principal``: partner ids of who
    filed and for whom; ``declaration``: the tree of WCO names as it is stored.
    """

    message: str
    received_at: datetime
    filer: str
    principal: str
    declaration: Declaration


@dataclass(frozen=True, slots=True)
class Naming:
    """How publications are called.  ``root``: the first token of subjects; ``source``: CloudEvents' source,
    a URI reference that names this gateway."""

    root: str = "cvan"
    source: str = "/cvan"

    def declaration(self, delivery: Delivery, of: Handover) -> Publication:
        """One accepted declaration."""
        declaration: Any = of.declaration
        if isinstance(of.declaration.root, Long):
            declaration = msgspec.Raw(b"".join(octets_of(of.declaration)))
        document = DeclarationDocument(of.message, of.received_at, of.filer, of.principal, declaration)
        headers = self._attributes(delivery, DECLARATION, of.received_at, of.message)
        subject = f"{self.root}.declaration.{of.declaration.kind.value}"
        return Publication(delivery.id, subject, headers, _encoder.encode(document), delivery.attempts > 0)

    def decision(self, delivery: Delivery, decision: Decision) -> Publication:
        """One decision, as it is stored."""
        headers = self._attributes(delivery, DECISION, decision.at, decision.message)
        subject = f"{self.root}.decision.{decision.kind.value}"
        return Publication(delivery.id, subject, headers, _encoder.encode(decision), delivery.attempts > 0)

    def _attributes(self, delivery: Delivery, kind: str, at: datetime, about: str) -> Mapping[str, str]:
        """CloudEvents 1.0 in binary mode."""
        return {
            "ce-specversion": "1.0",
            "ce-id": delivery.id,
            "ce-source": self.source,
            "ce-type": kind,
            "ce-time": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "ce-subject": about,
            "ce-datacontenttype": JSON,
        }


@dataclass(frozen=True, slots=True)
class _Read:
    """What is stored of deliveries: handovers by delivery, decisions by their own ids."""

    declarations: dict[str, Handover]
    decisions: dict[str, Decision]

    def size(self, delivery: Delivery) -> int:
        """Octets of a declaration that is not held together; 0 of all else."""
        of = self.declarations.get(delivery.id)
        entities: Any = of.declaration.root.entities if of else ()
        return entities.size if isinstance(entities, Stored) else 0


class PublishCourier(Courier):
    """Publishes what is due to one broker, in order of arrival."""

    def __init__(
        self,
        name: str,
        publisher: Publisher,
        naming: Naming,
        commits: GroupCommit,
        reactor: Any,
        pool: ThreadPool,
        clock: Callable[[], datetime],
        owner: str,
    ) -> None:
        super().__init__(reactor, clock)
        self.name = f"publish:{name}"
        self._publisher = publisher
        self._naming = naming
        self._commits = commits
        self._pool = pool
        self._owner = owner

    async def round(self) -> bool:
        """Claim, publish, and note what was confirmed."""
        call = self._commits.call
        await self.mind_clock(self._commits)
        standing: Standing = await call("standing", self.name)
        if self.name in standing.paused:
            return False
        due: list[Delivery] = await call(
            "claim_in_order", self.name, self._owner, self._clock(), LEASE, BATCH
        )
        if not due:
            return False
        ready, read = await self._read(due)
        confirmed: set[str] = set()
        try:
            for some in _portions(ready, read):
                for wave in _waves(await self._said(some, read)):
                    confirmed |= await self._published(wave)
        except BackendUnavailable as away:
            log.warning("%s waits: %s", self.name, away)
            await self._settle(confirmed)
            await self._again([d for d in ready if d.id not in confirmed], str(away))
            return False
        await self._settle(confirmed)
        return True

    async def _settle(self, confirmed: set[str]) -> None:
        if confirmed:
            await self._commits.call("done", sorted(confirmed), self._clock())

    async def _again(self, due: Sequence[Delivery], error: str) -> None:
        """All at the same time, so that they stay together.  Never dead: it is the broker that is away."""
        if due:
            wait = delay(due[0].attempts + 1, random.random())  # noqa: S311 - jitter, not a secret
            due_at = self._clock() + min(wait, LONGEST_WAIT)
            for delivery in due:
                await self._commits.call("retry", delivery.id, due_at, error, self._owner)

    async def _read(self, due: Sequence[Delivery]) -> tuple[Sequence[Delivery], _Read]:
        """What can be published now, in order, with what is stored of it.

        What this version cannot read, a newer one may: it waits, and what follows it with it, but no longer
        than WAITS_UNREADABLE attempts; then it is dead, and the rest goes on.
        """
        call = self._commits.call
        of_declarations = [d for d in due if not carries_decision(d.id)]
        some, unread = await each_readable(functools.partial(call, "handovers"), of_declarations)
        others = [d for d in due if carries_decision(d.id)]
        more, unread_too = await each_readable(functools.partial(call, "published_decisions"), others)
        read = _Read(
            {h.delivery: h for each in some for h in each}, {k: v for m in more for k, v in m.items()}
        )
        errors = {delivery.id: error for delivery, error in [*unread, *unread_too]}
        for nth, delivery in enumerate(due):
            if delivery.id not in errors:
                continue
            error = errors[delivery.id]
            log.error("cannot be published: %s", error, extra={"delivery": delivery.id})
            if delivery.attempts < WAITS_UNREADABLE:
                await self._again([delivery], error)
                behind = [d.id for d in due[nth + 1 :]]
                await call("put_back", self._owner, behind, self._clock(), f"behind {delivery.id}")
                return [d for d in due[:nth] if d.id not in errors], read
            await call("dead", delivery.id, error, self._clock(), self._owner)
        return [d for d in due if d.id not in errors], read

    async def _said(self, due: Sequence[Delivery], read: _Read) -> list[tuple[str, Publication]]:
        """What the deliveries carry, each with the message that it is about; what carries nothing is dead, and
        what the broker has no room for.  Raises BackendUnavailable."""
        call = self._commits.call
        if len(due) == 1 and (size := read.size(due[0])):
            most = await self._in_thread(self._publisher.largest)
            if size > most:
                why = f"{size} octets; the broker takes {most}: fetch it from the gateway, or raise its max_payload"
                log.error("not published: %s", why, extra={"delivery": due[0].id})
                await call("dead", due[0].id, why, self._clock(), self._owner)
                return []
        declarations, decisions = read.declarations, read.decisions

        def say() -> list[tuple[str, Publication]]:
            said = []
            for delivery in due:
                if delivery.id in declarations:
                    of = declarations[delivery.id]
                    said.append((of.message, self._naming.declaration(delivery, of)))
                elif carries_decision(delivery.id) and delivery.payload in decisions:
                    decision = decisions[delivery.payload]
                    said.append((decision.message, self._naming.decision(delivery, decision)))
            return said

        found = await self._in_thread(say)
        there = {publication.id for _, publication in found}
        for orphan in [d.id for d in due if d.id not in there]:
            log.error("nothing to publish", extra={"delivery": orphan})
            await call("dead", orphan, "nothing to publish", self._clock())
        return found

    async def _published(self, wave: Sequence[Publication]) -> set[str]:
        """Those that the broker confirmed; what it will never take is dead.  Raises BackendUnavailable."""
        left = {publication.id: publication for publication in wave}
        while left:
            try:
                await self._in_thread(self._publisher.publish, list(left.values()))
                break
            except Unpublishable as never:
                del left[never.id]
                log.error("not published: %s", never, extra={"delivery": never.id})
                await self._commits.call("dead", never.id, str(never), self._clock())
        return set(left)

    async def _in_thread(self, function: Callable[..., T], *args: object) -> T:
        done: T = await deferToThreadPool(self._reactor, self._pool, function, *args)
        return done


def _portions(due: Sequence[Delivery], read: _Read) -> Iterator[list[Delivery]]:
    """What is put together at a time, in order: one that is very long by itself."""
    some: list[Delivery] = []
    for delivery in due:
        if some and read.size(delivery):
            yield some
            some = []
        some.append(delivery)
        if read.size(delivery):
            yield some
            some = []
    if some:
        yield some


def _waves(said: Sequence[tuple[str, Publication]]) -> list[list[Publication]]:
    """What is sent together: never two about one message, so that their order is certain even where the
    broker loses one on its way."""
    waves: list[list[Publication]] = []
    before: dict[str, int] = {}
    for message, publication in said:
        turn = before.get(message, 0)
        before[message] = turn + 1
        if turn == len(waves):
            waves.append([])
        waves[turn].append(publication)
    return waves
