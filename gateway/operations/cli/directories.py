"""Commands on EDIFACT directories: list, show, import."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import click

from gateway.model.edifact import Directory, ElementUse, GroupUse, MessageTable, SegmentUse
from gateway.operations import home as homes
from gateway.operations.cli.say import Trouble, as_json, emit, need_home
from gateway.operations.directories import Refusal, import_tables
from gateway.operations.directories.importing import ROOM
from gateway.syntax import Directories
from gateway.syntax.tables import flat

TABLES = Path("xsd", "edifact")
WORDS = "segment-words.toml"


def tables(home: Path | None) -> Directories:
    """The home's directories, or those the package ships.  Raises Trouble where they are broken."""
    folder = home or homes.shipped()
    try:
        return Directories.load(folder / TABLES, *([home / ROOM] if home else []))
    except (ValueError, FileNotFoundError) as error:
        raise Trouble(f"the directories in {folder} are broken: {error}") from error


@click.group(name="directory")
def directories() -> None:
    """EDIFACT directories: which messages and segments are known, and how they are built.

    \b
    cvan directory list --message CUSCAR
    cvan directory show CUSCAR D.95B
    cvan --home HOME directory import d25a.zip
    """


@directories.command(name="list")
@click.option("--message", "kind", default="", help="Only directories that hold this message.")
@as_json
@click.pass_context
def list_directories(context: click.Context, kind: str, in_json: bool) -> None:
    """Every directory, with the number of its messages.

    \b
    cvan directory list
    cvan directory list --message CUSCAR --json
    """
    found, kind = tables(context.obj), kind.upper()
    held = found.holding(kind)
    if kind and not held:
        raise Trouble(f"no directory holds {kind}")
    rows = [
        {"name": d.name, "agency": d.agency, "messages": len(d.messages)}
        for d in found.all()
        if not kind or kind in d.messages
    ]
    lines = [f"{row['name']:8} {row['agency']:4} {row['messages']:5} messages" for row in rows]
    emit(in_json, rows, [f"{kind}: {held}"] if kind else lines)


@directories.command(name="show")
@click.argument("what", nargs=-1, required=True)
@click.option("--agency", default="", help="Controlling agency, where two directories share a name.")
@click.option("--segments", is_flag=True, help="Also the elements of each segment, with their formats.")
@as_json
@click.pass_context
def show(context: click.Context, what: tuple[str, ...], agency: str, segments: bool, in_json: bool) -> None:
    """A message's structure in a directory, or the messages of a directory.

    A letter C or M is the status, conditional or mandatory; the number is how often it may occur.

    \b
    cvan directory show CUSCAR D.95B
    cvan directory show CUSRES D.13A --segments
    cvan directory show PNRGOV 11.1
    cvan directory show D.95B
    """
    found = tables(context.obj)
    if len(what) > 2:
        raise Trouble("say a message and a directory, as in: cvan directory show CUSCAR D.95B")
    if len(what) == 1 and _directory(found, what[0], agency) is None:
        held = found.holding(what[0].upper())
        raise Trouble(
            f"in which directory? {what[0].upper()} is in {held}"
            if held
            else f"{what[0]} is neither a directory nor a message: cvan directory list"
        )
    directory = _directory(found, what[-1], agency)
    if directory is None:
        held = found.holding(what[0].upper()) if len(what) == 2 else ""
        known = f"{what[0].upper()} is in {held}" if held else "cvan directory list shows all"
        raise Trouble(f"there is no directory {what[-1]}; {known}")
    if len(what) == 1:
        kinds = list(directory.messages)
        emit(in_json, {"name": directory.name, "agency": directory.agency, "messages": kinds}, kinds)
        return
    message = directory.messages.get(what[0].upper())
    if message is None:
        raise Trouble(
            f"{what[0].upper()} is not in {directory.name}; "
            f"supported are {found.expected(what[0].upper(), directory)}"
        )
    try:
        _show_message(found, directory, message, segments, in_json)
    except ValueError as error:
        raise Trouble(f"the tables are broken: {error}") from error


def _show_message(
    found: Directories, directory: Directory, message: MessageTable, segments: bool, in_json: bool
) -> None:
    tags = dict.fromkeys(n.segment for _, n in flat(message.nodes) if isinstance(n, SegmentUse))
    version = directory.name[2:] if directory.name.startswith("S.") else "3"
    service = found.service(version)
    layouts = {
        tag: (directory.segments.get(tag) or service.segments[tag]).elements for tag in tags if segments
    }
    value = {
        "message": message.type,
        "directory": directory.name,
        "agency": directory.agency,
        "nodes": [_node_json(node) for node in message.nodes],
        **(
            {"segments": {t: [_use_json(u) for u in uses] for t, uses in layouts.items()}} if segments else {}
        ),
    }
    emit(in_json, value, _message_lines(directory, message, layouts))


def _directory(found: Directories, name: str, agency: str) -> Directory | None:
    """By name as people write it: ``D.95B``, ``D95B``, ``d95b``, ``11.1``, ``S.3``."""
    name = name.upper()
    if "." not in name:
        name = f"{name[:1]}.{name[1:]}"
    alike = [d for d in found.all() if d.name == name and agency.upper() in ("", d.agency)]
    if len(alike) > 1:
        raise Trouble(f"{name} is of {' and of '.join(d.agency for d in alike)}: say --agency")
    return alike[0] if alike else None


@cache
def _words() -> Mapping[str, str]:
    path = homes.shipped() / TABLES / WORDS
    return {str(k): str(v) for k, v in tomllib.loads(path.read_text(encoding="utf-8")).items()}


def _node_json(node: SegmentUse | GroupUse) -> dict[str, object]:
    facts: dict[str, object] = {"required": node.required, "repeat": node.repeat}
    if isinstance(node, GroupUse):
        return {"group": node.name, **facts, "nodes": [_node_json(inner) for inner in node.nodes]}
    return {"segment": node.segment, **facts, "words": _words().get(node.segment, "")}


def _use_json(use: ElementUse) -> dict[str, object]:
    facts: dict[str, object] = {"code": use.code, "required": use.required, "repeat": use.repeat}
    if not use.components:
        return {**facts, "format": use.format}
    parts = [{"code": p.code, "required": p.required, "format": p.format} for p in use.components]
    return {**facts, "components": parts}


def _message_lines(
    directory: Directory, message: MessageTable, layouts: Mapping[str, tuple[ElementUse, ...]]
) -> Iterator[str]:
    yield f"{message.type} {directory.name} ({directory.agency})"
    for depth, node in flat(message.nodes):
        name = node.name if isinstance(node, GroupUse) else node.segment
        words = "" if isinstance(node, GroupUse) else _words().get(name, "")
        place = f"{'  ' * depth}{name} {_often(node.required, node.repeat)}"
        yield f"{place:32} {words}".rstrip()
    for tag, uses in sorted(layouts.items()):
        yield ""
        yield f"{tag} {_words().get(tag, '')}".rstrip()
        for position, use in enumerate(uses, start=1):
            yield f"  {position:>3} {use.code} {_often(use.required, use.repeat):6} {use.format}".rstrip()
            for number, part in enumerate(use.components, start=1):
                yield f"      {number:>3} {part.code} {'M' if part.required else 'C'} {part.format}"


def _often(required: bool, repeat: int) -> str:
    return f"{'M' if required else 'C'}{repeat}"


@directories.command(name="import")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--name", default="", help="What to call the directory: D.25A.  Default: what it says itself.")
@click.option("--agency", default="", help="Controlling agency (0051).  Default: what it says itself, or UN.")
@click.option("--replace", is_flag=True, help="Put it in the place of what was imported under this name.")
@as_json
@click.pass_context
def import_directory(
    context: click.Context, source: Path, name: str, agency: str, replace: bool, in_json: bool
) -> None:
    """Import a directory into the home.

    SOURCE is a release as UNECE publishes it (a zip), or tables in our own text format: a folder, or
    one message's file such as CUSCAR.txt.  What is imported goes before what is shipped under the same
    name, item by item: a national subset may hold one message only.

    \b
    cvan --home HOME directory import d25a.zip
    cvan --home HOME directory import national/CUSCAR.txt --name D.95B
    """
    home = need_home(context)
    try:
        done = import_tables(
            source, home, _shipped(home), name.upper(), replace=replace, agency=agency.upper()
        )
    except Refusal as refusal:
        raise Trouble(str(refusal)) from refusal
    counts = f"{done.messages} messages, {done.segments} segments, {done.code_lists} code lists"
    lines = [f"{', '.join(done.names)}: {counts} in {done.folder}"]
    lines += [f"could not be read and was left out: {member}" for member in done.unread]
    emit(in_json, done, [*lines, "a running gateway takes it up on SIGHUP"])


def _shipped(home: Path) -> Path:
    """The home's shipped tables.  Raises Trouble where the folder is no home."""
    if not (home / TABLES).is_dir():
        raise Trouble(f"{home} is no home: it has no {TABLES}; make one: cvan init HOME")
    return home / TABLES


COMMANDS = (directories,)
