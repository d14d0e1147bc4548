"""One request: its body in memory, the door's word on it, one reply."""

# mypy: disallow-untyped-calls=False
# (Twisted's web classes are only partly typed.)

from __future__ import annotations

import hashlib
from io import BytesIO
from typing import Any, Protocol

from twisted.python.failure import Failure
from twisted.web import http

from gateway.transport.alarm import Alarm
from gateway.transport.call import Reply
from gateway.transport.counter import Admitted
from gateway.transport.door import Door


class Line(Protocol):
    """The connection, as far as a request on it must know it.

    ``persistent``: whether another request may follow.  ``answer_due``: calls `Request.unanswered` of the one that
    is served: there is one at a time.
    """

    door: Door
    answer_due: Alarm
    persistent: bool

    def write(self, data: bytes) -> None:
        """Send octets."""

    def refuse(self, request: Request, reply: Reply) -> None:
        """Reply in the middle of the request's body, and end the connection."""


class Request(http.Request):
    """One request: holds its body in memory as it comes, asks the door, writes the reply once."""

    channel: Line  # type: ignore[assignment]
    content: BytesIO

    def __init__(self, channel: Line, queued: object = False) -> None:
        connection: Any = channel
        super().__init__(connection, queued)
        self.door: Door = channel.door
        self.outcome: Admitted | Reply | None = None
        self.served = False
        self.emitted = False
        self.received = 0
        self._digest = hashlib.sha256()

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
        self._digest.update(data)
        refused = self.door.write(self.outcome, self.content, data)
        if refused is not None:
            self.channel.refuse(self, refused)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:  # noqa: N802
        """The request is whole.  (Form bodies are no business of this door's: nothing is parsed.)"""
        if isinstance(self.outcome, Reply):
            self.emit(self.outcome)
        elif self.outcome is not None:
            self.served = True
            self.channel.answer_due.set(self.door.bounds.answer_seconds)
            answer = self.door.serve(self.outcome, self.content.getvalue(), self._digest.hexdigest())
            answer.addCallback(self.emit)

    def emit(self, reply: Reply) -> None:
        """Write the reply, unless one was written or the client is gone."""
        if self.emitted or self._disconnected:
            return
        self.channel.answer_due.clear()
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
        super().connectionLost(reason)

    def unanswered(self) -> None:
        """It is not answered in time."""
        if self.served and not self.emitted and isinstance(self.outcome, Admitted):
            self.emit(self.door.unanswered(self.outcome))
