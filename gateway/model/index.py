"""An index of a million numbers in eight octets each: a key of 40 bits over a number of 24, sorted.

A Python dictionary of as many entries takes ten times that.  Keys need not be unique, and those made by
``key_of`` may collide: who looks up checks what was found.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

ROW_BITS = 24
MAX_ROWS = 1 << ROW_BITS
"""Numbers that an index can hold: sixteen times the million mandates that it is made for."""

_ROW = MAX_ROWS - 1
_KEY = (1 << 40) - 1


def key_of(*words: str) -> int:
    """A key for words; another one in each process, so that no sender can aim at collisions."""
    return hash(words) & _KEY


class Index:
    """Numbers (rows) by key.  Frozen; ``with_more`` makes another that shares the sorted part."""

    __slots__ = ("_more", "_packed")

    def __init__(
        self, entries: Iterable[int] = (), more: Mapping[int, tuple[int, ...]] | None = None
    ) -> None:
        """``entries``: as ``packed`` makes them, in any order."""
        self._packed = array("Q", sorted(entries))
        self._more = more or {}

    def rows(self, key: int) -> Iterator[int]:
        """The rows of a key, the newest of those that came later first; perhaps of other keys' words too."""
        yield from self._more.get(key, ())
        low, packed_ = key << ROW_BITS, self._packed
        at = bisect_left(packed_, low)
        while at < len(packed_) and packed_[at] >> ROW_BITS == key:
            yield packed_[at] & _ROW
            at += 1

    def with_more(self, entries: Iterable[tuple[int, int]]) -> Index:
        """The index with some (key, row) added."""
        more = dict(self._more)
        for key, row in entries:
            known = more.get(key, ())
            if row not in known:
                more[key] = (row, *known)
        made = Index(more=more)
        made._packed = self._packed
        return made


def packed(key: int, row: int) -> int:
    """An entry.  Raises OverflowError beyond MAX_ROWS."""
    if row >= MAX_ROWS:
        raise OverflowError(f"an index holds {MAX_ROWS} rows")
    return key << ROW_BITS | row
