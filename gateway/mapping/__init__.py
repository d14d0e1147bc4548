"""Mapping tables: messages to declarations and back, by tables that hold no code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.mapping.compile import Compiler
from gateway.mapping.edifact import EdifactTable, Written
from gateway.mapping.language import EdifactFile, read_file
from gateway.mapping.reading import Reading
from gateway.mapping.row_file import read_rows
from gateway.mapping.rows import RowTable
from gateway.mapping.tree import TreeTable
from gateway.mapping.tree_rows import Outline, load_outline
from gateway.model import Kind
from gateway.model.edifact import Directory, MessageTable

__all__ = ["EdifactTable", "Mappings", "Reading", "RowTable", "TreeTable", "Written", "XmlTable", "load"]

XmlTable = TreeTable | RowTable
Find = Callable[[str, str, str], tuple[MessageTable, Directory] | None]


class Mappings:
    """Every mapping table of a folder, compiled and checked.  Immutable; safe between threads."""

    def __init__(
        self,
        edifact: Mapping[tuple[str, str, str], EdifactTable],
        xml: Mapping[str, XmlTable],
    ) -> None:
        self._edifact = dict(edifact)
        self._xml = dict(xml)

    def xml(self, table_name: str) -> XmlTable:
        """The XML table of that name (``DEC``, ``camt.054``).  Raises KeyError."""
        return self._xml[table_name]

    def edifact(self, type: str, version: str, release: str) -> EdifactTable | None:
        """The table for a message in a directory (0065, 0052, 0054), or None where there is none."""
        return self._edifact.get((type, version, release))

    def names(self) -> tuple[str, ...]:
        """XML tables by name; EDIFACT tables as ``CUSCAR:D:95B``."""
        return (*sorted(self._xml), *sorted(":".join(key) for key in self._edifact))


def load(folder: Path, directories: Find) -> Mappings:
    """Load ``wco/``, ``iso20022/`` and ``edifact/`` of a folder.

    ``directories`` finds a message's structure and its directory.  Every row is checked against every
    directory that its table serves.  Raises ValueError listing all broken rows of all tables.
    """
    broken: list[str] = []
    outlines: dict[str, Outline] = {}
    xml: dict[str, XmlTable] = {}
    for path in sorted((folder / "wco").glob("*.toml")):
        try:
            outline = load_outline(path)
            outlines[outline.name] = outline
            xml[outline.name] = TreeTable(outline)
        except ValueError as error:
            broken.append(str(error))
    for path in sorted((folder / "iso20022").glob("*.toml")):
        try:
            rows = read_rows(path, outlines)
            xml[rows.name] = RowTable(rows, outlines[rows.tree])
        except ValueError as error:
            broken.append(str(error))
    edifact: dict[tuple[str, str, str], EdifactTable] = {}
    for path in sorted((folder / "edifact").glob("*.toml")):
        try:
            file = read_file(path)
        except ValueError as error:
            broken.append(str(error))
            continue
        lines = _edifact(path.stem, file, outlines, directories, edifact)
        broken.extend(f"{path.name}: {line}" for line in lines)
    if broken:
        raise ValueError("; ".join(broken))
    return Mappings(edifact, xml)


def _edifact(
    name: str,
    file: EdifactFile,
    outlines: Mapping[str, Outline],
    directories: Find,
    into: dict[tuple[str, str, str], EdifactTable],
) -> list[str]:
    """Compile one table for every directory that it serves; returns what is broken."""
    broken: list[str] = []
    outline = outlines.get(file.tree)
    if outline is None:
        return [f"no tree table {file.tree}"]
    for kind in (file.kind.default, *file.kind.codes.values()):
        if kind not in Kind.__members__.values():
            broken.append(f"kind: {kind} is none")
    for served in file.serves:
        version, _, release = served.partition(".")
        key = (file.message, version, release)
        found = directories(*key)
        if found is None or key in into:
            broken.append(f"{served}: no such directory with {file.message}, or served twice")
            continue
        compiler = Compiler(file, outline, *found)
        plan = compiler.compile()
        broken.extend(compiler.broken)
        into[key] = EdifactTable(name, file.message, served, plan, file.kind)
    return broken
