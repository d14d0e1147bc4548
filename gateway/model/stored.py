"""A stored declaration that is too long to be held together: its JSON is read in pieces, as often as one likes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from gateway.model.shelf import Long
from gateway.model.tree import Declaration, Entity

SMALL = 262_144
"""Octets of all occurrences of a class that are kept once they were read: what is asked for often, as the means of
transport, is short."""

Pieces = Callable[[], Iterator[bytes]]
"""The octets of a declaration's JSON, from the first: pieces of any size."""

_entity = msgspec.json.Decoder(Entity)
_head = msgspec.json.Decoder(Declaration)

_IN_ROOT = 2
_TOKEN = re.compile(
    rb'\{[^{}"]*+(?:"(?:[^"\\]++|\\.)*+"[^{}"]*+)*+\}'  # an object that holds no other one
    rb'|"(?:[^"\\]++|\\.)*+"|[{}"]',
    re.DOTALL,
)
"""A quotation mark by itself is the begin of what is not all there yet."""
_ENTITIES = b'"entities"'
_OPENS, _CLOSES = b"{}"
_NAME = re.compile(rb'\{"name":"((?:[^"\\]++|\\.)*+)"')


class NotSo(ValueError):
    """The octets are not a declaration as it is written."""


def opened(pieces: Pieces, size: int = 0) -> Declaration:
    """The declaration, of whose root only the values are held.  ``size``: of all its octets, where it is known.

    Raises NotSo, msgspec.MsgspecError, and what the pieces raise; so does going through it.
    """
    head = next(_parts(pieces()))
    declaration = _head.decode(head + b"}}")
    entities: Any = Stored(pieces, size)
    root = Long(declaration.root.name, declaration.root.values, entities)
    return msgspec.structs.replace(declaration, root=root)


class Stored:
    """What a stored declaration's root holds, for ``Long.entities``."""

    def __init__(self, pieces: Pieces, size: int) -> None:
        self._pieces = pieces
        self.size = size
        self._small: dict[bytes, list[Entity] | None] | None = None

    @property
    def octets(self) -> Iterator[bytes]:
        """All as JSON, UTF-8, as it is stored, with what stands between them."""
        between = b""
        for octets in self._each():
            yield between
            yield octets
            between = b","

    def _each(self) -> Iterator[bytes]:
        parts = _parts(self._pieces())
        next(parts)
        return parts

    def __iter__(self) -> Iterator[Entity]:
        return map(_entity.decode, self._each())

    def named(self, name: str) -> Iterator[Entity]:
        """Those of a name."""
        if self._small is None:
            self._small = self._looked_through()
        wanted = name.encode()
        held = self._small.get(wanted, ())
        if held is not None:
            yield from held
            return
        begin = b'{"name":"%s"' % wanted
        yield from (_entity.decode(octets) for octets in self._each() if octets.startswith(begin))

    def _looked_through(self) -> dict[bytes, list[Entity] | None]:
        """The occurrences of each class; None where they are too long to be kept."""
        found: dict[bytes, list[bytes] | None] = {}
        sizes: dict[bytes, int] = {}
        for octets in self._each():
            name = _name_of(octets)
            sizes[name] = sizes.get(name, 0) + len(octets)
            of_name = found.setdefault(name, [])
            if sizes[name] > SMALL:
                found[name] = None
            elif of_name is not None:
                of_name.append(octets)
        return {n: None if some is None else list(map(_entity.decode, some)) for n, some in found.items()}


def _name_of(octets: bytes) -> bytes:
    named = _NAME.match(octets)
    if named is None:
        raise NotSo("a class without a name")
    return named[1]


def _parts(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """What is before the root's entities, without the comma, then each of these."""
    held, at, start, depth, inside = b"", 0, 0, 0, False
    for piece in pieces:
        held, at, start = held[start:] + piece, at - start, 0
        for token in _TOKEN.finditer(held, at):
            begin, at = token.span()
            octet = held[begin]
            if octet == _OPENS and held[at - 1] == _CLOSES and at - begin > 1:
                if inside and depth == _IN_ROOT:
                    yield held[begin:at]
                    start = at
            elif octet == _OPENS:
                if inside and depth == _IN_ROOT:
                    start = begin
                depth += 1
            elif octet == _CLOSES:
                depth -= 1
                if inside and depth == _IN_ROOT:
                    yield held[start:at]
                    start = at
            elif at - begin == 1:
                at = begin
                break
            elif not inside and depth == _IN_ROOT and _is_entities(held, begin, at):
                yield held[: begin - 1]
                start, inside = at, True
        else:
            at = len(held)
    if depth:
        raise NotSo("it ends too early")
    if not inside:
        yield held[:-2]


def _is_entities(held: bytes, begin: int, end: int) -> bool:
    """Whether it is that key, and no text that reads so."""
    return held[begin:end] == _ENTITIES and held[begin - 1 : begin] == b","
