"""Messages: UNH, the segments of a body, UNT."""

from __future__ import annotations

from functools import partial

from gateway.model.edifact import Segment
from gateway.model.finding import Finding, Place
from gateway.syntax.around import MIXED, Around
from gateway.syntax.drafts import DraftMessage
from gateway.syntax.elements import quote
from gateway.syntax.events import Detail, MessageBegun, MessageRead, SegmentRead
from gateway.syntax.groups import Groups
from gateway.syntax.identification import Identification
from gateway.syntax.interchange import Message
from gateway.syntax.tokeniser import Reading
from gateway.syntax.walk import Walk


class Messages:
    """The messages of one interchange; ``open``: the one at hand, ``count``: those begun."""

    def __init__(
        self,
        around: Around,
        groups: Groups,
        identification: Identification,
        reading: Reading,
        detail: Detail,
    ) -> None:
        self.open: DraftMessage | None = None
        self.count = 0
        self._around = around
        self._groups = groups
        self._identification = identification
        self._reading = reading
        self._detail = detail
        self._references: set[str] = set()  # of messages in the group at hand, or outside groups

    def renew(self) -> None:
        """A group begins or ends: references may come again."""
        self._references = set()

    def begin(self, segment: Segment) -> None:
        """UNH."""
        self.end(None)
        around = self._around
        around.settle()
        if self.count >= around.limits.messages:
            around.fill(around.limits.messages, segment)
            return
        self.count += 1
        draft, faults = self._begun(segment)
        self.open = draft
        if self._groups.open is not None:
            self._groups.open.join(self.count, segment.get(2))
        elif self._groups.done:
            around.tell_once(Finding(MIXED, around.place("UNH", segment.offset)))
        reference = segment.get(1)
        if reference in self._references:
            place = Place(quote(reference), 1, "UNH", element=1, offset=segment.offset)
            faults = [Finding("EDI026", place, found=quote(reference)), *faults]
        self._references.add(reference)
        around.events.append(MessageBegun(draft.message))
        for fault in faults:
            draft.walk.tell(fault)
        draft.walk.take_segment(segment, around.text)

    def _begun(self, header: Segment) -> tuple[DraftMessage, list[Finding]]:
        """The message that UNH begins, and what is wrong with its identifier."""
        ordinal, told = self.count, partial(self._tell, self.count)
        grammar, faults = self._identification.of(header)
        keep = self._detail.trees or self._detail.segments
        limits, shelves = self._around.limits, self._detail.shelves
        reference = quote(header.get(1))
        walk = Walk(grammar, self._reading, reference, limits.findings, keep, told, shelves, limits.held)
        message = Message(
            ordinal,
            header.get(1),
            *self._identification.identifier(header),
            segments=(),
            group_reference=self._groups.reference,
            common_reference=header.get(3),
        )
        return DraftMessage(message, header, walk), faults

    def _tell(self, ordinal: int, finding: Finding) -> Finding:
        """Tell a message's finding, after the segments before it: the order is that of the octets."""
        self.drain()
        return self._around.teller.tell(finding, ordinal)

    def close(self, trailer: Segment) -> bool:
        """UNT; False where there is no message that it could end."""
        if self.open is None:
            return False
        self.open.walk.take_segment(trailer, self._around.text)
        self.end(trailer)
        return True

    def end(self, trailer: Segment | None) -> None:
        """The message at hand is over, if there is one; ``trailer``: its UNT, None where that is missing."""
        draft, around = self.open, self._around
        if draft is None:
            return
        draft.end(trailer, around.teller.lines.wrapped(draft.walk.offset), around.limits.segments)
        self.drain()
        self.open = None
        around.events.append(MessageRead(draft.read(self._detail.trees)))

    def drain(self) -> None:
        """Tell the segments taken so far, where they are asked for."""
        if self._detail.segments and self.open is not None:
            for segment, groups, opens in self.open.walk.drain():
                self._around.events.append(SegmentRead(segment, groups, opens))
