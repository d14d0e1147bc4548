"""The mapping language: what an EDIFACT table's TOML may say, and how a place in a segment is named.

A table holds blocks, a block holds rows.  A row ties one WCO path to one place in a segment; a block
ties a WCO class to a segment group, a segment or a composite, so that what repeats on one side
repeats on the other.  Groups are named by their trigger segment (``CNI/RFF/GID``): directories
renumber their groups, not the triggers.

Places: ``BGM C106.1004`` is a segment and a component; ``NAD+CN`` adds the first element's value;
``NAD+CZ|OS`` reads either and writes the first; ``CTA+IC|*`` reads any; ``MEA+WT{6313=AAB}`` adds
the value of another element; ``C080.3036[1-5]`` names several components; ``3128|3126`` names
whichever element the directory has.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"as_": "as", "with_": "with"}):
    """One tie of a WCO path (``wco``, with its ``id``) to a place (``at``).

    ``as``: a conversion of the closed set.  ``with``: attributes from neighbouring elements
    (``{ currencyID = "6345" }``; ``6411=KGM`` also writes KGM where the attribute is absent).
    ``default``: written where the value is absent.  ``only``: ``read`` for a second source of a value.
    """

    at: str = ""
    wco: str = ""
    id: str = ""
    as_: str = "text"
    with_: dict[str, str] = {}
    default: str = ""
    only: str = ""


class Block(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A frame for rows: a group (``group``, chosen by ``when``), a segment or a composite of it.

    ``entity``: the WCO class, relative to the enclosing block's; with ``repeat`` each occurrence is
    one more of it.  ``otherwise``: the trigger that is written where no row gives one.  ``use``:
    names of row lists in ``[parts]``.  ``serves``: directories the block is for; all where empty.
    """

    group: str = ""
    when: str = ""
    segment: str = ""
    composite: str = ""
    entity: str = ""
    id: str = ""
    repeat: bool = False
    otherwise: str = ""
    use: list[str] = []
    rows: list[Row] = []
    serves: list[str] = []


class KindRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which kind of declaration it is: by the value at ``path``, else ``default``."""

    default: str
    path: str = ""
    codes: dict[str, str] = {}


class EdifactFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table file: the message, the directories it serves, the WCO tree it is checked against."""

    message: str
    serves: list[str]
    tree: str
    root: str
    kind: KindRule
    block: list[Block]
    codes: dict[str, dict[str, str]] = {}
    parts: dict[str, list[Row]] = {}


def read_file(path: Path) -> EdifactFile:
    """Read one table file.  Raises ValueError naming the file where it is no table."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), EdifactFile)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"{path.name}: {error}") from error


class Wanted(msgspec.Struct, frozen=True):
    """A required value in a segment: the element's name and what is accepted; the first is written."""

    element: str
    values: tuple[str, ...]
    any: bool = False


class Selector(msgspec.Struct, frozen=True):
    """Which segments are meant: a tag and required values; ``first`` is element 1, component 1."""

    tag: str
    first: Wanted | None = None
    more: tuple[Wanted, ...] = ()


class Position(msgspec.Struct, frozen=True):
    """Components of one element: names of the element (alternatives), and which of it, from 1.

    ``composite`` empty: a stand-alone element, or the first composite that holds the component.
    """

    codes: tuple[str, ...]
    composite: str = ""
    which: int = 1
    start: int = 1
    end: int = 1


_SELECTOR = re.compile(r"([A-Z]{3})(?:\+([A-Z0-9|*]+))?(?:\{([^{}]+)\})?\Z")
_COMPOSITE = re.compile(r"([CE][0-9]{3})(?:\{([^{}]+)\})?\Z")
_POSITION = re.compile(
    r"(?:([CE][0-9]{3})(?:\[([0-9]+)\])?\.)?([0-9]{4}(?:\|[0-9]{4})*)(?:\[([0-9]+)(?:-([0-9]+))?\])?\Z"
)


def _wanted(element: str, text: str) -> Wanted:
    values = text.split("|")
    listed = tuple(v for v in values if v != "*")
    return Wanted(element, listed, "*" in values)


def _more(text: str | None) -> tuple[Wanted, ...]:
    found = []
    for part in (text or "").split(","):
        name, equals, value = part.strip().partition("=")
        if part and not equals:
            raise ValueError(f"{part!r} is no ELEMENT=VALUE")
        if part:
            found.append(_wanted(name, value))
    return tuple(found)


def parse_selector(text: str) -> Selector:
    """``TAG``, ``TAG+VALUE``, ``TAG+VALUE{ELEMENT=VALUE}``.  Raises ValueError."""
    found = _SELECTOR.match(text)
    if found is None:
        raise ValueError(f"{text!r} is no segment")
    first = _wanted("", found[2]) if found[2] else None
    return Selector(found[1], first, _more(found[3]))


def parse_composite(text: str) -> tuple[str, tuple[Wanted, ...]]:
    """``C246`` or ``C246{1131=117}``.  Raises ValueError."""
    found = _COMPOSITE.match(text)
    if found is None:
        raise ValueError(f"{text!r} is no composite")
    return found[1], _more(found[2])


def parse_position(text: str) -> Position:
    """``1225``, ``C507.2380``, ``C246[2].7361``, ``C080.3036[1-5]``, ``3128|3126``.  Raises ValueError."""
    found = _POSITION.match(text)
    if found is None:
        raise ValueError(f"{text!r} is no element or component")
    start = int(found[4] or 1)
    end = int(found[5] or start)
    if start < 1 or end < start:
        raise ValueError(f"{text!r} counts components backwards")
    return Position(tuple(found[3].split("|")), found[1] or "", int(found[2] or 1), start, end)


class Place(msgspec.Struct, frozen=True):
    """Where a row is, inside its block: groups by trigger, the segment, the position in it."""

    groups: tuple[str, ...]
    selector: str
    position: str


def parse_at(text: str) -> Place:
    """``[TRIGGER/...]SEGMENT [POSITION]``.  Raises ValueError."""
    where, _, position = text.partition(" ")
    *groups, selector = where.split("/")
    if not selector:
        raise ValueError(f"{text!r} names no segment")
    return Place(tuple(groups), selector, position)


def reversed_codes(codes: Mapping[str, str]) -> dict[str, str]:
    """WCO to EDIFACT: the first EDIFACT code of each WCO code."""
    back: dict[str, str] = {}
    for edifact, wco in codes.items():
        back.setdefault(wco, edifact)
    return back
