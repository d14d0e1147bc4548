"""SQLite as the gateway has it: a second copy of it in one process would undo the locks of the first."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, create_engine, make_url

from gateway.storage.sqlite import sqlite3

__all__ = ["engine", "sqlite3"]


def engine(url: str, **options: Any) -> Engine:
    """A plain engine, with nothing of what the gateway sets."""
    if make_url(url).get_backend_name() == "sqlite":
        options["module"] = sqlite3
    return create_engine(url, **options)
