"""A home brought back from a backup: all of it under another name first, then where it is wanted."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path, PurePosixPath

import msgspec

from adapters.clearance import tables as office
from gateway.operations import settings
from gateway.operations.backup import manifest as said
from gateway.operations.backup.manifest import Manifest
from gateway.operations.backup.servers import Server
from gateway.operations.backup.snapshot import Progress
from gateway.storage import migrations

CONFIG = "conf/gateway.toml"
OF_A_DISK = "lost+found"
"""In an empty folder that is a disk's own."""
OWN_ARCHIVES = "archive"
"""Where archive files go that were in the backup, where the settings name no folder inside the home."""


class Refusing(Exception):
    """Something is in the way, or this gateway cannot use the backup; nothing was touched."""


def restore(
    path: Path,
    home: Path,
    database: str = "",
    progress: Progress = lambda what, done, whole: None,
    *,
    home_only: bool = False,
) -> Manifest:
    """Make a home of a backup where there is none; ``database``: the URL of an empty PostgreSQL database,
    where it is not the one that the backup's settings name.  ``home_only``: the files alone, beside a PostgreSQL
    database that is there and stays as it is.

    Raises Broken, Refusing, Unable, OSError; then there is no home, and on PostgreSQL no table.
    """
    if home.exists() and not (home.is_dir() and all(one.name == OF_A_DISK for one in home.iterdir())):
        raise Refusing(f"{home} is not empty")
    progress("verified", 0, 1)
    manifest = said.check(path)
    progress("verified", 1, 1)
    _usable(manifest)
    if database and manifest.database == "sqlite":
        raise Refusing("the backup is of SQLite databases; they go into the home")
    if home_only and manifest.database == "sqlite":
        raise Refusing("the backup is of SQLite databases; without them its home is none")
    if home_only and database:
        raise Refusing("a home alone brings back no database: there is nothing to put into another")
    # Within a home that is there, which may be a disk of its own, in a folder that its user cannot write to.
    beside = home if home.exists() else home.parent
    beside.mkdir(parents=True, exist_ok=True)
    fresh = beside / f".{home.name}.{os.getpid()}.new"
    fresh.mkdir(mode=0o700)
    try:
        _unpack(path, fresh, manifest, progress)
        if manifest.database == "sqlite":
            _in_home(fresh, manifest)
        elif home_only:
            (fresh / said.DUMP).unlink()
        else:
            _on_server(fresh, database, progress)
        _synchronise(fresh)
        _become(fresh, home)
    finally:
        shutil.rmtree(
            fresh, ignore_errors=True
        )  # what was begun and not finished; else it is the home by now
    return manifest


def _become(fresh: Path, home: Path) -> None:
    """The settings last: without them it is no home, whatever ends this in the middle."""
    if fresh.parent != home:
        fresh.rename(home)
        return
    for part in sorted(fresh.iterdir(), key=lambda part: part.name == Path(CONFIG).parts[0]):
        part.rename(home / part.name)


def _usable(manifest: Manifest) -> None:
    known = migrations.known()
    if manifest.position.ledger not in known:
        raise Refusing(
            f"the backup's ledger is of schema {manifest.position.ledger}; this gateway knows {known[-1]}"
        )
    newest, found = 1 + len(office.STEPS), manifest.position.clearance
    if found > newest:
        raise Refusing(f"the office's tables are of version {found}; this gateway knows {newest}")


def _unpack(path: Path, fresh: Path, manifest: Manifest, progress: Progress) -> None:
    """Every file to its place, with the permissions it had.  What was checked is what is read: by digest."""
    digests = {member.path: member for member in manifest.members}
    with said.opened(path) as tar:
        for number, info in enumerate(tar, 1):
            file = tar.extractfile(info)
            member = digests.get(info.name)
            if file is None or member is None:
                continue
            target = _place(fresh, PurePosixPath(member.path))
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
                shutil.copyfileobj(file, written, said.PORTION)
                written.flush()
                os.fsync(written.fileno())
            with target.open("rb") as again:
                if said.digested(again) != (member.size, member.sha256):
                    raise said.Broken(f"{target}: not what the manifest says")
            target.chmod(member.mode)
            progress("files", number, len(digests))


def _place(fresh: Path, name: PurePosixPath) -> Path:
    top, *rest = name.parts
    if top == said.HOME:
        return fresh.joinpath(*rest)
    if top == said.DATABASE:
        return fresh.joinpath(*rest)
    chosen = settings.load(fresh).retention.archive
    inside = chosen and not Path(chosen).is_absolute() and ".." not in Path(chosen).parts
    return (fresh / (chosen if inside else OWN_ARCHIVES)).joinpath(*rest)


def _in_home(fresh: Path, manifest: Manifest) -> None:
    """The settings name the databases where they are now."""
    names = {PurePosixPath(member.path).name for member in manifest.members}
    one = said.CLEARANCE not in names and manifest.position.clearance
    ledger = f"sqlite:///{said.LEDGER}"
    _point(fresh, ledger, ledger if one else f"sqlite:///{said.CLEARANCE}")


def _on_server(fresh: Path, database: str, progress: Progress) -> None:
    if database:
        _point(fresh, database, database)
    server = Server(settings.load(fresh).database.ledger)
    if not server.empty():
        raise Refusing("the database holds tables already; make an empty one, and name it: --database URL")
    progress(said.DUMP, 0, 1)
    server.restore(fresh / said.DUMP)
    progress(said.DUMP, 1, 1)
    (fresh / said.DUMP).unlink()


def _point(home: Path, ledger: str, clearance: str) -> None:
    """Write both URLs into the settings.  Raises Refusing where they cannot be found there."""
    path = home / CONFIG
    now = settings.load(home).database
    if (now.ledger, now.clearance) == (ledger, clearance):
        return
    text = path.read_text("utf-8")
    for name, url in (("ledger", ledger), ("clearance", clearance)):
        line = f"{name} = {msgspec.json.encode(url).decode()}".replace("\\", r"\\")
        text, count = re.subn(rf"(?m)^[ \t]*{name}[ \t]*=.*$", line, text, count=1)
        if not count:
            text = re.sub(r"(?m)^\[database\].*$", rf"\g<0>\n{line}", text, count=1)
    path.write_text(text, "utf-8")
    set_ = settings.load(home).database
    if (set_.ledger, set_.clearance) != (ledger, clearance):
        raise Refusing(f"{CONFIG} of the backup has no line for database.ledger and database.clearance")


def _synchronise(folder: Path) -> None:
    for path in (folder, *(p for p in folder.rglob("*") if p.is_dir())):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
