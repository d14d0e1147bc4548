"""Message structure: which segment may follow which, and the tree of groups they make.

A :class:`Structure` is a message table whose possible moves are worked out once for each pair of
(last segment's place, next tag) and kept; a message is then matched with one look-up a segment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from gateway.model.edifact import Group, GroupUse, MessageTable, Segment, SegmentUse
from gateway.model.finding import Finding, Place
from gateway.syntax.elements import quote

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


class Step(msgspec.Struct, frozen=True):
    """The usual move, which opens and closes no group: on to ``node``, or (``repeat`` > 0) it once more."""

    node: int
    repeat: int


class Structure:
    """A compiled message table; ``steps`` are the first choices among the moves, where they are simple."""

    def __init__(self, table: MessageTable) -> None:
        self.nodes: list[Node] = []
        self.groups: list[Frame] = []
        self.steps: dict[tuple[int, str], Step] = {}
        self._moves: dict[tuple[int, str], tuple[Move, ...]] = {}
        self._compile(table.nodes, ())
        self._label_sections()
        self.labels = frozenset(node.label for node in self.nodes)

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

    def moves(self, last: int, label: str) -> tuple[Move, ...]:
        """Every way from node ``last`` (-1 before the message) to a segment, in the order of the table."""
        key = (last, label)
        found = self._moves.get(key)
        if found is None:
            found = tuple(self._find(last, label))
            if label in self.labels:  # other labels are the sender's own, and there are many
                self._moves[key] = found
                self._learn(key, found)
        return found

    def _learn(self, key: tuple[int, str], moves: tuple[Move, ...]) -> None:
        if not moves or key[0] < 0:
            return
        first, last = moves[0], self.nodes[key[0]]
        node = self.nodes[first.node]
        if first.missing or node.trigger or first.keep != len(last.path) or node.path != last.path:
            return
        self.steps[key] = Step(first.node, node.repeat if first.again else 0)

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

    def expected(self, last: int) -> str:
        """Labels that may follow, up to and with the first mandatory one."""
        labels: list[str] = []
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


class _Open(msgspec.Struct):
    """A group being filled: its index, which occurrence it is, its children so far."""

    group: int
    occurrence: int
    children: list[Segment | Group]


class Matcher:
    """Matches the segments of one message, UNH to UNT, and gathers every fault on the way."""

    def __init__(self, structure: Structure, reference: str, wanted: frozenset[int] = frozenset()) -> None:
        """``wanted``: numbers of the segments whose group is to be told in ``paths``."""
        self._structure = structure
        self._reference = reference
        self._wanted = wanted
        self.paths: dict[int, str] = {}
        self._root: list[Segment | Group] = []
        self._children = self._root  # of the innermost open group
        self._stack: list[_Open] = []
        self._last = -1
        self._count = 0
        self.findings: list[Finding] = []

    def match(self, segments: Sequence[Segment], limit: int) -> Group | None:
        """The message's tree, or None where the structure is broken; at most ``limit`` findings."""
        previous: Segment | None = None
        steps, wanted = self._structure.steps, self._wanted
        for segment in segments:
            step = steps.get((self._last, segment.tag))
            if step is not None and (step.repeat == 0 or self._count < step.repeat):
                self._children.append(segment)  # the next segment of the same group, or the same once more
                self._count = self._count + 1 if step.repeat else 1
                self._last = step.node
            else:
                self._take(segment, previous)
            previous = segment
            if wanted and segment.number in wanted:
                self.paths[segment.number] = self.path()
            if self.findings and len(self.findings) >= limit:
                return None
        self._close(0)
        return None if self.findings else Group("", tuple(self._root))

    def path(self) -> str:
        """The open groups: ``SG7[3]/SG8[1]``."""
        return "/".join(f"{self._structure.groups[o.group].name}[{o.occurrence}]" for o in self._stack)

    def _take(self, segment: Segment, previous: Segment | None) -> None:
        label = segment.tag if segment.tag != "UNS" else self._section(segment)
        moves = self._structure.moves(self._last, label)
        chosen: Move | None = None
        for move in moves:
            if self._may(move) and (chosen is None or len(move.missing) < len(chosen.missing)):
                chosen = move
                if not move.missing:
                    break
        if chosen is None:
            self._refuse(segment, moves)
            return
        if chosen.missing:
            self._miss(chosen, segment, previous)
        self._go(chosen, segment)

    def _section(self, segment: Segment) -> str:
        label = f"UNS+{segment.get(1)}"
        return label if label in self._structure.labels else "UNS"

    def _may(self, move: Move) -> bool:
        """False where the repeats that the table allows are used up."""
        if not move.again:
            return True
        node = self._structure.nodes[move.node]
        if move.node == self._last and not node.trigger:
            return self._count < node.repeat
        opened = self._stack[move.keep]
        return opened.occurrence < self._structure.groups[opened.group].repeat

    def _go(self, move: Move, segment: Segment) -> None:
        node = self._structure.nodes[move.node]
        repeated = move.again and not node.trigger
        if repeated:
            self._count += 1
        else:
            occurrence = self._stack[move.keep].occurrence + 1 if move.again else 1
            self._close(move.keep)
            if node.trigger and len(node.path) > move.keep:
                self._stack.append(_Open(node.path[-1], occurrence, []))
                self._children = self._stack[-1].children
            self._last, self._count = move.node, 1
        self._children.append(segment)

    def _close(self, keep: int) -> None:
        while len(self._stack) > keep:
            done = self._stack.pop()
            group = Group(self._structure.groups[done.group].name, tuple(done.children))
            self._children = self._stack[-1].children if self._stack else self._root
            self._children.append(group)

    def _miss(self, move: Move, segment: Segment, previous: Segment | None) -> None:
        """A missing segment is told at the last one handled before it (CONTRL, 0096)."""
        number = previous.number if previous else 0
        offset = previous.offset if previous else segment.offset
        for index in move.missing:
            node = self._structure.nodes[index]
            place = Place(self._reference, number, node.label[:3], self.path(), offset=offset)
            self.findings.append(Finding("EDI201", place, node.label, segment.tag))

    def _refuse(self, segment: Segment, moves: tuple[Move, ...]) -> None:
        place = Place(self._reference, segment.number, segment.tag, self.path(), offset=segment.offset)
        if moves:
            node = self._structure.nodes[moves[0].node]
            code, allowed = "EDI035", node.repeat
            if node.trigger:
                code, allowed = "EDI036", self._structure.groups[node.path[-1]].repeat
            self.findings.append(Finding(code, place, str(allowed), segment.tag))
            return
        known = any(label[:3] == segment.tag for label in self._structure.labels)
        expected = self._structure.expected(self._last)
        self.findings.append(Finding("EDI202" if known else "EDI203", place, expected, quote(segment.tag)))
