"""Commands on files, with no server: check, translate; and schema packs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import DownloadColumn, Progress

from gateway import handbook as handbooks
from gateway import schema
from gateway.inbound import Examined, outcome
from gateway.model import Finding, Judged, Outcome, Severity
from gateway.operations import home as homes
from gateway.operations import reading, settings, translating
from gateway.operations.cli.say import (
    Trouble,
    Written,
    as_json,
    emit,
    finding_json,
    finding_lines,
    folded_lines,
    in_language,
    need_home,
)

MANY = 20
LARGE = 4_000_000
"""From so many files, or octets in all, progress is shown and the first errors are told while it lasts."""
EARLY = 10
"""Errors told while a check goes on."""


def knowledge(home: Path | None) -> handbooks.Handbook:
    """The home's handbook, or what the package ships where no home is named.

    Raises Trouble, and BadSettings for a folder that is no home.
    """
    folder = home or homes.shipped()
    try:
        return settings.handbook(folder, settings.load(folder))
    except ValueError as error:
        raise Trouble(f"the knowledge in {folder} is broken: {error}") from error


def expand(paths: Sequence[Path]) -> list[Path]:
    """Every file named, and every file under a folder named."""
    found: list[Path] = []
    for path in paths:
        found += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return found


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@in_language
@as_json
@click.pass_context
def check(context: click.Context, paths: tuple[Path, ...], in_json: bool) -> None:
    """Check messages as customs would, without sending them.

    Takes EDIFACT interchanges and WCO or ISO 20022 XML, signed or not (the signature is not proven
    here: that is `cvan verify`), and folders of them.

    \b
    Exit code: 0 accepted, 1 rejected, 2 could not be read.
    cvan check manifest.edi
    cvan check declarations/ --json
    """
    book = knowledge(context.obj)
    files = expand(paths)
    if not files and not in_json:
        raise Trouble(f"no file in {', '.join(map(str, paths))}")
    results = list(_check_all(files, book, quiet=in_json))
    single = len(files) == 1 and not paths[0].is_dir()
    if in_json:
        values = [_check_json(p, r, book, named=not single) for p, r in results]
        whole = bool(values) and all(v["accepted"] for v in values)
        emit(True, values[0] if single else {"accepted": whole, "files": values}, ())
    else:
        for path, result in results:
            for line in _check_lines(path, result, book):
                click.echo(line)
    sys.exit(max((_exit_code(r) for _, r in results), default=2))


def _check_all(
    files: Sequence[Path], book: handbooks.Handbook, quiet: bool
) -> Iterator[tuple[Path, reading.Checked]]:
    """Check files one after the other, with progress and the first errors on standard error while it lasts."""
    now = datetime.now(UTC)
    total = sum(path.stat().st_size for path in files)
    long = len(files) >= MANY or total >= LARGE
    columns = (*Progress.get_default_columns(), DownloadColumn(binary_units=False))
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not long) as progress:
        bar = progress.add_task("checking", total=total)
        told = _Early(progress, book) if long and not quiet else None
        for path in files:
            yield (
                path,
                reading.check_file(
                    path,
                    book,
                    now,
                    lambda octets: progress.advance(bar, octets),
                    told.tell if told is not None else lambda finding: None,
                ),
            )


class _Early:
    """The first errors, told while the check goes on; the report at the end has them all."""

    def __init__(self, progress: Progress, book: handbooks.Handbook) -> None:
        self._progress = progress
        self._book = book
        self._left = EARLY

    def tell(self, finding: Finding) -> None:
        if finding.severity is not Severity.ERROR or self._left <= 0:
            return
        self._left -= 1
        for line in finding_lines(finding, self._book.catalogue):
            self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
        if not self._left:
            self._progress.console.print(f"  ... the report has all, these were the first {EARLY} errors")


def _exit_code(result: reading.Checked) -> int:
    if result.examined is None:
        return 2
    return 0 if all(outcome(e) is Outcome.ACCEPTED for e in result.all) else 1


def _check_json(
    path: Path, result: reading.Checked, book: handbooks.Handbook, named: bool
) -> dict[str, object]:
    value: dict[str, object] = {"file": str(path)} if named else {}
    value["accepted"] = _exit_code(result) == 0
    value["messages"] = [
        {
            "type": m.type,
            "reference": _reference(m, examined),
            "accepted": m.outcome is Outcome.ACCEPTED,
            "findings": [finding_json(f, book.catalogue) for f in m.findings],
        }
        for examined in result.all
        for m in examined.messages
    ]
    whole = [f for examined in result.all for f in examined.findings] or result.findings
    value["findings"] = [finding_json(f, book.catalogue) for f in whole]
    return value


def _reference(message: Judged, examined: Examined) -> str:
    """How the sender calls a message; where it could not be read, what its document is called."""
    return message.reference or message.lrn or examined.reference


def _check_lines(path: Path, result: reading.Checked, book: handbooks.Handbook) -> Iterator[str]:
    if result.examined is None:
        yield f"{path}: could not be read"
        yield from folded_lines(result.findings, book.catalogue)
    for examined in result.all:
        name = f"{path}: interchange {examined.reference}" if result.more else str(path)
        yield f"{name}: {outcome(examined).value}"
        yield from _examined_lines(examined, book)


def _examined_lines(examined: Examined, book: handbooks.Handbook) -> Iterator[str]:
    yield from folded_lines(examined.findings, book.catalogue)
    for message in examined.messages:
        if message.findings or len(examined.messages) == 1:
            name = f"{message.type} {_reference(message, examined)}".rstrip()
            yield f"  {name}: {message.outcome.value}"
        yield from folded_lines(message.findings, book.catalogue)


@click.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--to", "target", type=click.Choice(["json", "xml", "edifact"]), required=True)
@click.option("--directory", default="", help="EDIFACT directory to write, e.g. D.96B; default: a usual one.")
@click.option("-o", "--output", type=Written(), help="Default: standard output.")
@in_language
@as_json
@click.pass_context
def translate(
    context: click.Context, path: Path, target: str, directory: str, output: Path | None, in_json: bool
) -> None:
    """Translate a message into another syntax.

    What cannot be carried is reported on standard error, never dropped in silence.

    \b
    cvan translate manifest.edi --to xml
    cvan translate declaration.xml --to edifact --directory D.96B -o declaration.edi
    """
    book = knowledge(context.obj)
    done = translating.translate(path.read_bytes(), book, target, directory, datetime.now(UTC))
    for finding in done.findings:
        for line in finding_lines(finding, book.catalogue):
            click.echo(line, err=True)
    if in_json:
        emit(
            True,
            {
                "content": done.content.decode("latin-1" if target == "edifact" else "utf-8"),
                "findings": [finding_json(f, book.catalogue) for f in done.findings],
            },
            (),
        )
    elif output is not None:
        output.write_bytes(done.content)
    else:
        sys.stdout.buffer.write(done.content)
    sys.exit(0 if done.content else 1)


@click.group(name="schema")
def schemas() -> None:
    """Schema packs: ours and those an operator adds.

    \b
    cvan schema list
    cvan --home HOME schema add national ./national-schemas
    """


@schemas.command(name="add")
@click.argument("name")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@as_json
@click.pass_context
def schema_add(context: click.Context, name: str, folder: Path, in_json: bool) -> None:
    """Install a folder of XML schemas as a pack of the home.

    \b
    cvan --home HOME schema add national ./national-schemas
    """
    home = need_home(context)
    settings.load(home)
    try:
        added = schema.add_pack(name, folder, home)
    except ValueError as error:
        raise Trouble(str(error)) from error
    lines = [f"{name}: {len(added.entries)} document types in {added.folder}", *added.notes]
    emit(in_json, added, [*lines, "a running gateway takes it up on SIGHUP"])


@schemas.command(name="list")
@as_json
@click.pass_context
def schema_list(context: click.Context, in_json: bool) -> None:
    """Every document type that is known, by pack.

    \b
    cvan --home HOME schema list
    """
    rows = [
        {"pack": e.pack, "type": e.type, "root": e.root, "namespace": e.namespace, "table": e.table}
        for e in knowledge(context.obj).schemas.entries()
    ]
    emit(in_json, rows, [f"{r['pack']:12} {r['type']:10} {{{r['namespace']}}}{r['root']}" for r in rows])


COMMANDS = (check, translate, schemas)
