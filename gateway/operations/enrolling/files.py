"""Rows of files: a partner or mandate each, read and written as they come, whatever the file's size.

TOML: each begins with a line ``[[partner]]`` or ``[[mandate]]``.  CSV: a header, then a line each; several
values of one cell are parted by ``;`` (``\\;`` for one inside a value), what has parts of its own is JSON.
A cell that a spreadsheet would take for a formula gets an apostrophe, which is taken away again.
"""

from __future__ import annotations

import csv
import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal, TextIO, get_args

import msgspec

from gateway.model import Mandate, Partner

Format = Literal["toml", "csv"]
FORMATS: tuple[Format, ...] = get_args(Format)
What = type[Partner] | type[Mandate]
NAMES: dict[What, str] = {Partner: "partner", Mandate: "mandate"}
NESTED = frozenset({"limits", "edifact", "credentials", "terms"})
"""Fields that have parts: JSON in CSV."""

_HEADER = re.compile(r"\s*\[\[\s*([A-Za-z_-]+)\s*\]\]\s*(?:#.*)?\Z")
FORMULA = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
"""Characters that begin a formula in some spreadsheet, the wide ones in East Asian settings."""


WRONG = (ValueError, msgspec.ValidationError, RecursionError)
"""What a text that is no partner or mandate does to who reads it."""


class Row(msgspec.Struct, frozen=True):
    """One entry of a file: the line where it begins (from 1), and the value or why there is none.

    ``resumes``: it says of a partner that it is active, and does not merely leave that out.
    """

    line: int
    value: Partner | Mandate | None
    why: str = ""
    resumes: bool = False


def _why(error: Exception) -> str:
    return "it is nested too deep" if isinstance(error, RecursionError) else str(error)


def read(stream: TextIO, form: Format, what: What) -> Iterator[Row]:
    """Every entry of a file, in its order."""
    yield from (_read_toml if form == "toml" else _read_csv)(stream, what)


def write(stream: TextIO, form: Format, what: What, values: Iterable[Partner] | Iterable[Mandate]) -> int:
    """Write all values; how many there were."""
    return (_write_toml if form == "toml" else _write_csv)(stream, what, values)


def _fields(what: What) -> list[str]:
    return [field.name for field in msgspec.structs.fields(what)]


def _plain(value: Partner | Mandate) -> dict[str, Any]:
    """A value's fields that are not as if left out, of plain types; times stay times."""
    plain: dict[str, Any] = msgspec.to_builtins(value, builtin_types=(datetime,))
    return plain


def _told(line: int, told: dict[str, Any], what: What, strict: bool = True) -> Row:
    made = _made(told, what, strict)
    return Row(line, made, resumes=isinstance(made, Partner) and made.active and "active" in told)


def _made(told: dict[str, Any], what: What, strict: bool = True) -> Partner | Mandate:
    """The value.  Raises ValueError for what is unknown, missing or of the wrong kind."""
    _all_known(told, what, "")
    if what is Mandate:
        told.setdefault("id", "")
    made: Partner | Mandate = msgspec.convert(told, what, strict=strict)
    return made


def _all_known(told: Any, what: Any, where: str) -> None:
    """Raises ValueError for a field that is none: a slip of the pen must not be passed over."""
    if isinstance(told, dict):
        known = {field.name: field.type for field in msgspec.structs.fields(what)}
        for name, value in told.items():
            if name not in known:
                raise ValueError(f"there is no field {where}{name}; there are {', '.join(known)}")
            for inner in (known[name], *get_args(known[name])):
                if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                    for one in value if isinstance(value, list) else [value]:
                        _all_known(one, inner, f"{where}{name}.")


# -- TOML ------------------------------------------------------------------------------------------------


def _read_toml(stream: TextIO, what: What) -> Iterator[Row]:
    begun, lines = 1, list[str]()
    for number, line in enumerate(stream, 1):
        if _HEADER.match(line):
            yield from _entry(begun, lines, what)
            begun, lines = number, []
        lines.append(line)
    yield from _entry(begun, lines, what)


def _entry(line: int, lines: list[str], what: What) -> Iterator[Row]:
    text = "".join(lines)
    try:
        told = tomllib.loads(text)
        if not told:
            return
        if set(told) != {NAMES[what]} or not isinstance(told[NAMES[what]], list):
            raise ValueError(f"each entry begins with a line [[{NAMES[what]}]]")
        yield _told(line, told[NAMES[what]][0], what)
    except WRONG as error:
        yield Row(line, None, _why(error))


def _write_toml(stream: TextIO, what: What, values: Iterable[Partner] | Iterable[Mandate]) -> int:
    count = 0
    for value in values:
        stream.write(f"{chr(10) if count else ''}[[{NAMES[what]}]]\n")
        for name, told in _plain(value).items():
            stream.write(f"{name} = {_toml(told)}\n")
        count += 1
    return count


def _toml(value: Any) -> str:
    """A value in TOML, on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return _time(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, int):
        return str(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


# -- CSV -------------------------------------------------------------------------------------------------


def _read_csv(stream: TextIO, what: What) -> Iterator[Row]:
    first = stream.readline()
    mark = ";" if ";" in first and "," not in first else ","
    names = [name.strip() for name in next(csv.reader([first], delimiter=mark), [])]
    unknown = [name for name in names if name not in _fields(what)]
    if unknown or not names or len(set(names)) != len(names):
        known = ", ".join(_fields(what))
        yield Row(1, None, f"the first line names the columns, each once, of these: {known}")
        return
    reader = csv.reader(stream, delimiter=mark, strict=True)
    while True:
        line = reader.line_num + 2
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield Row(line, None, str(error))
            continue
        if cells is None:
            return
        if any(cells):
            yield _row(line, names, cells, what)


def _row(line: int, names: list[str], cells: list[str], what: What) -> Row:
    try:
        if len(cells) != len(names):
            raise ValueError(f"{len(names)} columns are named, {len(cells)} are here")
        told = {name: _cell(name, bare(cell), what) for name, cell in zip(names, cells, strict=True) if cell}
        return _told(line, told, what, strict=False)
    except WRONG as error:
        return Row(line, None, _why(error))


def _cell(name: str, text: str, what: What) -> Any:
    if name in NESTED:
        return json.loads(text)
    if name in _several(what):
        return parted(text)
    return text


def _write_csv(stream: TextIO, what: What, values: Iterable[Partner] | Iterable[Mandate]) -> int:
    names = _fields(what)
    writer = csv.writer(stream)  # its line ends (RFC 4180) make it quote both of their characters
    writer.writerow(names)
    count = 0
    for value in values:
        plain = _plain(value)
        writer.writerow([guarded(_text(plain[name])) if name in plain else "" for name in names])
        count += 1
    return count


def _text(value: Any) -> str:
    """A value as a cell's text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return _time(value)
    if isinstance(value, dict) or (isinstance(value, list | tuple) and value and isinstance(value[0], dict)):
        return msgspec.json.encode(value).decode()
    if isinstance(value, list | tuple):
        return ";".join(_AWKWARD.sub(r"\\\g<0>", one) for one in value)
    return str(value)


_AWKWARD = re.compile(r"[;\\]")


def parted(text: str) -> list[str]:
    """The values of a cell that may have several."""
    values, characters = [""], iter(text)
    for one in characters:
        if one == ";":
            values.append("")
        else:
            values[-1] += next(characters, one) if one == "\\" else one
    return values


def guarded(cell: str) -> str:
    """The cell's text, with an apostrophe where a spreadsheet would take it for a formula."""
    head = cell[1:2] if cell[:1] == "'" else cell[:1]
    formula = bool(head) and (head in FORMULA or (cell[:1] == "'" and head == "'"))
    return f"'{cell}" if formula else cell


def bare(cell: str) -> str:
    """The text that ``guarded`` was given."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] and cell[1:2] in FORMULA + "'" else cell


def _several(what: What) -> frozenset[str]:
    """The fields that hold several values."""
    kinds: dict[str, Any] = {f.name: f.type for f in msgspec.structs.fields(what)}
    return frozenset(name for name, kind in kinds.items() if getattr(kind, "__origin__", None) is tuple)
