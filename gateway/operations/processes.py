"""The processes of a running home: one supervises and delivers, the others are doors.

They share the listening socket.  A door tells the supervisor over a pipe that it is open, that it goes on, and that
there is work for the couriers; it ends by itself when the supervisor is gone, and is ended when it stands still.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol, Protocol
from twisted.internet.stdio import StandardIO

from gateway.operations import bulk, cores, publication, setaside, signals, watchdog
from gateway.operations.collecting import keep_knowledge_out
from gateway.operations.couriers import deliver
from gateway.operations.doors import open_door, open_operations
from gateway.operations.gate import Gate, open_gate
from gateway.operations.keywatch import KeyWatch
from gateway.operations.presence import Presence
from gateway.operations.server import Server, now
from gateway.operations.suspects import Suspects

log = logging.getLogger("gateway.processes")

LISTENING, TOLD = 3, 4
"""A door's inherited descriptors: the shared socket, and the pipe to the supervisor."""
OPEN, SETTLED, GOES_ON = b"o", b"s", b"g"
AGAIN_SECONDS = 1.0
"""Before a door that ended is opened anew."""
DOOR_SECONDS = 40.0
"""For a door to answer what is inside and close; what has not ended then is ended."""
ABANDON_SECONDS = 15.0
"""For what was begun to end where the rest cannot begin: longer than a database that is away is waited for."""


class NotOpened(Exception):
    """A door ended before it had opened; its own log says why."""


def supervise(home: Path, reactor: Any) -> None:
    """Serve a home until a signal says stop.  Raises NotOpened, InUse, BadSettings."""
    _steady(reactor)
    signals.supervise(reactor)
    publication.check(home)
    presence = Presence(home)
    bulk.clear_spool(home)
    setaside.take_up(home)
    server = Server(home, reactor)
    with _abandoning(server, reactor):
        doors = _begin(home, reactor, server, presence)
    server.on_stop(partial(watchdog.tell_systemd, watchdog.STOPPING))
    server.on_stop(watchdog.beat(reactor, partial(watchdog.tell_systemd, watchdog.ALIVE)))
    _until_told(server, reactor, doors.hangup)
    presence.end()
    if doors.failed:
        raise NotOpened(f"door {doors.failed} could not be opened")
    log.info("stopped")


def _begin(home: Path, reactor: Any, server: Server, presence: Presence) -> Doors:
    """Everything that a home's first process does, and the doors that are its children."""
    listen = server.settings.listen
    gate = Gate(listen.host, listen.port)
    wake = deliver(server, reactor) if listen.deliver else _nobody
    if listen.operations_port:
        open_operations(server, reactor, listen.operations_port)
    server.on_stop(KeyWatch(lambda: server.keys, now).keep(reactor))
    doors = Doors(home, reactor, gate, listen.processes, wake, server.settings.limits.hung_seconds)
    server.metrics.doors(listen.processes, lambda: len(doors.answering))
    server.on_stop(doors.stop)
    server.on_stop(presence.withdraw)
    host, port = gate.address
    doors.all_open.addCallback(lambda _: _announce(presence, host, port))
    reactor.callWhenRunning(doors.start)
    return doors


@contextmanager
def _abandoning(server: Server, reactor: Any) -> Iterator[None]:
    """Where a process cannot begin: end what was begun, in order, before the error goes on.  Threads that were
    left would keep the process for ever."""
    begun = False

    def end() -> None:
        reactor.callLater(ABANDON_SECONDS, signals.stop, reactor)
        Deferred.fromCoroutine(server.stop()).addBoth(lambda _: signals.stop(reactor))

    try:
        yield
        begun = True
    finally:
        if not begun:
            reactor.callWhenRunning(end)
            reactor.run()


def serve_door(home: Path, reactor: Any, number: int) -> None:
    """One door, on the descriptors inherited from the supervisor."""
    _steady(reactor)
    signals.follow(reactor)
    server = Server(home, reactor)
    keep_knowledge_out()
    everywhere = cores.allowed()
    if server.settings.listen.own_cores:
        cores.keep_to_own(number)
    os.set_blocking(TOLD, False)  # while the supervisor stands still, this door goes on
    told = os.fdopen(TOLD, "wb", buffering=0)

    def tell(what: bytes) -> None:
        try:
            told.write(what)  # where the pipe is full, he hears enough
        except BrokenPipeError:
            reactor.callLater(0, signals.stop, reactor)

    with _abandoning(server, reactor):
        if server.settings.listen.operations_port:
            open_operations(server, reactor, server.settings.listen.operations_port + number)
        listening = Inherited(reactor, LISTENING)
        open_door(server, reactor, listening, lambda: tell(SETTLED), everywhere, named(number))
    reactor.callWhenRunning(StandardIO, _Leash(reactor))
    reactor.callWhenRunning(tell, OPEN)
    watchdog.beat(reactor, partial(tell, GOES_ON))
    _until_told(server, reactor, lambda: None)


def named(number: int) -> str:
    """A door among the processes that judge."""
    return f"door-{number}"


class Inherited:
    """A reactor whose ``listenTCP`` accepts on a socket that another process bound."""

    def __init__(self, reactor: Any, descriptor: int) -> None:
        self._reactor = reactor
        self._descriptor = descriptor

    def listenTCP(self, port: int, factory: Any, backlog: int = 0, interface: str = "") -> Any:  # noqa: N802
        """Accept; port and interface were chosen by who bound the socket."""
        open_gate(self._descriptor)
        return self._reactor.adoptStreamPort(self._descriptor, socket.AF_INET, factory)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)


class Doors:
    """The supervisor's view of its doors: opened, opened anew when one ends, closed together; ended, where one is not
    heard for ``hung_seconds``.

    ``all_open`` fires when each has opened once.  ``failed``: the number of one that ended before it
    had ever opened, as it would again; then all are closed.
    """

    def __init__(
        self,
        home: Path,
        reactor: Any,
        gate: Gate,
        count: int,
        wake: Callable[[], None],
        hung_seconds: float,
    ) -> None:
        self.all_open: Deferred[None] = Deferred()
        self.wake = wake
        self.failed = 0
        self.answering: set[int] = set()
        self._home = home
        self._reactor = reactor
        self._gate = gate
        self._count = count
        self._suspects = Suspects(home)
        self._watch = watchdog.Watch(hung_seconds)
        self._end_watch = watchdog.beat(reactor, self._end_hung)
        self._waited_for = set(range(1, count + 1))
        self._open: dict[int, Any] = {}
        self._closed: Deferred[None] | None = None

    def start(self) -> None:
        """Open every door."""
        for number in range(1, self._count + 1):
            self._spawn(number)

    def stop(self) -> Deferred[None]:
        """Close every door; fires when all have ended."""
        self._closed = Deferred()
        closed = self._closed
        self._end_watch()  # they close one connection after the other, and have their time for that
        self._signal("TERM")
        late = self._reactor.callLater(DOOR_SECONDS, self._signal, "KILL")
        closed.addCallback(lambda _: late.cancel() if late.active() else None)
        self._gate.close()
        self._last()
        return closed

    def hangup(self) -> None:
        """Let every door read its files again."""
        self._signal("HUP")

    def opened(self, number: int) -> None:
        """A door says that it is open."""
        self._waited_for.discard(number)
        self.answering.add(number)
        if not self._waited_for and not self.all_open.called and self._closed is None:
            self.all_open.callback(None)

    def goes_on(self, number: int) -> None:
        """A door says that its reactor turns."""
        self._watch.heard(number)

    def ended(self, number: int) -> None:
        """A door has ended; it is opened anew unless all are being closed."""
        del self._open[number]
        self._watch.gone(number)
        self.answering.discard(number)
        self._suspects.left_by(named(number))
        if not self._open and self._closed is None:
            self._gate.shut()
        if self._closed is None and number in self._waited_for:
            self.failed = number
            signals.stop(self._reactor)
        elif self._closed is None:
            log.error("door %d ended; opening it anew", number)
            self._reactor.callLater(AGAIN_SECONDS, self._spawn, number)
        else:
            self._last()

    def _end_hung(self) -> None:
        for number in self._watch.turn():
            log.error("door %d stands still: it is ended", number)
            self._watch.gone(number)
            with suppress(ProcessExitedAlready):
                self._open[number].signalProcess("KILL")

    def _last(self) -> None:
        if self._closed is not None and not self._open and not self._closed.called:
            self._closed.callback(None)

    def _spawn(self, number: int) -> None:
        if self._closed is not None:
            return
        # -P: no module of ours comes from the folder that we were started in.
        arguments = [sys.executable, "-P", "-m", "gateway.operations.cli", "--home", str(self._home), "run"]
        arguments += ["--door", str(number), *(["--verbose"] if "--verbose" in sys.argv else [])]
        descriptors = {0: "w", 1: 1, 2: 2, LISTENING: self._gate.fileno(), TOLD: "r"}
        with signals.held_back():
            self._open[number] = self._reactor.spawnProcess(
                _Door(self, number), sys.executable, arguments, os.environ, childFDs=descriptors
            )

    def _signal(self, name: str) -> None:
        for process in self._open.values():
            with suppress(ProcessExitedAlready):
                process.signalProcess(name)


class _Door(ProcessProtocol):
    """One door's process."""

    def __init__(self, doors: Doors, number: int) -> None:
        self._doors = doors
        self._number = number

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N802, N803
        """What the door tells."""
        if OPEN in data:
            self._doors.opened(self._number)
        if GOES_ON in data:
            self._doors.goes_on(self._number)
        if SETTLED in data:
            self._doors.wake()

    def processEnded(self, reason: Any) -> None:  # noqa: N802
        """It is gone."""
        self._doors.ended(self._number)


class _Leash(Protocol):
    """A door's standard input: its end is the supervisor's end, and so the door's."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def connectionLost(self, reason: Any = None) -> None:  # noqa: N802
        """The supervisor is gone."""
        signals.stop(self._reactor)


def _steady(reactor: Any) -> None:
    """Time everything by a clock that nobody sets.

    Twisted goes by the wall clock: were that set back by an hour, every timer of a running process (couriers,
    commits, a partner's rate) would stand still for that hour.
    """
    reactor.seconds = time.monotonic


def _nobody() -> None:
    """Another node delivers; it finds the work by itself."""


def _announce(presence: Presence, host: str, port: int) -> None:
    presence.announce(host, port)
    watchdog.tell_systemd(watchdog.READY)
    log.info("listening on %s:%d", host, port)


def _until_told(server: Server, reactor: Any, hangup: Callable[[], None]) -> None:
    """Run the reactor; SIGHUP reads files again, and what the supervisor follows stops in order."""

    def reload() -> None:
        server.reload()
        hangup()

    signals.on_hangup(reactor, reload)
    reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromCoroutine(server.stop()))
    reactor.run()
