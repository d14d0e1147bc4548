"""What the reader works on: the tree laid out by the table's slots while it is filled."""

from __future__ import annotations

from gateway.mapping.plan import Chain, Field, Shape
from gateway.model import Entity, Value


class Target:
    """An occurrence of a class that is being filled, by its shape's slots.

    ``counts``: occurrences taken so far by blocks that repeat.  ``whole``: what it is, where it was read as a whole.
    """

    __slots__ = ("counts", "kids", "ordinal", "shape", "values", "whole")

    def __init__(self, shape: Shape, ordinal: int = 1) -> None:
        self.shape = shape
        self.ordinal = ordinal
        self.values: list[Value | None] = shape.no_values.copy()  # type: ignore[assignment]
        self.kids: list[list[Target] | None] = shape.no_kids.copy()  # type: ignore[assignment]
        self.counts: dict[int, int] | None = None
        self.whole: Entity | None = None

    def first(self, slot: int) -> Target:
        """The first occurrence of a class."""
        kids = self.kids[slot]
        if kids is None:
            kids = self.kids[slot] = [Target(self.shape.kids[slot])]
        return kids[0]

    def next(self, slot: int) -> Target:
        """The next occurrence of a class that no block has taken yet."""
        if self.counts is None:
            self.counts = {}
        taken = self.counts.get(slot, 0)
        self.counts[slot] = taken + 1
        kids = self.kids[slot]
        if kids is None:
            kids = self.kids[slot] = []
        if taken == len(kids):
            kids.append(Target(self.shape.kids[slot], taken + 1))
        return kids[taken]

    def let_go(self, slot: int) -> None:
        """Hold the occurrence that was taken last no more: an empty one, which is nobody's, stands for it."""
        kids = self.kids[slot] or []
        kids[-1] = Target(self.shape.kids[slot]) if len(kids) == 1 else kids[0]

    def at(self, chain: Chain, repeat: bool, sequence: Field | None) -> Target:
        """What a rule or a group is read into: the first occurrence, or the next of the last class.

        ``sequence``: what numbers the occurrences of a class that has no number of its own.
        """
        if not chain:
            return self
        here = self
        if len(chain) > 1:
            for slot in chain[:-1]:
                here = here.first(slot)
        if not repeat:
            return here.first(chain[-1])
        here = here.next(chain[-1])
        if sequence is not None:
            here.values[sequence.slot] = Value(sequence.name, str(here.ordinal))
        return here

    def freeze(self) -> Entity | None:
        """The class as a value, in WCO order; None where nothing was filled in."""
        if self.whole is not None:
            return self.whole
        shape, kids = self.shape, self.kids
        found = tuple(filter(None, shape.ranked(self.values)))
        if not kids:
            return Entity(shape.name, found) if found else None
        entities = []
        for slot in shape.kid_order:
            below = kids[slot]
            if below is not None:
                for kid in below:
                    entity = kid.freeze()
                    if entity is not None:
                        entities.append(entity)
        if not found and not entities:
            return None
        return Entity(shape.name, found, tuple(entities))

    def empty(self) -> bool:
        """True where nothing was filled in."""
        return not any(self.values) and all(k.empty() for kids in self.kids for k in kids or ())
