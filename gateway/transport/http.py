"""HTTP/1.1 over any Twisted stream: a thin skin that gives heads and bodies to a door and writes replies.

It builds on ``twisted.web.http`` alone (no ``Site``, no resource tree: they cost half the speed) and
adds the bounds that it lacks: a deadline for the header, a minimum rate for the body, refusal before
the body, one length only, problem documents for malformed requests, a bounded farewell.
"""

# mypy: disallow-untyped-calls=False
# (Twisted's web and TLS classes are only partly typed.)

from __future__ import annotations

import hashlib
from io import BytesIO
from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web import http

from gateway.model import Finding, Place
from gateway.transport.admission import body_due
from gateway.transport.call import Head, Reply
from gateway.transport.counter import Admitted
from gateway.transport.door import Door, Visit
from gateway.transport.farewell import GOODBYE_SECONDS
from gateway.transport.reactor import Clock, Delayed
from gateway.transport.tls import Peer, peer_of

if TYPE_CHECKING:
    from gateway.transport.listener import Channels

MAX_HEADERS = 64  # fields of one request: real clients send about ten
HEADER_BYTES = 16_384  # request line and fields together
LINGER_SECONDS = 5.0  # how long a refused client may go on sending before it is cut off
LINGER_BYTES = 4_194_304  # and how much; it is thrown away, so that the client reads the refusal


class Request(http.Request):
    """One request: holds its body in memory as it comes, asks the door, writes the reply once."""

    channel: Channel
    content: BytesIO

    def __init__(self, channel: Channel, queued: object = False) -> None:
        super().__init__(channel, queued)
        self.door: Door = channel.door
        self.outcome: Admitted | Reply | None = None
        self.served = False
        self.emitted = False
        self.received = 0
        self._digest = hashlib.sha256()
        self._answer_due: Delayed | None = None

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        """The body is bounded by admission, so it may stay in memory."""
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        """More of the body: within the bounds, or refused here and now."""
        if self.emitted or not isinstance(self.outcome, Admitted):
            return
        self.received += len(data)
        refused = self.door.grow(self.outcome, self.received)
        if refused is not None:
            self.channel.refuse(self, refused)
            return
        self.content.write(data)
        self._digest.update(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:  # noqa: N802
        """The request is whole.  (Form bodies are no business of this door's: nothing is parsed.)"""
        if isinstance(self.outcome, Reply):
            self.emit(self.outcome)
        elif self.outcome is not None:
            self.served = True
            seconds = self.door.bounds.answer_seconds
            self._answer_due = self.channel.clock.callLater(seconds, self._unanswered, self.outcome)
            answer = self.door.serve(self.outcome, self.content.getvalue(), self._digest.hexdigest())
            answer.addCallback(self.emit)

    def emit(self, reply: Reply) -> None:
        """Write the reply, unless one was written or the client is gone."""
        if self._answer_due is not None and self._answer_due.active():
            self._answer_due.cancel()
        if self.emitted or self._disconnected:
            return
        self.emitted = True
        if reply.close or self.door.closing:
            self.channel.persistent = False
        close, bodiless = not self.channel.persistent, self.method == b"HEAD"
        octets = reply.octets(date=http.datetimeToString(), close=close, bodiless=bodiless)
        self.startedWriting = 1
        self.channel.write(octets)
        self.finish()

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802
        """The client is gone; a submission that was handed over is judged all the same."""
        if isinstance(self.outcome, Admitted) and not self.served:
            self.door.abandon(self.outcome)
        if self._answer_due is not None and self._answer_due.active():
            self._answer_due.cancel()
        super().connectionLost(reason)

    def _unanswered(self, admitted: Admitted) -> None:
        if not self.emitted:
            self.emit(self.door.unanswered(admitted))


class Channel(http.HTTPChannel):
    """One connection: its clocks, its visit, its farewell."""

    maxHeaders = MAX_HEADERS  # noqa: N815
    totalHeadersSize = HEADER_BYTES  # noqa: N815
    MAX_LENGTH = HEADER_BYTES
    abortTimeout = int(LINGER_SECONDS)  # noqa: N815
    requestFactory = Request  # type: ignore[assignment]  # noqa: N815
    requests: list[Request]

    def __init__(self, door: Door, clock: Clock, channels: Channels) -> None:
        super().__init__()
        self.door = door
        self.clock = clock
        self.callLater = clock.callLater  # type: ignore[method-assign]
        self.timeOut = door.bounds.idle_seconds  # type: ignore[assignment]
        self.visit = Visit()
        self.over = False
        self._drained = 0
        self._proven: Peer | None = None
        self._header_due: Delayed | None = None
        self._body_due: Delayed | None = None
        self._body_began = 0.0
        self._channels = channels

    def connectionMade(self) -> None:  # noqa: N802
        """The header's clock runs from here: it covers the TLS handshake too."""
        super().connectionMade()
        self._channels.joined(self)
        self._start_header_clock()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        """Stop all clocks, leave the door."""
        _cancel(self._header_due, self._body_due)
        super().connectionLost(reason)
        self.door.depart(self.visit)
        self._channels.left(self)

    @property
    def idle(self) -> bool:
        """True between requests."""
        return not self.requests and not self.over

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Octets from the client; after a refusal they are thrown away, within bounds."""
        if self.over:
            self._drained += len(data)
            if self._drained > LINGER_BYTES:
                self._abort()
            return
        if not self.requests and self._header_due is None:
            self._start_header_clock()
        super().dataReceived(data)

    def rawDataReceived(self, data: bytes) -> None:  # noqa: N802
        """Body octets; those of a refused body are dropped."""
        if not self.over:
            super().rawDataReceived(data)

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        """A line of the header; none counts after a refusal."""
        if not self.over:
            super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802
        """A header line without end."""
        self._receivedHeaderSize = HEADER_BYTES + 1
        self._respondToBadRequestAndDisconnect()

    def allHeadersReceived(self) -> None:  # noqa: N802
        """The head is whole: greet it at the door before anything of the body is taken."""
        _cancel(self._header_due)
        self._header_due = None
        if self.over:
            return
        request = self.requests[-1]
        target: Any = self._path
        request.method, request.uri, request.clientproto = self._command, target, self._version
        request.gotLength(self.length)
        self.persistent = self.checkPersistence(request, self._version)
        if self._proven is None:
            self._proven = peer_of(self.transport)
        if not self._proven.holds(self._channels.now()):
            self._abort()
            return
        head = _head(request, self._command, target, self._proven.subject)
        fault = _fault(head, self._version)
        if fault is not None:
            self._dismiss(self.door.malformed(head, fault))
            return
        request.outcome = self.door.greet(head, self.visit, length=self.length)
        if self.length != 0:
            self._expect_body(request, head)

    def allContentReceived(self) -> None:  # noqa: N802
        """The body is whole."""
        _cancel(self._body_due)
        if not self.over:
            super().allContentReceived()

    def requestDone(self, request: Request) -> None:  # noqa: N802
        """The reply is written; what the client sent meanwhile starts the next header's clock."""
        waiting = any(self._dataBuffer)
        if self.persistent and waiting:
            self._start_header_clock()
        elif not self.persistent:
            self._farewell()
        super().requestDone(request)

    def close(self) -> None:
        """Say goodbye to a client between requests: there is nothing that it still has to read."""
        self._farewell(GOODBYE_SECONDS)
        self.loseConnection()

    def refuse(self, request: Request, reply: Reply) -> None:
        """Reply in the middle of a request's body; the rest of it is thrown away."""
        self.persistent = False
        request.emit(reply)

    def _expect_body(self, request: Request, head: Head) -> None:
        if isinstance(request.outcome, Reply):
            self.refuse(request, request.outcome)
            return
        if head.header("expect").lower() == "100-continue" and self._version == b"HTTP/1.1":
            self._send100Continue()
        self._body_began = self._channels.seconds()
        self._watch_body(request)

    def _watch_body(self, request: Request) -> None:
        """Look again when the body would be too slow if nothing more had come by then."""
        now = self._channels.seconds()
        due = body_due(self.door.bounds, self._body_began, request.received)
        if due > now:
            self._body_due = self.clock.callLater(due - now, self._watch_body, request)
        elif isinstance(request.outcome, Admitted) and not request.emitted:
            self.refuse(request, self.door.too_slow(request.outcome))

    def _start_header_clock(self) -> None:
        _cancel(self._header_due)
        self._header_due = self.clock.callLater(self.door.bounds.header_seconds, self._header_late)

    def _header_late(self) -> None:
        self._header_due = None
        if not self.requests:
            self._abort()
            return
        expected = f"{self.door.bounds.header_seconds:g} s"
        finding = Finding("API4081", Place(part="header"), expected)
        self._dismiss(self.door.malformed(_empty_head(self), finding, 408))

    def _respondToBadRequestAndDisconnect(self) -> None:  # noqa: N802
        """What the parser refuses gets a problem document, once, and the end of the connection."""
        if self.over:
            return
        too_long = self._receivedHeaderSize > HEADER_BYTES or self._receivedHeaderCount > MAX_HEADERS
        expected = f"{HEADER_BYTES} octets, {MAX_HEADERS} fields" if too_long else ""
        finding = Finding("API431" if too_long else "API400", Place(part="header"), expected)
        self._dismiss(self.door.malformed(_empty_head(self), finding, 431 if too_long else 400))

    def _dismiss(self, reply: Reply) -> None:
        """Write a reply to no request, then go: after it nothing that came can be trusted."""
        self.write(reply.octets(date=http.datetimeToString(), close=True))
        self.persistent = False
        self._farewell()
        self.loseConnection()

    def _farewell(self, seconds: float = LINGER_SECONDS) -> None:
        """TLS says goodbye and waits for the client's; not for ever."""
        if not self.over:
            self.over = True
            _cancel(self._header_due, self._body_due)
            self.setTimeout(None)
            if self._abortingCall is None:
                self._abortingCall = self.clock.callLater(seconds, self.forceAbortClient)

    def _abort(self) -> None:
        self.over = True
        transport: Any = self.transport
        transport.abortConnection()


def _head(request: Request, method: bytes, target: bytes, subject: str) -> Head:
    headers = {
        name.decode("ascii").lower(): tuple(v.decode("latin-1") for v in values)
        for name, values in request.requestHeaders.getAllRawHeaders()
    }
    peer = getattr(request.client, "host", "")
    return Head(method.decode("ascii"), target.decode("latin-1"), headers, peer, subject)


def _empty_head(channel: Channel) -> Head:
    return Head("", "", {}, getattr(channel.getPeer(), "host", ""))


def _fault(head: Head, version: bytes) -> Finding | None:
    """What RFC 9112 makes a server refuse and the parser below lets through."""
    hosts = head.headers.get("host", ())
    if len(hosts) > 1 or (version == b"HTTP/1.1" and not hosts):
        return Finding("API400", Place(part="Host"), "1", str(len(hosts)))
    coding = head.headers.get("transfer-encoding", ())
    if coding and (version != b"HTTP/1.1" or [c.lower() for c in coding] != ["chunked"]):
        return Finding("API400", Place(part="Transfer-Encoding"), "chunked", ", ".join(coding)[:40])
    return None


def _cancel(*calls: Delayed | None) -> None:
    for call in calls:
        if call is not None and call.active():
            call.cancel()
