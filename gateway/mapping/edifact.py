"""An EDIFACT mapping table for one directory: read, write and locate."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import msgspec

from gateway.mapping.language import KindRule
from gateway.mapping.plan import Plan
from gateway.mapping.reader import Mark, Reader
from gateway.mapping.reading import Reading
from gateway.mapping.target import Target
from gateway.mapping.writer import Writer
from gateway.model import Declaration, Entity, Finding, Kind, Place, Severity, parse_pointer
from gateway.model.edifact import Group, Segment

# A manifest may repeat one unknown element ten thousand times; the sender needs the first of them.
MAX_FINDINGS = 500
# The class whose reading is an answer, not a declaration.
_RESPONSE = "Response"


class Written(msgspec.Struct, frozen=True):
    """Segments without UNH and UNT, and what was lost on the way."""

    segments: tuple[Segment, ...]
    findings: tuple[Finding, ...] = ()


class EdifactTable:
    """One message type in one directory.  Values only; safe to share between threads."""

    def __init__(self, name: str, message: str, directory: str, plan: Plan, kind: KindRule) -> None:
        self.name = name
        self.message = message
        self.directory = directory
        self._plan = plan
        self._kind = kind

    def read(self, tree: Group, kind_hint: Kind | None = None) -> Reading:
        """The declaration (or response) of one structured message.

        A document code that the table knows decides the kind; then the hint; then the table's default.
        """
        reader = Reader()
        root = reader.read(self._plan, tree).freeze() or Entity(self._plan.shape.name)
        findings = _placed(reader.found, tree)
        if root.name == _RESPONSE:
            return Reading((), findings, (root,))
        return Reading((Declaration(self._kind_of(root, kind_hint), root),), findings)

    def write(self, root: Entity) -> Written:
        """The segments for a tree whose outermost class is the table's.  Raises ValueError for another."""
        if root.name != self._plan.shape.name:
            raise ValueError(f"{self.name} writes {self._plan.shape.name}, not {root.name}")
        writer = Writer(self._plan, root)
        segments = writer.write()
        return Written(segments, _capped(writer.findings))

    def locate(self, tree: Group, pointer: str) -> Place:
        """Where in the message the value or class at ``pointer`` came from (see :class:`Locator`)."""
        return self.locator(tree)(pointer)

    def locator(self, tree: Group) -> Callable[[str], Place]:
        """The same for many pointers into one message: it is read again once, when first asked."""
        return Locator(self._plan, tree).locate

    def _kind_of(self, root: Entity, hint: Kind | None) -> Kind:
        found = self._kind.codes.get(root.text(self._kind.path)) if self._kind.path else None
        return Kind(found) if found else hint or Kind(self._kind.default)


class Locator:
    """Where the values and classes of one message came from; the message is read again once, when asked."""

    def __init__(self, plan: Plan, tree: Group) -> None:
        self._plan = plan
        self._tree = tree
        self._filled: dict[tuple[int, int], list[Target]] = {}

    def locate(self, pointer: str) -> Place:
        """For what the message does not have: where the nearest class around it came from.

        Raises ValueError on a text that is no pointer.
        """
        steps = parse_pointer(pointer)
        here, marks = self._read
        segments = (s for s in self._tree.children if isinstance(s, Segment) and s.tag != "UNH")
        mark = next(((s, 0, 0) for s in segments), None)
        for step in steps[1:]:
            mark = marks.get((id(here), -1), mark) or _any_mark(marks, here) or mark
            names = here.shape.value_names
            if step.name in names and here.values[names.index(step.name)] is not None:
                mark = marks.get((id(here), names.index(step.name)), mark)
                break
            below = self._child(here, step.name, step.occurrence)
            if below is None:
                break
            here = below
            mark = marks.get((id(here), -1)) or _any_mark(marks, here) or mark
        if mark is None:
            return Place(pointer=pointer)
        segment, element, component = mark
        return Place(
            segment=segment.number,
            tag=segment.tag,
            group=self._paths.get(id(segment), ""),
            element=element,
            component=component,
            offset=segment.offset,
            pointer=pointer,
        )

    def _child(self, target: Target, name: str, occurrence: int) -> Target | None:
        slot = next((slot for slot, shape in enumerate(target.shape.kids) if shape.name == name), None)
        if slot is None:
            return None
        key = (id(target), slot)
        if key not in self._filled:
            self._filled[key] = [kid for kid in target.kids[slot] or () if not kid.empty()]
        filled = self._filled[key]
        return filled[occurrence - 1] if occurrence <= len(filled) else None

    @cached_property
    def _read(self) -> tuple[Target, dict[tuple[int, int], Mark]]:
        reader = Reader(track=True)
        return reader.read(self._plan, self._tree), reader.marks or {}

    @cached_property
    def _paths(self) -> dict[int, str]:
        return _paths(self._tree)


def _any_mark(marks: dict[tuple[int, int], Mark], target: Target) -> Mark | None:
    """The segment of the first value of a class that has no segment of its own."""
    for slot in range(len(target.values)):
        found = marks.get((id(target), slot))
        if found is not None:
            return found[0], 0, 0
    return None


def _paths(tree: Group, prefix: str = "", into: dict[int, str] | None = None) -> dict[int, str]:
    """Group path of every segment, by identity: ``SG7[3]/SG8[1]``."""
    paths: dict[int, str] = {} if into is None else into
    counts: dict[str, int] = {}
    for child in tree.children:
        if isinstance(child, Segment):
            paths[id(child)] = prefix
        else:
            number = counts[child.name] = counts.get(child.name, 0) + 1
            step = f"{child.name}[{number}]"
            _paths(child, f"{prefix}/{step}" if prefix else step, paths)
    return paths


def _placed(found: list[tuple[Segment, Finding]], tree: Group) -> tuple[Finding, ...]:
    """Findings with the group path of their segments."""
    if not found:
        return ()
    if len(found) > MAX_FINDINGS:  # many warnings must not hide an error
        found = sorted(found, key=lambda pair: pair[1].severity is not Severity.ERROR)
    paths = _paths(tree)
    placed = [
        msgspec.structs.replace(f, place=msgspec.structs.replace(f.place, group=paths.get(id(s), "")))
        for s, f in found[: MAX_FINDINGS + 1]
    ]
    return _capped(placed, len(found))


def _capped(findings: list[Finding], total: int | None = None) -> tuple[Finding, ...]:
    """At most MAX_FINDINGS, and one more that says how many there were."""
    total = len(findings) if total is None else total
    if total <= MAX_FINDINGS:
        return tuple(findings)
    last = Finding("MAP014", Place(), str(MAX_FINDINGS), str(total), Severity.WARNING)
    return (*findings[:MAX_FINDINGS], last)
