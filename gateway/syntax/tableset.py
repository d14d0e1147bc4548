"""One set of directory tables on disk, read as little as is asked for.

A set is a folder: ``directories.txt`` (names, oldest first), ``messages/TYPE.txt`` and ``segments.txt``,
``composites.txt``, ``elements.txt``, ``codes.txt``.  What holds for several directories is written once,
under a heading with their range: ``[D.94B-D.98B D.00A]``.  The format is told in ``xsd/edifact/README.md``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice, takewhile
from pathlib import Path
from typing import TypeVar, cast

from gateway.model.edifact import ComponentUse, ElementUse
from gateway.syntax.tablefile import Block, TableFile, ascii_text
from gateway.syntax.tablerows import change, read_format, read_nodes, read_parts, read_uses
from gateway.syntax.tables import Nodes, Tables

T = TypeVar("T")

DIRECTORIES = "directories.txt"
MESSAGES = "messages"
AGENCY = "UN"  # of a directory that names none

_NAME = re.compile(r"([A-Z0-9]{1,3}\.[A-Z0-9]{1,3})(?: ([A-Z0-9]{2,3}))?")
_TYPE = re.compile(r"[A-Z0-9]{1,6}")
_HEADING = re.compile(r"\[([^\]\n]*)\]")


class TableSet:
    """The tables of a folder."""

    def __init__(self, folder: Path) -> None:
        """Read the names only.  Raises ValueError where they are broken, FileNotFoundError."""
        self.folder = folder
        self.names: dict[str, str] = dict(_names(folder / DIRECTORIES))
        self._order = {name: index for index, name in enumerate(self.names)}
        self._ranges: dict[str, tuple[tuple[int, int], ...]] = {}
        self._files = {
            part: TableFile(folder / f"{part}.txt")
            for part in ("segments", "composites", "elements", "codes")
        }
        self._messages = {
            path.stem: path
            for path in sorted((folder / MESSAGES).glob("*.txt"))
            if _TYPE.fullmatch(path.stem)
        }
        self._structures: dict[str, Block] = {}
        self._holding: dict[str, tuple[str, ...]] = {}

    def types(self) -> tuple[str, ...]:
        """Message types of which there is a file."""
        return tuple(self._messages)

    def keys(self, part: str) -> tuple[str, ...]:
        """Tags or numbers in ``segments``, ``composites``, ``elements`` or ``codes``, of any directory."""
        return self._files[part].keys()

    def holding(self, kind: str) -> tuple[str, ...]:
        """Names of the directories that hold a message, oldest first."""
        block = self._structure(kind)
        if block is None:
            return ()
        found = self._holding.get(kind)
        if found is None:
            heads = (index for index, line in enumerate(block.lines) if line.startswith("["))
            spans = [span for index in heads for span in self._spans(block, index)[0]]
            found = self._holding[kind] = tuple(
                name for name, i in self._order.items() if any(first <= i <= last for first, last in spans)
            )
        return found

    def message(self, kind: str, name: str) -> Nodes | None:
        """A message's structure in a directory.  Raises ValueError naming file and line, as all below."""
        return self._value(self._structure(kind), name, read_nodes)

    def segment(self, tag: str, name: str) -> tuple[ElementUse, ...] | None:
        """A segment's uses, as written: see Tables."""
        return self._value(self._files["segments"].block(tag), name, read_uses)

    def composite(self, code: str, name: str) -> tuple[ComponentUse, ...] | None:
        """A composite's components, as written."""
        return self._value(self._files["composites"].block(code), name, read_parts)

    def format(self, number: str, name: str) -> str | None:
        """A data element's format."""
        return self._value(self._files["elements"].block(number), name, read_format)

    def codes(self, number: str, name: str) -> frozenset[str] | None:
        """A list's values: those of its first directory and every change up to this one."""
        block, index = self._files["codes"].block(number), self._order[name]
        values, told = set[str](), -1
        for at, rest, line in self._changes(block):
            if at > index or block is None:
                break
            if told >= 0:
                change(block, line, rest, values)
            else:
                values.update(rest.split())
            told = line
        if block is None or not values:
            return None
        return cast(frozenset[str], block.values.setdefault(told, frozenset(values)))

    def tables(self, name: str) -> Tables:
        """All of one directory."""
        return Tables(
            name=name,
            agency=self.names[name],
            messages=_present((kind, self.message(kind, name)) for kind in self._messages),
            segments=_present((tag, self.segment(tag, name)) for tag in self.keys("segments")),
            composites=_present((code, self.composite(code, name)) for code in self.keys("composites")),
            elements=_present((number, self.format(number, name)) for number in self.keys("elements")),
            codes=_present((number, self.codes(number, name)) for number in self.keys("codes")),
        )

    def _structure(self, kind: str) -> Block | None:
        found = self._structures.get(kind)
        path = self._messages.get(kind)
        if found is None and path is not None:
            text = ascii_text(path)
            found = self._structures[kind] = Block(path, text, 0, len(text))
        return found

    def _value(self, block: Block | None, name: str, read: Callable[[Block, range, str], T]) -> T | None:
        """What stands under the heading that holds for a directory; None where none does."""
        if block is None:
            return None
        place = self._chosen(block, self._order[name])
        if place is None:
            return None
        lines, rest = place
        found = block.values.get(lines.start)
        if found is None:
            found = block.values[lines.start] = read(block, lines, rest)
        return cast(T, found)

    def _chosen(self, block: Block, index: int) -> tuple[range, str] | None:
        """The lines under a heading, and what follows it on its own line."""
        start, rest = -1, ""
        for number, line in enumerate(block.lines):
            if not line.startswith("["):
                continue
            if start >= 0:
                return range(start, number), rest
            spans, rest = self._spans(block, number)
            if any(first <= index <= last for first, last in spans):
                start = number + 1
        return None if start < 0 else (range(start, len(block.lines)), rest)

    def _changes(self, block: Block | None) -> Iterator[tuple[int, str, int]]:
        """(position of the directory, values or changes, line) of a code list."""
        if block is None:
            return
        lines = block.lines
        for number, line in enumerate(lines):
            if line.startswith(" "):
                continue
            spans, rest = self._spans(block, number)
            if len(spans) != 1 or spans[0][0] != spans[0][1]:
                raise block.fault(number, "one directory is expected, and values")
            more = takewhile(lambda text: text.startswith(" "), islice(lines, number + 1, None))
            yield spans[0][0], "".join((rest, *more)), number

    def _spans(self, block: Block, number: int) -> tuple[tuple[tuple[int, int], ...], str]:
        """A heading's ranges as positions in the list of directories, and what follows it."""
        line = block.lines[number]
        heading = _HEADING.match(line)
        if heading is None:
            raise block.fault(number, f"{line!r} is no heading")
        spans = self._ranges.get(heading[1])
        if spans is None:
            try:
                spans = self._ranges[heading[1]] = tuple(map(self._span, heading[1].split()))
            except KeyError as error:
                raise block.fault(number, f"{error.args[0]} is not in {DIRECTORIES}") from None
        return spans, line[heading.end() :].strip()

    def _span(self, text: str) -> tuple[int, int]:
        first, _, last = text.partition("-")
        return self._order[first], self._order[last or first]


def _names(path: Path) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for number, line in enumerate(ascii_text(path).splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        name = _NAME.fullmatch(line)
        if name is None or name[1] in seen:
            raise ValueError(f"{path}:{number}: {line!r} is no directory's name, or there twice")
        seen.add(name[1])
        yield name[1], name[2] or AGENCY


def _present(pairs: Iterator[tuple[str, T | None]]) -> Mapping[str, T]:
    return {key: value for key, value in pairs if value is not None}
