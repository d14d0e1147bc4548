"""One pass over a document by a tree table: the hottest loop of the XML path.

The same in two ways: ``_plain.c`` for documents of which nothing has to be told, where there was a compiler at
installation; and here, for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from lxml import etree

from gateway.mapping.tree_rows import Node, Row
from gateway.model import Entity, Finding, Place, Severity, Value
from gateway.safexml import XSI_NS, local_name, xpath_of

try:
    from gateway.mapping import _plain as compiled
except ImportError:  # nothing was compiled at installation, or for another lxml
    compiled = None  # type: ignore[assignment]

# A sender learns no more from the next hundred; finding places costs time.
MAX_FINDINGS = 100
# As much of a sender's stray text as is repeated: enough to find it by.
MAX_SHOWN = 35

# Hints to a validator, not content.
_HINTS = frozenset((f"{{{XSI_NS}}}schemaLocation", f"{{{XSI_NS}}}noNamespaceSchemaLocation"))


class Walk:
    """One pass over a document."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.more = 0

    def entity(self, element: etree._Element, row: Row) -> Entity:
        """A class and all below it.  The hottest loop of the XML path: each property is read once."""
        node = row.node
        assert node is not None
        values: list[Value] = []
        entities: list[Entity] = []
        by_tag, last, stray = node.by_tag, 0, element.text
        for child in element:
            if stray is not None and not stray.isspace():
                self.stray(element, stray)
            stray = child.tail
            inner = by_tag.get(child.tag)  # type: ignore[arg-type]
            if inner is None:
                self.unknown(child)
                continue
            rank = inner.rank
            if rank < last:
                self.lose("XML043", child, expected=f"before {node.rows[last].name}", found=inner.name)
            last = rank
            if inner.node is not None:
                entities.append(self.entity(child, inner))
                continue
            attributes = child.items()
            if inner.child or len(child):
                values.append(self.value(child, inner))
            elif not attributes:
                values.append(Value(inner.name, child.text or ""))
            elif len(attributes) == 1 and attributes[0][0] in inner.attributes:
                values.append(Value(inner.name, child.text or "", (attributes[0],)))
            else:
                values.append(self.value(child, inner))
        if stray is not None and not stray.isspace():
            self.stray(element, stray)
        if element.keys():
            self.unknown_attributes(element, frozenset())
        return Entity(row.name, tuple(values), tuple(entities))

    def value(self, element: etree._Element, row: Row) -> Value:
        if row.child:
            element = self.within(element, row)
        for child in element:
            self.unknown(child)
        attributes = element.items()
        kept = tuple(sorted(pair for pair in attributes if pair[0] in row.attributes))
        if len(kept) < len(attributes):
            self.unknown_attributes(element, row.attributes)
        return Value(row.name, element.text or "", kept)

    def within(self, element: etree._Element, row: Row) -> etree._Element:
        """The child that holds the text (DateTimeString); the element itself where it is missing."""
        if element.attrib:
            self.unknown_attributes(element, frozenset())
        found: etree._Element | None = None
        for child in element:
            if child.tag == row.child and found is None and not len(child):
                found = child
            else:
                self.unknown(child)
        if found is None:
            self.lose("XML046", element, expected=row.child.rpartition("}")[2], found=_shown(element))
            return element
        return found

    def stray(self, element: etree._Element, text: str) -> None:
        if text.strip():
            self.lose("XML042", element, expected="elements only", found=text.strip()[:MAX_SHOWN])

    def unknown(self, element: etree._Element) -> None:
        if isinstance(element.tag, str):
            self.lose("XML040", element, found=local_name(element))

    def unknown_attributes(self, element: etree._Element, known: frozenset[str]) -> None:
        for name in element.attrib:
            if name not in known and name not in _HINTS:
                local = str(name).rpartition("}")[2]
                self.lose("XML041", element, found=local, suffix=f"/@{local}")

    def lose(
        self,
        code: str,
        element: etree._Element,
        expected: str = "",
        found: str = "",
        suffix: str = "",
        severity: Severity = Severity.WARNING,
    ) -> None:
        """Note what is lost; past MAX_FINDINGS it is only counted."""
        if len(self.findings) >= MAX_FINDINGS and severity is Severity.WARNING:
            self.more += 1
            return
        place = Place(xpath=xpath_of(element) + suffix, line=line_of(element))
        self.findings.append(Finding(code, place, expected, found, severity))

    def told(self) -> tuple[Finding, ...]:
        if self.more:
            more = Finding("XML047", Place(), str(MAX_FINDINGS), str(self.more), Severity.WARNING)
            self.findings.append(more)
        return tuple(self.findings)


Read = Callable[[etree._Element, Row], Entity | None]


def never_plain(element: etree._Element, row: Row) -> Entity | None:
    """Where nothing was compiled."""
    return None


def class_reader(root: Row) -> Read:
    """What reads an element by the row of its class, the root's or one below it, as `Walk.entity` does; or gives
    None where there is something to tell of it."""
    if compiled is None or root.node is None:
        return never_plain
    nodes = _nodes(root.node)
    numbers = {node: number for number, node in enumerate(nodes)}
    table = compiled.table(tuple(tuple(_line(r, numbers) for r in n.rows) for n in nodes), Value, Entity)
    read = compiled.read
    return lambda element, row: (
        None if row.node is None else read(table, element, numbers[row.node], row.name)
    )


def _nodes(first: Node) -> list[Node]:
    """All classes from the first on, each once."""
    nodes = {first: None}
    queue = [first]
    while queue:
        inner = [row.node for row in queue.pop().rows if row.node is not None and row.node not in nodes]
        nodes.update(dict.fromkeys(inner))
        queue += dict.fromkeys(inner)
    return list(nodes)


def _line(row: Row, numbers: dict[Node, int]) -> tuple[str, str, str, str, str, frozenset[str], int]:
    """A row as the compiled module takes it."""
    space, local = _split(row.tag)
    child_space, child = _split(row.child)
    number = -1 if row.node is None else numbers[row.node]
    return space, local, child_space, child, row.name, row.attributes, number


def _split(tag: str) -> tuple[str, str]:
    space, _, local = tag.rpartition("}")
    return space[1:], local


def line_of(element: etree._Element) -> int:
    return element.sourceline or 0


def nearest(here: etree._Element, row: Row, steps: Iterable[tuple[str, int]]) -> etree._Element:
    """What the steps (name, occurrence) lead to from an element of a row; the nearest class around it that is
    there, where it is not."""
    for name, occurrence in steps:
        inner = None if row.node is None else row.node.by_name.get(name)
        found = None if inner is None else _nth(here, inner.tag, occurrence)
        if inner is None or found is None:
            break
        here, row = found, inner
    return here


def _nth(element: etree._Element, tag: str, occurrence: int) -> etree._Element | None:
    return next(islice(element.iterchildren(tag), occurrence - 1, None), None)


def _shown(element: etree._Element) -> str:
    """The start of an element's own text, enough to find it by."""
    pieces = (element.text, *(child.tail for child in element))
    return " ".join(p.strip() for p in pieces if p and p.strip())[:MAX_SHOWN]
