"""The server: one home's rooms wired together and kept running."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from adapters.clearance import Clearance
from gateway import handbook as handbooks
from gateway import transport
from gateway.delivery import BackendCourier, PushCourier, Undeliverable
from gateway.handbook import Handbook
from gateway.intake import Intake, Numbers
from gateway.model import Outgoing, Partner
from gateway.operations import settings
from gateway.operations.services import Doorkeeping
from gateway.operations.workshop import Workshop
from gateway.storage import GroupCommit, Ledger

log = logging.getLogger("gateway.server")

BACKEND = "clearance"
WATCH_SECONDS = 1.0
"""How soon a partner or mandate that the command line changed is known to a running server."""
ADDRESS_FILE = "run/address"
"""Where a running server writes ``host:port``, for tools on the same machine."""


class Inherited:
    """A listening socket that another process bound; stands where ``reactor.listenTCP`` would."""

    def __init__(self, reactor: Any, descriptor: int) -> None:
        self._reactor = reactor
        self._descriptor = descriptor

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:  # noqa: N802
        """Accept on the inherited socket; port and interface were chosen by who bound it."""
        return self._reactor.adoptStreamPort(self._descriptor, socket.AF_INET, factory)

    def callLater(self, delay: float, callable: Any, *args: object) -> Any:  # noqa: N802
        """As the reactor."""
        return self._reactor.callLater(delay, callable, *args)

    def seconds(self) -> float:
        """As the reactor."""
        seconds: float = self._reactor.seconds()
        return seconds


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
    """Everything of one process.  ``couriers``: whether this process also delivers."""

    def __init__(self, home: Path, reactor: Any, *, couriers: bool = True) -> None:
        self.home = home
        self.settings = settings.load(home)
        self._reactor = reactor
        self._with_couriers = couriers
        self._stops: list[Callable[[], Any]] = []
        self._ledger = Ledger.open(settings.database_url(home, self.settings.database.ledger), create=True)
        self._version = self._ledger.register_version()
        self._handbook = handbooks.load(home, self._ledger.register(), settings.policy(self.settings))
        self.port = 0

    def handbook(self) -> Handbook:
        """The knowledge as it is now."""
        return self._handbook

    def start(self, descriptor: int | None = None) -> None:
        """Open the doors, on an inherited socket where one is given."""
        chosen, reactor = self.settings, self._reactor
        key = settings.signing_key(self.home, chosen)
        commits = GroupCommit(
            self._ledger, reactor, linger_ms=chosen.commit.linger_ms, max_batch=chosen.commit.max_batch
        )
        numbers = Numbers(self._ledger)
        workshop = Workshop(self.home, reactor)
        wake: list[Callable[[], None]] = []
        intake = Intake(
            commits,
            numbers,
            self.handbook,
            key,
            now,
            BACKEND,
            workshop,
            on_settled=lambda: [poke() for poke in wake],  # type: ignore[arg-type]
        )
        # Stops run last in, first out: doors close, couriers finish, then what they stand on.
        self._stops += [self._ledger.close, commits.stop, workshop.stop]
        metrics = transport.Metrics()
        if self._with_couriers:
            wake += self._start_couriers(commits, numbers, key, metrics)
        self._open(Doorkeeping(intake, commits, self.handbook), metrics, descriptor)
        watch = LoopingCall(self._watch, commits)
        watch.clock = reactor
        watch.start(WATCH_SECONDS, now=False)
        self._stops.append(watch.stop)

    def _start_couriers(
        self, commits: GroupCommit, numbers: Numbers, key: Any, metrics: transport.Metrics
    ) -> list[Callable[[], None]]:
        chosen, reactor = self.settings, self._reactor
        pool = ThreadPool(1, 2, "backend")
        pool.start()
        self._stops.append(pool.stop)
        clearance = Clearance.open(
            settings.database_url(self.home, chosen.database.clearance), self.home / "conf" / "clearance"
        )
        owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        tls = transport.ClientTls(
            self.home / chosen.keys.push_trust,
            self.home / chosen.keys.tls_key,
            self.home / chosen.keys.tls_certificate,
        )
        push = PushCourier(
            PushSender(transport.Push(reactor, tls, metrics)), commits, self.handbook, reactor, now, owner
        )
        backend = BackendCourier(
            BACKEND,
            clearance,
            commits,
            numbers.take,
            self.handbook,
            key,
            reactor,
            pool,
            now,
            owner,
            on_decided=push.poke,
        )
        for courier in (push, backend):
            courier.start()
            self._stops.append(courier.stop)
        return [backend.poke, push.poke]

    def _open(self, services: Doorkeeping, metrics: transport.Metrics, descriptor: int | None) -> None:
        chosen, reactor = self.settings, self._reactor
        bounds = transport.Bounds(
            max_bytes=chosen.limits.max_bytes,
            per_minute=chosen.limits.per_minute,
            in_flight=chosen.limits.in_flight,
        )
        common: dict[str, Any] = {
            "now": now,
            "seconds": reactor.seconds,
            "randomness": secrets.token_bytes,
        }
        door = transport.Door(
            services,
            metrics,
            transport.AccessLog(),
            settings=transport.DoorSettings(bounds=bounds),
            **common,
        )
        tls = transport.ServerTls(
            self.home / chosen.keys.tls_key,
            self.home / chosen.keys.tls_certificate,
            self.home / chosen.keys.trust,
        )
        opener = reactor if descriptor is None else Inherited(reactor, descriptor)
        listener = transport.listen(
            opener, door, tls, now=now, port=chosen.listen.port, interface=chosen.listen.host
        )
        self.port = listener.port
        self._stops.append(listener.stop)
        if self._with_couriers and chosen.listen.operations_port:
            inner = transport.Door(
                services,
                metrics,
                transport.AccessLog(),
                settings=transport.DoorSettings(bounds=bounds, operations=transport.FOR_OPERATORS),
                **common,
            )
            operations = transport.listen_operations(
                reactor, inner, now=now, port=chosen.listen.operations_port
            )
            self._stops.append(operations.stop)

    async def _watch(self, commits: GroupCommit) -> None:
        """Take in changes of partners and mandates that another process made."""
        version = await commits.call("register_version")
        if version != self._version:
            register = await commits.call("register")
            self._handbook = self._handbook.with_register(register)
            self._version = version
            log.info("register reloaded: version %d", version)

    def reload(self) -> Deferred[None]:
        """Read all knowledge again; the old stays in use where the new is broken."""
        return Deferred.fromCoroutine(self._reload())

    async def _reload(self) -> None:
        try:
            fresh = await deferToThreadPool(
                self._reactor,
                self._reactor.getThreadPool(),
                handbooks.load,
                self.home,
                self._handbook.register,
                settings.policy(self.settings),
            )
        except (ValueError, OSError) as error:
            log.error("knowledge not reloaded: %s", error)
            return
        self._handbook = fresh.with_register(self._handbook.register)
        log.info("knowledge reloaded")

    async def stop(self) -> None:
        """Close in order: doors first, then couriers, then what they stand on."""
        while self._stops:
            ended = self._stops.pop()()
            if isinstance(ended, Deferred) or hasattr(ended, "__await__"):
                await ended


def now() -> datetime:
    """The time, aware, UTC."""
    return datetime.now(UTC)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket that several processes can accept on."""
    listening = socket.create_server((host, port), backlog=512)
    listening.setblocking(False)
    listening.set_inheritable(True)
    return listening


def run(home: Path, reactor: Any, descriptor: int | None = None) -> None:
    """Serve until a signal says stop.  The first process binds, spawns the others and delivers."""
    first = descriptor is None
    server = Server(home, reactor, couriers=first)
    chosen = server.settings.listen
    shared = bind(chosen.host, chosen.port) if first else None
    inherited = shared.fileno() if shared is not None else descriptor
    reactor.callWhenRunning(server.start, inherited)
    if first and inherited is not None:
        for _ in range(chosen.processes - 1):
            arguments = [sys.executable, "-m", "gateway.operations.cli", "--home", str(home), "run"]
            arguments += ["--descriptor", "3"]
            reactor.callWhenRunning(_spawn, reactor, arguments, inherited)
        reactor.callWhenRunning(_announce, home, server, shared)
    reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromCoroutine(server.stop()))
    _reload_on_hangup(server, reactor)
    reactor.run()


def _announce(home: Path, server: Server, shared: socket.socket | None) -> None:
    host, port = shared.getsockname()[:2] if shared else ("", server.port)
    path = home / ADDRESS_FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{host}:{port}\n", encoding="ascii")
    log.info("listening on %s:%d", host, port)


def _spawn(reactor: Any, arguments: list[str], descriptor: int) -> None:
    from twisted.internet.protocol import ProcessProtocol

    class Sibling(ProcessProtocol):
        """A sibling that ends is begun again, unless we are ending too."""

        def processEnded(self, reason: Any) -> None:  # noqa: N802
            if reactor.running and not reactor._stopped:
                log.error("a sibling process ended; starting another")
                reactor.callLater(1, _spawn, reactor, arguments, descriptor)

    child = reactor.spawnProcess(
        Sibling(), arguments[0], arguments, os.environ, childFDs={0: "w", 1: 1, 2: 2, 3: descriptor}
    )
    reactor.addSystemEventTrigger("before", "shutdown", lambda: child.pid and child.signalProcess("TERM"))


def _reload_on_hangup(server: Server, reactor: Any) -> None:
    import signal

    def hangup(*_: object) -> None:
        reactor.callFromThread(server.reload)

    reactor.callWhenRunning(signal.signal, signal.SIGHUP, hangup)


__all__ = ["ADDRESS_FILE", "BACKEND", "Server", "now", "run", "timedelta"]
