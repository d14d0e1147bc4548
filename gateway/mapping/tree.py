"""Tree tables: WCO XML to the Declaration tree and back, same names on both sides, by one table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from lxml import etree

from gateway.longxml import Odd
from gateway.mapping.long_tree import Shelves, find_long, read_long, spine_of
from gateway.mapping.reading import Reading
from gateway.mapping.tree_rows import UNBOUNDED, Node, Outline, Row, load_outline
from gateway.mapping.tree_walk import MAX_FINDINGS, Walk, class_reader, line_of, nearest
from gateway.model import Declaration, Entity, Finding, Kind, Place, Severity, Step, Value, parse_pointer
from gateway.safexml import XmlLimits, xpath_of

KIND_MARK = "KIND"


def load_tree_table(path: Path) -> TreeTable:
    """Read a tree table (form: ``mappings/wco/dec.toml``).  Raises ValueError listing ALL broken rows."""
    return TreeTable(load_outline(path))


class TreeTable:
    """One XML vocabulary of WCO names.

    ``read`` and ``write`` are a pair: ``read(write(x))`` gives x for every x whose values and entities
    stand in the table's order.  Stateless after construction; any thread may use it.
    """

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self.name = outline.name
        self._root = outline.root
        self._body = outline.body
        self._plain = class_reader(outline.root)
        self._spine = spine_of(outline.root)

    # -- reading ---------------------------------------------------------------------------------

    def read(self, document: etree._Element, kind: Kind | None = None) -> Reading:
        """The declaration in a document whose signature is already removed.

        ``kind``: where the caller knows it; else the table's rules tell it from the document.
        What the table does not know is a warning with its place; nothing is left out silently.
        """
        walk = Walk()
        if document.tag != self._root.tag:
            place = Place(xpath=xpath_of(document), line=line_of(document))
            return Reading(findings=(Finding("XML045", place, self._root.tag, str(document.tag)),))
        whole = self._plain(document, self._root) or walk.entity(document, self._root)
        bodies, header = self._split(whole)
        if not bodies:
            walk.lose("XML045", document, expected=self._body.name, severity=Severity.ERROR)
        if self._body.name == "Response":
            return Reading(findings=walk.told(), responses=bodies, header=header)
        kind = kind or self._kind(whole, bodies)
        if kind is None:
            expected = ", ".join(rule.path for rule in self._outline.kinds)
            walk.lose("XML044", document, expected=expected, severity=Severity.ERROR)
            return Reading(findings=walk.told(), header=header)
        return Reading(tuple(Declaration(kind, b) for b in bodies), walk.told(), header=header)

    def read_long(
        self, pieces: Iterable[bytes], limits: XmlLimits, schema: etree.XMLSchema, folder: Path
    ) -> Reading:
        """The same of a document in pieces, which keeps the schema.  Raises longxml.Odd where that can only be
        read whole, Invalid, safexml.XmlRefused.

        ``folder``: for shelves.
        """
        if self._spine is None or self._body.name == "Response":
            raise Odd(self.name)
        shelves = Shelves(self._plain, limits.held, folder)
        whole = read_long(self._spine, shelves, pieces, limits, schema)
        bodies, header = self._split(whole)
        kind = self._kind(whole, bodies)
        if kind is None:
            raise Odd(self._body.name)
        return Reading(tuple(Declaration(kind, body) for body in bodies), header=header)

    def _split(self, whole: Entity) -> tuple[tuple[Entity, ...], Entity | None]:
        if self._body is self._root:
            return (whole,), None
        bodies = tuple(e for e in whole.entities if e.name == self._body.name)
        rest = tuple(e for e in whole.entities if e.name != self._body.name)
        return bodies, Entity(whole.name, whole.values, rest)

    def _kind(self, whole: Entity, bodies: tuple[Entity, ...]) -> Kind | None:
        if not bodies:
            return None
        for rule in self._outline.kinds:
            text = whole.text(rule.path).strip()
            kind = rule.values.get(text[: rule.prefix] if rule.prefix else text)
            if kind is not None:
                return kind
        return self._outline.default_kind

    # -- writing ---------------------------------------------------------------------------------

    def write(
        self, tree: Declaration | Entity, header: Entity | None = None, more: Sequence[Entity] = ()
    ) -> etree._Element:
        """The whole document around a Declaration or Response.

        ``header``: the wrapper's own fields, as ``read`` gave them; else the table's defaults.
        ``more``: further Responses in the same wrapper.
        Raises ValueError naming every value or class that the table does not know.
        """
        kind = tree.kind.value if isinstance(tree, Declaration) else ""
        body = tree.root if isinstance(tree, Declaration) else tree
        whole = body if self._body is self._root else self._wrap((body, *more), header, kind)
        root = etree.Element(self._root.tag, nsmap=dict(self._outline.namespaces))
        unknown: list[str] = []
        _write(root, whole, self._root, whole.name, unknown)
        if whole.name != self._root.name:
            unknown.insert(0, whole.name)
        if unknown:
            raise ValueError(f"{self.name} has no place for {', '.join(unknown)}")
        return root

    def _wrap(self, bodies: tuple[Entity, ...], header: Entity | None, kind: str) -> Entity:
        if header is not None:
            return Entity(header.name, header.values, (*header.entities, *bodies))
        fields = ((n, kind if v == KIND_MARK else v) for n, v in self._outline.header.items())
        return Entity(self._root.name, tuple(Value(n, v) for n, v in fields if v), bodies)

    # -- places ----------------------------------------------------------------------------------

    def locate(self, document: etree._Element, pointer: str) -> Place:
        """Where the document says what the pointer names: its XPath and line.

        Where it is absent, the nearest class around it that is there.
        """
        here = nearest(document, self._root, self._way(pointer))
        return Place(xpath=xpath_of(here), line=line_of(here), pointer=pointer)

    def locator(self, document: etree._Element) -> Callable[[str], Place]:
        """The same for many pointers into one document."""
        return partial(self.locate, document)

    def locator_long(
        self, pieces: Iterable[bytes], limits: XmlLimits, pointers: Iterable[str]
    ) -> Callable[[str], Place]:
        """The same for these pointers into a document in pieces, which `read_long` has read."""
        assert self._spine is not None
        ways = ((pointer, self._way(pointer)) for pointer in dict.fromkeys(pointers))
        left, found = find_long(self._spine, pieces, limits, [(p, way) for p, way in ways if way])

        def locate(pointer: str) -> Place:
            there = found.get(pointer)
            if there is None:
                return self.locate(left, pointer)
            return Place(xpath=there.xpath, line=there.line, pointer=pointer)

        return locate

    def _way(self, pointer: str) -> tuple[tuple[str, int], ...]:
        """The steps of a pointer from the document's root."""
        steps = tuple((step.name, step.occurrence) for step in _steps(pointer))
        return steps[1:] if steps and steps[0][0] == self._root.name else steps

    def pointer_codes(self, pointer: str) -> list[tuple[str, int, str]]:
        """The WCO Pointer (97A) chain: (section's class id, sequence or 0, tag id or "") from the top.

        ``pointer`` may also be the part of a finding's XPath below the wrapper, whatever names a sender
        put there.  A sequence stands only where the class may repeat; the tag only on the last.  Classes
        and elements without a WCO id, and all below them, cannot be said: the chain ends before them.
        """
        codes: list[tuple[str, int, str]] = []
        row: Row | None = None
        for step in _steps(pointer):
            row = self._step(row, step.name)
            if row is None or not row.id:
                break
            if row.node is None:
                codes[-1:] = [(*codes[-1][:2], row.id)]
                break
            codes.append((row.id, 0 if row.repeat == 1 else step.occurrence, ""))
        return codes

    def pointer_of(self, codes: Sequence[tuple[str, int, str]]) -> str:
        """The pointer that a Pointer chain means, as far as its codes are known; "" where none is."""
        steps: list[str] = []
        row: Row | None = None
        for section, sequence, tag in codes:
            if row is None:
                row = self._body if section == self._body.id else None
            else:
                row = None if row.node is None else row.node.by_id.get((True, section))
            if row is None or row.node is None:
                break
            steps.append(row.name if sequence <= 1 else f"{row.name}[{sequence}]")
            leaf = row.node.by_id.get((False, tag)) if tag else None
            if leaf is not None:
                steps.append(leaf.name)
                break
        return "/".join(steps)

    def _step(self, row: Row | None, name: str) -> Row | None:
        if row is None:
            return self._body if name == self._body.name else None
        return None if row.node is None else row.node.by_name.get(name)

    # -- what the table knows --------------------------------------------------------------------

    def row(self, path: str) -> Row | None:
        """The row at a path from the body (``Declaration/Declarant/ID``, occurrences allowed), or None."""
        row: Row | None = None
        for step in parse_pointer(path):
            row = self._step(row, step.name)
            if row is None:
                return None
        return row

    def knows(self, path: str, kind: Kind | None = None) -> bool:
        """True where the path is in the table, and where a kind is given, in use for that kind."""
        row: Row | None = None
        for step in parse_pointer(path):
            row = self._step(row, step.name)
            if row is None or not (kind is None or row.uses is None or kind in row.uses):
                return False
        return True

    def paths(self) -> Iterator[tuple[str, Row]]:
        """Every path from the body and its row, in order; a class inside itself is not followed."""
        yield from _paths(self._body, self._body.name, ())


def _write(element: etree._Element, entity: Entity, row: Row, path: str, unknown: list[str]) -> None:
    assert row.node is not None
    by_name = row.node.by_name
    placed: list[tuple[Row, Value | Entity]] = []
    items: tuple[Value | Entity, ...] = (*entity.values, *entity.entities)
    for item in items:
        inner = by_name.get(item.name)
        if inner is None or (inner.node is None) is not isinstance(item, Value):
            unknown.append(f"{path}/{item.name}")
        else:
            placed.append((inner, item))
    placed.sort(key=_rank)
    for inner, item in placed:
        child = etree.SubElement(element, inner.tag)
        if isinstance(item, Entity):
            _write(child, item, inner, f"{path}/{item.name}", unknown)
            continue
        if inner.child:
            child = etree.SubElement(child, inner.child)
        child.text = item.text
        for name, text in item.attributes:
            if name in inner.attributes:
                child.set(name, text)
            else:
                unknown.append(f"{path}/{item.name}/@{name}")


def _rank(placed: tuple[Row, Value | Entity]) -> int:
    return placed[0].rank


def _steps(pointer: str) -> Iterator[Step]:
    """The pointer's steps as far as they are steps: an attribute or a strange name ends them."""
    for part in pointer.split("/"):
        try:
            yield from parse_pointer(part)
        except ValueError:
            return


def _paths(row: Row, path: str, above: tuple[Node, ...]) -> Iterator[tuple[str, Row]]:
    yield path, row
    if row.node is None or row.node in above:
        return
    for inner in row.node.rows:
        yield from _paths(inner, f"{path}/{inner.name}", (*above, row.node))


__all__ = ["MAX_FINDINGS", "UNBOUNDED", "Node", "Row", "TreeTable", "load_tree_table"]
