"""What a streaming reader tells, in the order of the octets.

Between :class:`InterchangeBegun` and :class:`InterchangeRead` come groups, messages and packages, each
with its own pair; a :class:`Found` comes as soon as a fault is seen.  Until the interchange is read to its
end, what came before is provisional: an error of UNZ (or UNE) rejects all its messages.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from gateway.model.edifact import Segment
from gateway.model.finding import Finding
from gateway.syntax.interchange import FunctionalGroup, Interchange, Message, Package


class Detail(msgspec.Struct, frozen=True):
    """What a reading keeps and tells beside verdicts.

    ``segments``: a :class:`SegmentRead` of each.  ``trees``: messages with their segments and tree.
    ``octets``: packages with their object.  ``shelves``: the folder where what a very long message holds is put
    by, so that its tree is not held together; else all of every tree is in memory.
    """

    segments: bool = False
    trees: bool = False
    octets: bool = False
    shelves: Path | None = None


class InterchangeBegun(msgspec.Struct, frozen=True):
    """UNB is read; ``interchange`` has no messages."""

    interchange: Interchange


class GroupBegun(msgspec.Struct, frozen=True):
    """UNG is read."""

    group: FunctionalGroup


class MessageBegun(msgspec.Struct, frozen=True):
    """UNH is read; ``message`` has what UNH says."""

    message: Message


class SegmentRead(msgspec.Struct, frozen=True):
    """A segment of a message, the groups around it (outermost first: ``SG7``, ``SG8``), and whether it
    opens a new occurrence of the innermost of them."""

    segment: Segment
    groups: tuple[str, ...]
    opens: bool


class Found(msgspec.Struct, frozen=True):
    """A finding, as soon as it is made; ``ordinal``: its message's, 0 for the interchange or a group."""

    finding: Finding
    ordinal: int


class MessageRead(msgspec.Struct, frozen=True):
    """UNT is read, or what stands in its place: the message and all its findings."""

    message: Message


class PackageRead(msgspec.Struct, frozen=True):
    """UNP is read."""

    package: Package


class GroupRead(msgspec.Struct, frozen=True):
    """UNE is read, or what stands in its place; an error of the group rejects its messages."""

    group: FunctionalGroup


class InterchangeRead(msgspec.Struct, frozen=True):
    """UNZ is read, or the reading is over; an error rejects every message.  It has no messages itself."""

    interchange: Interchange


Event = (
    InterchangeBegun
    | GroupBegun
    | MessageBegun
    | SegmentRead
    | Found
    | MessageRead
    | PackageRead
    | GroupRead
    | InterchangeRead
)
