"""SQLite as the gateway has it: a second copy of it in one process would undo the locks of the first."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, make_url

from gateway.storage.sqlite import sqlite3

__all__ = ["engine", "spoil", "sqlite3"]


def engine(url: str, **options: Any) -> Engine:
    """A plain engine, with nothing of what the gateway sets."""
    if make_url(url).get_backend_name() == "sqlite":
        options["module"] = sqlite3
    return create_engine(url, **options)


def spoil(sqlite_url: str, table: str) -> None:
    """Write over the pages of a table and of its indexes, as a disk that fails."""
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (size,) = file.execute("PRAGMA page_size").fetchone()
        query = "SELECT rootpage FROM sqlite_schema WHERE tbl_name = ? AND rootpage > 0"
        pages = [page for (page,) in file.execute(query, (table,))]
    assert pages
    with path.open("r+b") as octets:
        for page in pages:
            octets.seek((page - 1) * size)
            octets.write(os.urandom(size))
