"""What row tables work on: elements found and made by path, and a Declaration tree in the making."""

from __future__ import annotations

from collections.abc import Mapping

from lxml import etree

from gateway.mapping.tree_rows import Node
from gateway.model import Entity, Value

# The element that stands for each level of a path's first step; None where it is not there (yet).
Levels = dict[str, "etree._Element | None"]
# Where a level is made in its holder.
_MADE = {"GrpHdr": ("", ("GrpHdr",)), "TxDtls": ("Ntry", ("NtryDtls", "TxDtls"))}
_LAST = 1_000


class Names:
    """Elements of one namespace, by local names."""

    def __init__(self, namespace: str, order: Mapping[str, list[str]]) -> None:
        self._namespace = namespace
        self._ranks = {holder: {n: i for i, n in enumerate(names)} for holder, names in order.items()}

    def tag(self, local: str) -> str:
        """The Clark name."""
        return f"{{{self._namespace}}}{local}"

    def local(self, element: etree._Element) -> str:
        """The local name."""
        return str(element.tag).rpartition("}")[2]

    def find(self, element: etree._Element, path: str) -> list[etree._Element]:
        """Every element at a path below another."""
        here = [element]
        for step in path.split("/"):
            tag = self.tag(step)
            here = [child for e in here for child in e if child.tag == tag]
        return here

    def at(self, levels: Levels, path: str) -> list[etree._Element]:
        """Every element at a path that begins with a level."""
        level, _, rest = path.partition("/")
        holder = levels.get(level)
        if holder is None:
            return []
        return self.find(holder, path if level == "GrpHdr" else rest)

    def body(self, document: etree._Element, path: str) -> etree._Element | None:
        """The element that the document's path names, or None where the document is another."""
        root, _, rest = path.partition("/")
        if document.tag != self.tag(root):
            return None
        found = self.find(document, rest)
        return found[0] if found else None

    def document(self, path: str) -> tuple[etree._Element, etree._Element]:
        """A new document: its root and its body."""
        root, *rest = path.split("/")
        document = here = etree.Element(self.tag(root), nsmap={None: self._namespace})
        for step in rest:
            here = etree.SubElement(here, self.tag(step))
        return document, here

    def put(self, levels: Levels, path: str, fresh: bool = False) -> etree._Element:
        """The element at a path, made where it is missing; with ``fresh`` one more of the last step."""
        level, *steps = path.split("/")
        here = levels[level]
        if here is None:
            holder, way = _MADE[level]
            here = levels[holder]
            assert here is not None
            for step in way:
                here = etree.SubElement(here, self.tag(step))
            levels[level] = here
        for number, step in enumerate(steps, 1):
            found = self.find(here, step)
            again = fresh and number == len(steps)
            here = etree.SubElement(here, self.tag(step)) if again or not found else found[0]
        return here

    def sort(self, element: etree._Element) -> None:
        """Put children in the order of their holder, here and below."""
        ranks = self._ranks.get(self.local(element))
        if ranks:
            element[:] = sorted(element, key=lambda child: ranks.get(self.local(child), _LAST))
        for child in element:
            self.sort(child)


class Draft:
    """A class in the making."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.values: list[Value] = []
        self.kids: list[Draft] = []

    def set(self, path: str, text: str, attributes: tuple[tuple[str, str], ...]) -> None:
        """Set the value at a path; classes on the way are made."""
        head, _, leaf = path.rpartition("/")
        (self.first(head) if head else self).values.append(Value(leaf, text, attributes))

    def first(self, path: str) -> Draft:
        """The first occurrence of the class at a path, made where it is missing."""
        here = self
        for name in path.split("/"):
            found = next((kid for kid in here.kids if kid.name == name), None)
            here = found or here._add(name)
        return here

    def append(self, path: str) -> Draft:
        """One more occurrence of the class at a path."""
        head, _, name = path.rpartition("/")
        return (self.first(head) if head else self)._add(name)

    def text(self, path: str) -> str:
        """The text at a path, or ""."""
        return self.freeze().text(path)

    def freeze(self) -> Entity:
        """The class as a value."""
        return Entity(self.name, tuple(self.values), tuple(kid.freeze() for kid in self.kids))

    def _add(self, name: str) -> Draft:
        self.kids.append(Draft(name))
        return self.kids[-1]


def sort_tree(entity: Entity, node: Node) -> Entity:
    """The tree with values and classes in WCO order; empty classes are left out."""
    rows = node.by_name
    kids = []
    for child in sorted(entity.entities, key=lambda e: rows[e.name].rank):
        below = rows[child.name].node
        assert below is not None
        found = sort_tree(child, below)
        if found.values or found.entities:
            kids.append(found)
    return Entity(entity.name, tuple(sorted(entity.values, key=lambda v: rows[v.name].rank)), tuple(kids))
