"""One HTTPS request and its bounded answer: what push and the client library both are made of."""

# mypy: disallow-untyped-calls=False
# (Twisted's web and TLS classes are only partly typed.)

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from twisted.internet.defer import CancelledError, Deferred, TimeoutError, succeed
from twisted.internet.error import ConnectError, ConnectionLost, DNSLookupError
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web._newclient import HEADER, STATUS, HTTP11ClientProtocol
from twisted.web.client import (
    Agent,
    HTTPConnectionPool,
    ResponseDone,
    ResponseFailed,
    _HTTP11ClientFactory,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer  # type: ignore[import-untyped]

from gateway.transport.farewell import Endpoints
from gateway.transport.reactor import Clock
from gateway.transport.tls import ClientTls

CONNECT_SECONDS = 10.0
# Idle connections are given up before usual servers do (60 s and more), so that a request hardly ever
# meets a connection that is just being closed.
KEEP_SECONDS = 20
KEPT_PER_HOST = 4
# Octets before an answer's body: its status, its headers, and what comes before them (1xx).
MAX_HEAD = 64 * 1024


class Unreachable(Exception):
    """No answer: the other side cannot be connected to, is not proven by TLS, or does not answer.

    ``why``: ``connect``, ``tls``, ``timeout``, ``lost`` or ``size``.
    """

    def __init__(self, why: str, detail: str = "") -> None:
        super().__init__(f"{why}: {detail}" if detail else why)
        self.why = why


class Heard(msgspec.Struct, frozen=True):
    """The answer: status, headers by lower-case name (the first value of each), body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Exchange:
    """Requests over a pool of persistent connections.  No redirect is followed, nothing is repeated.

    ``seconds``: for one whole exchange; ``max_bytes``: of one answer's body; its
    head is bounded by MAX_HEAD.  ``endpoints``: how to connect,
    where that is not by ``tls``.
    """

    def __init__(
        self,
        reactor: Clock,
        tls: ClientTls | None,
        *,
        seconds: float,
        max_bytes: int,
        endpoints: Any = None,
    ) -> None:
        self._clock: Any = reactor
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._pool: Any = _Pool(reactor, persistent=True)
        self._pool.maxPersistentPerHost = KEPT_PER_HOST
        self._pool.cachedConnectionTimeout = KEEP_SECONDS
        self._pool.retryAutomatically = False
        factory: Any = endpoints
        if factory is None and tls is not None:
            factory = Endpoints(reactor, tls, CONNECT_SECONDS)
        self._agent: Any = Agent.usingEndpointFactory(reactor, factory, self._pool)

    def close(self) -> Deferred[None]:
        """Close the idle connections; fires when they are, whatever the other sides do."""
        closed: Deferred[None] = self._pool.closeCachedConnections()
        return closed

    def request(
        self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes | None = None
    ) -> Deferred[Heard]:
        """One request.  Fails with Unreachable."""
        fields = Headers()
        for name, value in headers:
            fields.addRawHeader(name, value)
        producer: Any = None if body is None else Octets(body)
        asked = self._agent.request(method.encode("ascii"), url.encode("ascii"), fields, producer)
        heard: Deferred[Heard] = asked.addCallback(self._hear)
        heard.addTimeout(self._seconds, self._clock)
        return heard.addErrback(_unreachable)

    def _hear(self, response: Any) -> Deferred[Heard]:
        ear = Ear(self._max_bytes)
        response.deliverBody(ear)
        headers = {
            name.decode("ascii").lower(): values[0].decode("latin-1")
            for name, values in response.headers.getAllRawHeaders()
        }
        return ear.done.addCallback(lambda body: Heard(response.code, headers, body))


class _Bounded(HTTP11ClientProtocol):
    """A connection whose answers' heads are bounded; Twisted bounds one line of them, not how many."""

    _head = 0

    def request(self, request: Any) -> Any:
        """One more exchange, with a head of its own."""
        self._head = 0
        return super().request(request)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """More of the answer; a head beyond the bound ends the connection."""
        room = MAX_HEAD - self._head
        if not self._before_body():
            super().dataReceived(data)
            return
        self._head += len(data)
        super().dataReceived(data[:room])
        if not self._before_body():
            if data[room:]:
                super().dataReceived(data[room:])
        elif self._head > MAX_HEAD:
            transport: Any = self.transport
            self._disconnectParser(Failure(Unreachable("size", f"a head of more than {MAX_HEAD} octets")))
            transport.abortConnection()

    def _before_body(self) -> bool:
        return self._parser is not None and self._parser.state in (STATUS, HEADER)


class _Factory(_HTTP11ClientFactory):
    def buildProtocol(self, addr: object) -> _Bounded:  # noqa: N802
        return _Bounded(self._quiescentCallback)


class _Pool(HTTPConnectionPool):
    """Connections that are _Bounded."""

    _factory = _Factory


class Ear(Protocol):
    """Collects a body of at most so many octets."""

    def __init__(self, limit: int) -> None:
        self.done: Deferred[bytes] = Deferred(lambda _: self._abort())
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """More of the body; beyond the bound the connection is cut."""
        self._size += len(data)
        if self._size <= self._limit:
            self._parts.append(data)
        elif not self.done.called:
            self.done.errback(Unreachable("size", f"more than {self._limit} octets"))
            self._abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        """The body's end, or the connection's before it."""
        if self.done.called:
            return
        if reason.check(ResponseDone):
            self.done.callback(b"".join(self._parts))
        else:
            self.done.errback(reason)

    def _abort(self) -> None:
        cut = getattr(self.transport, "abortConnection", None) or getattr(
            self.transport, "loseConnection", None
        )
        if cut is not None:
            cut()


@implementer(IBodyProducer)
class Octets:
    """A body that is in memory."""

    def __init__(self, body: bytes) -> None:
        self.length: int | object = len(body)
        self._body = body

    def startProducing(self, consumer: Any) -> Deferred[None]:  # noqa: N802
        """Write all of it."""
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:  # noqa: N802
        """All is written already."""

    def resumeProducing(self) -> None:  # noqa: N802
        """All is written already."""

    def stopProducing(self) -> None:  # noqa: N802
        """All is written already."""


def _unreachable(failure: Failure) -> Heard:
    error = _cause(failure)
    if isinstance(error, Unreachable):
        raise error
    if isinstance(error, TimeoutError | CancelledError):
        raise Unreachable("timeout") from error
    if isinstance(error, ConnectError | DNSLookupError):
        raise Unreachable("connect", type(error).__name__) from error
    if type(error).__module__.split(".")[0] in ("OpenSSL", "service_identity"):
        raise Unreachable("tls", type(error).__name__) from error
    if isinstance(error, ConnectionLost | ResponseFailed) or type(error).__module__.startswith("twisted."):
        raise Unreachable("lost", type(error).__name__) from error
    failure.raiseException()
    raise error


def _cause(failure: Failure) -> BaseException:
    """The innermost reason: ``twisted.web`` wraps what the transport said in lists of failures."""
    error: Any = failure.value
    while reasons := getattr(error, "reasons", None):
        error = reasons[0].value
    cause: BaseException = error
    return cause
