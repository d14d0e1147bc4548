"""Commands on archives: old submissions out of the ledger, and back."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from gateway.evidence.archives import NoArchive
from gateway.operations import archiving
from gateway.operations.cli.evidence import Books, now
from gateway.operations.cli.say import Trouble, as_json, emit, need_home
from gateway.storage import LedgerError


@click.group(invoke_without_command=True)
@click.option("--before", type=click.DateTime(["%Y-%m-%d"]), help="Received before this day (UTC).")
@click.option("--to", "folder", type=click.Path(file_okay=False, path_type=Path), help="Where the files go.")
@as_json
@click.pass_context
def archive(context: click.Context, before: datetime | None, folder: Path | None, in_json: bool) -> None:
    """Move old submissions out of the ledger into signed files; without --before, by [retention] years.

    It may be ended and begun again at any moment. Keys of duplicates, receipts, journal and checkpoints stay.

    \b
    cvan --home HOME archive --before 2021-01-01 --to /archive
    cvan --home HOME archive list
    """
    if context.invoked_subcommand is not None:
        return
    books = Books(need_home(context))
    place = _folder(books, folder)
    kept = books.settings.retention.years
    until = before.replace(tzinfo=UTC) if before is not None else archiving.years_before(now(), kept)
    if until > now():
        raise Trouble(f"{until:%Y-%m-%d} is in the future")
    written = []
    try:
        for one in archiving.archive(books.ledger, until, place, books.key, now):
            written.append(one)
            if not in_json:
                click.echo(f"{one.file}: {one.submissions} submissions")
    except (LedgerError, NoArchive, ValueError) as error:
        raise Trouble(str(error)) from error
    count = sum(one.submissions for one in written)
    emit(in_json, {"archived": count, "files": written}, [f"archived: {count}"])


@archive.command(name="list")
@as_json
@click.pass_context
def list_(context: click.Context, in_json: bool) -> None:
    """Archive files in which submissions are.

    \b
    cvan --home HOME archive list
    """
    found = Books(need_home(context)).ledger.archives()
    lines = [f"{one.name}  {one.at:%Y-%m-%d}  {one.submissions} submissions" for one in found]
    emit(in_json, found, lines or ["nothing is archived"])


@archive.command()
@click.option("--from", "folder", type=click.Path(file_okay=False, path_type=Path), help="Where they are.")
@as_json
@click.pass_context
def verify(context: click.Context, folder: Path | None, in_json: bool) -> None:
    """Verify every archive file that the ledger knows, octet by octet.

    \b
    Exit code: 0 all are sound, 1 one is not.
    cvan --home HOME archive verify --from /archive
    """
    books = Books(need_home(context))
    found = list(archiving.check(books.ledger, _folder(books, folder), books.gateway.strange))
    wrong = [name for name, why in found if why]
    value = [{"name": name, "sound": not why, "why": why} for name, why in found]
    emit(in_json, value, [f"{name}: {why or 'sound'}" for name, why in found] or ["nothing is archived"])
    sys.exit(1 if wrong else 0)


@archive.command()
@click.argument("identity")
@click.option("--from", "folder", type=click.Path(file_okay=False, path_type=Path), help="Where they are.")
@as_json
@click.pass_context
def restore(context: click.Context, identity: str, folder: Path | None, in_json: bool) -> None:
    """Bring one submission back into the ledger, or all of an archive file by its name.

    \b
    cvan --home HOME archive restore 01JD... --from /archive
    """
    books = Books(need_home(context))
    try:
        back = archiving.restore(books.ledger, _folder(books, folder), identity, books.gateway.strange)
    except (archiving.NotThere, LedgerError) as error:
        raise Trouble(str(error)) from error
    emit(in_json, {"restored": back}, [f"restored: {len(back)}"])


def _folder(books: Books, folder: Path | None) -> Path:
    """The folder that is named, or the home's own.  Raises Trouble."""
    chosen = books.settings.retention.archive
    if folder is None and not chosen:
        raise Trouble(
            "say where the files are: --to or --from FOLDER, or [retention] archive in gateway.toml"
        )
    return folder if folder is not None else books.home / chosen


COMMANDS = (archive,)
