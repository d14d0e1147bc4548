"""Which files of a home are put away: all but what a run leaves, databases, and keys that nobody asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from gateway.operations.settings import Settings

PASSING = ("run", "spool")
"""Folders of the home that a run leaves."""
PASSING_SUFFIXES = (".log", ".db", "-wal", "-shm", "-journal", ".new")
PUBLIC = (".crt.pem", ".csr.pem", "keys.toml")
"""What of the folder of own keys tells no secret."""
KEY_SUFFIXES = (".key", ".p12", ".pfx", ".pgpass")
PASSWORDS = (".pgpass", "pgpass")
"""Where PostgreSQL's clients find theirs."""
MARK = b"PRIVATE KEY-----"
"""In every PEM file with a private key, encrypted or not."""
HEAD = 1 << 20
"""Octets in which the mark is looked for: no PEM file is larger."""


def home_files(home: Path, chosen: Settings, *, keys: bool, without: frozenset[Path]) -> Iterator[Path]:
    """Paths of files, through links; ``keys``: private keys too; ``without``: other paths to leave out."""
    own = (home / chosen.keys.own).resolve()
    named = frozenset((home / n).resolve() for n in (chosen.publish.key, chosen.publish.credentials) if n)
    for path in _walk(home, set()):
        real = path.resolve()
        if path.relative_to(home).parts[0] in PASSING or path.name.endswith(PASSING_SUFFIXES):
            continue
        if any(real.is_relative_to(other) for other in without):
            continue
        try:
            if keys or not secret(path, own, named):
                yield path
        except FileNotFoundError:
            continue  # it went meanwhile, as what was set aside does


def secret(path: Path, own: Path, named: frozenset[Path] = frozenset()) -> bool:
    """True where a file is, or may be, a private key, or is ``named`` as one or as a password.  Raises OSError."""
    if path.resolve() in named:
        return True
    if path.resolve().is_relative_to(own) or path.parent.resolve().is_relative_to(own):
        return not path.name.endswith(PUBLIC)
    if path.suffix.lower() in KEY_SUFFIXES or path.name in PASSWORDS:
        return True
    with path.open("rb") as file:
        return MARK in file.read(HEAD)


def elsewhere(home: Path, chosen: Settings) -> list[str]:
    """What the settings name outside the home: somebody else has to put it away."""
    keys, broker = chosen.keys, chosen.publish
    named = (
        *(keys.own, keys.trust, keys.push_trust, chosen.retention.archive),
        *(broker.trust, broker.certificate, broker.key, broker.credentials),
    )
    return sorted({name for name in named if name and not _within(home, home / name)})


def _within(home: Path, path: Path) -> bool:
    return path.absolute().is_relative_to(home.absolute())


def _walk(folder: Path, met: set[Path]) -> Iterator[Path]:
    """Regular files below a folder, each folder once, whatever links there are."""
    real = folder.resolve()
    if real in met:
        return
    met.add(real)
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.is_dir():
            yield from _walk(Path(entry.path), met)
        elif entry.is_file():
            yield Path(entry.path)
