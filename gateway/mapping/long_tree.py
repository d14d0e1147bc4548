"""Reads a document that is not held: each occurrence of a class that repeats is read when it is complete, and those
of which there are many go to a shelf.

Which those are is seen from the tree table: a consignment of a cargo report, a goods item of a declaration; all that
repeats within classes that do not.  Only what is plain is read so; of all else the whole is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from lxml import etree

from gateway.longxml import Odd, Taker, go_through
from gateway.mapping.tree_rows import Node, Row
from gateway.mapping.tree_walk import Read, Walk, line_of, nearest
from gateway.model import Entity
from gateway.model.shelf import Long, Occurrences, long
from gateway.safexml import XmlLimits, local_name, step_of

MAX_LEFT = 10_000
"""Children of a class that are neither let go of nor gone into: what repeats without being a class."""


class Spine:
    """A class that occurs once, and holds what repeats; ``inner``: likewise in it, by tag."""

    def __init__(self, row: Row, inner: dict[str, Spine]) -> None:
        assert row.node is not None
        self.row = row
        self.node = row.node
        self.inner = inner


def spine_of(row: Row, above: tuple[Node, ...] = ()) -> Spine | None:
    """None where nothing repeats in the class, or where names do not tell its children apart."""
    node = row.node
    if node is None or node in above:
        return None
    locals_ = [r.tag.rpartition("}")[2] for r in node.rows]
    if len(set(locals_)) < len(locals_):
        return None
    found = {r.tag: spine_of(r, (*above, node)) for r in node.rows if r.repeat == 1}
    inner = {tag: spine for tag, spine in found.items() if spine is not None}
    return Spine(row, inner) if inner or any(map(_repeats, node.rows)) else None


def _repeats(row: Row) -> bool:
    return row.node is not None and row.repeat != 1


# -- reading -------------------------------------------------------------------------------------


class Shelves(NamedTuple):
    """How parts are read; so many of a class are ``held``, the others are put by in the ``folder``."""

    read: Read
    held: int
    folder: Path


def read_long(
    spine: Spine, shelves: Shelves, pieces: Iterable[bytes], limits: XmlLimits, schema: etree.XMLSchema
) -> Entity:
    """The outermost class of a document.  Raises Odd, Invalid, XmlRefused."""
    top: list[_Parts] = []

    def begin(root: etree._Element) -> Taker:
        top.append(_Parts(spine, shelves))
        return top[0]

    root = go_through(pieces, limits, begin, schema)
    return _joined(_plain(shelves.read, root, spine.row), top[0])


def _plain(read: Read, element: etree._Element, row: Row) -> Entity:
    """Raises Odd where anything is to be told of the element."""
    found = read(element, row)
    if found is None:
        walk = Walk()
        found = walk.entity(element, row)
        if walk.findings:
            raise Odd(row.name)
    return found


class _Parts:
    """What was read of a class of the spine: ``parts`` by the rank of their class."""

    def __init__(self, spine: Spine, shelves: Shelves) -> None:
        self._spine = spine
        self._shelves = shelves
        self._rank = 0
        self._left = 0
        self.parts: dict[int, list[Entity] | Occurrences] = {}
        self.inner: dict[str, _Parts] = {}

    @property
    def node(self) -> Node:
        return self._spine.node

    @property
    def folder(self) -> Path:
        return self._shelves.folder

    def take(self, element: etree._Element) -> bool:
        row = self.node.by_tag.get(str(element.tag))
        if row is None or row.rank < self._rank:
            raise Odd(local_name(element))
        self._rank = row.rank
        if not _repeats(row):
            self._left += 1
            if self._left > MAX_LEFT:
                raise Odd(f"> {MAX_LEFT} {row.name}")
            return False
        if element.tail and not element.tail.isspace():
            raise Odd(element.tail.strip()[:35])
        self._put(row, _plain(self._shelves.read, element, row))
        return True

    def inside(self, element: etree._Element, complete: bool) -> Taker | None:
        spine = self._spine.inner.get(str(element.tag))
        if spine is None:
            return None
        if spine.row.name in self.inner:
            raise Odd(f"2 {spine.row.name}")
        self.inner[spine.row.name] = _Parts(spine, self._shelves)
        return self.inner[spine.row.name]

    def _put(self, row: Row, entity: Entity) -> None:
        parts = self.parts.setdefault(row.rank, [])
        if isinstance(parts, Occurrences):
            parts.put(entity)
            return
        parts.append(entity)
        if len(parts) > self._shelves.held:
            self.parts[row.rank] = shelf = Occurrences(row.name, self.folder)
            for part in parts:
                shelf.put(part)


def _joined(left: Entity, read: _Parts) -> Entity:
    """The class with all that it holds, in the order of the table; Long where any of it is on a shelf."""
    parts = [
        read.parts[row.rank] if row.rank in read.parts else _left(left, row, read) for row in read.node.rows
    ]
    held = [part for part in parts if not isinstance(part, Occurrences)]
    together = tuple(chain.from_iterable(held))
    if len(held) == len(parts) and not any(isinstance(entity, Long) for entity in together):
        return Entity(left.name, left.values, together)
    return long(left, read.folder, parts)


def _left(left: Entity, row: Row, read: _Parts) -> Sequence[Entity]:
    inner = read.inner.get(row.name)
    found = (entity for entity in left.entities if entity.name == row.name)
    return tuple(found) if inner is None else tuple(_joined(entity, inner) for entity in found)


# -- places --------------------------------------------------------------------------------------


class Found(NamedTuple):
    """Where something stands in a document; the path of what repeats waits for how often it does."""

    way: _Way
    tag: str
    occurrence: int
    inside: str
    line: int

    @property
    def xpath(self) -> str:
        """As `safexml.xpath_of`."""
        name = self.tag.rpartition("}")[2]
        step = name if self.way.counts[self.tag] == 1 else f"{name}[{self.occurrence}]"
        return "/".join((self.way.path, step, self.inside)).rstrip("/")


Wanted = tuple[str, tuple[tuple[str, int], ...]]
"""A pointer, and its steps that are still to be gone."""


class _Way:
    """Finds what pointers name, of what is let go of; ``path``: of the class, ``counts``: of its children."""

    def __init__(self, spine: Spine, path: str, wanted: Iterable[Wanted], found: dict[str, Found]) -> None:
        self._spine = spine
        self._found = found
        self._wanted: dict[tuple[str, int], list[Wanted]] = {}
        self.path = path
        self.counts: dict[str, int] = {}
        for pointer, (step, *rest) in wanted:
            self._wanted.setdefault(step, []).append((pointer, tuple(rest)))

    def take(self, element: etree._Element) -> bool:
        tag = str(element.tag)
        row = self._spine.node.by_tag[tag]
        if not _repeats(row):
            return False
        occurrence = self.counts[tag] = self.counts.get(tag, 0) + 1
        for pointer, steps in self._wanted.get((row.name, occurrence), ()):
            here, path = _nearest(element, row, steps)
            self._found[pointer] = Found(self, tag, occurrence, path, line_of(here))
        return True

    def inside(self, element: etree._Element, complete: bool) -> Taker | None:
        spine = self._spine.inner.get(str(element.tag))
        if spine is None:
            return None
        wanted = [w for w in self._wanted.get((spine.row.name, 1), ()) if w[1]]
        return _Way(spine, f"{self.path}/{local_name(element)}", wanted, self._found)


def _nearest(
    element: etree._Element, row: Row, steps: Sequence[tuple[str, int]]
) -> tuple[etree._Element, str]:
    """What the steps lead to from an element, as far as it is there, and its path below the element."""
    here = nearest(element, row, steps)
    path: list[str] = []
    above: etree._Element | None = here
    while above is not None and above is not element:
        path.append(step_of(above))
        above = above.getparent()
    return here, "/".join(reversed(path))


def find_long(
    spine: Spine, pieces: Iterable[bytes], limits: XmlLimits, wanted: Iterable[Wanted]
) -> tuple[etree._Element, dict[str, Found]]:
    """Where pointers lead to in what is let go of; and the root, which has all others.  Raises as `read_long`."""
    found: dict[str, Found] = {}

    def begin(root: etree._Element) -> Taker:
        return _Way(spine, f"/{local_name(root)}", wanted, found)

    return go_through(pieces, limits, begin), found
