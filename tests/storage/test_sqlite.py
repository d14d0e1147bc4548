"""The SQLite that everything runs on: one that several processes may write and checkpoint at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from adapters.clearance.books import Books
from gateway.storage.engines import sqlite_engine
from gateway.storage.sqlite import SOUND, require_sound
from tests.sqlite import sqlite3

VERSION = "SELECT sqlite_version()"
WRITERS = 4
SECONDS = 60


def test_the_ledger_and_the_office_run_on_a_sound_one(tmp_path: Path) -> None:
    for engine in (
        sqlite_engine(f"sqlite:///{tmp_path}/a.db"),
        Books(f"sqlite:///{tmp_path}/b.db").engine,
    ):
        with engine.connect() as connection:
            said: str = connection.exec_driver_sql(VERSION).scalar_one()
        engine.dispose()
        assert tuple(map(int, said.split("."))) >= SOUND


def test_nothing_brings_a_second_one_into_the_process() -> None:
    names = "import sys, gateway.operations.cli, adapters.clearance.books; print('_sqlite3' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", names], capture_output=True, check=True, text=True)
    assert said.stdout == "False\n"


def test_one_that_can_spoil_a_ledger_is_refused() -> None:
    with pytest.raises(ValueError, match=r"SQLite 3\.51\.2, which can spoil .* 3\.51\.3 or later"):
        require_sound((3, 51, 2))
    require_sound((3, 51, 3))


@pytest.mark.long
def test_processes_that_stand_still_at_any_moment_spoil_nothing(tmp_path: Path) -> None:
    """Writers that checkpoint after nearly each commit, each stopped again and again for a few milliseconds: with
    SQLite 3.40.1 one run of three ends with a file that is malformed."""
    with closing(sqlite3.connect(tmp_path / "a.db")) as made:
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("CREATE TABLE t (who TEXT, n INT, body TEXT, UNIQUE (who, n))")
        made.execute("CREATE INDEX i ON t (body)")
    command = [sys.executable, "-c", _WRITER, str(tmp_path / "a.db"), str(SECONDS)]
    writers = [
        subprocess.Popen([*command, str(n)], stdout=subprocess.PIPE, text=True) for n in range(WRITERS)
    ]
    chance, end = random.Random(7), time.monotonic() + SECONDS
    while time.monotonic() < end and all(w.poll() is None for w in writers):
        stopped = chance.choice(writers).pid
        os.kill(stopped, signal.SIGSTOP)
        time.sleep(chance.uniform(0.0005, 0.004))
        os.kill(stopped, signal.SIGCONT)
        time.sleep(chance.uniform(0, 0.0005))
    wrote = [int(writer.communicate()[0]) for writer in writers]
    with closing(sqlite3.connect(tmp_path / "a.db")) as found:
        assert found.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        kept = found.execute("SELECT count(*), max(n) FROM t GROUP BY who ORDER BY who").fetchall()
    assert kept == [(n, n) for n in wrote]


_WRITER = """
import random, sys, time
from gateway.storage.sqlite import sqlite3

made = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
made.execute("PRAGMA synchronous=OFF")
made.execute("PRAGMA wal_autocheckpoint=4")
end, n = time.monotonic() + float(sys.argv[2]), 0
while time.monotonic() < end:
    made.execute("BEGIN IMMEDIATE")
    body = random.randbytes(16).hex() * random.choice((1, 30))
    made.execute("INSERT INTO t VALUES (?, ?, ?)", (sys.argv[3], n + 1, body))
    made.execute("COMMIT")
    n += 1
    if n % 5 == 0:
        made.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
print(n)
"""
