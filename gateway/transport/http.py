"""HTTP/1.1 over any Twisted stream: a thin skin that gives heads and bodies to a door and writes replies.

It builds on ``twisted.web.http`` alone (no ``Site``, no resource tree: they cost half the speed) and
adds the bounds that it lacks: a deadline for the header, a minimum rate for the body, refusal before
the body, one length only, problem documents for malformed requests, a bounded farewell.
"""

# mypy: disallow-untyped-calls=False
# (Twisted's web and TLS classes are only partly typed.)

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web import http

from gateway.model import Finding, Place
from gateway.transport.alarm import Alarm
from gateway.transport.bounds import body_due
from gateway.transport.call import Head, Reply
from gateway.transport.counter import Admitted
from gateway.transport.door import Door, Visit
from gateway.transport.farewell import GOODBYE_SECONDS
from gateway.transport.heads import fault_in, head_of, no_head
from gateway.transport.reactor import Clock, Delayed, has_more
from gateway.transport.request import Request
from gateway.transport.tls import Peer, peer_of

MAX_HEADERS = 64  # fields of one request: real clients send about ten
HEADER_BYTES = 16_384  # request line and fields together
# Many clients read only when all is sent, and a connection cut before takes the refusal with it: what they
# go on sending is thrown away for so long, and so much.
HEARD_BYTES = (
    131_072  # of a body refused for lack of room, where its connection is kept: cheaper than a new one
)
LAY_THERE_SECONDS = 0.1  # what comes so soon after it is read again was sent before
LINGER_SECONDS = 30.0  # 64 MiB at 17 Mbit/s
LINGER_BYTES = 67_108_864  # of a partner: the largest interchange there is, EdifactLimits.interchange
STRANGER_BYTES = 4_194_304  # of who is not proven: not worth more of our time
CLOSE_SECONDS = 5.0  # for a client that has sent and heard everything to close


class Hall(Protocol):
    """Where channels come from, and what all of them share: the time, and who is there."""

    now: Callable[[], datetime]
    seconds: Callable[[], float]

    def joined(self, channel: Channel) -> None:
        """The channel is connected."""

    def left(self, channel: Channel) -> None:
        """Its connection has ended."""


class Channel(http.HTTPChannel):
    """One connection: its clocks, its visit, its farewell."""

    maxHeaders = MAX_HEADERS  # noqa: N815
    totalHeadersSize = HEADER_BYTES  # noqa: N815
    MAX_LENGTH = HEADER_BYTES
    abortTimeout = int(CLOSE_SECONDS)  # noqa: N815
    requestFactory = Request  # type: ignore[assignment]  # noqa: N815
    requests: list[Request]

    def __init__(self, door: Door, clock: Clock, channels: Hall) -> None:
        super().__init__()
        self.door = door
        self.clock = clock
        self.callLater = clock.callLater  # type: ignore[method-assign]
        self._idle = Alarm(clock, self.timeoutConnection)
        self.answer_due = Alarm(clock, self._unanswered)
        self.timeOut = door.bounds.idle_seconds  # type: ignore[assignment]
        self.visit = Visit()
        self.over = False
        self._drained = 0
        self._hurried = False
        self._proven: Peer | None = None
        self._header_due: Delayed | None = None
        self._body_due: Delayed | None = None
        self._body_began = 0.0
        self._in_head = False
        self._in_body: Request | None = None
        self._told_until = 0.0
        self._read_again: Delayed | None = None
        self._held_back = ""
        self._channels = channels

    def connectionMade(self) -> None:  # noqa: N802
        """The header's clock runs from here: it covers the TLS handshake too."""
        super().connectionMade()
        self._channels.joined(self)
        self._start_header_clock()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        """Stop all clocks, leave the door."""
        _cancel(self._header_due, self._body_due, self._read_again)
        self.door.patience.forget(self._held_back, self._read_on)
        super().connectionLost(reason)
        self._idle.stop()
        self.answer_due.stop()
        self.door.depart(self.visit)
        self._channels.left(self)

    def setTimeout(self, period: float | None) -> Any:  # noqa: N802
        """Between requests it may be silent so long, None within one; what was said before."""
        before, self.timeOut = self.timeOut, period  # type: ignore[assignment]
        if period is None:
            self._idle.clear()
        else:
            self._idle.set(period)
        return before

    def resetTimeout(self) -> None:  # noqa: N802
        """It is not silent."""
        if self.timeOut is not None:
            self._idle.set(self.timeOut)

    def _unanswered(self) -> None:
        if self.requests:
            self.requests[0].unanswered()

    @property
    def idle(self) -> bool:
        """True between requests, and behind the last."""
        return not self.requests

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Octets from the client; after a refusal they are thrown away, within bounds."""
        if self.over:
            self._drained += len(data)
            if self._drained > (LINGER_BYTES if self.visit.partner else STRANGER_BYTES):
                self._abort()
            return
        self._in_head = self._in_head or not self.requests
        super().dataReceived(data)
        self._start_clocks()

    def rawDataReceived(self, data: bytes) -> None:  # noqa: N802
        """Body octets; those of a refused body are dropped."""
        if not self.over:
            super().rawDataReceived(data)

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        """A line of the header; none counts after a refusal."""
        if not self.over:
            self._in_head = self._in_head or not self.requests
            super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802
        """A header line without end."""
        self._receivedHeaderSize = HEADER_BYTES + 1
        self._respondToBadRequestAndDisconnect()

    def allHeadersReceived(self) -> None:  # noqa: N802
        """The head is whole: greet it at the door before anything of the body is taken."""
        _cancel(self._header_due)
        self._header_due = None
        self._in_head = False
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
        head = head_of(request, self._command, target, self._proven)
        fault = fault_in(head, self._version)
        if fault is not None:
            self._dismiss(self.door.malformed(head, fault))
            return
        request.outcome = self.door.greet(head, self.visit, length=self.length)
        if self.length != 0:
            self._expect_body(request, head)

    def allContentReceived(self) -> None:  # noqa: N802
        """The body is whole."""
        _cancel(self._body_due)
        self._body_due = self._in_body = None
        if not self.over:
            super().allContentReceived()

    def requestDone(self, request: Request) -> None:  # noqa: N802
        """The reply is written; what the client sent meanwhile starts the next header's clock."""
        if not self.persistent:
            self._farewell()
        elif any(self._dataBuffer):
            self._in_head = True
        super().requestDone(request)
        self._start_clocks()
        if isinstance(request.outcome, Reply) and not self.over:
            self._hold_back(request.outcome)

    def close(self) -> None:
        """Say goodbye to a client that has its answers: between requests, or still sending in vain."""
        if not self.over:
            self._farewell(GOODBYE_SECONDS)
            self.loseConnection()
        elif self._abortingCall is not None and not self._hurried:
            self._hurried = True
            self._abortingCall.reset(GOODBYE_SECONDS)

    def refuse(self, request: Request, reply: Reply) -> None:
        """Reply in the middle of a request's body; the rest of it is thrown away."""
        self.persistent = False
        self._farewell(LINGER_SECONDS)
        request.emit(reply)

    def _expect_body(self, request: Request, head: Head) -> None:
        if isinstance(request.outcome, Reply) and not self._is_kept(request.outcome, head):
            self.refuse(request, request.outcome)
            return
        if (
            isinstance(request.outcome, Admitted)
            and head.header("expect").lower() == "100-continue"
            and self._version == b"HTTP/1.1"
        ):
            self._send100Continue()
        self._body_began = self._channels.seconds()
        self._in_body = request

    def _is_kept(self, reply: Reply, head: Head) -> bool:
        """Only for lack of room, and the body is on its way and small: a new connection would cost more."""
        small = self.length is not None and self.length <= HEARD_BYTES
        return bool(small and self.persistent and reply.is_for_later and not head.header("expect"))

    def _hold_back(self, reply: Reply) -> None:
        """Who was told when to come again, comes sooner and is refused again is not read for a while: a refusal
        costs a quarter of a message, and whoever does not wait would take that from the others."""
        if not reply.is_for_later or self._read_again is not None:
            return
        now, wait = self._channels.seconds(), float(reply.header("Retry-After"))
        too_soon = now < self._told_until
        pause = self.door.patience.pause(self.visit.partner, wait, now, too_soon=too_soon)
        if not pause:
            self._told_until = now + wait
            return
        self._network.pauseProducing()
        if too_soon or pause <= wait:
            self._held_back_for(pause, now)
        else:
            # It is others of the partner's that did not wait: whether it does is known when it was told to come again.
            self._read_again = self.clock.callLater(wait, self._look, now + pause)
        if reply.status == http.SERVICE_UNAVAILABLE:
            self._held_back = self.visit.partner
            self.door.patience.hold_back(self._held_back, self._read_on)

    def _held_back_for(self, pause: float, now: float) -> None:
        """What lies there when it is read again was sent too soon."""
        self._told_until = now + pause + LAY_THERE_SECONDS
        self._read_again = self.clock.callLater(pause, self._read_on)

    def _look(self, until: float) -> None:
        """It may come again: if it did not before, it is read from now on."""
        if has_more(self.transport):
            now = self._channels.seconds()
            self._held_back_for(max(0.0, until - now), now)
        else:
            self._read_on()

    def _read_on(self) -> None:
        _cancel(self._read_again)
        self._read_again = None
        self.door.patience.forget(self._held_back, self._read_on)
        if not self._waitingForTransport:
            self._network.resumeProducing()

    @property
    def _network(self) -> Any:
        """The transport, which Twisted types as a class of functions."""
        return self._networkProducer

    def _watch_body(self, request: Request) -> None:
        """Look again when the body would be too slow if nothing more had come by then."""
        now = self._channels.seconds()
        due = body_due(self.door.bounds, self._body_began, request.received)
        if due > now:
            self._body_due = self.clock.callLater(due - now, self._watch_body, request)
        elif isinstance(request.outcome, Admitted) and not request.emitted:
            self.refuse(request, self.door.too_slow(request.outcome))
        elif isinstance(request.outcome, Reply) and not request.emitted:
            self.refuse(request, request.outcome)

    def _start_clocks(self) -> None:
        """For what did not come at once: small messages mostly do, and a clock has its price."""
        if self.over:
            return
        if self._in_head and self._header_due is None:
            self._start_header_clock()
        if self._in_body is not None and self._body_due is None:
            self._watch_body(self._in_body)

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
        self._dismiss(self.door.malformed(no_head(self.getPeer()), finding, 408))

    def _respondToBadRequestAndDisconnect(self) -> None:  # noqa: N802
        """What the parser refuses gets a problem document, once, and the end of the connection."""
        if self.over:
            return
        too_long = self._receivedHeaderSize > HEADER_BYTES or self._receivedHeaderCount > MAX_HEADERS
        expected = f"{HEADER_BYTES} octets, {MAX_HEADERS} fields" if too_long else ""
        finding = Finding("API431" if too_long else "API400", Place(part="header"), expected)
        self._dismiss(self.door.malformed(no_head(self.getPeer()), finding, 431 if too_long else 400))

    def _dismiss(self, reply: Reply) -> None:
        """Write a reply to no request, then go: after it nothing that came can be trusted."""
        self.write(reply.octets(date=http.datetimeToString(), close=True))
        self.persistent = False
        self._farewell()
        self.loseConnection()

    def _farewell(self, seconds: float = CLOSE_SECONDS) -> None:
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


def _cancel(*calls: Delayed | None) -> None:
    for call in calls:
        if call is not None and call.active():
            call.cancel()
