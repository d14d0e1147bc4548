"""Partners and mandates in and out of files: the commands ``import`` and ``export`` of both."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

from gateway.model import Partner
from gateway.operations import enrolling
from gateway.operations.cli.books import ledger
from gateway.operations.cli.say import Trouble, as_json, emit
from gateway.operations.enrolling.files import FORMATS, NAMES, Format, What
from gateway.storage import Ledger, Taken

MAX_TOLD = 1_000
"""Broken rows that are told one by one to a person."""


def add_to(group: click.Group, what: What, words: str) -> None:
    """Give the group its import and export."""
    group.add_command(_import(what, words))
    group.add_command(_export(what, words))


def _import(what: What, words: str) -> click.Command:
    name = NAMES[what]

    @click.command(
        name="import",
        help=f"""Register {words} from a file, TOML or CSV; those of the same id are replaced whole.

        What was ended stays so: a revoked mandate keeps its revocation, a suspended partner comes in again only
        where its row says active = true.

        The file is checked whole first; every broken row is told with its line, and then nothing is changed
        unless --skip-broken is given.  FILE - is standard input.  Exit code: 0 done, 1 rows were broken.

        \b
        cvan --home HOME {name} import {words}.csv --dry-run
        cvan --home HOME {name} import {words}.toml --skip-broken""",
    )
    @click.argument("path", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
    @click.option("--format", "form", type=click.Choice(FORMATS), help="Default: by the file's ending.")
    @click.option("--dry-run", is_flag=True, help="Check only; change nothing.")
    @click.option("--skip-broken", is_flag=True, help="Register the sound rows, leave the others out.")
    @as_json
    @click.pass_context
    def bring_in(
        context: click.Context,
        path: Path,
        form: Format | None,
        dry_run: bool,
        skip_broken: bool,
        in_json: bool,
    ) -> None:
        chosen = _format(path, form)
        with _opened(path) as stream, ledger(context) as books:

            def rows() -> Iterator[enrolling.Row]:
                stream.seek(0)
                return enrolling.read(stream, chosen, what)

            found = enrolling.survey(books, rows, _told("checked", words))
            _tell_broken(found)
            if dry_run or (found.broken and not skip_broken):
                _tell_survey(found, words, in_json)
            else:
                _tell_outcome(found, _brought_in(books, rows, found, words), words, in_json)
        sys.exit(1 if found.broken else 0)

    return bring_in


def _brought_in(
    books: Ledger, rows: enrolling.Rows, found: enrolling.Survey, words: str
) -> enrolling.Outcome:
    """Raises Trouble where somebody else was quicker."""
    try:
        return enrolling.bring_in(books, rows, found, _told("written", words))
    except Taken as error:
        raise Trouble(f"changed by somebody else meanwhile: {error}; import again") from error


def _tell_broken(found: enrolling.Survey) -> None:
    for line, why in found.broken[:MAX_TOLD]:
        click.echo(f"line {line}: {why}", err=True)
    if len(found.broken) > MAX_TOLD:
        click.echo(f"... and {len(found.broken) - MAX_TOLD:,} more", err=True)


def _tell_survey(found: enrolling.Survey, words: str, in_json: bool) -> None:
    sound, stand = found.rows - len(found.broken), found.standing
    said = f"{sound:,} of {found.rows:,} {words} are sound, {found.new:,} of them new"
    said += _staying(stand.stay_revoked, stand.stay_suspended)
    value = _value(found, stand.stay_revoked, stand.stay_suspended)
    emit(in_json, value, [f"{said}; nothing changed"])


def _tell_outcome(found: enrolling.Survey, done: enrolling.Outcome, words: str, in_json: bool) -> None:
    said = f"{words}: {done.added:,} added, {done.replaced:,} replaced"
    said += f", {done.skipped:,} left out" if done.skipped else ""
    said += _staying(done.stay_revoked, done.stay_suspended)
    value = _value(found, done.stay_revoked, done.stay_suspended)
    emit(in_json, {**value, "added": done.added, "replaced": done.replaced}, [said])


def _staying(revoked: int, suspended: int) -> str:
    """What an operator ended or stopped, and the file would not have."""
    said = f"; {revoked:,} {'stays' if revoked == 1 else 'stay'} revoked" if revoked else ""
    return said + (f"; {suspended:,} {'stays' if suspended == 1 else 'stay'} suspended" if suspended else "")


def _value(found: enrolling.Survey, revoked: int, suspended: int) -> dict[str, object]:
    return {
        "rows": found.rows,
        "broken": [{"line": line, "why": why} for line, why in found.broken],
        "added": 0,
        "replaced": 0,
        "stay_revoked": revoked,
        "stay_suspended": suspended,
    }


def _export(what: What, words: str) -> click.Command:
    name = NAMES[what]

    @click.command(
        name="export",
        help=f"""Write all {words} to a file, TOML or CSV, as of one moment; `import` reads them again.

        \b
        cvan --home HOME {name} export {words}.toml
        cvan --home HOME {name} export --format csv - > {words}.csv""",
    )
    @click.argument("path", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
    @click.option("--format", "form", type=click.Choice(FORMATS), help="Default: by the file's ending.")
    @as_json
    @click.pass_context
    def bring_out(context: click.Context, path: Path, form: Format | None, in_json: bool) -> None:
        chosen = _format(path, form)
        to_stdout = str(path) == "-"
        if to_stdout and in_json:
            raise Trouble("--json goes with a file; standard output is for one of the two")
        with ledger(context) as books, _written(path) as stream:
            count = books.each(
                lambda partners, mandates: enrolling.write(
                    stream, chosen, what, partners if what is Partner else mandates
                )
            )
        if not to_stdout:
            emit(in_json, {"path": path, words: count}, [f"{path}: {count:,} {words}"])

    return bring_out


def _format(path: Path, form: Format | None) -> Format:
    """Raises Trouble where neither option nor ending tells."""
    if form is not None:
        return form
    for known in FORMATS:
        if path.suffix.lower() == f".{known}":
            return known
    raise Trouble(f"say --format {' or '.join(FORMATS)}: {path} does not end so")


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """The file's text, to be read more than once.  Raises Trouble where it is no UTF-8."""
    with tempfile.TemporaryFile() if str(path) == "-" else path.open("rb") as raw:
        if str(path) == "-":
            shutil.copyfileobj(sys.stdin.buffer, raw)
        try:
            # A spreadsheet's file begins with a byte-order mark; line ends inside quotes stay as they are.
            yield io.TextIOWrapper(raw, "utf-8-sig", newline="")
        except UnicodeDecodeError as error:
            raise Trouble(f"{path} is no UTF-8 text: {error.reason} at octet {error.start}") from error


@contextmanager
def _written(path: Path) -> Iterator[TextIO]:
    """A file that is there only once it is whole, and is its owner's alone; ``-``: standard output."""
    if str(path) == "-":
        yield sys.stdout
        return
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "w", encoding="utf-8", newline="") as stream:
            yield stream
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)  # where it is not whole; else it has the other name by now


def _told(done: str, words: str) -> enrolling.Told:
    """Says on stderr how far it is: one line that is written over where a person looks on."""
    end = "\r" if sys.stderr.isatty() else "\n"
    return lambda count: click.echo(f"{done} {count:,} {words}{end}", err=True, nl=False)
