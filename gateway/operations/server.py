"""The server: one home's rooms wired together.

The first process supervises and delivers; each door is a process of its own, so that a reactor that
answers partners never waits for a back end, and a second core is a second door.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import disk_usage
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from adapters.clearance import Clearance
from adapters.clearance import load as load_clearance
from gateway import transport
from gateway.delivery import BackendCourier, PushCourier, Undeliverable
from gateway.handbook import Handbook
from gateway.inbound import LATE
from gateway.intake import Intake, Numbers
from gateway.model import Outgoing, Partner, Register, Verdict
from gateway.operations import settings
from gateway.operations.archiving import Daily
from gateway.operations.expiring import ExpiryWatch
from gateway.operations.keywatch import gauge
from gateway.operations.notary import Notary
from gateway.operations.publicword import PublicWord
from gateway.operations.revoking import Callers, follow, keep_asking, newest
from gateway.operations.services import Doorkeeping
from gateway.operations.tally import keep_tally
from gateway.operations.witnessing import Witness
from gateway.operations.workshop import Workshop
from gateway.security import Keystore, Revocations, SigningKey, TlsKey
from gateway.storage import GroupCommit, Ledger, LedgerUnavailable, Overloaded

log = logging.getLogger("gateway.server")

BACKEND = "clearance"
WATCH_SECONDS = 1.0
"""How soon a partner or mandate that the command line changed is known to a running server."""

BROKEN = (ValueError, OSError, transport.Unusable)
"""What files of a home can do to who reads them."""

T = TypeVar("T")
Stop = Callable[[], object]


class PushSender:
    """transport.Push as the courier wants it."""

    def __init__(self, push: transport.Push) -> None:
        self._push = push

    async def send(self, outgoing: Outgoing, partner: Partner) -> None:
        """Carry one message; raises Undeliverable."""
        try:
            await self._push.send(outgoing, partner)
        except transport.PushFailed as failed:
            raise Undeliverable(str(failed), failed.retry, failed.retry_after) from failed


class Server:
    """What every process of a home has: settings, ledger, knowledge, key; and an orderly end."""

    def __init__(self, home: Path, reactor: Any) -> None:
        self.home = home
        self.settings = settings.load(home)
        self.metrics = transport.Metrics()
        self._reactor = reactor
        url = settings.database_url(home, self.settings.database.ledger)
        self._ledger = Ledger.open(url, create=True)
        self.keys = settings.checked_keystore(home, self.settings)
        self._handbook = self._read().with_decrypters(self.keys.decrypting())
        gauge(self.metrics, lambda: self.keys, now)
        self.metrics.home(lambda: disk_usage(home).free, lambda: disk_usage(home).total)
        self._handbook = self._handbook.with_register(self._ledger.register())
        self.learn(newest(self._ledger, self._handbook.trust.revocations))
        # Stops run last in, first out: doors close and couriers finish before what they stand on.
        self._stops: list[Stop] = [self._ledger.close]
        self._renewals: list[Callable[[], None]] = []
        self._files: list[tuple[str, Callable[[], None]]] = []
        self._reloading = DeferredLock()
        self._refreshing = DeferredLock()
        self.commits = self._commits()
        self.numbers = Numbers(self._ledger)
        watch = LoopingCall(self._watch)
        watch.clock = reactor
        reactor.callWhenRunning(watch.start, WATCH_SECONDS, now=False)
        self.on_stop(lambda: watch.stop() if watch.running else None)
        follow(self, self._ledger, reactor)

    def learn(self, revocations: Revocations) -> None:
        """What is known of revoked certificates from now on."""
        self._handbook = self._handbook.with_revocations(revocations)

    def handbook(self) -> Handbook:
        """The knowledge as it is now."""
        return self._handbook

    def count_late(self, verdict: Verdict) -> None:
        """A submission was settled: what of it was late is for the figures."""
        late = sum(1 for m in verdict.messages if m.declaration and any(f.code == LATE for f in m.findings))
        if late:
            self.metrics.late(late)

    def on_stop(self, stop: Stop) -> None:
        """Something to end before what was begun earlier; it may return a Deferred or a coroutine."""
        self._stops.append(stop)

    def on_reload(self, renew: Callable[[], None]) -> None:
        """Something that keeps knowledge, to be told when there is new."""
        self._renewals.append(renew)

    def on_hangup(self, name: str, read: Callable[[], None]) -> None:
        """Files of its own that ``read`` takes in, in a thread; where they are broken it raises one of
        BROKEN and changes nothing."""
        self._files.append((name, read))

    async def stop(self) -> None:
        """End everything in order; safe to call once."""
        while self._stops:
            ended = self._stops.pop()()
            if isinstance(ended, Awaitable):
                await ended

    def reload(self) -> Deferred[None]:
        """Read knowledge and keys again; the old stays in use where the new is broken."""
        done: Deferred[None] = self._reloading.run(lambda: Deferred.fromCoroutine(self._reload()))
        return done.addErrback(lambda failure: log.error("not reloaded: %s", failure.getTraceback()))

    def _commits(self) -> GroupCommit:
        commit = self.settings.commit
        commits = GroupCommit(
            self._ledger, self._reactor, linger_ms=commit.linger_ms, max_batch=commit.max_batch
        )
        self.on_stop(commits.stop)
        return commits

    async def _watch(self) -> None:
        """Take in changes of partners, mandates and own keys that another process made."""
        try:
            await self.refresh()
            self.metrics.ledger(up=True)
        except (LedgerUnavailable, Overloaded) as away:
            # An error here would end the watch for good; the ledger will be back.
            log.warning("the register is not to be had: %s", away)
            self.metrics.ledger(up=isinstance(away, Overloaded))
        if self.keys.changed(now()):
            await self._follow_keys(lambda: self.keys.renewed(now()))

    async def refresh(self) -> None:
        """Have partners and mandates as they are now.  Raises LedgerUnavailable and Overloaded."""
        await self._refreshing.run(lambda: Deferred.fromCoroutine(self._refresh()))

    async def _refresh(self) -> None:
        known = self._handbook.register
        register: Register = await self.commits.call("refreshed", known)
        if register is not known:
            self._handbook = self._handbook.with_register(register)
            log.info("register refreshed: version %d", register.version)

    def signing(self, at: datetime) -> SigningKey:
        """The key that signs at a time.  Raises KeyUnusable."""
        return self.keys.signing(at)

    def presented(self) -> TlsKey:
        """What TLS presents now.  Raises KeyUnusable."""
        return self.keys.tls(now())

    def _read(self) -> Handbook:
        """What workers read too: either all of it is new, or none."""
        return settings.handbook(self.home, self.settings)

    async def _follow_keys(self, read: Callable[[], Keystore]) -> None:
        """Take up own keys as they are now; what cannot be used of them goes on as it was."""
        try:
            keys: Keystore = await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), read)
        except BROKEN as error:
            log.error("own keys not reloaded: %s", error)
            return
        if keys is self.keys:
            return
        self.keys = keys
        self._handbook = self._handbook.with_decrypters(keys.decrypting())
        if keys.trouble:
            log.error("own keys not all usable, those from before go on: %s", keys.trouble)
        else:
            log.info("own keys reloaded")

    async def _reload(self) -> None:
        await self._follow_keys(lambda: self.keys.reread(now()))
        book = await self._try("knowledge", self._read)
        if book is not None:
            known = self._handbook.trust.revocations
            book = book.with_register(self._handbook.register).with_revocations(known)
            self._handbook = book.with_decrypters(self.keys.decrypting())
            for renew in self._renewals:
                renew()
        for name, take in self._files:
            await self._try(name, take)

    async def _try(self, name: str, read: Callable[[], T]) -> T | None:
        """What ``read`` gives in a thread, or None where what it reads is broken."""
        pool = self._reactor.getThreadPool()
        try:
            made: T = await deferToThreadPool(self._reactor, pool, read)
        except BROKEN as error:
            log.error("%s not reloaded: %s", name, error)
            return None
        log.info("%s reloaded", name)
        return made


def deliver(server: Server, reactor: Any) -> Callable[[], None]:
    """Start the couriers; returns what wakes them."""
    chosen = server.settings
    pool = ThreadPool(1, 2, "backend")
    pool.start()
    server.on_stop(pool.stop)
    notarise(server, reactor)
    folder = server.home / "conf" / "clearance"
    clearance = Clearance.open(settings.database_url(server.home, chosen.database.clearance), folder)
    server.on_stop(clearance.close)
    server.on_hangup("conf/clearance", lambda: clearance.use(load_clearance(folder)))
    owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    tls = transport.ClientTls(server.home / chosen.keys.push_trust, own=server.presented)
    server.on_hangup("TLS to receivers", tls.reload)
    sender = transport.Push(reactor, tls, server.metrics)
    push = PushCourier(PushSender(sender), server.commits, server.handbook, reactor, now, owner)
    backend = BackendCourier(
        BACKEND,
        clearance,
        server.commits,
        server.numbers.take,
        server.handbook,
        server,
        reactor,
        pool,
        now,
        owner,
        on_decided=push.poke,
        on_answered=server.metrics.answered,
    )
    workshop = Workshop(server.home, reactor, chosen, ready=False)
    server.on_stop(workshop.stop)
    server.on_reload(workshop.renew)
    held = Intake(
        server.commits,
        server.numbers,
        server.handbook,
        server,
        now,
        BACKEND,
        workshop,
        backend.poke,
        refresh=server.refresh,
        aside=aside(server, reactor),
        on_verdict=server.count_late,
    )
    keep_asking(server, held, reactor, pool, owner, now)
    server.on_stop(keep_tally(server.commits, server.metrics, reactor))
    server.on_stop(ExpiryWatch(server.commits, server.metrics, now).keep(reactor))
    server.on_stop(sender.close)
    for courier in (push, backend):
        courier.start()
        server.on_stop(courier.stop)

    def wake() -> None:
        backend.poke()
        push.poke()

    return wake


def aside(server: Server, reactor: Any) -> Callable[..., Deferred[Any]]:
    """Threads for signing with a key in a token.  One is at it, as a token takes one at a time of a process;
    the other makes the next ready."""
    pool = ThreadPool(0, 2, "signing")
    pool.start()
    server.on_stop(pool.stop)
    return lambda function, *args: deferToThreadPool(reactor, pool, function, *args)


def notarise(server: Server, reactor: Any) -> None:
    """Sign checkpoints over the journal from now on, and a last one when everything else has ended."""
    chosen = server.settings.journal
    witness = Witness(server.home)
    notary = Notary(
        server.commits, lambda: server.keys, server.handbook, now, chosen.entries, witness, chosen.tsa
    )
    server.metrics.checkpoint(notary.age)
    server.on_stop(notary.round)
    server.on_stop(notary.start(reactor, chosen.seconds))
    kept = server.settings.retention
    if kept.archive:
        folder = server.home / kept.archive
        daily = Daily(server.commits, lambda: server.signing(now()), folder, kept.years, now)
        server.on_stop(daily.start(reactor))


def open_door(server: Server, reactor: Any, listening: Any, on_settled: Callable[[], None]) -> None:
    """Answer partners on a socket that ``listening`` (as ``reactor.listenTCP``) gives."""
    chosen = server.settings
    tls = transport.ServerTls(server.presented, server.home / chosen.keys.trust)
    server.on_hangup("TLS", tls.reload)
    # Nothing is to fail any more: workers begin here, and who leaves them behind hears of it at length.
    workshop = Workshop(server.home, reactor, chosen)
    server.on_stop(workshop.stop)
    server.on_reload(workshop.renew)
    intake = Intake(
        server.commits,
        server.numbers,
        server.handbook,
        server,
        now,
        BACKEND,
        workshop,
        on_settled,
        timedelta(hours=chosen.trust.hold_hours),
        refresh=server.refresh,
        aside=aside(server, reactor),
        on_verdict=server.count_late,
    )
    door = door_of(server, reactor, Doorkeeping(intake, server.commits, server.handbook))
    server.on_stop(transport.listen(listening, door, tls, now=now, port=0).stop)


def open_operations(server: Server, reactor: Any, port: int) -> None:
    """Health and metrics of this process, on loopback or where the settings say."""
    intake = Intake(server.commits, server.numbers, server.handbook, server, now, BACKEND)
    services = Doorkeeping(intake, server.commits, server.handbook)
    door = door_of(server, reactor, services, transport.FOR_OPERATORS)
    host = server.settings.listen.operations_host
    opened = transport.listen_operations(reactor, door, now=now, port=port, interface=host, anywhere=True)
    server.on_stop(opened.stop)


def door_of(server: Server, reactor: Any, services: Doorkeeping, operations: Any = None) -> transport.Door:
    """A door with the home's bounds."""
    limits = server.settings.limits
    bounds = transport.Bounds(
        max_bytes=limits.max_bytes,
        per_minute=limits.per_minute,
        in_flight=limits.in_flight,
        connections=limits.connections,
        connections_per_address=limits.connections_per_address,
    )
    chosen = transport.DoorSettings(bounds=bounds)
    if operations is not None:
        chosen = transport.DoorSettings(bounds=bounds, operations=operations)
    refusals = transport.RefusalLog(reactor, now)
    server.on_stop(refusals.flush)
    return transport.Door(
        services,
        server.metrics,
        transport.AccessLog(),
        now=now,
        seconds=reactor.seconds,
        randomness=secrets.token_bytes,
        settings=chosen,
        refusals=refusals,
        unfit=Callers(server, now).unfit,
        tax_codes=PublicWord(server.handbook, now).tax_codes,
    )


def now() -> datetime:
    """The time, aware, UTC."""
    return datetime.now(UTC)
