"""A backup made of a home that may be serving: written under another name, read back, then named."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO

import msgspec

from gateway.operations import settings
from gateway.operations.backup import manifest as said
from gateway.operations.backup import position as positions
from gateway.operations.backup.homefiles import elsewhere, home_files
from gateway.operations.backup.manifest import Archive, Broken, Manifest, Member, Position
from gateway.operations.backup.servers import Server, Unable
from gateway.operations.backup.snapshot import Progress, copy, one_moment
from gateway.operations.settings import Settings
from gateway.operations.witnessing import FILE as WITNESS
from gateway.storage.engines import parse_url
from gateway.storage.sqlite import sqlite3

AT_ONCE = 16 << 20
"""Octets of a home's file that are read at once: it may shrink or grow while it is packed.  Larger ones are set-aside
messages, which nobody changes."""

MODE = 0o600
"""A backup holds business secrets, with or without keys."""


Add = Callable[[str, IO[bytes], os.stat_result | None], Member]
"""Puts a file into a backup: its name there, its content, and what is known of it."""


class Made(msgspec.Struct, frozen=True):
    """A backup that was written and read back."""

    file: Path
    size: int
    manifest: Manifest


class Asked(msgspec.Struct, frozen=True):
    """What is wanted: ``keys``: private keys too; ``archives``: a folder, whose archive files go in too."""

    keys: bool = False
    archives: Path | None = None


def make(home: Path, target: Path, asked: Asked, progress: Progress = lambda what, done, whole: None) -> Made:
    """Write a backup of a home to a file, or under a name of its moment into a folder.

    Raises Unable (also where there is one), Busy, Broken, OSError; then nothing is left.
    """
    chosen = settings.load(home)
    folder = target if target.is_dir() else target.parent
    if folder.resolve().is_relative_to(home.resolve()):
        raise Unable(f"{folder} is in the home: a backup has to be where the home can be lost")
    if not folder.is_dir():
        raise Unable(f"there is no folder {folder}")
    if target.exists() and not target.is_dir():
        raise Unable(f"{target} is there already, and nothing is overwritten: give it another name")
    with tempfile.TemporaryDirectory(prefix=".cvan-backup-", suffix=".new", dir=folder) as working:
        _check_links(Path(working))
        # Before the databases: a checkpoint is noted after it is stored, so they have what the note says.
        witness = _read(home / WITNESS)
        moment = _databases(home, chosen, Path(working), progress)
        name = target / f"cvan-{moment.at:%Y%m%dT%H%M%SZ}.tar" if target.is_dir() else target
        fresh = Path(working) / "backup"
        _write(fresh, _packed(name), _Work(home, chosen, asked, moment, witness), progress)
        progress("verified", 0, 1)
        manifest = said.check(fresh)
        progress("verified", 1, 1)
        _name(fresh, name)
    return Made(name, name.stat().st_size, manifest)


class _Moment(msgspec.Struct, frozen=True):
    """The databases as they were: files, and what they say."""

    at: datetime
    files: tuple[Path, ...]
    kind: str
    position: Position
    archives: tuple[Archive, ...]


def _databases(home: Path, chosen: Settings, working: Path, progress: Progress) -> _Moment:
    urls = [settings.database_url(home, url) for url in (chosen.database.ledger, chosen.database.clearance)]
    kinds = {parse_url(url).get_backend_name() for url in urls}
    if kinds == {"sqlite"}:
        return _sqlite([Path(str(parse_url(url).database)) for url in urls], working, progress)
    if len(kinds) > 1 or parse_url(urls[0]) != parse_url(urls[1]):
        raise Unable(
            "ledger and clearance are different databases, not both SQLite: nobody can copy them as of one moment; "
            "put both into one PostgreSQL database"
        )
    return _postgresql(Server(urls[0]), working, progress)


def _sqlite(paths: Sequence[Path], working: Path, progress: Progress) -> _Moment:
    ledger, office = paths
    if not ledger.exists():
        raise Unable(f"no ledger at {ledger}")
    there = [ledger] if ledger.resolve() == office.resolve() or not office.exists() else [ledger, office]
    names = (said.LEDGER, said.CLEARANCE)
    copies = tuple(working / name for name, _ in zip(names, there, strict=False))
    try:
        with one_moment(there) as seen:
            at = datetime.now(UTC)
            asks = [lambda query, c=connection: c.execute(query).fetchall() for connection in seen]
            where, archived = _where(asks[0], asks[-1], _LITE)
            for connection, path in zip(seen, copies, strict=True):
                copy(connection, path, progress)
    except sqlite3.Error as error:
        raise Unable(f"{ledger}: {error}") from error
    return _Moment(at, copies, "sqlite", where, tuple(archived))


_LITE = "SELECT 1 FROM sqlite_schema WHERE name = 'clearance_schema'"
_SERVED = "SELECT 1 FROM pg_tables WHERE tablename = 'clearance_schema'"


def _where(ledger: positions.Ask, office: positions.Ask, made: str) -> tuple[Position, list[Archive]]:
    """``made``: asks whether the office has its tables yet."""
    version_ = positions.office_version(office) if office(made) else 0
    return positions.position(ledger, version_), positions.archives(ledger)


def _postgresql(server: Server, working: Path, progress: Progress) -> _Moment:
    dump = working / said.DUMP
    progress(dump.name, 0, 1)
    with server.snapshot() as (snapshot, ask):
        at = datetime.now(UTC)
        where, archived = _where(ask, ask, _SERVED)
        server.dump(snapshot, dump)
    progress(dump.name, 1, 1)
    return _Moment(at, (dump,), "postgresql", where, tuple(archived))


class _Work(msgspec.Struct, frozen=True):
    """What goes into a backup.  ``witness``: the home's journal.json, as it was before the databases were read."""

    home: Path
    chosen: Settings
    asked: Asked
    moment: _Moment
    witness: bytes | None


def _write(fresh: Path, packed: str, work: _Work, progress: Progress) -> None:
    members: list[Member] = []
    with _tar(fresh, packed) as add:
        for path in work.moment.files:
            members.append(_added(add, f"{said.DATABASE}/{path.name}", path))
            path.unlink()  # the disk has to hold it once
        for number, path in enumerate(_files(work.home, work.chosen, work.asked), 1):
            members += _of_home(add, f"{said.HOME}/{path.relative_to(work.home)}", path)
            progress("files", number, 0)
        if work.witness is not None:
            members.append(add(f"{said.HOME}/{WITNESS}", io.BytesIO(work.witness), None))
        archives = [_archive(add, members, one, work.asked.archives) for one in work.moment.archives]
        manifest = _manifest(work, members, archives)
        add(said.NAME, io.BytesIO(said.encoded(manifest)), None)
        add(said.SEAL, io.BytesIO(said.seal(manifest)), None)


def _manifest(work: _Work, members: Sequence[Member], archives: Sequence[Archive]) -> Manifest:
    return Manifest(
        format=said.FORMAT,
        at=work.moment.at.isoformat(timespec="milliseconds"),
        gateway=version("cvan-gateway"),
        database=work.moment.kind,
        keys=work.asked.keys,
        position=work.moment.position,
        members=tuple(members),
        archives=tuple(archives),
        elsewhere=tuple(elsewhere(work.home, work.chosen)),
    )


def _added(add: Add, name: str, path: Path) -> Member:
    with path.open("rb") as file:
        return add(name, file, os.fstat(file.fileno()))


def _of_home(add: Add, name: str, path: Path) -> list[Member]:
    """A file of a home that serves, as it is at one moment; none where it went meanwhile."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_size > AT_ONCE:
                return [add(name, file, status)]
            return [add(name, io.BytesIO(file.read()), status)]
    except FileNotFoundError:
        return []


def _files(home: Path, chosen: Settings, asked: Asked) -> Iterator[Path]:
    """Of the home, without what is put away otherwise."""
    archive = chosen.retention.archive
    without = {(home / archive).resolve()} if archive else set()
    for url in (chosen.database.ledger, chosen.database.clearance):
        parsed = parse_url(settings.database_url(home, url))
        if parsed.get_backend_name() == "sqlite":
            without.add(Path(str(parsed.database)).resolve())
    without.add((home / WITNESS).resolve())
    return home_files(home, chosen, keys=asked.keys, without=frozenset(without))


def _archive(add: Add, members: list[Member], one: Archive, folder: Path | None) -> Archive:
    """Put an archive file in, where a folder is named.  Raises Broken where it is not the one that was written."""
    if folder is None:
        return one
    member = _added(add, f"{said.ARCHIVES}/{one.name}", folder / one.name)
    if member.sha256 != one.sha256:
        raise Broken(f"{folder / one.name}: not the file that was written")
    members.append(member)
    return msgspec.structs.replace(one, included=True)


@contextmanager
def _tar(fresh: Path, packed: str) -> Iterator[Add]:
    """What adds members to a file, which is on the disk when the block ends."""
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    with os.fdopen(descriptor, "wb") as file:
        options = {"compresslevel": 1} if packed else {}
        with tarfile.open(fileobj=file, mode=f"w:{packed}", format=tarfile.PAX_FORMAT, **options) as tar:  # type: ignore[call-overload]

            def add(name: str, content: IO[bytes], status: os.stat_result | None) -> Member:
                info = tarfile.TarInfo(name)
                info.mode = MODE if status is None else status.st_mode & 0o777
                info.mtime = 0 if status is None else int(status.st_mtime)
                info.size = len(content.getbuffer()) if isinstance(content, io.BytesIO) else status.st_size  # type: ignore[union-attr]
                passing = _Hashed(content)
                tar.addfile(info, passing)
                return Member(name, info.size, passing.digest.hexdigest(), info.mode)

            yield add
        file.flush()
        os.fsync(file.fileno())


class _Hashed(io.RawIOBase):
    """Hashes what is read through it."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        octets = self._content.read(size)
        self.digest.update(octets)
        return octets


def _packed(name: Path) -> str:
    """How tarfile calls the compression that a name asks for."""
    return "gz" if name.name.endswith((".gz", ".tgz")) else ""


def _check_links(working: Path) -> None:
    """Say before an hour of dumping, and not after it, that the backup could get no name.  Raises Unable."""
    one = working / "link"
    one.touch()
    try:
        os.link(one, working / "linked")
    except OSError as error:
        raise Unable(
            f"{working.parent}: no hard links there ({error.strerror}), by which a whole backup gets its name and "
            "never another's; make it on a disk of this machine, and copy it"
        ) from error


def _name(fresh: Path, name: Path) -> None:
    """Give a whole backup its name, for good.  Raises Unable where one has it: none is ever replaced."""
    try:
        os.link(fresh, name)
    except FileExistsError as error:
        raise Unable(f"{name} is there by now, and nothing is overwritten: begin again") from error
    folder = os.open(name.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
