"""A tree table derived from a pack's own schema: its names, order, namespaces and repeats, our WCO ids."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
import xmlschema
from xmlschema.validators import XsdAnyElement, XsdElement, XsdGroup

# What says the type of a WCO element: the last word of its name (representation term).
_TERMS = ("Amount", "Code", "DateTime", "ID", "Indicator", "Measure", "Numeric", "Quantity")
_DATE_CHILD = "DateTimeString"
_FORMAT = re.compile(r"(?:an|a|n)(?:\.\.)?\d+(?:,\d+)?\Z")
_WCO_ID = re.compile(r"[0-9A-Z]{1,5}\Z")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*\Z")
_ROW = re.compile(r"@(\w+)(?:\((.*)\))?\Z")

# A whole WCO declaration has some 900 paths, the data-retrieval answers some thousands.
MAX_PATHS = 50_000


class Derived(msgspec.Struct, frozen=True):
    """The table as TOML and what it could not carry."""

    toml: str
    notes: tuple[str, ...]


def known_ids(folder: Path) -> dict[str, str]:
    """WCO ids by path (``Declaration/Declarant/ID``) from the tree tables of a ``mappings/wco`` folder."""
    ids: dict[str, str] = {}
    for path in sorted(folder.glob("*.toml")):
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        classes = table.get("classes", {})
        body = table.get("body", "")
        for text in classes.get(table.get("document", "").rpartition(":")[2], ()):
            name, wco_id = text.split()[:2]
            if name.rpartition(":")[2] == body and not wco_id.startswith("-"):
                ids.setdefault(body, _bare(wco_id))
        if body in classes:
            for name, wco_id in _expand(classes, body, (), body, 0):
                ids.setdefault(name, wco_id)
    return ids


def _expand(
    classes: Mapping[str, list[str]], shape: str, arguments: tuple[str, ...], path: str, depth: int
) -> Iterator[tuple[str, str]]:
    if depth > len(classes):
        return
    for text in classes[shape]:
        name, wco_id, type_ = text.split()[:3]
        name = name.rpartition(":")[2]
        if wco_id.startswith("$"):
            wco_id = arguments[int(wco_id[1:]) - 1]
        if not wco_id.startswith("-"):
            yield f"{path}/{name}", _bare(wco_id)
        held = _ROW.match(type_)
        if held is not None:
            inner = tuple(held[2].split(",")) if held[2] else ()
            yield from _expand(classes, held[1], inner, f"{path}/{name}", depth + 1)


def _bare(wco_id: str) -> str:
    """The id without its mark of origin."""
    return wco_id.partition("[")[0]


class _Row(msgspec.Struct, frozen=True):
    name: str
    id: str
    type: str
    repeat: int | None

    @property
    def local(self) -> str:
        return self.name.rpartition(":")[2]

    def text(self) -> str:
        repeat = "*" if self.repeat is None else str(self.repeat)
        return f"{self.name} {self.id or '-'} {self.type} {repeat}"


class Deriver:
    """Walks one schema from its document element."""

    def __init__(self, schema: xmlschema.XMLSchema10, ids: Mapping[str, str]) -> None:
        self.schema = schema
        self.ids = ids
        self.notes: dict[str, None] = {}
        self.prefixes: dict[str, str] = {}
        self.types: dict[tuple[str, tuple[str, ...], str], str] = {}
        self.classes: dict[str, tuple[str, ...]] = {}
        self.shapes: dict[tuple[str, ...], str] = {}
        self.paths = 0

    def table(self, name: str, root: XsdElement, body: str, type_name: str) -> Derived:
        """The table for documents with this root; ``body``: the class that holds the declaration."""
        self.prefix(self.body_namespace(root, body))
        shape = self.shape(root, root.local_name, "" if root.local_name != body else body, ())
        # The document's class stands under its own name, whatever the shape was called.
        if shape != root.local_name:
            self.classes[root.local_name] = self.classes.pop(shape)
        document = f"{self.prefix(root.target_namespace)}:{root.local_name}"
        return Derived(self.toml(name, document, body, type_name), tuple(self.notes))

    def body_namespace(self, root: XsdElement, body: str) -> str:
        for element, _ in self.children(root, ""):
            if element.local_name == body:
                return element.target_namespace
        return root.target_namespace

    def shape(self, element: XsdElement, name: str, path: str, above: tuple[object, ...]) -> str:
        """The class's rows under a name of their own; equal classes share one."""
        rows: dict[str, _Row] = {}
        if any(getattr(element.type, "attributes", ())):
            self.note(f"{path or name}: attributes of a class are not carried")
        if getattr(element.type, "mixed", False):
            self.note(f"{path or name}: text between elements is not carried")
        for child, repeat in self.children(element, path or name):
            row = self.row(child, repeat, path, (*above, element.type))
            if row is None:
                continue
            if row.name in rows and rows[row.name].type == row.type:
                rows[row.name] = msgspec.structs.replace(rows[row.name], repeat=None)
                continue
            if any(other.local == row.local for other in rows.values()):
                row = msgspec.structs.replace(row, name=f"{row.name}={self.alias(child)}")
            rows[row.name] = row
        texts = tuple(row.text() for row in _distinct(rows.values()))
        if texts in self.shapes:
            return self.shapes[texts]
        unique, number = name, 1
        while unique in self.classes:
            number += 1
            unique = f"{name}{number}"
        self.classes[unique] = texts
        self.shapes[texts] = unique
        return unique

    def row(
        self, element: XsdElement, repeat: int | None, path: str, above: tuple[object, ...]
    ) -> _Row | None:
        """The row of an element in its place; None where it cannot be carried."""
        local = element.local_name
        # A declaration inside a response is again a declaration: its ids are known from its own top.
        here = f"{path}/{local}" if path and local != "Declaration" else local
        if here not in self.ids and f"{path}/{local}" in self.ids:
            here = f"{path}/{local}"
        self.paths += 1
        if self.paths > MAX_PATHS or not _NAME.match(local) or element.type in above:
            self.note(f"{here}: not carried: it holds itself, or its name is no WCO name")
            return None
        prefix = self.prefix(element.target_namespace)
        name = local if prefix == "a" else f"{prefix}:{local}"
        wco_id = self.ids.get(here) or _annotated(element, "WCOID", _WCO_ID)
        if _is_leaf(element):
            return _Row(name, wco_id, self.leaf(element, element, ""), repeat)
        inner = [child for child, _ in self.children(element, here)]
        if len(inner) == 1 and inner[0].local_name == _DATE_CHILD and _is_leaf(inner[0]):
            child = f"{self.prefix(inner[0].target_namespace)}:{_DATE_CHILD}"
            return _Row(name, wco_id, self.leaf(element, inner[0], child), repeat)
        return _Row(name, wco_id, "@" + self.shape(element, local, here, above), repeat)

    def leaf(self, element: XsdElement, holder: XsdElement, child: str) -> str:
        """The type of an element: its representation term and WCO format."""
        attributes = getattr(holder.type, "attributes", None) or {}
        names = tuple(sorted(n for n, a in attributes.items() if n and a.use != "prohibited"))
        term = next((t for t in _TERMS if element.local_name.endswith(t)), "Text")
        key = (term, names, child)
        if key not in self.types:
            taken = set(self.types.values())
            number, unique = 1, term
            while unique in taken:
                number += 1
                unique = f"{term}{number}"
            self.types[key] = unique
        return f"{self.types[key]}:{_annotated(element, 'WCOFormat', _FORMAT) or '-'}"

    def children(self, element: XsdElement, path: str) -> Iterator[tuple[XsdElement, int | None]]:
        content = getattr(element.type, "content", None)
        if isinstance(content, XsdGroup):
            yield from self.particles(content, content.max_occurs, path)

    def particles(
        self, group: XsdGroup, factor: int | None, path: str
    ) -> Iterator[tuple[XsdElement, int | None]]:
        for particle in group:
            repeat = _times(factor, particle.max_occurs)
            if isinstance(particle, XsdGroup):
                yield from self.particles(particle, repeat, path)
            elif isinstance(particle, XsdElement):
                yield particle, repeat
            elif isinstance(particle, XsdAnyElement):
                for element in self.wildcard(particle, path):
                    yield element, repeat

    def wildcard(self, particle: XsdAnyElement, path: str) -> Iterator[XsdElement]:
        """The global elements that an xs:any of named namespaces lets in."""
        names = [n for n in particle.namespace if n and not n.startswith("##")]
        if not names:
            self.note(f"{path}: what its wildcard lets in is not carried")
        for element in self.schema.maps.elements.values():
            if element.target_namespace in names:
                yield element

    def prefix(self, namespace: str) -> str:
        """The namespace's prefix in the table: a, b, c ... then n26, n27 ..."""
        if namespace not in self.prefixes:
            count = len(self.prefixes)
            self.prefixes[namespace] = chr(ord("a") + count) if count < 26 else f"n{count}"
        return self.prefixes[namespace]

    def alias(self, element: XsdElement) -> str:
        return f"{element.local_name}{self.prefix(element.target_namespace).upper()}"

    def note(self, text: str) -> None:
        self.notes.setdefault(text)

    def toml(self, name: str, document: str, body: str, type_name: str) -> str:
        """The table's text, in the form that ``mappings/wco/dec.toml`` explains."""
        lines = [
            "# Derived from the pack's schema; ids are the WCO Data Model's where the path is known.",
            f"name = {_quoted(name)}",
            f"document = {_quoted(document)}",
            f"body = {_quoted(body)}",
        ]
        if body != "Response":
            # A document that does not say whether it imports or exports (an amendment) is read as import.
            lines.append('default_kind = "IM"')
        lines += ["", "[namespaces]"]
        lines += [f"{p} = {_quoted(n)}" for n, p in self.prefixes.items()]
        if document.partition(":")[2] != body:
            lines += ["", "[header]", f"WCOTypeName = {_quoted(type_name)}"]
        if body != "Response":
            lines += _KIND_RULES
        lines += ["", "[types]"]
        for (_, attributes, child), term in sorted(self.types.items(), key=lambda item: item[1]):
            held = f"child = {_quoted(child)}, " if child else ""
            lines.append(f"{term} = {{ {held}attributes = [{', '.join(map(_quoted, attributes))}] }}")
        lines += ["", "[classes]"]
        for shape, rows in reversed(self.classes.items()):
            lines.append(f"{shape} = [")
            lines += [f"    {_quoted(row)}," for row in rows]
            lines.append("]")
        return "\n".join(lines) + "\n"


_KIND_RULES = [
    "",
    "[[kind]]",
    'path = "WCOTypeName"',
    'values = { IM = "IM", EX = "EX", TRT = "TRT", CRI = "CRI", CRE = "CRE", CONV = "CONV" }',
    "",
    "# The first two letters of the declaration's type, as the European Union has it.",
    "[[kind]]",
    'path = "Declaration/TypeCode"',
    "prefix = 2",
    'values = { IM = "IM", EX = "EX", TR = "TRT" }',
]


def _distinct(rows: Iterable[_Row]) -> Iterator[_Row]:
    """The rows, a WCO id only on the first of a class that bears it."""
    seen: set[tuple[bool, str]] = set()
    for row in rows:
        key = (row.type.startswith("@"), row.id)
        yield msgspec.structs.replace(row, id="") if row.id and key in seen else row
        seen.add(key)


def _is_leaf(element: XsdElement) -> bool:
    return bool(element.type.is_simple() or element.type.has_simple_content())


def _times(one: int | None, other: int | None) -> int | None:
    """Repeats of a particle in a repeated group; None without bound."""
    return None if one is None or other is None else one * other


def _annotated(element: XsdElement, name: str, pattern: re.Pattern[str]) -> str:
    """A documented fact about an element, from its annotation or its type's, where it fits the pattern."""
    for holder in (element, element.type):
        annotation = getattr(holder, "annotation", None)
        if annotation is None:
            continue
        for item in annotation.elem.iter():
            if str(item.tag).rpartition("}")[2] == name:
                text = (item.text or "").strip()
                if pattern.match(text):
                    return text
    return ""


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
