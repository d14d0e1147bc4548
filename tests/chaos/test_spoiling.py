"""The disk that loses what was not synchronised is like one: what anybody wrote into a file is kept by whoever
synchronises it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pysqlite3 import dbapi2 as sqlite3

from tests.chaos.spoiling import Spoiler, power_cut, power_on

PAGE = 4_096
SHELL = """
import os, sys
from pysqlite3 import dbapi2 as sqlite3
path = sys.argv[1]
file = os.open(path, os.O_RDWR)
for line in sys.stdin:
    print(eval(line), flush=True)
"""


class Writer:
    """A process on the spoilt disk, with the file open as ``file``; says what an expression gives."""

    def __init__(self, path: Path, spoiler: Spoiler) -> None:
        environment = os.environ | spoiler.environment()
        self._process = subprocess.Popen(
            [sys.executable, "-c", SHELL, str(path)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, expression: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{expression}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def spoiler(tmp_path: Path) -> Spoiler:
    made = Spoiler(tmp_path, "yes")
    if not made.ready:
        pytest.skip("no C compiler")
    return made


@pytest.fixture
def process(tmp_path: Path, spoiler: Spoiler) -> Any:
    begun: list[Writer] = []

    def begin(path: Path) -> Writer:
        begun.append(Writer(path, spoiler))
        return begun[-1]

    yield begin
    for one in begun:
        one.kill()


def test_what_one_wrote_another_synchronises(tmp_path: Path, process: Callable[[Path], Writer]) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"-" * 3 * PAGE)
    power_on(tmp_path)
    one, other = process(path), process(path)
    assert (other("os.pwrite(file, b'a', 0)"), other("os.fdatasync(file)")) == ("1", "None")
    assert one(f"os.pwrite(file, b'b', {PAGE})") == "1"
    one.kill()
    assert other(f"os.pwrite(file, b'c', {2 * PAGE})") == "1"
    other("os.fsync(file)")
    other("os.pwrite(file, b'd', 1)")
    other.kill()
    power_cut(tmp_path)
    assert [path.read_bytes()[at : at + 2] for at in (0, PAGE, 2 * PAGE)] == [b"a-", b"b-", b"c-"]


def test_a_file_that_was_cut_is_cut(tmp_path: Path, process: Callable[[Path], Writer]) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"-" * 100)
    power_on(tmp_path)
    one = process(path)
    one("os.ftruncate(file, 10)")
    one("os.pwrite(file, b'a', 12)")
    one("os.fsync(file)")
    one("os.ftruncate(file, 5)")
    one.kill()
    power_cut(tmp_path)
    assert path.read_bytes() == b"-" * 10 + b"\0\0a"


def test_a_log_that_is_made_anew_is_kept_anew(tmp_path: Path, process: Callable[[Path], Writer]) -> None:
    path = tmp_path / "x.db-wal"
    path.write_bytes(b"before")
    power_on(tmp_path)
    one = process(path)
    one("os.pwrite(file, b'x', 0)")
    one("os.unlink(path)")
    one("(file := os.open(path, os.O_RDWR | os.O_CREAT))")
    one("os.pwrite(file, b'anew', 0)")
    one("os.fsync(file)")
    one.kill()
    power_cut(tmp_path)
    assert path.read_bytes() == b"anew"


def test_a_checkpoint_that_one_began_and_another_ended_survives(
    tmp_path: Path, process: Callable[[Path], Writer]
) -> None:
    """A part of the log is copied without being synchronised, as a reader still needs the rest; who copies the rest
    synchronises all of it, and begins the log anew."""
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as made:
        made.execute("PRAGMA journal_mode = wal")
        made.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, octets BLOB)")
        made.commit()
    power_on(tmp_path)
    begin = "(lite := sqlite3.connect(path, isolation_level=None)) and None"
    one, other, reader = process(path), process(path), process(path)
    for each in (one, other, reader):
        each(begin)
        each("lite.execute('PRAGMA synchronous = FULL').fetchall()")
    more = "lite.executemany('INSERT INTO t (octets) VALUES (?)', [(os.urandom(3000),)] * 50) and None"
    copy = "lite.execute('PRAGMA wal_checkpoint(PASSIVE)').fetchall()"
    other(more)
    assert other(copy).startswith("[(0,")
    other(more)
    reader("lite.execute('BEGIN').execute('SELECT count(*) FROM t').fetchall()")
    other(more)
    busy, log, copied = eval(one(copy))[0]
    assert (busy, 0 < copied < log) == (0, True)
    one.kill()
    reader("lite.execute('COMMIT') and None")
    busy, log, copied = eval(other(copy))[0]
    assert (busy, copied) == (0, log)
    other(more)
    for each in (other, reader):
        each.kill()
    power_cut(tmp_path)
    with closing(sqlite3.connect(path)) as found:
        assert found.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert found.execute("SELECT count(*) FROM t").fetchall() == [(200,)]
