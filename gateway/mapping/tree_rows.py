"""The rows of a tree table, read from TOML and tied together; ``mappings/wco/dec.toml`` explains the form."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from gateway.model import Kind

UNBOUNDED = 0
USES = {
    "I": Kind.IMPORT,
    "E": Kind.EXPORT,
    "R": Kind.CARGO_IMPORT,
    "X": Kind.CARGO_EXPORT,
    "V": Kind.CONVEYANCE,
    "T": Kind.TRANSIT,
    "P": Kind.PAYMENT,
}

_NAME = re.compile(r"(?:(\w+):)?([A-Za-z][A-Za-z0-9]*)(?:=([A-Za-z][A-Za-z0-9]*))?\Z")
_ID = re.compile(r"(-|\$\d|[0-9A-Z]{1,5})(\[M\])?\Z")
_LEAF = re.compile(r"([A-Za-z]\w*):(-|(?:an|a|n)(?:\.\.)?\d+(?:,\d+)?)\Z")
_CLASS = re.compile(r"@([\w.]+)(?:\((.*)\))?\Z")
_REPEAT = re.compile(r"\*|[1-9]\d*\Z")


class KindRule(msgspec.Struct, frozen=True):
    """Tells the kind of a declaration by the text at ``path``, or by its first ``prefix`` characters."""

    path: str
    values: dict[str, Kind]
    prefix: int = 0


class _Type(msgspec.Struct, frozen=True):
    attributes: tuple[str, ...] = ()
    child: str = ""


class _Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file's outline."""

    name: str
    document: str
    body: str
    namespaces: dict[str, str]
    types: dict[str, _Type]
    classes: dict[str, tuple[str, ...]]
    header: dict[str, str] = {}
    kind: tuple[KindRule, ...] = ()
    default_kind: Kind | None = None


class Row:
    """One element or class in its place.

    ``tag``: its XML name in Clark notation.  ``id``: WCO id or "".  ``recalled``: the id is from
    practice, not from the model.  ``repeat``: UNBOUNDED or how often.  ``node``: the class's rows,
    None for an element.  ``child``: the tag inside an element that holds the text (DateTimeString).
    """

    __slots__ = (
        "attributes",
        "child",
        "format",
        "id",
        "name",
        "node",
        "rank",
        "recalled",
        "repeat",
        "tag",
        "uses",
    )

    def __init__(self, name: str, tag: str, rank: int) -> None:
        self.name = name
        self.tag = tag
        self.rank = rank
        self.id = ""
        self.recalled = False
        self.repeat = 1
        self.format = ""
        self.attributes: frozenset[str] = frozenset()
        self.child = ""
        self.node: Node | None = None
        self.uses: frozenset[Kind] | None = None


class Node:
    """A class: its rows in schema order, and where to find each by tag, name and WCO id."""

    __slots__ = ("by_id", "by_name", "by_tag", "rows")

    def __init__(self) -> None:
        self.rows: tuple[Row, ...] = ()
        self.by_tag: dict[str, Row] = {}
        self.by_name: dict[str, Row] = {}
        self.by_id: dict[tuple[bool, str], Row] = {}

    def fill(self, rows: tuple[Row, ...]) -> Iterator[str]:
        """Take the rows; yields what is broken: a name or an id that two of them share."""
        self.rows = rows
        for row in rows:
            if row.tag in self.by_tag or row.name in self.by_name:
                yield f"{row.name}: stands twice in its class"
            self.by_tag[row.tag] = self.by_name[row.name] = row
            key = (row.node is not None, row.id)
            if row.id and key in self.by_id:
                yield f"{row.name}: WCO id {row.id} is also {self.by_id[key].name}'s"
            self.by_id.setdefault(key, row)


class Outline(msgspec.Struct, frozen=True):
    """A checked tree table: the outermost class's row and what the file says beside the rows."""

    name: str
    root: Row
    body: Row
    header: Mapping[str, str]
    kinds: tuple[KindRule, ...]
    default_kind: Kind | None
    namespaces: Mapping[str, str]


def load_outline(path: Path) -> Outline:
    """Read and tie a tree table.  Raises ValueError listing every broken row."""
    try:
        source = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _Source)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"{path.name}: {error}") from error
    tie = _Tie(source)
    root = tie.document()
    if tie.broken:
        raise ValueError("; ".join(f"{path.name}: {line}" for line in tie.broken))
    assert root.node is not None
    return Outline(
        name=source.name,
        root=root,
        body=root if source.body == root.name else root.node.by_name[source.body],
        header=source.header,
        kinds=source.kind,
        default_kind=source.default_kind,
        namespaces=source.namespaces,
    )


class _Tie:
    """Ties row texts to each other; collects what is broken."""

    def __init__(self, source: _Source) -> None:
        self.source = source
        self.broken: list[str] = []
        self.nodes: dict[tuple[str, tuple[str, ...]], Node] = {}
        self.used: set[str] = set()

    def document(self) -> Row:
        """The outermost class's row, every shape below it tied."""
        source = self.source
        prefix, _, name = source.document.rpartition(":")
        root = Row(name, self.clark(prefix, name), 0)
        if name not in source.classes or not root.tag:
            self.broken.append(f"document: no class or namespace {source.document}")
            return root
        root.node = self.node(name, ())
        if source.body not in (name, *root.node.by_name):
            self.broken.append(f"body: {name} holds no {source.body}")
        unused = sorted(source.classes.keys() - self.used)
        self.broken.extend(f"{shape}: no row refers to it" for shape in unused)
        for field in source.header:
            row = root.node.by_name.get(field)
            if row is None or row.node is not None:
                self.broken.append(f"header: {name} has no element {field}")
        return root

    def node(self, shape: str, arguments: tuple[str, ...]) -> Node:
        """The shape with its arguments; the same for the same pair, so shapes may hold themselves."""
        key = (shape, arguments)
        node = self.nodes.get(key)
        if node is not None:
            return node
        node = self.nodes[key] = Node()
        self.used.add(shape)
        rows: list[Row] = []
        for rank, text in enumerate(self.source.classes[shape]):
            for number, argument in enumerate(arguments, 1):
                text = re.sub(rf"\${number}(?!\d)", argument, text)
            row = self.row(shape, text, rank)
            if row is not None:
                rows.append(row)
        self.broken.extend(f"{shape}: {line}" for line in node.fill(tuple(rows)))
        return node

    def row(self, shape: str, text: str, rank: int) -> Row | None:
        """One row's text tied, or None where it is broken."""
        fields = text.split()
        if not 3 <= len(fields) <= 5:
            self.refuse(shape, text, "a row is NAME ID TYPE [REPEAT [USE]]")
            return None
        name, id_, type_ = fields[:3]
        repeat = fields[3] if len(fields) > 3 else "1"
        use = fields[4] if len(fields) > 4 else ""
        named = self.named(shape, text, name, rank)
        numbered = _ID.match(id_)
        if numbered is None or id_.startswith("$"):
            self.refuse(shape, text, "the WCO id is not one")
            return None
        if not _REPEAT.match(repeat) or any(letter not in USES for letter in use):
            self.refuse(shape, text, "REPEAT is a number or *, USE letters of " + "".join(USES))
            return None
        if named is None or not self.typed(shape, text, named, type_):
            return None
        named.id = "" if numbered[1] == "-" else numbered[1]
        named.recalled = bool(numbered[2])
        named.repeat = UNBOUNDED if repeat == "*" else int(repeat)
        named.uses = frozenset(USES[letter] for letter in use) or None
        return named

    def named(self, shape: str, text: str, name: str, rank: int) -> Row | None:
        """A new row under its name, or None where the name is none or its prefix is unknown."""
        named = _NAME.match(name)
        if named is None:
            self.refuse(shape, text, "the name is not one")
            return None
        tag = self.clark(named[1] or "", named[2])
        if not tag:
            self.refuse(shape, text, f"no namespace {named[1]}")
            return None
        return Row(named[3] or named[2], tag, rank)

    def typed(self, shape: str, text: str, row: Row, type_: str) -> bool:
        """Give the row its type or its class; False where there is none such."""
        holder = _CLASS.match(type_)
        if holder is not None:
            if holder[1] not in self.source.classes:
                return self.refuse(shape, text, f"no class {holder[1]}")
            arguments = tuple(a.strip() for a in holder[2].split(",")) if holder[2] else ()
            row.node = self.node(holder[1], arguments)
            return True
        leaf = _LEAF.match(type_)
        if leaf is None or leaf[1] not in self.source.types:
            return self.refuse(shape, text, "TYPE is a type of [types] with a WCO format, or @Class")
        kind = self.source.types[leaf[1]]
        row.format = leaf[2].replace("-", "")
        row.attributes = frozenset(kind.attributes)
        if kind.child:
            prefix, _, local = kind.child.rpartition(":")
            row.child = self.clark(prefix, local)
            if not row.child:
                return self.refuse(shape, text, f"no namespace {prefix}")
        return True

    def clark(self, prefix: str, local: str) -> str:
        """The name in Clark notation; without a prefix in the first namespace; "" where there is none."""
        spaces = self.source.namespaces
        namespace = spaces.get(prefix) if prefix else next(iter(spaces.values()), None)
        if namespace is None:
            return ""
        return f"{{{namespace}}}{local}" if namespace else local

    def refuse(self, shape: str, text: str, why: str) -> bool:
        """Note what is broken in a row; False, for the row is not taken."""
        line = f"{shape}: {text!r}: {why}"
        if line not in self.broken:
            self.broken.append(line)
        return False
