"""What every process of a home has: settings, ledger, knowledge and keys as they are now, and an orderly end.

The first process supervises and delivers (:mod:`couriers`); each door is a process of its own (:mod:`doors`),
so that a reactor that answers partners never waits for a back end, and a second core is a second door.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from shutil import disk_usage
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from gateway import transport
from gateway.handbook import Handbook
from gateway.intake import INLINE_BYTES, Abreast, Intake, Numbers, Workers
from gateway.model import Register
from gateway.operations import settings
from gateway.operations.keywatch import gauge
from gateway.operations.readiness import Readiness
from gateway.operations.repeating import repeat
from gateway.operations.revoking import follow, newest
from gateway.operations.suspects import Judging, Suspects
from gateway.security import Keystore, Revocations, SigningKey, TlsKey
from gateway.storage import GroupCommit, Ledger, LedgerError, Overloaded

log = logging.getLogger("gateway.server")

BACKEND = "clearance"
WATCH_SECONDS = 1.0
"""How soon a partner or mandate that the command line changed is known to a running server."""

NUMBERS_SECONDS = 1.0
"""How often it is looked whether numbers run out, in a thread: at first before anybody needs one."""

BROKEN = (ValueError, OSError, transport.Unusable)
"""What files of a home can do to who reads them."""

T = TypeVar("T")
Stop = Callable[[], object]


class Server:
    """What every process of a home has: settings, ledger, knowledge, key; and an orderly end."""

    def __init__(self, home: Path, reactor: Any) -> None:
        self.home = home
        self.settings = settings.load(home)
        self.metrics = transport.Metrics()
        self._reactor = reactor
        url = settings.database_url(home, self.settings.database.ledger)
        self.alone = settings.database_file(url) is not None
        """No other node can be on a ledger that is a file of the home."""
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
        self.readiness = self._readiness(url)
        self.on_stop(repeat(partial(self.numbers.ahead, self.commits.call), reactor, NUMBERS_SECONDS))
        self.on_stop(repeat(self._watch, reactor, WATCH_SECONDS, now=False))
        follow(self, self._ledger, reactor)

    def learn(self, revocations: Revocations) -> None:
        """What is known of revoked certificates from now on."""
        self._handbook = self._handbook.with_revocations(revocations)

    def handbook(self) -> Handbook:
        """The knowledge as it is now."""
        return self._handbook

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

    def aside(self) -> Callable[..., Deferred[Any]]:
        """Threads for signing with a key in a token.  One is at it, as a token takes one at a time of a process;
        the other makes the next ready."""
        pool = ThreadPool(0, 2, "signing")
        pool.start()
        self.on_stop(pool.stop)
        return lambda function, *args: deferToThreadPool(self._reactor, pool, function, *args)

    def intake(
        self, workers: Workers, on_settled: Callable[[], None], name: str, inline: int = INLINE_BYTES
    ) -> Intake:
        """What takes submissions in, by this process' knowledge as it is at each.  ``name``: of this process among
        those that judge; ``inline``: as of Intake."""
        judging = Judging(self.home, name)
        self.on_stop(judging.close)
        return Intake(
            self.commits,
            self.numbers,
            self.handbook,
            self,
            now,
            BACKEND,
            workers,
            on_settled,
            timedelta(hours=self.settings.trust.hold_hours),
            refresh=self.refresh,
            aside=self.aside(),
            on_late=self.metrics.late,
            publish=self.settings.broker,
            abreast=Abreast(lambda call: self._reactor.callLater(0, call), judging),
            suspected=Suspects(self.home).__contains__,
            inline=inline,
        )

    def _commits(self) -> GroupCommit:
        commit = self.settings.commit
        commits = GroupCommit(
            self._ledger,
            self._reactor,
            commit.linger_ms,
            commit.max_batch,
            commit.max_waiting,
            commit.max_calls,
        )
        self.on_stop(commits.stop)
        return commits

    def _readiness(self, url: str) -> Readiness:
        file = settings.database_file(url)
        free = None if file is None else (lambda: disk_usage(file.parent).free)
        room = self.settings.database.room_mib * 1_048_576
        return Readiness(self.commits, self._ledger.writes, self._reactor, room, free)

    async def _watch(self) -> None:
        """Take in changes of partners, mandates and own keys that another process made."""
        try:
            await self.refresh()
            self.metrics.ledger(up=True)
        except (LedgerError, Overloaded) as away:
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


def now() -> datetime:
    """The time, aware, UTC."""
    return datetime.now(UTC)
