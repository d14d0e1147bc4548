"""What is too much to be held: put by in a file without a name, and gone through as often as one likes."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from gateway.model.edifact import Group, Segment
from gateway.model.tree import Declaration, Entity

T = TypeVar("T")

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG})
"""What an OSError says of a disk that takes no more; any other is a fault of ours, or of another device."""

_BUFFER = 65_536
"""Octets written, and read, at a time."""
_LENGTH = 4

_parts = msgspec.msgpack.Encoder()
_part = msgspec.msgpack.Decoder(Segment | Group)
_entities = msgspec.json.Encoder()
_entity = msgspec.json.Decoder(Entity)
_HERE = Entity("here")
"""Stands for what comes in pieces."""


class Shelf:
    """Octets, piece after piece.  The file is gone with whoever has it open.  Raises OSError where there is no room."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - as long as the shelf lives
        self._held = bytearray()

    def put(self, octets: bytes) -> None:
        """One more."""
        self._held += len(octets).to_bytes(_LENGTH, "big")
        self._held += octets
        if len(self._held) >= _BUFFER:
            self._flush()

    def __iter__(self) -> Iterator[bytes]:
        """Each, from the first; several may go through it at once."""
        self._flush()
        descriptor, at, held = self._file.fileno(), 0, b""
        while more := os.pread(descriptor, _BUFFER, at):
            held, at = held + more, at + len(more)
            start = 0
            while (end := start + _LENGTH) <= len(held):
                end += int.from_bytes(held[start:end], "big")
                if end > len(held):
                    break
                yield held[start + _LENGTH : end]
                start = end
            held = held[start:]

    def _flush(self) -> None:
        if self._held:
            self._file.write(self._held)
            self._file.flush()
            self._held.clear()


class Pile(Generic[T]):
    """Very many of one kind, on a shelf: the list of what is not held."""

    def __init__(self, kind: type[T], folder: Path) -> None:
        self.folder = folder
        self._shelf = Shelf(folder)
        self._one: Callable[[bytes], T] = msgspec.msgpack.Decoder(kind).decode
        self._count = 0

    def append(self, one: T) -> None:
        """One more."""
        self._shelf.put(_parts.encode(one))
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        return map(self._one, self._shelf)

    def __contains__(self, one: object) -> bool:
        return any(one == other for other in self)

    def __eq__(self, others: object) -> bool:
        if not isinstance(others, Collection) or len(self) != len(others):
            return False
        return all(one == other for one, other in zip(self, others, strict=True))

    __hash__ = None  # type: ignore[assignment]


def beside(others: Collection[Any], kind: type[T], many: Iterable[T]) -> Collection[T]:
    """All of these: on a shelf where these others are, else held."""
    if not isinstance(others, Pile):
        return list(many)
    pile = Pile(kind, others.folder)
    for one in many:
        pile.append(one)
    return pile


class Anew(Generic[T]):
    """What is made again each time that somebody goes through it."""

    def __init__(self, make: Callable[[], Iterable[T]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[T]:
        return iter(self._make())


class Parts:
    """What a very long message holds: segments and groups in their order, for ``Group.children``.

    The last of them are in memory, all others on a shelf.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._shelf = Shelf(folder)
        self._last: Sequence[Segment | Group] = ()

    def put(self, parts: Sequence[Segment | Group]) -> None:
        """More of them."""
        for part in parts:
            self._shelf.put(_parts.encode(part))

    def end(self, parts: Sequence[Segment | Group]) -> Parts:
        """The last of them."""
        self._last = parts
        return self

    def __iter__(self) -> Iterator[Segment | Group]:
        yield from map(_part.decode, self._shelf)
        yield from self._last


class Occurrences:
    """Very many occurrences of one class, on a shelf."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._shelf = Shelf(folder)

    def put(self, entity: Entity) -> None:
        """One more."""
        self._shelf.put(_entities.encode(entity))

    def __iter__(self) -> Iterator[Entity]:
        return map(_entity.decode, self._shelf)

    @property
    def octets(self) -> Iterator[bytes]:
        """Each as JSON, UTF-8."""
        return iter(self._shelf)


class Entities:
    """The classes of a very long one: some held, some on shelves, in the order of the WCO Data Model."""

    def __init__(self, folder: Path, parts: Sequence[Sequence[Entity] | Occurrences]) -> None:
        self.folder = folder
        self._parts = parts

    def __iter__(self) -> Iterator[Entity]:
        for part in self._parts:
            yield from part

    def named(self, name: str) -> Iterator[Entity]:
        """Those of a name."""
        for part in self._parts:
            if not isinstance(part, Occurrences):
                yield from (entity for entity in part if entity.name == name)
            elif part.name == name:
                yield from part

    def longs(self) -> Iterator[str]:
        """Paths of the classes that are very long themselves."""
        for part in self._parts:
            for entity in () if isinstance(part, Occurrences) else part:
                if isinstance(entity, Long):
                    entities: Any = entity.entities
                    yield entity.name
                    yield from (f"{entity.name}/{below}" for below in entities.longs())

    @property
    def octets(self) -> Iterator[bytes]:
        """All as JSON, UTF-8, in pieces, with what stands between them."""
        between = b""
        for part in self._parts:
            if isinstance(part, Occurrences):
                each: Iterable[Iterable[bytes]] = ((octets,) for octets in part.octets)
            else:
                each = map(entity_octets, part)
            for pieces in each:
                yield between
                yield from pieces
                between = b","


def entity_octets(entity: Entity) -> Iterator[bytes]:
    """An entity as JSON, UTF-8, in pieces: as it is encoded where it is held together."""
    if not isinstance(entity, Long):
        yield _entities.encode(entity)
        return
    entities: Any = entity.entities
    before = _entities.encode(Entity(entity.name, entity.values))[:-1] + b',"entities":['
    for piece in entities.octets:
        yield before + piece
        before = b""
    yield b"]}" if not before else before[: -len(b',"entities":[')] + b"}"


class Long(Entity, frozen=True):
    """An occurrence of a class whose ``entities`` are gone through, and never held together."""

    def each(self, path: str) -> Iterator[Entity]:
        """Every entity at the path, all occurrences of every step, in document order."""
        name, _, rest = path.partition("/")
        for entity in self._named(name):
            if rest:
                yield from entity.each(rest)
            else:
                yield entity

    def _child(self, name: str, occurrence: int) -> Entity | None:
        return next((e for n, e in enumerate(self._named(name), 1) if n == occurrence), None)

    def _named(self, name: str) -> Iterator[Entity]:
        entities: Any = self.entities
        found: Iterator[Entity] = entities.named(name)
        return found


def long(around: Entity, folder: Path, parts: Sequence[Sequence[Entity] | Occurrences]) -> Long:
    """One of these parts, with the name and the values of ``around``; ``folder``: for more shelves."""
    entities: Any = Entities(folder, parts)
    return Long(around.name, around.values, entities)


def octets_of(declaration: Declaration) -> Iterator[bytes]:
    """A declaration's JSON, UTF-8, in pieces; one that is not held together is not here either."""
    root = declaration.root
    if not isinstance(root, Long):
        yield _entities.encode(declaration)
        return
    whole = _entities.encode(msgspec.structs.replace(declaration, root=_HERE))
    before, _, after = whole.partition(_entities.encode(_HERE))
    yield before
    yield from entity_octets(root)
    yield after
