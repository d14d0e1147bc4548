"""What crosses look at in a tree that is not held together: values with no more of their place than it is told by."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from gateway.model import Entity, Value
from gateway.model.shelf import Shelf
from gateway.rules.judgement import Here, Seen, pointer_of

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

    def __init__(self, folder: Path, deep: bool) -> None:
        super().__init__()
        self._folder = folder
        self._deep = deep
        self._rest: Shelf | None = None

    def append(self, seen: Seen) -> None:
        """One more."""
        value, here = seen
        whole, own = pointer_of(here, value), pointer_of(here)
        name = whole[len(own) + 1 :]  # with its occurrence, which is not to be counted again
        named = value if name == value.name else Value(name, value.text, value.attributes)
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
