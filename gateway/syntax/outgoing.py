"""What is to be written: messages, packages and functional groups of an interchange, and where references
come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Protocol

import msgspec

from gateway.model.edifact import Group, Segment
from gateway.syntax.characters import Separators
from gateway.syntax.interchange import Message

Components = tuple[str, ...]


class References(Protocol):
    """Where control references come from: each is given once, ever (``gateway.intake.Numbers`` is one)."""

    def take(self, count: int = 1) -> list[str]:
        """``count`` references of at most 14 characters (0020, 0048: an..14)."""
        ...


class OutMessage(msgspec.Struct, frozen=True):
    """A message to be written: S009, 0062, 0068 and its segments without UNH and UNT.

    ``segments``: an iterator will do, for a message that is never in memory as a whole.  ``more``:
    elements of UNH after 0068 (S010; syntax 4 also S016, S017, S018).
    """

    type: str
    version: str
    release: str
    agency: str
    association: str
    reference: str
    segments: Iterable[Segment]
    common_reference: str = ""
    more: tuple[Components, ...] = ()


class OutPackage(msgspec.Struct, frozen=True):
    """An object to be written, syntax 4 only: 0800, S020 and S021 (at least one each), and its octets.

    ``octets``: whole, or in pieces; then ``length`` says how many they are.
    """

    reference: str
    references: tuple[Components, ...]
    types: tuple[Components, ...]
    octets: bytes | Iterable[bytes]
    length: int = -1


class OutGroup(msgspec.Struct, frozen=True):
    """A functional group to be written: 0048, S006, S007 and what it holds.

    ``type``, ``agency`` and ``version`` (0038, 0051, S008): of its messages, where they are left out and
    the syntax version wants them (1 to 3); syntax 4 has all three or none.  ``password``: 0058.
    """

    reference: str
    sender: Components
    recipient: Components
    parts: Iterable[OutMessage | OutPackage]
    type: str = ""
    agency: str = ""
    version: Components = ()
    password: str = ""


Part = OutMessage | OutPackage | OutGroup


class OutInterchange(msgspec.Struct, frozen=True, kw_only=True):
    """An interchange to be written; see :func:`gateway.syntax.write` for what it has in common with it.

    ``ack_request``: 0031, "1" or (syntax 4) "2".  ``password``: S005.  ``priority``: 0029.
    ``agreement``: 0032.  ``verbatim``: lower case is let through under UNOA, because it is a partner's.
    """

    parts: Iterable[Part]
    sender: Components
    recipient: Components
    reference: str
    now: datetime
    syntax: tuple[str, str] = ("UNOC", "3")
    separators: Separators | None = None
    una: bool = True
    test: bool = False
    encoding: str = ""
    application: str = ""
    ack_request: str = ""
    password: Components = ()
    priority: str = ""
    agreement: str = ""
    verbatim: bool = False


def forwarded(message: Message, reference: str = "") -> OutMessage:
    """A message that was read, to be written again; ``reference``: its new 0062, or its own."""
    header, *body = message.segments
    named = (message.type, message.version, message.release, message.agency, message.association)
    if body and body[-1].tag == "UNT":
        body.pop()
    return OutMessage(
        *named,
        reference or message.reference,
        tuple(body),
        message.common_reference,
        header.elements[3:],
    )


def leaves(tree: Group) -> Iterator[Segment]:
    """The segments of a tree, in the order of the message."""
    for child in tree.children:
        if isinstance(child, Group):
            yield from leaves(child)
        else:
            yield child
