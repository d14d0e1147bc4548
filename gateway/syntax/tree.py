"""The tree of groups that a message's segments make."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.model.edifact import Group, Segment
from gateway.syntax.structure import Structure


def grow(structure: Structure, nodes: Iterable[int], segments: Iterable[Segment]) -> Group:
    """The tree of segments whose nodes (indexes into ``structure.nodes``) are known and in order."""
    root: list[Segment | Group] = []
    names: list[str] = []
    open_: list[list[Segment | Group]] = [root]  # children of the open groups, outermost first
    for index, segment in zip(nodes, segments, strict=True):
        node = structure.nodes[index]
        depth = len(node.path) - node.trigger
        while len(names) > depth:
            children = tuple(open_.pop())
            open_[-1].append(Group(names.pop(), children))
        if node.trigger:
            names.append(structure.groups[node.path[-1]].name)
            open_.append([])
        open_[-1].append(segment)
    while names:
        children = tuple(open_.pop())
        open_[-1].append(Group(names.pop(), children))
    return Group("", tuple(root))
