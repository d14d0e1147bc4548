"""Very long declarations in the office's books: their JSON in rows of bounded size, written and read in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import count
from typing import Any

import msgspec
import sqlalchemy as sa

from adapters.clearance import tables
from gateway.model import Declaration
from gateway.model.shelf import Long, octets_of
from gateway.model.stored import opened

PIECE = 262_144
"""Octets of a row."""

_c = tables.piece.c

Reader = Callable[[sa.Select[Any]], bytes | None]
"""What a query for one row's octets gives; None where there is none."""


def kept(connection: sa.Connection, registration: str, version: int, declaration: Declaration) -> bytes:
    """What a version's row holds of its declaration: its JSON; nothing where that is in pieces of its own."""
    if not isinstance(declaration.root, Long):
        return msgspec.json.encode(declaration)
    for number, octets in enumerate(_cut(octets_of(declaration))):
        row = {"registration": registration, "version": version, "number": number, "octets": octets}
        connection.execute(tables.piece.insert(), row)
    return b""


def declaration_of(row: Mapping[str, Any], read: Reader) -> Declaration:
    """The declaration of a version's row; a very long one reads whenever it is gone through."""
    if row["declaration"]:
        return msgspec.json.decode(row["declaration"], type=Declaration)
    return opened(partial(_pieces, row["registration"], row["version"], read))


def _pieces(registration: str, version: int, read: Reader) -> Iterator[bytes]:
    for number in count():
        mine = _c.registration == registration, _c.version == version, _c.number == number
        octets = read(sa.select(_c.octets).where(*mine))
        if octets is None:
            return
        yield bytes(octets)


def _cut(pieces: Iterator[bytes]) -> Iterator[bytes]:
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= PIECE:
            yield bytes(held[:PIECE])
            del held[:PIECE]
    if held:
        yield bytes(held)
