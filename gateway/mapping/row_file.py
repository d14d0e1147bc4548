"""The TOML of a row table: XPath rows to WCO paths, for documents whose names are not WCO's."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import msgspec

from gateway.mapping.tree_rows import Node, Outline
from gateway.model import Kind

CONVERSIONS = frozenset(("text", "datetime", "amount", "account", "direction", "reference", "each"))
_PATH = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:/[A-Za-z][A-Za-z0-9]*)*\Z")


class PathRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from", "as_": "as"}):
    """One tie of a WCO path to paths of the document; ``camt.054.toml`` explains the fields."""

    wco: str
    id: str = ""
    from_: list[str] = []
    to: list[str] = []
    single: list[str] = []
    numbered: list[str] = []
    free: list[str] = []
    flag: str = ""
    as_: str = "text"
    value: str = ""
    max: int = 0

    def targets(self) -> list[str]:
        """Where the value is written."""
        return self.to or self.from_[:1]

    def paths(self) -> tuple[str, ...]:
        """Every path that the row names."""
        return (*self.from_, *self.to, *self.free, *([self.flag] if self.flag else []))


class RowFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row table as written."""

    name: str
    namespace: str
    document: str
    tree: str
    root: str
    kind: Kind
    each: str
    rows: list[PathRow]
    transaction: list[PathRow]
    ignored: list[str] = []
    codes: dict[str, dict[str, str]] = {}
    constant: dict[str, str] = {}
    order: dict[str, list[str]] = {}


def read_rows(path: Path, outlines: Mapping[str, Outline]) -> RowFile:
    """Read and check a row table.  Raises ValueError listing every broken row."""
    try:
        file = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), RowFile)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"{path.name}: {error}") from error
    outline = outlines.get(file.tree)
    if outline is None or outline.body.node is None:
        raise ValueError(f"{path.name}: no tree table {file.tree}")
    body = outline.body.node
    each = body.by_name.get(file.each)
    broken = [f"{row.wco}: {line}" for row in file.rows for line in _broken(row, file, body)]
    if each is None or each.node is None:
        broken.append(f"each: the tree has no class {file.each}")
    else:
        inner = each.node
        for row in file.transaction:
            broken.extend(f"{file.each}/{row.wco}: {line}" for line in _broken(row, file, inner))
    if broken:
        raise ValueError("; ".join(f"{path.name}: {line}" for line in broken))
    return file


def _broken(row: PathRow, file: RowFile, node: Node) -> Iterator[str]:
    *classes, leaf = row.wco.split("/")
    for name in classes:
        found = node.by_name.get(name)
        if found is None or found.node is None:
            yield f"the WCO tree has no class {name} there"
            return
        node = found.node
    value = node.by_name.get(leaf)
    if value is None or value.node is not None:
        yield f"the WCO tree has no element {leaf} there"
    elif value.id != row.id:
        yield f"the WCO id is {value.id or 'none'}, not {row.id or 'none'}"
    if row.as_ not in CONVERSIONS:
        yield f"{row.as_!r} is no conversion"
    if row.as_ == "direction" and "direction" not in file.codes:
        yield "no code table 'direction'"
    if bool(row.value) == bool(row.from_):
        yield "a row has either a value or paths"
    for path in row.paths():
        if not _PATH.match(path):
            yield f"{path!r} is no path"
    for path in (*row.single, *row.numbered):
        if path not in row.from_:
            yield f"{path} is not among the row's paths"
    for path in row.targets():
        yield from _unordered(path, file)


def _unordered(path: str, file: RowFile) -> Iterator[str]:
    """Steps of a written path that the order of their holder does not know."""
    steps = path.split("/")
    for holder, step in pairwise(steps):
        if holder in file.order and step not in file.order[holder]:
            yield f"{path}: the order of {holder} has no {step}"
