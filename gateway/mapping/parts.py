"""The parts of a message: what stands in it itself, one after the other, each with its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gateway.model.edifact import Group, Segment


class Part(NamedTuple):
    """A segment or group that the message itself holds; ``number``: which occurrence of its group, from 1."""

    child: Segment | Group
    number: int = 0

    def paths(self) -> dict[int, str]:
        """Group path of every segment in it, by identity: ``SG7[3]/SG8[1]``."""
        paths: dict[int, str] = {}
        if isinstance(self.child, Group):
            _note(self.child, f"{self.child.name}[{self.number}]", paths)
        return paths


def parts(tree: Group) -> Iterator[Part]:
    """The parts in their order."""
    counts: dict[str, int] = {}
    for child in tree.children:
        if isinstance(child, Segment):
            yield Part(child)
        else:
            number = counts[child.name] = counts.get(child.name, 0) + 1
            yield Part(child, number)


def _note(group: Group, prefix: str, paths: dict[int, str]) -> None:
    counts: dict[str, int] = {}
    for child in group.children:
        if isinstance(child, Segment):
            paths[id(child)] = prefix
        else:
            number = counts[child.name] = counts.get(child.name, 0) + 1
            _note(child, f"{prefix}/{child.name}[{number}]", paths)
