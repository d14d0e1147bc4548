"""The SQLite that everything here runs on: the one of the package pysqlite3, never the system's.

Until 3.51.3, and so in the SQLite of most systems, a database that several connections write and checkpoint at the
same moment can lose what was committed and be spoilt: a checkpoint that began before the write-ahead log was begun
anew takes pages of the new log for copied.  Two copies of SQLite in one process would undo each other's locks,
so nobody here imports ``sqlite3`` of the standard library (docs/decisions/0037).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3  # noqa: TID251 - its types
else:
    from pysqlite3 import dbapi2 as sqlite3

__all__ = ["SOUND", "require_sound", "sqlite3"]

SOUND = (3, 51, 3)
"""The first version whose checkpoints heed a log that was begun anew meanwhile."""


def require_sound(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> None:
    """Raises ValueError where the package was built with an SQLite that can spoil a ledger."""
    if version < SOUND:
        said, needed = (".".join(map(str, v)) for v in (version, SOUND))
        raise ValueError(
            f"pysqlite3 was built with SQLite {said}, which can spoil a database that several processes write; "
            f"install one with {needed} or later (its wheels from the package index have that)"
        )
