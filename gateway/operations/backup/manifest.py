"""What a backup says of itself, and whether it is what it says."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

import msgspec

from gateway.evidence.entries import sha256

NAME = "MANIFEST"
SEAL = "MANIFEST.sha256"
"""The last two members of the file; the second is for `sha256sum --check`."""
FORMAT = 1
MAX_MANIFEST = 64 << 20
"""Octets: some hundred thousand files."""
PORTION = 1 << 20
"""Octets that are read at once."""

HOME, DATABASE, ARCHIVES = "home", "database", "archives"
"""Folders inside a backup."""
LEDGER, CLEARANCE, DUMP = "ledger.db", "clearance.db", "ledger.dump"
"""Files in DATABASE: one or two SQLite files, or pg_dump's."""


class Broken(Exception):
    """A file is no backup, or not a whole one; the text says why."""


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of the backup: octets, hex SHA-256, permissions it had."""

    path: str
    size: int
    sha256: str
    mode: int


class Archive(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An archive file that the ledger knows.  ``included``: it is in the backup, else it has to be elsewhere."""

    name: str
    sha256: str
    included: bool


class Position(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where ledger and journal stood.

    ``ledger``, ``clearance``: schema versions, the latter 0 where there is no office yet.  ``checkpoint``,
    ``digest``: the last one's number and the SHA-256 of its text, 0 and "" before the first.  ``entries``:
    of the journal, ``uncovered`` of them under no checkpoint yet.  ``submission``: the last one's id.
    """

    ledger: str
    clearance: int
    checkpoint: int
    digest: str
    entries: int
    uncovered: int
    submission: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that a backup holds.  ``at``: the moment it is of, ISO 8601, UTC.  ``keys``: private keys are in it.
    ``elsewhere``: paths that the settings name outside the home, which are not in it."""

    format: int
    at: str
    gateway: str
    database: str
    keys: bool
    position: Position
    members: tuple[Member, ...]
    archives: tuple[Archive, ...]
    elsewhere: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the manifest, which speaks for everything else."""
        return sha256(encoded(self))


def encoded(manifest: Manifest) -> bytes:
    """As it stands in the file."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def seal(manifest: Manifest) -> bytes:
    """What stands behind the manifest, so that a change of it is seen."""
    return f"{manifest.digest}  {NAME}\n".encode("ascii")


SPOILT = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, OverflowError)
"""What reading a spoilt file can raise."""


@contextmanager
def opened(path: Path) -> Iterator[tarfile.TarFile]:
    """A backup to read from.  Raises Broken, also for what is found inside the block; OSError."""
    try:
        with tarfile.open(path, "r:*") as tar:
            yield tar
    except SPOILT as error:
        why = str(error).partition(":\n")[0]  # what each kind of compression says of it is of no use
        raise Broken(f"{path}: not a whole backup: {why}") from error


def check(path: Path) -> Manifest:
    """Read all of a backup and compare it with its manifest.  Raises Broken, OSError."""
    found: dict[str, tuple[int, str]] = {}
    own: dict[str, bytes] = {}
    with opened(path) as tar:
        for info in tar:
            file = tar.extractfile(info)
            if file is None or not _inside(info.name) or info.name in found or info.name in own:
                raise Broken(f"{path}: {info.name} does not belong into a backup")
            if info.name in (NAME, SEAL):
                own[info.name] = file.read(MAX_MANIFEST)
            else:
                found[info.name] = digested(file)
    if own.keys() != {NAME, SEAL}:
        raise Broken(f"{path}: not a whole backup: it has no manifest")
    octets = own[NAME]
    if own[SEAL] != f"{sha256(octets)}  {NAME}\n".encode("ascii"):
        raise Broken(f"{path}: its manifest was changed")
    manifest = _decoded(path, octets)
    said = {member.path: (member.size, member.sha256) for member in manifest.members}
    if said != found:
        wrong = sorted(name for name in said.keys() | found.keys() if said.get(name) != found.get(name))
        raise Broken(f"{path}: {wrong[0]} is not what the manifest says")
    return manifest


def digested(file: IO[bytes]) -> tuple[int, str]:
    """Octets until the end, and their hex SHA-256."""
    size, digest = 0, hashlib.sha256()
    while portion := file.read(PORTION):
        size += len(portion)
        digest.update(portion)
    return size, digest.hexdigest()


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    top = path.parts[0] if path.parts else ""
    if name in (NAME, SEAL):
        return True
    return top in (HOME, DATABASE, ARCHIVES) and len(path.parts) > 1 and ".." not in path.parts


def _decoded(path: Path, octets: bytes) -> Manifest:
    try:
        manifest = msgspec.json.decode(octets, type=Manifest)
    except (msgspec.MsgspecError, ValueError) as error:
        raise Broken(f"{path}: its manifest cannot be read: {error}") from error
    if manifest.format != FORMAT:
        raise Broken(f"{path}: format {manifest.format}; this gateway knows {FORMAT}")
    return manifest
