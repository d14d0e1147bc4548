"""Listeners: the TLS port of the door, the loopback port for operators, and their orderly end."""

# mypy: disallow-untyped-calls=False
# (Twisted's web and TLS classes are only partly typed.)

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.internet.task import deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol

from gateway.transport.admission import Handshakes
from gateway.transport.door import Door
from gateway.transport.http import Channel
from gateway.transport.reactor import Clock, Reactor
from gateway.transport.request import Request
from gateway.transport.tls import ServerTls

BACKLOG = 512  # connections waiting to be accepted: a burst of partners after an outage
STOP_SECONDS = 20.0  # for requests inside to be answered when the listener stops
STOP_STEP = 0.02


class Channels(ServerFactory):
    """Makes channels for a door and knows those that are open."""

    noisy = False

    def __init__(
        self,
        door: Door,
        clock: Clock,
        now: Callable[[], datetime],
    ) -> None:
        self.open: set[Channel] = set()
        self.now = now
        self.seconds = clock.seconds
        self._door = door
        self._clock = clock
        self._by_address: Counter[str] = Counter()
        self._handshakes = Handshakes(door.bounds)

    def room(self, address: str) -> bool:
        """True where one more connection from the address is within the bounds."""
        bounds = self._door.bounds
        return len(self.open) < bounds.connections and (
            self._by_address[address] < bounds.connections_per_address
        )

    def begin(self, address: str) -> bool:
        """True where there is room, and time for a handshake."""
        if self.room(address) and self._handshakes.begin(address, self.seconds()):
            return True
        self._door.metrics.turned_away.inc()
        return False

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:  # noqa: N802
        """A channel, or None where there is no room (then the connection is closed)."""
        if not self.room(_host(addr)):
            return None
        channel = Channel(self._door, self._clock, self)
        channel.factory = self
        return channel

    def joined(self, channel: Channel) -> None:
        """The channel is connected."""
        self.open.add(channel)
        self._by_address[_host(channel.getPeer())] += 1
        self._door.metrics.connections.inc()

    def left(self, channel: Channel) -> None:
        """The channel's connection has ended."""
        self.open.discard(channel)
        address = _host(channel.getPeer())
        self._by_address[address] -= 1
        if self._by_address[address] <= 0:
            del self._by_address[address]
        self._door.metrics.connections.dec()

    def log(self, request: Request) -> None:
        """The door writes the access log; ``twisted.web`` has nothing to add."""


class _Tls(TLSMemoryBIOFactory):
    """Refuses before the handshake where the channels have no room, or too many begin at once."""

    # Not the buffering one, which waits a turn of the reactor for more to write: a channel writes once.
    protocol = TLSMemoryBIOProtocol

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802
        """None, which closes the connection, where it is refused."""
        channels: Any = self.wrappedFactory
        if not channels.begin(_host(addr)):
            return None
        return super().buildProtocol(addr)


class Listener:
    """An open port.  ``port`` is its number."""

    def __init__(self, clock: Clock, listening: Any, channels: Channels, door: Door) -> None:
        self._clock = clock
        self._listening = listening
        self._channels = channels
        self._door = door
        self.port: int = listening.getHost().port

    def stop(self, seconds: float = STOP_SECONDS) -> Deferred[None]:
        """Take no new connection, answer what is inside, close the rest; fires when all is closed."""
        self._door.closing = True
        return Deferred.fromCoroutine(self._stop(self._channels.seconds() + seconds))

    async def _stop(self, until: float) -> None:
        await maybeDeferred(self._listening.stopListening)
        while self._channels.open and self._channels.seconds() < until:
            for channel in [c for c in self._channels.open if c.idle]:
                channel.close()
            await self._pause()
        for channel in list(self._channels.open):
            channel.forceAbortClient()

    def _pause(self) -> Deferred[None]:
        clock: Any = self._clock
        return deferLater(clock, STOP_STEP)


def listen(
    reactor: Reactor,
    door: Door,
    tls: ServerTls,
    *,
    now: Callable[[], datetime],
    port: int,
    interface: str = "",
) -> Listener:
    """Open the door to partners.  Raises CannotListenError where the port is taken."""
    channels = Channels(door, reactor, now)
    factory = _tls(tls, channels, reactor)
    return Listener(reactor, reactor.listenTCP(port, factory, BACKLOG, interface), channels, door)


def listen_operations(
    reactor: Reactor,
    door: Door,
    *,
    now: Callable[[], datetime],
    port: int,
    interface: str = "127.0.0.1",
    anywhere: bool = False,
) -> Listener:
    """Open a door of public operations (``routes.FOR_OPERATORS``) without TLS.

    Raises ValueError where the interface is not a loopback address and is not meant to be (``anywhere``:
    the operator chose a network of its own), or the door has operations for partners: there is no
    encryption here.
    """
    if not all(o.public for o in door.routes.operations):
        raise ValueError("operations for partners are answered over TLS only")
    if not anywhere and not ipaddress.ip_address(interface).is_loopback:
        raise ValueError(f"operations listen on a loopback address only, not on {interface}")
    channels = Channels(door, reactor, now)
    return Listener(reactor, reactor.listenTCP(port, channels, BACKLOG, interface), channels, door)


def _tls(tls: Any, channels: Any, clock: Any) -> _Tls:
    return _Tls(tls, False, channels, clock)


def _host(address: IAddress | None) -> str:
    return str(getattr(address, "host", ""))
