"""A second reading of an original message, which shares nothing with the product's own.

The product reads the frames drawn beside the segment table.  This one leaves the frames aside: it takes
status and repeats from the table's rows by their position numbers, and the nesting from the text, which
says of every group what it consists of (``Segment group 7: CNI-CNT-SG8``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_ROW = re.compile(r"^(\d{4,5})\b(.*?)\b([CM]) {1,4}(\d{1,9})\b")
_GROUP = re.compile(r"Segment group (\d+)")
_TAG = re.compile(r"\b([A-Z]{3})\b")
_COMPOSITION = re.compile(r"Segment group (\d+) *: *((?:[A-Z]{3}|SG ?\d+)(?:[-\s]+(?:[A-Z]{3}|SG ?\d+)\b)*)")


class Row(NamedTuple):
    """A row of the structure: how deep it stands, what it is, its status and how often it may occur."""

    depth: int
    name: str
    status: str
    repeat: int


def rows(text: str) -> list[Row]:
    """The structure; ValueError where text and table do not fit together."""
    found_rows = list(table(text))
    groups: dict[str, list[str]] = {}
    for name, members in _compositions(text):
        groups.setdefault(name, members)  # later ones only speak of it
    found: list[Row] = []
    index = 0
    while index < len(found_rows):
        index = _descend(found_rows, index, 0, groups, found)
    return found


def table(text: str) -> Iterator[tuple[str, str, int]]:
    """Name, status and repeat of the table's rows, frames left aside."""
    start = max(text.rfind("Segment table"), text.rfind("Segment Table"))
    for line in text[start:].splitlines():
        row = _ROW.match(line)
        if row is None:
            continue
        group, tag = _GROUP.search(row[2]), _TAG.search(row[2])
        if group is None and tag is None:
            continue
        name = f"SG{group[1]}" if group else str(tag and tag[1])
        yield name, row[3], int(row[4])
        if name == "UNT":
            return


def _compositions(text: str) -> Iterator[tuple[str, list[str]]]:
    """What each group consists of, in order, as the text says."""
    for match in _COMPOSITION.finditer(text):
        names = re.split(r"[-\s]+", re.sub(r"SG (\d)", r"SG\1", match[2]).strip())
        yield f"SG{match[1]}", names


def _descend(
    table: list[tuple[str, str, int]],
    index: int,
    depth: int,
    groups: dict[str, list[str]],
    found: list[Row],
) -> int:
    """Take one row and, if it is a group, what it consists of; the index after them."""
    name, status, repeat = table[index]
    found.append(Row(depth, name, status, repeat))
    index += 1
    if not name.startswith("SG") or not name[2:].isdigit():
        return index
    for member in groups.get(name, ()):
        if index >= len(table) or table[index][0] != member:
            there = table[index][0] if index < len(table) else "its end"
            raise ValueError(f"the text has {member} in {name}, the table {there}")
        index = _descend(table, index, depth + 1, groups, found)
    if name not in groups:
        raise ValueError(f"the text does not say what {name} consists of")
    return index
