"""The end of a TLS connection: the other side's goodbye is waited for, but not for ever.

Who says goodbye over TLS waits for the same from the other side (RFC 8446, 6.1), which a silent one
never says: without a bound, its connection would outlive every other and keep us from stopping.
"""

# mypy: disallow-untyped-calls=False
# (Twisted's web and TLS classes are only partly typed.)

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import connectionDone
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.error import SchemeNotSupported
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer  # type: ignore[import-untyped]

from gateway.transport.reactor import Clock, Delayed
from gateway.transport.tls import ClientTls

GOODBYE_SECONDS = 0.75
"""For an idle other side to answer our goodbye: some round trips of a bad line.  A stop waits for this
twice, at the doors and then where messages are pushed to."""


class Brief(BufferingTLSTransport):
    """A TLS connection that is cut where our goodbye is not answered in time."""

    factory: Secured
    _cut_due: Delayed | None = None

    def loseConnection(self) -> None:  # noqa: N802
        """Say goodbye."""
        super().loseConnection()
        if self.connected and self._cut_due is None:
            self._cut_due = self.factory.clock.callLater(GOODBYE_SECONDS, self.abortConnection)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        """It has ended, one way or the other."""
        if self._cut_due is not None and self._cut_due.active():
            self._cut_due.cancel()
        super().connectionLost(reason)


class Secured(TLSMemoryBIOFactory):
    """Makes the client's side of brief TLS connections."""

    noisy = False
    protocol = Brief

    def __init__(self, creator: Any, wrapped: Any, clock: Clock) -> None:
        self.clock = clock
        reactor: Any = clock
        super().__init__(creator, True, wrapped, reactor)


@implementer(IStreamClientEndpoint)
class Endpoint:
    """One server, reached over TLS."""

    def __init__(self, plain: HostnameEndpoint, creator: Any, clock: Clock) -> None:
        self._plain = plain
        self._creator = creator
        self._clock = clock

    def connect(self, protocolFactory: Any) -> Deferred[Any]:  # noqa: N803
        """Connect; fires with the protocol that the factory made."""
        factory: Any = Secured(self._creator, protocolFactory, self._clock)
        connected: Deferred[Any] = self._plain.connect(factory)
        return connected.addCallback(lambda protocol: protocol.wrappedProtocol)


@implementer(IAgentEndpointFactory)
class Endpoints:
    """Where a request goes: HTTPS only, with ``seconds`` to connect."""

    def __init__(self, reactor: Clock, tls: ClientTls, seconds: float) -> None:
        self._reactor = reactor
        self._tls = tls
        self._seconds = seconds

    def endpointForURI(self, uri: URI) -> Endpoint:  # noqa: N802
        """The endpoint of a URL.  Raises SchemeNotSupported."""
        if uri.scheme != b"https":
            raise SchemeNotSupported(f"not https: {uri.scheme!r}")
        host: Any = uri.host
        plain = HostnameEndpoint(self._reactor, host.decode("ascii"), uri.port, timeout=self._seconds)
        return Endpoint(plain, self._tls.creatorForNetloc(host, uri.port), self._reactor)
