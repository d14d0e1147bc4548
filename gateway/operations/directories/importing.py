"""Brings directories into a home: read, written in our own format, checked, and only then put in place."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gateway.operations.directories.archive import MAX_ARCHIVE
from gateway.operations.directories.release import BadRelease, open_release, tables_of
from gateway.syntax.directories import Directories
from gateway.syntax.tables import Tables
from gateway.syntax.tableset import AGENCY, DIRECTORIES, MESSAGES, TableSet
from gateway.syntax.tablewriter import write_tables

ROOM = "directories"
"""The folder of a home that holds an operator's own directories, one folder a set."""

_ARCHIVE = b"PK\x03\x04"  # how a zip begins
_NAME = re.compile(r"[A-Z0-9]{1,3}\.[A-Z0-9]{1,3}")
_HEADING = re.compile(r"^\[([^\]]*)\]", re.MULTILINE)
_MAX_FILE = 1_048_576  # octets of a message's table; the largest of ours has a fifth of it


class Refusal(Exception):
    """Why nothing was imported; the text says what to do."""


class Imported(msgspec.Struct, frozen=True):
    """What was put where: names of directories, counts, and what could not be read beside them."""

    folder: Path
    names: tuple[str, ...]
    messages: int
    segments: int
    code_lists: int
    unread: tuple[str, ...]


def import_tables(
    source: Path, home: Path, shipped: Path, name: str = "", replace: bool = False, agency: str = ""
) -> Imported:
    """Import a release's zip, a set of tables, or one message's table.

    ``shipped``: the tables the home has already, against which references are looked up.  ``name``,
    ``agency``: what to call a single directory instead of what it calls itself.  Raises Refusal.
    """
    if name and not _NAME.fullmatch(name):
        raise Refusal(f"{name} is no directory's name; one is D.25A")
    tables, unread = _read(source, name)
    if name or agency:
        tables = [_named(tables, name, agency)]
    target = home / ROOM / _folder(tables)
    if target.exists() and not replace:
        raise Refusal(f"{target} is there already; say --replace to put this in its place")
    _install(tables, target, shipped)
    return Imported(
        folder=target,
        names=tuple(t.name for t in tables),
        messages=len({kind for t in tables for kind in t.messages}),
        segments=len({tag for t in tables for tag in t.segments}),
        code_lists=len({number for t in tables for number in t.codes}),
        unread=unread,
    )


def _read(source: Path, name: str) -> tuple[list[Tables], tuple[str, ...]]:
    try:
        if source.is_dir():
            found = TableSet(source)
            return [found.tables(each) for each in found.names], ()
        with source.open("rb") as file:
            content = file.read(MAX_ARCHIVE + 1)
        if content.startswith(_ARCHIVE):
            original = open_release(content)
            return [tables_of(original)], original.broken
        return _single(source, content, name), ()
    except FileNotFoundError as error:
        raise Refusal(f"{source} holds no directory tables: no {DIRECTORIES} in it") from error
    except (BadRelease, ValueError) as error:
        raise Refusal(f"{source} cannot be imported: {error}") from error


def _single(source: Path, content: bytes, name: str) -> list[Tables]:
    """One message's table in our format: TYPE.txt.  Its headings name its directories one by one."""
    if source.suffix != ".txt" or len(content) > _MAX_FILE:
        raise Refusal(f"{source} is neither a zip nor a table of ours (TYPE.txt)")
    text = content.decode("ascii")
    named = [word for heading in _HEADING.findall(text) for word in heading.split()]
    names = list(dict.fromkeys(named)) or [name]
    if not all(map(_NAME.fullmatch, names)):
        raise Refusal(f"{source}: headings name directories one by one, as in [D.96A D.96B]")
    with tempfile.TemporaryDirectory() as folder:
        whole = text if named else f"[{name}]\n{text}"
        (Path(folder) / MESSAGES).mkdir()
        (Path(folder) / DIRECTORIES).write_text("\n".join(names), encoding="ascii")
        (Path(folder) / MESSAGES / source.name).write_text(whole, encoding="ascii")
        found = TableSet(Path(folder))
        if not found.types():
            raise Refusal(f"{source.name} is not named after a message type, such as CUSCAR.txt")
        try:
            return [found.tables(each) for each in names]
        except ValueError as error:
            where = str(error).replace(f"{folder}/{MESSAGES}/", "")
            raise Refusal(f"{source} cannot be imported: {where}") from error


def _named(tables: Sequence[Tables], name: str, agency: str) -> Tables:
    if len(tables) != 1:
        names = ", ".join(t.name for t in tables)
        raise Refusal(f"--name and --agency are for one directory; here are {names}")
    only = tables[0]
    return msgspec.structs.replace(only, name=name or only.name, agency=agency or only.agency)


def _folder(tables: Sequence[Tables]) -> str:
    """``D.25A``, ``D.96A-D.99B``; with the agency where it is not UN."""
    if not tables:
        raise Refusal("there is no directory in it")
    first, last = tables[0], tables[-1]
    span = first.name if len(tables) == 1 else f"{first.name}-{last.name}"
    return span if first.agency == AGENCY else f"{span} {first.agency}"


def _install(tables: Sequence[Tables], target: Path, shipped: Path) -> None:
    """Write beside the place, check there, and change places: a broken import leaves no trace."""
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=target.parent.parent, prefix=".import-"))
    try:
        new = staging / "new"
        new.mkdir()
        write_tables(new, tables, "Imported by cvan directory import.")
        try:
            Directories.load(shipped, new).check(*(t.name for t in tables))
        except ValueError as error:
            raise Refusal(f"the tables do not fit together: {str(error).replace(str(new), '')}") from error
        if target.exists():
            os.replace(target, staging / "old")
        os.replace(new, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
