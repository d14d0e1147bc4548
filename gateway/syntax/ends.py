"""Where segments end among octets: at a terminator that no release character takes the meaning from."""

from __future__ import annotations

import re

from gateway.syntax.characters import Separators

_BLANKS = b" \t\r\n"
_SPECIAL = re.compile(rb"UN[ZO]")


def cut_end(data: bytes, separators: Separators, start: int) -> int:
    """Index of the terminator to cut up to: the last one, or that of a segment UNZ or UNO; -1 for none.

    What follows UNZ and UNO is to be looked at in another way.
    """
    terminator = separators.terminator.encode()
    for found in _SPECIAL.finditer(data, start):
        before = found.start() - 1
        while before >= 0 and data[before] in _BLANKS:
            before -= 1
        if before < 0 or data[before : before + 1] == terminator:
            end = first_end(data, separators, found.end())
            break
    else:
        end = -1
    if end < 0:
        end = last_end(data, separators)
    return end if end >= start else -1


def last_end(data: bytes, separators: Separators) -> int:
    """Index of the last terminator that is not released, or -1."""
    terminator, release = separators.terminator.encode(), separators.release.encode()
    index = data.rfind(terminator)
    while index >= 0 and release and _released(data, index, release):
        index = data.rfind(terminator, 0, index)
    return index


def first_end(data: bytes, separators: Separators, start: int) -> int:
    """Index of the first terminator from ``start`` on that is not released, or -1."""
    terminator, release = separators.terminator.encode(), separators.release.encode()
    index = data.find(terminator, start)
    while index >= 0 and release and _released(data, index, release):
        index = data.find(terminator, index + 1)
    return index


def _released(data: bytes, index: int, release: bytes) -> bool:
    """True where an odd number of release characters stands before the octet."""
    before = index
    while before > 0 and data[before - 1 : before] == release:
        before -= 1
    return (index - before) % 2 == 1
