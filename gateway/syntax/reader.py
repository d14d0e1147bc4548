"""Reads interchanges: as a stream of events, or whole.

The reading is incremental: octets may be cut anywhere, and memory does not grow with the interchange
unless the caller asks for what grows (trees of messages, objects of packages).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from gateway.model.edifact import Agreement
from gateway.model.finding import Finding
from gateway.syntax.cutter import Begun, Cutter, Octets, Run
from gateway.syntax.directories import Directories
from gateway.syntax.envelope import Envelope
from gateway.syntax.events import Detail, Event, InterchangeRead, MessageRead
from gateway.syntax.identification import Identification
from gateway.syntax.interchange import Interchange, Message
from gateway.syntax.limits import EdifactLimits

PIECE = 1_048_576  # octets of a file read at a time

_AGREEMENT = Agreement()
_VERDICTS = Detail()


class Reader:
    """Octets in, events out.  ``several``: interchanges may follow each other in one file."""

    def __init__(
        self,
        directories: Directories,
        *,
        limits: EdifactLimits | None = None,
        agreement: Agreement = _AGREEMENT,
        detail: Detail = _VERDICTS,
        several: bool = True,
    ) -> None:
        self._directories = directories
        self._agreement = agreement
        self._detail = detail
        self._cutter = Cutter(limits, several, frozenset(agreement.tolerated))
        self._envelope: Envelope | None = None

    def feed(self, octets: bytes) -> list[Event]:
        """What these octets complete."""
        return self._events(self._cutter.feed(octets))

    def finish(self) -> list[Event]:
        """What is left when no more octets come."""
        events = self._events(self._cutter.finish())
        return events + self._end()

    def _events(self, items: Iterable[Begun | Run | Octets]) -> list[Event]:
        events: list[Event] = []
        for item in items:
            if isinstance(item, Begun):
                events += self._end()
                identification = Identification(self._directories, item.opening, self._agreement)
                self._envelope = Envelope(
                    item, self._cutter.limits, identification, self._agreement, self._detail
                )
            elif self._envelope is not None:
                if isinstance(item, Run):
                    self._envelope.take(item)
                else:
                    self._envelope.take_octets(item)
            if self._envelope is not None and self._envelope.events:
                events += self._envelope.events
                self._envelope.events.clear()
        return events

    def _end(self) -> list[Event]:
        envelope, self._envelope = self._envelope, None
        if envelope is None:
            return []
        envelope.finish(self._cutter.stopped)
        return envelope.events


def stream(
    source: Iterable[bytes],
    directories: Directories,
    *,
    limits: EdifactLimits | None = None,
    agreement: Agreement = _AGREEMENT,
    detail: Detail = _VERDICTS,
) -> Iterator[Event]:
    """The events of a file that is given in pieces of any size; it may hold several interchanges."""
    reader = Reader(directories, limits=limits, agreement=agreement, detail=detail)
    for piece in source:
        yield from reader.feed(piece)
    yield from reader.finish()


def read(
    content: bytes,
    directories: Directories,
    limits: EdifactLimits | None = None,
    agreement: Agreement = _AGREEMENT,
) -> Interchange:
    """Read one interchange whole; a sender's fault is a finding, never an exception.

    ``content``: the octets from UNA or UNB to UNZ.  Every message is matched against its directory and
    has its tree; a group's errors stand with each of its messages too.
    """
    detail = Detail(trees=True, octets=agreement.packages)
    reader = Reader(directories, limits=limits, agreement=agreement, detail=detail, several=False)
    messages: list[Message] = []
    whole = Interchange()
    for start in range(0, len(content), PIECE):
        messages += _messages(reader.feed(content[start : start + PIECE]))
    for event in reader.finish():
        if isinstance(event, MessageRead):
            messages.append(event.message)
        elif isinstance(event, InterchangeRead):
            whole = event.interchange
    return replace(whole, messages=tuple(_with_groups(messages, whole)))


def _messages(events: Iterable[Event]) -> Iterator[Message]:
    return (event.message for event in events if isinstance(event, MessageRead))


def _with_groups(messages: Iterable[Message], whole: Interchange) -> Iterator[Message]:
    """The messages with the errors of the groups around them: they reject them all."""
    told: dict[int, tuple[Finding, ...]] = {}
    for group in whole.groups:
        told |= dict.fromkeys(group.messages if group.errors else (), group.errors)
    for message in messages:
        more = told.get(message.ordinal)
        yield message if more is None else replace(message, findings=message.findings + more)
