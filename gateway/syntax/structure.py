"""Message structure: which segment may follow which.

A :class:`Structure` is a message table whose possible moves are worked out once for each pair of
(last segment's place, next tag) and kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile

import msgspec

from gateway.model.edifact import GroupUse, MessageTable, Segment, SegmentUse

MAX_EXPECTED = 12  # tags named as expected in a finding


class Node(msgspec.Struct, frozen=True):
    """A segment's place in a message.

    ``label``: the tag, or ``UNS+D`` and ``UNS+S`` where a message has both.  ``path``: indexes of the
    groups around it, outermost first.  ``trigger``: it opens the innermost of them.
    """

    label: str
    required: bool
    repeat: int
    path: tuple[int, ...]
    trigger: bool


class Frame(msgspec.Struct, frozen=True):
    """A group's place in a message: ``first`` is its trigger's index, ``after`` that of the node beyond."""

    name: str
    required: bool
    repeat: int
    first: int
    after: int


class Move(msgspec.Struct, frozen=True):
    """A way from one segment's place to the next segment's.

    ``node``: the place reached.  ``keep``: how many open groups stay open.  ``again``: the same
    segment (a repeat) or the same group (``keep`` counts the groups outside it) occurs once more.
    ``missing``: nodes that were mandatory on the way.
    """

    node: int
    keep: int
    again: bool
    missing: tuple[int, ...]


class Astray(msgspec.Struct, frozen=True):
    """Places of a segment in groups whose trigger was left out: those with the fewest triggers missing.

    ``triggers``: what is missing, where it is one trigger for each place.
    """

    nodes: tuple[int, ...]
    triggers: tuple[str, ...]


NO_PLACE = Astray((), ())


class Structure:
    """A compiled message table: its nodes in order, its groups, and the moves between nodes.

    Raises ValueError for a table that begins or ends within itself.
    """

    def __init__(self, table: MessageTable) -> None:
        self.nodes: list[Node] = []
        self.groups: list[Frame] = []
        self._moves: dict[tuple[int, str], tuple[Move, ...]] = {}
        self._astray: dict[tuple[int, str], Astray] = {}
        self._compile(table.nodes, ())
        within = {node.label for node in self.nodes[1:-1]} & {"UNH", "UNT"}
        if within:
            raise ValueError(f"{table.type}: {', '.join(sorted(within))} cannot stand within a message")
        self._label_sections()
        self.labels = frozenset(node.label for node in self.nodes)
        self.tags = frozenset(label[:3] for label in self.labels)

    def _compile(self, uses: Sequence[SegmentUse | GroupUse], path: tuple[int, ...]) -> None:
        for position, use in enumerate(uses):
            if isinstance(use, SegmentUse):
                trigger = bool(path) and position == 0
                self.nodes.append(Node(use.segment, use.required, use.repeat, path, trigger))
                continue
            index, first = len(self.groups), len(self.nodes)
            self.groups.append(Frame(use.name, use.required, use.repeat, first, 0))
            self._compile(use.nodes, (*path, index))
            self.groups[index] = Frame(use.name, use.required, use.repeat, first, len(self.nodes))

    def _label_sections(self) -> None:
        """Where a message has two UNS, the first begins the detail and the second the summary (0081)."""
        sections = [i for i, node in enumerate(self.nodes) if node.label == "UNS"]
        if len(sections) == 2:
            for index, value in zip(sections, "DS", strict=True):
                self.nodes[index] = msgspec.structs.replace(self.nodes[index], label=f"UNS+{value}")

    def label(self, segment: Segment) -> str:
        """The segment's tag, or ``UNS+D`` and ``UNS+S`` where the message has both."""
        if segment.tag != "UNS":
            return segment.tag
        label = f"UNS+{segment.get(1)}"
        return label if label in self.labels else segment.tag

    def path(self, node: int) -> str:
        """A node's place by names: ``SG4/SG5/NAD``."""
        found = self.nodes[node]
        return "/".join((*(self.groups[index].name for index in found.path), found.label[:3]))

    def limit(self, node: int) -> int:
        """How often a node may be repeated: its segment, or the group that it opens."""
        found = self.nodes[node]
        return self.groups[found.path[-1]].repeat if found.trigger else found.repeat

    def opens(self, node: int) -> bool:
        """True for the trigger of an outermost group."""
        found = self.nodes[node]
        return found.trigger and len(found.path) == 1

    def leaps(self, move: Move) -> bool:
        """True where a segment of a section is reached without the UNS before it."""
        if self.nodes[move.node].label[:3] in ("UNS", "UNT"):
            return False
        return any(self.nodes[index].label[:3] == "UNS" for index in move.missing)

    def moves(self, last: int, label: str) -> tuple[Move, ...]:
        """Every way from node ``last`` (-1 before the message) to a segment, in the order of the table."""
        key = (last, label)
        found = self._moves.get(key)
        if found is None:
            found = tuple(self._find(last, label))
            if label in self.labels:  # other labels are the sender's own, and there are many
                self._moves[key] = found
        return found

    def _find(self, last: int, label: str) -> Iterator[Move]:
        path: tuple[int, ...] = ()
        if last >= 0:
            node = self.nodes[last]
            path = node.path
            if node.label == label and not node.trigger:
                yield Move(last, len(path), True, ())
        missing: list[int] = []
        start = last + 1
        for depth in range(len(path), -1, -1):
            end = self.groups[path[depth - 1]].after if depth else len(self.nodes)
            yield from self._forward(start, end, depth, label, missing)
            if depth:
                group = self.groups[path[depth - 1]]
                if self.nodes[group.first].label == label:
                    yield Move(group.first, depth - 1, True, tuple(missing))
                start = end

    def astray(self, last: int, label: str) -> Astray:
        """Where a segment that no move reaches would stand, had no group's trigger been left out."""
        if label not in self.labels:
            return NO_PLACE
        key = (last, label)
        found = self._astray.get(key)
        if found is None:
            found = self._astray[key] = self._find_astray(last, label)
        return found

    def _find_astray(self, last: int, label: str) -> Astray:
        ways: dict[int, tuple[int, ...]] = {}  # node -> groups around it whose trigger is missing
        path = self.nodes[last].path if last >= 0 else ()
        for index, node in enumerate(self.nodes):
            shared = sum(
                1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(path, node.path, strict=False))
            )
            shared -= index <= last  # what lies behind comes again with the group around it
            if node.label == label and shared >= 0:
                ways[index] = node.path[shared : len(node.path) - node.trigger]
        least = min(map(len, ways.values()), default=0)
        nearest = {index: groups for index, groups in ways.items() if len(groups) == least}
        triggers = (
            self.nodes[self.groups[groups[0]].first].label for groups in nearest.values() if least == 1
        )
        return Astray(tuple(nearest), tuple(triggers))

    def _forward(self, start: int, end: int, depth: int, label: str, missing: list[int]) -> Iterator[Move]:
        """Ways to later nodes of the same group; what is mandatory on the way is added to ``missing``."""
        index = start
        while index < end:
            node = self.nodes[index]
            if len(node.path) == depth:
                if node.label == label:
                    yield Move(index, depth, False, tuple(missing))
                if node.required:
                    missing.append(index)
                index += 1
                continue
            group = self.groups[node.path[depth]]
            if node.label == label:
                yield Move(index, depth, False, tuple(missing))
            if group.required:
                missing.append(index)
            index = group.after

    def expected(self, last: int, first: Sequence[str] = ()) -> str:
        """Labels that may follow, up to and with the first mandatory one; ``first``: those named before."""
        labels: list[str] = list(first)
        if last >= 0:
            node = self.nodes[last]
            if not node.trigger and node.repeat > 1:
                labels.append(node.label)
            for index in reversed(node.path):
                labels.append(self.nodes[self.groups[index].first].label)
        labels.extend(self._ahead(last))
        unique = list(dict.fromkeys(labels))
        return ", ".join(unique[:MAX_EXPECTED]) + (" ..." if len(unique) > MAX_EXPECTED else "")

    def _ahead(self, last: int) -> Iterator[str]:
        path = self.nodes[last].path if last >= 0 else ()
        start = last + 1
        for depth in range(len(path), -1, -1):
            end = self.groups[path[depth - 1]].after if depth else len(self.nodes)
            index = start
            while index < end:
                node = self.nodes[index]
                inner = len(node.path) > depth
                yield node.label
                if self.groups[node.path[depth]].required if inner else node.required:
                    return
                index = self.groups[node.path[depth]].after if inner else index + 1
            start = end
