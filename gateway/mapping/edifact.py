"""An EDIFACT mapping table for one directory: read, write and locate."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.mapping.groups import group_reader
from gateway.mapping.language import KindRule
from gateway.mapping.locating import Locator
from gateway.mapping.long import read_long
from gateway.mapping.plan import Plan
from gateway.mapping.reader import MAX_FINDINGS, Reader
from gateway.mapping.reading import Reading
from gateway.mapping.writer import Writer
from gateway.model import Declaration, Entity, Finding, Kind, Place, Severity
from gateway.model.edifact import Group, Segment

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
        self._plain = group_reader(plan)

    def read(self, tree: Group, kind_hint: Kind | None = None) -> Reading:
        """The declaration (or response) of one structured message.

        A document code that the table knows decides the kind; then the hint; then the table's default.
        """
        reader = Reader(plain=self._plain)
        if isinstance(tree.children, tuple):
            root = reader.read(self._plan, tree).freeze() or Entity(self._plan.shape.name)
        else:
            root = read_long(reader, self._plan, tree)
        findings = _capped(reader.findings, reader.told)
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
        """Where in the message the value or class at ``pointer`` came from (see :class:`locating.Locator`)."""
        return self.locator(tree)(pointer)

    def locator(self, tree: Group) -> Callable[[str], Place]:
        """The same for many pointers into one message: it is read again once, when first asked."""
        return Locator(self._plan, tree).locate

    def _kind_of(self, root: Entity, hint: Kind | None) -> Kind:
        found = self._kind.codes.get(root.text(self._kind.path)) if self._kind.path else None
        return Kind(found) if found else hint or Kind(self._kind.default)


def _capped(findings: list[Finding], total: int | None = None) -> tuple[Finding, ...]:
    """At most MAX_FINDINGS, and one more that says how many there were."""
    total = len(findings) if total is None else total
    if total <= MAX_FINDINGS:
        return tuple(findings)
    last = Finding("MAP014", Place(), str(MAX_FINDINGS), str(total), Severity.WARNING)
    return (*findings[:MAX_FINDINGS], last)
