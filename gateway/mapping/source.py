"""What the writer works on: the tree laid out by the table's slots, and components on their way to a segment."""

from __future__ import annotations

from gateway.mapping.convert import fits
from gateway.mapping.plan import Attribute, Chain, Check, Shape
from gateway.model import Entity, Value

Cells = dict[tuple[int, int], str]
Elements = tuple[tuple[str, ...], ...]


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


def touched(source: Source, used: set[tuple[int, int]]) -> bool:
    return (
        any((id(source), slot) in used for slot in range(len(source.values)))
        or any(touched(kid, used) for kids in source.kids for kid in kids)
        or any(kid.quiet for kids in source.kids for kid in kids)
    )


def syntactic(level: tuple[str, str, str], own: dict[str, Attribute]) -> bool:
    """True for a level that names a segment: section of 1049 in digits, a tag of three characters."""
    section, sequence, tag = level
    return section.isdigit() and fits(tag, own["tag"].format) and fits(sequence, own["sequence"].format)


def constants(cells: Cells, checks: tuple[Check, ...], base: int = 0) -> None:
    for check in checks:
        if check.write:
            cells.setdefault((base + check.element, check.component), check.write)


def elements_of(cells: Cells) -> Elements:
    """Cells as elements: gaps are empty, nothing trails."""
    rows: dict[int, dict[int, str]] = {}
    for (element, component), text in cells.items():
        if text:
            rows.setdefault(element, {})[component] = text
    size = max(rows, default=-1) + 1
    return tuple(
        tuple(row.get(i, "") for i in range(max(row) + 1)) if (row := rows.get(at)) else ("",)
        for at in range(size)
    )
