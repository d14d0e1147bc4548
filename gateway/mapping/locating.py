"""Where the values and classes of one message came from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from gateway.mapping.parts import Part, parts
from gateway.mapping.plan import Entry, Plan
from gateway.mapping.reader import Mark, Reader
from gateway.mapping.target import Target
from gateway.model import Place, parse_pointer
from gateway.model.edifact import Group, Segment


class Read(NamedTuple):
    """A class that was read once more, where each of its values came from, and the groups around those."""

    target: Target
    marks: dict[tuple[int, int], Mark]
    paths: dict[int, str]


class Locator:
    """One message, read again when first asked for a place: all but the groups that can be read by themselves (a
    manifest's consignments), and of those the one that is asked for."""

    def __init__(self, plan: Plan, tree: Group) -> None:
        self._plan = plan
        self._tree = tree
        self._filled: dict[tuple[int, int], list[Target]] = {}
        self._apart: dict[int, Occurrences] = {}

    def locate(self, pointer: str) -> Place:
        """For what the message does not have: where the nearest class around it came from.

        Raises ValueError on a text that is no pointer.
        """
        steps = parse_pointer(pointer)
        here, marks, paths = self._around
        segments = (s for s in self._tree.children if isinstance(s, Segment) and s.tag != "UNH")
        mark = next(((s, 0, 0) for s in segments), None)
        for step in steps[1:]:
            mark = marks.get((id(here), -1), mark) or _any_mark(marks, here) or mark
            names = here.shape.value_names
            if step.name in names and here.values[names.index(step.name)] is not None:
                mark = marks.get((id(here), names.index(step.name)), mark)
                break
            below = self._below(Read(here, marks, paths), step.name, step.occurrence)
            if below is None:
                break
            here, marks, paths = below
            mark = marks.get((id(here), -1)) or _any_mark(marks, here) or mark
        if mark is None:
            return Place(pointer=pointer)
        segment, element, component = mark
        return Place(
            segment=segment.number,
            tag=segment.tag,
            group=paths.get(id(segment), ""),
            element=element,
            component=component,
            offset=segment.offset,
            pointer=pointer,
        )

    def _below(self, read: Read, name: str, occurrence: int) -> Read | None:
        target = read.target
        slot = next((slot for slot, shape in enumerate(target.shape.kids) if shape.name == name), None)
        if slot is None:
            return None
        if target is self._around.target and slot in self._plan.apart:
            if slot not in self._apart:
                self._apart[slot] = Occurrences(self._plan, self._tree, slot)
            return self._apart[slot].get(occurrence)
        key = (id(target), slot)
        if read.marks is not self._around.marks:  # it is let go, and its identity given anew
            filled = [kid for kid in target.kids[slot] or () if not kid.empty()]
        elif key in self._filled:
            filled = self._filled[key]
        else:
            filled = self._filled[key] = [kid for kid in target.kids[slot] or () if not kid.empty()]
        return read._replace(target=filled[occurrence - 1]) if occurrence <= len(filled) else None

    @cached_property
    def _around(self) -> Read:
        plan, reader = self._plan, Reader(track=True)
        root, paths = Target(plan.shape), dict[int, str]()
        for part in parts(self._tree):
            if _entry_apart(plan, part) is None:
                reader.read_part(plan, part, root)
                paths |= part.paths()
        return Read(root, reader.marks or {}, paths)


class Occurrences:
    """The occurrences of a class each of which is one group's: asked for in their order, the message is gone through
    once.  The last one is kept."""

    def __init__(self, plan: Plan, tree: Group, slot: int) -> None:
        self._plan = plan
        self._tree = tree
        self._slot = slot
        self._parts: Iterator[Part] = iter(())
        self._number = -1
        self._last: Read | None = None

    def get(self, occurrence: int) -> Read | None:
        """The one of that number, from 1, of those that hold something."""
        if self._last is not None and occurrence == self._number:
            return self._last
        self._last = None
        if self._number < 0 or occurrence <= self._number:
            self._parts, self._number = self._each(), 0
        while self._number < occurrence:
            part = next(self._parts, None)
            if part is None:
                return None
            entry = _entry_apart(self._plan, part)
            wanted = self._number + 1 == occurrence
            if entry is not None and entry.sequence is not None and not wanted:
                self._number += 1  # it holds its number at least
                continue
            read = self._read(part)
            if not read.target.empty():
                self._number, self._last = self._number + 1, read
        return self._last

    def _each(self) -> Iterator[Part]:
        for part in parts(self._tree):
            entry = _entry_apart(self._plan, part)
            if entry is not None and entry.chain[0] == self._slot:
                yield part

    def _read(self, part: Part) -> Read:
        reader, root = Reader(track=True), Target(self._plan.shape)
        reader.read_part(self._plan, part, root)
        return Read((root.kids[self._slot] or [root])[0], reader.marks or {}, part.paths())


def _entry_apart(plan: Plan, part: Part) -> Entry | None:
    """The entry of a group that can be read by itself."""
    group = part.child
    if isinstance(group, Segment) or not plan.apart:
        return None
    trigger = group.children[0]
    entry = plan.entry(group.name, trigger.elements) if isinstance(trigger, Segment) else None
    return entry if entry is not None and plan.is_apart(entry) else None


def _any_mark(marks: dict[tuple[int, int], Mark], target: Target) -> Mark | None:
    """The segment of the first value of a class that has no segment of its own."""
    for slot in range(len(target.values)):
        found = marks.get((id(target), slot))
        if found is not None:
            return found[0], 0, 0
    return None
