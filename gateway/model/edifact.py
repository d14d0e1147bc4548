"""EDIFACT in neutral form: segments, the tree they make, and the directory tables that describe them.

Segments and groups come by the million and cannot form cycles, so the garbage collector leaves them out
(``gc=False``): a large manifest is read twice as fast.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

import msgspec


class Segment(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="s"):
    """One segment as read or to be written.

    ``elements``: those after the tag, each a tuple of components (a stand-alone element is a tuple of
    one); text is decoded and un-released; an omitted element is ``("",)`` or ``()``.  ``number``:
    from 1 at UNH (CONTRL 0096), 0 for service segments outside a message.  ``offset``: octets from
    the start of the interchange.  ``repeats``: syntax 4 only, (element position, further occurrences).
    """

    tag: str
    elements: tuple[tuple[str, ...], ...]
    number: int = 0
    offset: int = -1
    repeats: tuple[tuple[int, tuple[tuple[str, ...], ...]], ...] = ()

    def get(self, element: int, component: int = 1) -> str:
        """The text at a position, both from 1 (element 1 follows the tag); "" where absent."""
        if element <= len(self.elements):
            components = self.elements[element - 1]
            if component <= len(components):
                return components[component - 1]
        return ""


class Group(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="g"):
    """One occurrence of a segment group, or of the whole message (``name`` "").

    ``children`` are in message order; the first of a group is its trigger segment.  Those of a very long message are
    on a shelf (``shelf.Parts``), to be gone through.
    """

    name: str
    children: tuple[Segment | Group, ...]

    def segments(self, tag: str) -> Iterator[Segment]:
        """This group's own segments of a tag (not those of groups inside it)."""
        for child in self.children:
            if isinstance(child, Segment) and child.tag == tag:
                yield child

    def groups(self, name: str) -> Iterator[Group]:
        """The group's own occurrences of a group such as ``SG7``."""
        for child in self.children:
            if isinstance(child, Group) and child.name == name:
                yield child


class ComponentUse(msgspec.Struct, frozen=True, array_like=True):
    """A simple data element in its place: code (``1154``), status, format (``an..35``)."""

    code: str
    required: bool
    format: str


class ElementUse(msgspec.Struct, frozen=True, array_like=True):
    """A stand-alone (``components`` empty) or composite data element of a segment."""

    code: str
    required: bool
    repeat: int
    format: str = ""
    components: tuple[ComponentUse, ...] = ()


class SegmentTable(msgspec.Struct, frozen=True, array_like=True):
    """A segment's layout in one directory."""

    tag: str
    elements: tuple[ElementUse, ...]


class SegmentUse(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """A segment's place in a message: status and how often."""

    segment: str
    required: bool
    repeat: int


class GroupUse(msgspec.Struct, frozen=True, array_like=True, tag="g"):
    """A segment group's place in a message; its first node is the trigger segment."""

    name: str
    required: bool
    repeat: int
    nodes: tuple[SegmentUse | GroupUse, ...]


class MessageTable(msgspec.Struct, frozen=True, array_like=True):
    """A message's structure in one directory: UNH and UNT included."""

    type: str
    version: str
    release: str
    nodes: tuple[SegmentUse | GroupUse, ...]
    agency: str = "UN"


class Directory(msgspec.Struct, frozen=True):
    """One directory (``D.96B``): messages, segments, and code lists by element code.

    The mappings may read an entry when it is first asked for, and raise ValueError, naming file and line,
    where it is broken.
    """

    name: str
    messages: Mapping[str, MessageTable]
    segments: Mapping[str, SegmentTable]
    codes: Mapping[str, frozenset[str]]
    agency: str = "UN"


class Acknowledging(StrEnum):
    """Which interchanges a partner wants a CONTRL for (ISO 9735-4).

    ``FULL``: each, accepted or not.  ``ERRORS``: only one with a rejection.  ``RECEIPT``: each, that it
    has arrived (0083 code 8), and again only where something is rejected.
    """

    FULL = "full"
    ERRORS = "errors"
    RECEIPT = "receipt"


class Agreement(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was agreed with one partner about its EDIFACT interchanges.

    ``tolerated``: codes of defects that are read on, as warnings (see ``gateway.syntax.TOLERABLE``).
    ``refused``: codes of warnings that reject.  ``message``: S009 (``CUSCAR:D:95B:UN``) of messages whose
    UNH does not say the type.  ``packages``: UNO and UNP may be sent.  ``acknowledging``: which CONTRL
    it gets.  ``guide``: name of the implementation guide that narrows the directories.
    """

    tolerated: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    message: str = ""
    packages: bool = False
    acknowledging: Acknowledging = Acknowledging.FULL
    guide: str = ""
