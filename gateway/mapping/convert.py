"""The named conversions that need more than a look-up: decimals, date-times, wrapped lines, pointers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

_NUMBER = re.compile(r"[+-]?[0-9]*,[0-9]+\Z")
_PLAIN = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)\Z")
_FORMAT = re.compile(r"(an|a|n)(\.\.)?([0-9]+)\Z")
_OFFSET = re.compile(r"(?:[+-][0-9]{2})?\Z")
_STAMP = re.compile(r"[0-9]{14}")
# UN/EDIFACT 2379: a date-time with a zone of three characters; the WCO form writes UTC as Z.
ZONED = "304"
UTC_NAMES = frozenset(("UTC", "GMT", "ZZZ", "Z"))
_LEVEL = re.compile(r"([0-9A-Z]{1,3})(?::([0-9]{1,5}))?(?:#([0-9A-Z]{1,4}))?\Z")


def decimal_read(text: str) -> str:
    """An EDIFACT number in WCO form: a decimal comma becomes a point (ISO 9735: either is valid)."""
    return text.replace(",", ".") if _NUMBER.match(text) else text


def date_read(text: str, form: str) -> tuple[str, bool]:
    """An EDIFACT date-time in WCO form, and whether its zone was understood."""
    if form != ZONED or not _STAMP.match(text):
        return text, True
    zone = text[14:]
    if zone in UTC_NAMES:
        return text[:14] + "Z", True
    return text, _OFFSET.match(zone) is not None


def date_write(text: str, form: str) -> tuple[str, bool]:
    """A WCO date-time in EDIFACT form, and whether its zone was understood."""
    if form != ZONED or not _STAMP.match(text):
        return text, True
    zone = text[14:]
    if zone == "Z":
        return text[:14] + "UTC", True
    return text, _OFFSET.match(zone) is not None


@cache
def _parsed(form: str) -> tuple[str, bool, int] | None:
    """(kind, variable, length) of a format."""
    found = _FORMAT.match(form)
    return (found[1], bool(found[2]), int(found[3])) if found else None


def width(form: str) -> int:
    """The greatest length of an EDIFACT or WCO format such as ``an..35``; 0 where it gives none."""
    parsed = _parsed(form)
    return parsed[2] if parsed else 0


def fits(text: str, form: str) -> bool:
    """True where the text is of the format; sign and decimal mark do not count (ISO 9735 10.1)."""
    parsed = _parsed(form)
    if parsed is None:
        return True
    kind, variable, length = parsed
    size = len(text)
    if kind == "n":
        if not _PLAIN.match(text):
            return False
        size -= text.startswith(("+", "-")) + ("." in text)
    elif kind == "a" and any(c.isdigit() for c in text):
        return False
    return size <= length if variable else size == length


def wrap(text: str, room: int) -> list[str]:
    """Cut a text into lines of at most ``room`` characters so that :func:`join` restores it.

    A line shorter than ``room`` ended at a space, which is not written; one of exactly ``room``
    was cut where it stood.
    """
    lines = []
    while len(text) > room:
        cut = text.rfind(" ", 1, room)
        if cut > 0 and text[cut - 1] != " " and text[cut + 1] != " ":
            lines.append(text[:cut])
            text = text[cut + 1 :]
        else:
            lines.append(text[:room])
            text = text[room:]
    lines.append(text)
    return lines


def join(lines: Iterable[str], room: int) -> str:
    """Lines as one text: a full line runs on, a shorter one ends at a space."""
    text = ""
    last = room
    for line in lines:
        if line:
            text = text + line if last >= room else f"{text} {line}"
            last = len(line)
    return text


Level = tuple[str, str, str]


def pointer_write(levels: Sequence[Level]) -> str:
    """Pointer levels (section, sequence, tag) as one text: ``42A/68A:2/23A/21A:1#145``."""
    return "/".join(s + (f":{n}" if n else "") + (f"#{t}" if t else "") for s, n, t in levels)


def pointer_read(text: str) -> tuple[Level, ...] | None:
    """The levels of such a text, or None where it is none."""
    levels = []
    for part in text.split("/"):
        found = _LEVEL.match(part)
        if found is None:
            return None
        levels.append((found[1], found[2] or "", found[3] or ""))
    return tuple(levels)
