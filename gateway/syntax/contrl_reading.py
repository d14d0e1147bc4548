"""A CONTRL that was received: what it says of our interchange, its groups, messages and packages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from msgspec.structs import replace

from gateway.model.edifact import Segment
from gateway.syntax.interchange import Message

Components = tuple[str, ...]

_REJECTING = frozenset({"4", "6"})  # 0083: this level and all below; 6: UNB and UNZ, before syntax 4
_RECEIVED = "8"
_SERVICE = ("UCI", "UCF", "UCM")
_MAX_DIGITS = 9


class ElementReported(msgspec.Struct, frozen=True):
    """UCD: 0085, and where in the segment (0098 counts the tag as 1), 0104, 0136; 0 where not said."""

    error: str
    element: int
    component: int = 0
    repetition: int = 0


class SegmentReported(msgspec.Struct, frozen=True):
    """UCS and its UCD: 0096 (from 1 at UNH), 0085 ("" where the fault is within), the elements."""

    segment: int
    error: str
    elements: tuple[ElementReported, ...] = ()


class Reported(msgspec.Struct, frozen=True):
    """What a CONTRL says of the interchange (UCI), a group (UCF), a message or a package (UCM).

    ``reference``: 0020, 0048 or 0062; "" for a package.  ``action``, ``error``: 0083, 0085.  ``tag``,
    ``element``, ``component``, ``repetition``: 0013 or 0135, and S011.  ``security``, ``position``: 0534,
    0138.  ``group``: 0048 of the UCF around a message.  ``identifier``: S009.  ``package``, ``objects``:
    0800, S020.  ``parties``: the two of the original, as they were sent.
    """

    reference: str
    action: str
    error: str = ""
    tag: str = ""
    element: int = 0
    component: int = 0
    repetition: int = 0
    security: str = ""
    position: int = 0
    segments: tuple[SegmentReported, ...] = ()
    group: str = ""
    identifier: Components = ()
    package: str = ""
    objects: tuple[Components, ...] = ()
    parties: tuple[Components, ...] = ()

    @property
    def rejected(self) -> bool:
        """True where this level, and all below, is rejected."""
        return self.action in _REJECTING


class Acknowledgement(msgspec.Struct, frozen=True):
    """A CONTRL read: on the interchange, on its groups, on its messages and packages in order.

    ``messages``: those that are named, in groups or not; the others are acknowledged unless what is
    around them is rejected (see :meth:`rejects`).
    """

    interchange: Reported
    groups: tuple[Reported, ...] = ()
    messages: tuple[Reported, ...] = ()
    packages: tuple[Reported, ...] = ()

    @property
    def receipt(self) -> bool:
        """True where the CONTRL says only that the interchange has arrived."""
        return self.interchange.action == _RECEIVED

    def rejects(self, reference: str = "", group: str = "", package: str = "") -> bool:
        """True where the message (0062) of a group (0048), the package (0800), or with neither the whole
        group or interchange, is rejected by name or by what is around it."""
        around = [self.interchange, *(g for g in self.groups if group and g.reference == group)]
        if any(level.rejected for level in around):
            return True
        named = (m for m in self.messages if m.reference == reference and m.group == group)
        packed = (p for p in self.packages if p.package == package and p.group == group)
        return (bool(reference) and any(m.rejected for m in named)) or any(p.rejected for p in packed)


def acknowledgement(message: Message) -> Acknowledgement:
    """Read a CONTRL of any syntax version.

    Raises ValueError where the message is none, has no UCI first, or says something below a level that
    it does not name.
    """
    body = [s for s in message.segments[1:] if s.tag in (*_SERVICE, "UCS", "UCD")]
    if message.type != "CONTRL" or not body or body[0].tag != "UCI":
        raise ValueError("not a CONTRL")
    four = message.version == "4"
    whole, *rest = list(_levels(body, four))
    if any(segment.tag == "UCI" for segment in body[1:]):
        raise ValueError("a CONTRL has one UCI")
    units = [reported for tag, reported in rest if tag == "UCM"]
    return Acknowledgement(
        whole[1],
        tuple(reported for tag, reported in rest if tag == "UCF"),
        tuple(unit for unit in units if not unit.package),
        tuple(unit for unit in units if unit.package),
    )


def _levels(body: Sequence[Segment], four: bool) -> Iterator[tuple[str, Reported]]:
    """UCI, UCF and UCM in order, each UCM with the UCS and UCD that follow it."""
    group, index = "", 0
    while index < len(body):
        segment = body[index]
        if segment.tag not in _SERVICE:
            raise ValueError(f"{segment.tag} stands below no UCM")
        end = index + 1
        while end < len(body) and body[end].tag not in _SERVICE:
            end += 1
        if segment.tag == "UCF":
            group = segment.get(1)
        reported = _reported(segment, four)
        if segment.tag == "UCM":
            reported = replace(reported, group=group, segments=tuple(_within(body[index + 1 : end])))
        elif end > index + 1:
            raise ValueError(f"{body[index + 1].tag} stands below no UCM")
        yield segment.tag, reported
        index = end


def _reported(segment: Segment, four: bool) -> Reported:
    unit = segment.tag == "UCM"
    at = 3 if unit else 4
    last = at + (6 if unit else 4)
    element, component, repetition = (_integer(segment.get(at + 3, c)) for c in (1, 2, 3))
    return Reported(
        segment.get(1),
        segment.get(at),
        segment.get(at + 1),
        segment.get(at + 2),
        element,
        component,
        repetition,
        security=segment.get(last) if four else "",
        position=_integer(segment.get(last + 1)) if four else 0,
        identifier=_composite(segment, 2) if unit else (),
        package=segment.get(7) if unit else "",
        objects=_occurrences(segment, 8) if unit else (),
        parties=() if unit else (_composite(segment, 2), _composite(segment, 3)),
    )


def _within(segments: Sequence[Segment]) -> Iterator[SegmentReported]:
    found: list[SegmentReported] = []
    for segment in segments:
        if segment.tag == "UCS":
            found.append(SegmentReported(_integer(segment.get(1)), segment.get(2)))
        elif not found:
            raise ValueError("UCD stands below no UCS")
        else:
            at, component, repetition = (_integer(segment.get(2, c)) for c in (1, 2, 3))
            element = ElementReported(segment.get(1), at, component, repetition)
            found[-1] = replace(found[-1], elements=(*found[-1].elements, element))
    yield from found


def _composite(segment: Segment, element: int) -> Components:
    components = segment.elements[element - 1] if element <= len(segment.elements) else ()
    return components if any(components) else ()


def _occurrences(segment: Segment, element: int) -> tuple[Components, ...]:
    first = _composite(segment, element)
    return (first, *dict(segment.repeats).get(element, ())) if first else ()


def _integer(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else 0
