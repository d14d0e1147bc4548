"""Reads a very long message: each class that is one group's alone goes to a shelf as soon as it is filled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gateway.mapping.plan import Plan
from gateway.mapping.reader import Reader
from gateway.mapping.target import Target
from gateway.model import Entity
from gateway.model.edifact import Group
from gateway.model.shelf import Long, Occurrences, long


def read_long(reader: Reader, plan: Plan, tree: Group) -> Long:
    """The outermost class of a message whose ``children`` are on a shelf; its own go to others beside it."""
    shelves: dict[int, Occurrences] = {}
    children: Any = tree.children

    def taken(slot: int, target: Target) -> None:
        entity = target.freeze()
        if entity is None:
            return
        if slot not in shelves:
            shelves[slot] = Occurrences(entity.name, children.folder)
        shelves[slot].put(entity)

    held = reader.read(plan, tree, taken).freeze() or Entity(plan.shape.name)
    return long(held, children.folder, list(_ordered(plan, held, shelves)))


def _ordered(
    plan: Plan, held: Entity, shelves: dict[int, Occurrences]
) -> Iterator[Sequence[Entity] | Occurrences]:
    for slot in plan.shape.kid_order:
        name = plan.shape.kids[slot].name
        yield shelves[slot] if slot in shelves else tuple(held.each(name))
