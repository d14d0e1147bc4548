"""SQLite databases copied as they were at one moment, while others write them.

The gateway and the office commit in files of their own.  Copied one after the other, the office might have
forgotten a decision that the gateway has not yet.  So both are held for the blink of an eye that it takes to
begin a reading transaction in each; what these see is what a power cut would have left at that moment, and
stays so, however long the copying takes.  Meanwhile the write-ahead logs grow by whatever is written.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from gateway.storage.sqlite import sqlite3

PAGES = 1_024
"""Copied in one step: 4 MB."""
LOCK_SECONDS = 60.0
"""Until giving up on a moment at which nobody writes."""
HOLD_SECONDS = 0.5
"""The first database is held no longer for the second one's sake."""

Progress = Callable[[str, int, int], None]
"""What is being done, how much of it is done, of how much."""


class Busy(Exception):
    """Somebody writes a database without a pause, or it cannot be read; the text says which."""


@contextmanager
def one_moment(paths: Sequence[Path]) -> Iterator[list[sqlite3.Connection]]:
    """Connections that see the databases as they were at one moment, each.  Raises Busy."""
    with ExitStack() as leaving:
        seeing = [leaving.enter_context(closing(_connect(path))) for path in paths]
        holding = [leaving.enter_context(closing(_connect(path))) for path in paths]
        _hold(paths, holding)
        try:
            for connection in seeing:
                connection.execute("BEGIN")
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        finally:
            for connection in holding:
                connection.execute("ROLLBACK")
        yield seeing


def copy(source: sqlite3.Connection, target: Path, progress: Progress) -> None:
    """Write what the connection sees into a new file of mode 0600, and look whether it is sound.

    Raises Busy, OSError, sqlite3.Error.
    """
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with closing(sqlite3.connect(target, isolation_level=None)) as copied:
        # A copy that is not finished is thrown away: it needs no log of its own.
        copied.execute("PRAGMA journal_mode=OFF")
        copied.execute("PRAGMA synchronous=OFF")
        source.backup(
            copied, pages=PAGES, progress=lambda _, left, whole: progress(target.name, whole - left, whole)
        )
        copied.execute("PRAGMA journal_mode=DELETE")
        (found,) = copied.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise Busy(f"{target.name} is damaged: {found}")


def _connect(path: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=HOLD_SECONDS, isolation_level=None
        )
    except sqlite3.Error as error:
        raise Busy(f"{path}: {error}") from error


def _hold(paths: Sequence[Path], connections: Sequence[sqlite3.Connection]) -> None:
    """Begin to write in all, where everybody waits in turn; none is held while another is waited for long."""
    until = time.monotonic() + LOCK_SECONDS
    while True:
        held: list[sqlite3.Connection] = []
        try:
            for connection in connections:
                connection.execute("BEGIN IMMEDIATE")
                held.append(connection)
        except sqlite3.Error as error:
            for connection in held:
                connection.execute("ROLLBACK")
            busy = (
                isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY
            )
            if not busy or time.monotonic() > until:
                raise Busy(f"{paths[len(held)]}: {error}") from error
            time.sleep(HOLD_SECONDS / 10)
        else:
            return
