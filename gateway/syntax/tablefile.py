"""A file of directory tables and its blocks, found without reading what is in them."""

from __future__ import annotations

import re
from pathlib import Path

_BLOCK = re.compile(r"(?:\A|\n)\n*([A-Z0-9]{3,4})\n(?=\[)")


class Block:
    """Lines of a table that belong together; ``start``: how many octets of the file stand before them."""

    def __init__(self, path: Path, text: str, start: int, end: int) -> None:
        self._path = path
        self._text = text
        self._start = start
        self.lines = text[start:end].rstrip("\n").split("\n")
        self.values: dict[int, object] = {}
        """What has been read already, by the index of its heading: directories share it."""

    def fault(self, index: int, what: str) -> ValueError:
        """The complaint about a line, which names the file and the line (from 1)."""
        number = self._text.count("\n", 0, self._start) + index + 1
        return ValueError(f"{self._path}:{number}: {what}")


class TableFile:
    """A file of blocks, found by their first line; read when first asked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text: str | None = None
        self._places: dict[str, tuple[int, int]] = {}
        self._blocks: dict[str, Block] = {}

    def keys(self) -> tuple[str, ...]:
        """What the blocks are called, in their order."""
        self._read()
        return tuple(self._places)

    def block(self, key: str) -> Block | None:
        """The lines after a block's name; None where there is no such block."""
        found = self._blocks.get(key)
        if found is None:
            text = self._read()
            if key not in self._places:
                return None
            found = self._blocks[key] = Block(self._path, text, *self._places[key])
        return found

    def _read(self) -> str:
        if self._text is None:
            text = ascii_text(self._path) if self._path.is_file() else ""
            found = list(_BLOCK.finditer(text))
            ends = [match.start() for match in found] + [len(text)]
            places = {m[1]: (m.end(), end) for m, end in zip(found, ends[1:], strict=True)}
            if len(places) != len(found):
                raise ValueError(f"{self._path}: a block occurs twice")
            if text[: ends[0]].strip():
                raise ValueError(f"{self._path}:1: no block begins here")
            self._places, self._text = places, text
        return self._text


def ascii_text(path: Path) -> str:
    """A file's text.  Raises ValueError, naming the octet, where it is not of ASCII."""
    try:
        return path.read_text(encoding="ascii")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: octet {error.start} is not of ASCII") from error
