"""What crosses look at in a tree that is not held together: values and places with no more of them than they are told
by."""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Iterator
from itertools import islice, pairwise
from pathlib import Path

import msgspec

from gateway.model import Entity, Value
from gateway.model.shelf import Shelf
from gateway.rules.judgement import Here, Pointers, Seen, occurrence_of, pointer_of

AT_HAND = 16
"""Values of a slot in memory; most slots are of one consignment, and hold some."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[Value, Entity])


def light(here: Here) -> Here:
    """A place that holds nothing of what is around it: its class has the whole pointer for a name."""
    return None, Entity(pointer_of(here)), 1


class Gathered(list[Seen]):
    """The values of a slot, as a list is of them: the first are in it, the rest on a shelf.

    ``deep``: what is below their place is looked at too.
    """

    def __init__(self, folder: Path, deep: bool, pointers: Pointers) -> None:
        super().__init__()
        self._folder = folder
        self._pointers = pointers
        self._deep = deep
        self._rest: Shelf | None = None

    def append(self, seen: Seen) -> None:
        """One more."""
        value, here = seen
        own, occurrence = self._pointers.of(here), occurrence_of(here, value)
        named = value
        if occurrence > 1:  # it is not to be counted again
            named = Value(f"{value.name}[{occurrence}]", value.text, value.attributes)
        below = here[1] if self._deep else None
        kept = Entity(own) if below is None else Entity(own, below.values, below.entities)
        if len(self) < AT_HAND:
            super().append((named, (None, kept, 1)))
            return
        self._rest = self._rest or Shelf(self._folder)
        self._rest.put(_encoder.encode((named, kept)))

    def clear(self) -> None:
        """None of them any more."""
        super().clear()
        self._rest = None

    def __iter__(self) -> Iterator[Seen]:
        yield from islice(super().__iter__(), len(self))
        for octets in self._rest or ():
            value, kept = _decoder.decode(octets)
            yield value, (None, kept, 1)


class Entered(list[Here]):
    """The places of a slot, as a list is of them: the first are in it, the rest on a shelf."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._count = 0
        self._rest: Shelf | None = None

    def append(self, here: Here) -> None:
        """One more."""
        self._count += 1
        place = light(here)
        if self._count <= AT_HAND:
            super().append(place)
            return
        self._rest = self._rest or Shelf(self._folder)
        self._rest.put(place[1].name.encode())

    def clear(self) -> None:
        """None of them any more."""
        super().clear()
        self._count, self._rest = 0, None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Here]:
        yield from islice(super().__iter__(), AT_HAND)
        for octets in self._rest or ():
            yield None, Entity(octets.decode()), 1


def twice(keys: Iterable[Hashable]) -> frozenset[int]:
    """The hashes that more than one key has: of very many, all that may be the same."""
    hashes = array("q", map(hash, keys))
    if len(hashes) < 2:
        return frozenset()
    return frozenset(one for one, next_ in pairwise(sorted(hashes)) if one == next_)
