"""What the writer works on: the tree laid out by the table's slots."""

from __future__ import annotations

from gateway.mapping.plan import Chain, Shape
from gateway.model import Entity, Value


class Source:
    """An occurrence of a class that is to be written, laid out by its shape's slots."""

    __slots__ = ("extra", "kids", "others", "path", "quiet", "values")

    def __init__(self, entity: Entity, shape: Shape, path: str) -> None:
        self.path = path
        self.quiet = False
        self.values: list[Value | None] = [None] * len(shape.value_names)
        self.kids: list[list[Source]] = [[] for _ in shape.kids]
        self.extra: list[Value] = []
        self.others: list[str] = []
        for value in entity.values:
            slot = shape.value_names.index(value.name) if value.name in shape.value_names else -1
            if slot < 0 or self.values[slot] is not None:
                self.extra.append(value)
            else:
                self.values[slot] = value
        names = {kid.name: slot for slot, kid in enumerate(shape.kids)}
        counts: dict[str, int] = {}
        for child in entity.entities:
            number = counts[child.name] = counts.get(child.name, 0) + 1
            way = f"{path}/{child.name}" + (f"[{number}]" if number > 1 else "")
            if child.name in names:
                slot = names[child.name]
                self.kids[slot].append(Source(child, shape.kids[slot], way))
            else:
                self.others.append(way)

    def down(self, chain: Chain) -> Source | None:
        """The first occurrence at the end of a chain, or None."""
        here = self
        for slot in chain:
            if not here.kids[slot]:
                return None
            here = here.kids[slot][0]
        return here

    def each(self, chain: Chain, repeat: bool) -> list[Source]:
        """What a rule or a group is written for: one occurrence, or all of the last class."""
        if not repeat:
            found = self.down(chain)
            return [] if found is None else [found]
        holder = self.down(chain[:-1])
        return [] if holder is None else holder.kids[chain[-1]]
