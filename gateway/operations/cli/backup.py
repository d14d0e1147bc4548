"""Commands on backups: a home put away while it serves, and brought back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from gateway.adapter import BackendUnavailable
from gateway.operations import backup as backups
from gateway.operations import settings
from gateway.operations.backup.making import Asked
from gateway.operations.backup.numbers import SKIPPED, skip_numbers
from gateway.operations.cli.evidence import SHOWN, Books
from gateway.operations.cli.say import Trouble, as_json, emit, need_home
from gateway.operations.witnessing import FILE, Noted, told
from gateway.storage import Breach, Ledger, LedgerError

NOT_MADE = (backups.Broken, backups.Busy, backups.Refusing, backups.Unable, LedgerError, ValueError)
MOST_SKIPPED = 10_000_000
"""A tenth of a year's numbers."""
STEP = 5
"""Per cent between two lines of progress."""


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--with-keys", is_flag=True, help="Private keys too: whoever has the file can be the gateway.")
@click.option(
    "--archives",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Put in the archive files of this folder; without it they are only named.",
)
@as_json
@click.pass_context
def backup(
    context: click.Context, target: Path, with_keys: bool, archives: Path | None, in_json: bool
) -> None:
    """Put a home away, while it serves or not, as of one moment; TARGET is a folder, or the file's name.

    Nothing is ever overwritten. A name that ends in .gz is compressed.

    \b
    cvan --home HOME backup /backups
    cvan --home HOME backup /backups/monday.tar.gz --with-keys
    """
    home = need_home(context)
    try:
        made = backups.make(home, target, Asked(with_keys, archives), _progress(in_json))
    except NOT_MADE as error:
        raise Trouble(f"no backup: {error}") from error
    if with_keys:
        click.echo("cvan: private keys are in this backup: keep it as you keep them", err=True)
    manifest, where = made.manifest, made.manifest.position
    value = {
        "file": made.file,
        "size": made.size,
        "at": manifest.at,
        "digest": manifest.digest,
        "position": where,
        "keys": manifest.keys,
        "archives": manifest.archives,
        "elsewhere": manifest.elsewhere,
    }
    away = [one.name for one in manifest.archives if not one.included]
    lines = [
        f"{made.file}: {made.size:,} octets, as of {manifest.at}, verified",
        f"journal: {where.entries} entries, {where.uncovered} after checkpoint {where.checkpoint}:{where.digest}",
        f"manifest: {manifest.digest}",
        *([] if manifest.keys else ["without private keys: keep those elsewhere"]),
        *([f"not in it: {len(away)} archive files, {away[0]} to {away[-1]}"] if away else []),
        *(f"not in it, outside the home: {name}" for name in manifest.elsewhere),
    ]
    emit(in_json, value, lines)


@click.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("home", type=click.Path(path_type=Path))
@click.option("--database", default="", help="The URL of an empty PostgreSQL database to restore into.")
@click.option(
    "--witness",
    default="",
    help="What was signed last: NUMBER:DIGEST of the log, or the lost home's journal.json.",
)
@click.option(
    "--skip",
    type=click.IntRange(0, MOST_SKIPPED),
    default=SKIPPED,
    show_default=True,
    help="Registration numbers that the office leaves out, as declarants may hold them.",
)
@click.option(
    "--home-only",
    is_flag=True,
    help="The files alone, where the PostgreSQL database is there and newer: it is left as it is.",
)
@as_json
def restore(
    path: Path, home: Path, database: str, witness: str, skip: int, home_only: bool, in_json: bool
) -> None:
    """Make a home of a backup where there is none, and prove its journal.

    HOME may be a folder that is there and empty. With --witness it is told what was signed after the backup, and
    the home signs nothing until somebody says `cvan journal checkpoint --restored`.

    \b
    Exit code: 0 the journal is whole (with --home-only: nothing was looked at), 1 it is not, 2 nothing was restored.
    cvan restore /backups/cvan-20270131T020000Z.tar /var/lib/cvan
    cvan restore /backups/cvan-20270131T020000Z.tar /var/lib/cvan --home-only
    """
    noted = _noted(witness)
    if home_only and noted is not None:
        raise Trouble("--home-only brings back no journal that a witness could speak of")
    try:
        manifest = backups.restore(path, home, database, _progress(in_json), home_only=home_only)
    except NOT_MADE as error:
        raise Trouble(f"not restored: {error}") from error
    breaches: list[Breach] = []
    after: int | None = None
    if not home_only:
        breaches, after = _prove(home, manifest, noted)
        if skip:
            _skip(home, skip, office=bool(manifest.position.clearance))
    value = {
        "home": home,
        "at": manifest.at,
        "digest": manifest.digest,
        "position": manifest.position,
        "breaches": None if home_only else breaches,
        "checkpoints_after": after,
        "keys": manifest.keys,
        "archives": manifest.archives,
        "elsewhere": manifest.elsewhere,
    }
    said = _without_database(home, manifest) if home_only else _lines(home, manifest, breaches, after)
    emit(in_json, value, said)
    sys.exit(1 if breaches else 0)


@click.command(name="skip-numbers")
@click.argument("count", type=click.IntRange(1, MOST_SKIPPED))
@as_json
@click.pass_context
def skip_numbers_(context: click.Context, count: int, in_json: bool) -> None:
    """Have the office leave out its next COUNT registration numbers, and say nothing under an id of before.

    After a database was brought back to an earlier time by other means than `cvan restore`: declarants hold
    numbers that it gave out since, receivers drop decisions whose id they have. It must not give them again.
    Numbers of interchanges are left out, too, ten times as many.

    \b
    cvan --home HOME skip-numbers 1000000
    """
    _skip(need_home(context), count)
    emit(in_json, {"skipped": count}, [f"left out: {count}"])


def _skip(home: Path, count: int, *, office: bool = True) -> None:
    try:
        skip_numbers(home, count, office=office)
    except (BackendUnavailable, LedgerError, ValueError, OverflowError) as error:
        raise Trouble(f"no numbers were left out: {error}") from error


def _prove(home: Path, manifest: backups.Manifest, noted: Noted | None) -> tuple[list[Breach], int | None]:
    """What is not as it was written, and how many checkpoints were signed after the backup; None: unknown."""
    breaches: list[Breach] = []
    url = settings.database_url(home, settings.load(home).database.ledger)
    try:
        Ledger.open(url, create=True).close()  # an older one is brought up to this gateway's tables
        books = Books(home)
        audited = books.ledger.audit(breaches.append, books.gateway.stranger, books.stamped)
        here = books.witness.breach(books.ledger)
        breaches += [] if here is None else [here]
        where = manifest.position
        if (audited.entries, audited.checkpoints) != (where.entries, where.checkpoint):
            breaches.append(
                Breach("journal", f"{audited.entries} entries; the manifest says {where.entries}")
            )
        if noted is None:
            return breaches, None
        if noted.number <= where.checkpoint:
            if not told(books.ledger, noted.number, noted.digest):
                breaches.append(Breach(f"checkpoint {noted.number}", "not the one that was noted elsewhere"))
            return breaches, 0
        _remember(home, books, noted)
    except LedgerError as error:
        raise Trouble(f"restored, not proven: {error}") from error
    return breaches, noted.number - where.checkpoint


def _remember(home: Path, books: Books, noted: Noted) -> None:
    """More was signed than the ledger has: nothing more is until somebody vouches for what it has."""
    before = books.witness.noted()
    keys = tuple(dict.fromkeys((*(before.keys if before is not None else ()), *noted.keys)))
    (home / FILE).write_bytes(msgspec.json.encode(Noted(noted.number, noted.digest, keys)) + b"\n")


def _noted(witness: str) -> Noted | None:
    """The checkpoint that is named, or that a journal.json names.  Raises Trouble."""
    if not witness:
        return None
    number, _, digest = witness.partition(":")
    if number.isdecimal():
        return Noted(int(number), digest.lower())
    try:
        return msgspec.json.decode(Path(witness).read_bytes(), type=Noted)
    except (OSError, msgspec.MsgspecError) as error:
        raise Trouble(f"a witness is NUMBER:DIGEST, or a journal.json: {error}") from error


def _lines(home: Path, manifest: backups.Manifest, breaches: list[Breach], after: int | None) -> list[str]:
    where = manifest.position
    lines = [f"{b.place}: {b.why}" for b in breaches[:SHOWN]]
    lines.append(
        f"{home}: restored as of {manifest.at}, gateway {manifest.gateway}; {len(breaches)} breaches"
    )
    lines.append(f"journal: {where.entries} entries, last checkpoint {where.checkpoint}:{where.digest}")
    if after is None:
        lines.append(
            "what came after that is not known here: compare with the last line `checkpoint` of the log"
        )
    elif after:
        lines.append(
            f"{after} checkpoints were signed after the backup: partners hold receipts that this ledger does not know; "
            "they have to send those octets again"
        )
    else:
        lines.append("nothing was signed after the backup, as far as the witness knows")
    lines += _left_out(manifest)
    lines.append(f"next: cvan --home {home} journal checkpoint --restored, then cvan --home {home} run")
    return lines


def _without_database(home: Path, manifest: backups.Manifest) -> list[str]:
    return [
        f"{home}: its files restored as of {manifest.at}, gateway {manifest.gateway}; the database is as it was",
        *_left_out(manifest),
        f"next: cvan --home {home} journal verify, then cvan --home {home} run",
    ]


def _left_out(manifest: backups.Manifest) -> list[str]:
    lines = [] if manifest.keys else ["private keys are not in it: put them into the folder of own keys"]
    lines += [f"not in it: {one.name}" for one in manifest.archives if not one.included]
    return lines + [f"not in it, outside the home: {name}" for name in manifest.elsewhere]


def _progress(in_json: bool) -> Callable[[str, int, int], None]:
    """Tells a person at a terminal how far it is."""
    if in_json or not sys.stderr.isatty():
        return lambda what, done, whole: None
    last: dict[str, int] = {}

    def tell(what: str, done: int, whole: int) -> None:
        share = 100 * done // whole if whole else done
        if share >= last.get(what, -STEP) + STEP or (whole and done == whole and last.get(what) != share):
            last[what] = share
            click.echo(f"{what}: {share}{' %' if whole else ''}", err=True)

    return tell


COMMANDS = (backup, restore, skip_numbers_)
