"""Octets that stay in a file: cut, looked at and digested piece by piece, never held whole."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterable, Iterator
from io import FileIO
from itertools import pairwise
from os import pread
from pathlib import Path
from typing import IO, Final, Self

from gateway.security.algorithms import DIGESTERS

PIECE: Final = 262_144
"""Octets read at a time."""
_MANY: Final = 65_536
"""Octets from which a span is read by itself: smaller ones are read together with their neighbours."""


class Stretch:
    """The octets of one or more spans of a file, one after the other.

    What is cut from it shares the file, which is closed when nobody has a part of it any more.  The file must
    stay as it is; one that was shortened raises OSError, never gives less.
    """

    def __init__(self, file: IO[bytes] | FileIO, offsets: Iterable[int]) -> None:
        """``offsets``: start and end of each span, in the order of reading; a streamed octet string has very
        many."""
        self._file = file
        self._bounds = array("Q", offsets)
        self.size = sum(end - start for start, end in self._spans())
        self._digests: dict[str, bytes] = {}

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """A whole file."""
        file = FileIO(path)
        return cls(file, (0, file.seek(0, 2)))

    @classmethod
    def of_pieces(cls, pieces: Iterable[bytes], folder: Path) -> Self:
        """Pieces, in a file of nobody's in a folder: it has no name, and is gone with whoever has it open."""
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - as long as the stretch lives
        for piece in pieces:
            file.write(piece)
        file.flush()
        return cls(file, (0, file.tell()))

    def solid(self, folder: Path) -> Stretch:
        """The same octets in one span: these, or a copy."""
        return self if len(self._bounds) == 2 else Stretch.of_pieces(self.pieces(), folder)

    def cut(self, offsets: Iterable[int]) -> Stretch:
        """Some of a stretch of one span, joined: start and end of each part in it."""
        first = self._bounds[0]
        return Stretch(self._file, (first + offset for offset in offsets))

    def read(self, at: int, size: int) -> bytes:
        """At most so many octets of a stretch of one span, from an offset in it."""
        (first, end) = next(self._spans())
        return self._read(first + at, max(0, min(size, end - first - at)))

    def head(self, size: int) -> bytes:
        """The first octets, at most so many."""
        held = b""
        for piece in self.pieces(min(size, PIECE)):
            held += piece
            if len(held) >= size:
                break
        return held[:size]

    def pieces(self, size: int = PIECE) -> Iterator[bytes]:
        """All octets, in pieces of about so many at most."""
        gathered, held = list[bytes](), 0
        for start, end in self._spans():
            if end - start < _MANY:
                gathered.append(self._read(start, end - start))
                held += end - start
                if held < size:
                    continue
                start = end
            if gathered:
                yield b"".join(gathered)
                gathered, held = [], 0
            for at in range(start, end, size):
                yield self._read(at, min(size, end - at))
        if gathered:
            yield b"".join(gathered)

    def digest(self, name: str) -> bytes:
        """The digest of all octets; made once, however often it is asked for."""
        if name not in self._digests:
            made = DIGESTERS[name](b"")
            for piece in self.pieces():
                made.update(piece)
            self._digests[name] = made.digest()
        return self._digests[name]

    def _spans(self) -> Iterator[tuple[int, int]]:
        offsets = iter(self._bounds)
        return zip(offsets, offsets, strict=True)

    def _read(self, at: int, size: int) -> bytes:
        octets = pread(self._file.fileno(), size, at)
        while len(octets) < size:
            more = pread(self._file.fileno(), size - len(octets), at + len(octets))
            if not more:
                raise OSError(f"the file ends before octet {at + size}")
            octets += more
        return octets


def digested(content: bytes | Stretch, name: str) -> bytes:
    """The digest of a content, wherever it is."""
    return content.digest(name) if isinstance(content, Stretch) else DIGESTERS[name](content).digest()


def overlapping(stretch: Stretch, size: int) -> Iterator[tuple[int, bytes]]:
    """Windows on a stretch of one span, each with its offset; what is at most ``size`` octets long lies
    whole in one of them."""
    for start, after in pairwise(range(0, stretch.size + PIECE, PIECE)):
        yield start, stretch.read(start, after - start + size)
