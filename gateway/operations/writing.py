"""Files that are whole or not there at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path


def write_whole(path: Path, pieces: Iterable[bytes], mode: int = 0o600) -> str:
    """Write a file piece by piece and durably, and give it its name in the end; the hex SHA-256 of it.

    ``mode``: as for open, less what the process masks.  Raises OSError, and what making the pieces raises; then what
    there was under the name stays as it was.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    digest = hashlib.sha256()
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                digest.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        rename_durably(fresh, path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    return digest.hexdigest()


def rename_durably(file: Path, path: Path) -> None:
    """Give a file another name in its folder.  Raises OSError."""
    file.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def digest_of(path: Path) -> str:
    """The hex SHA-256 of a file.  Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
