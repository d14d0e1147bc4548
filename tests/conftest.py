"""Databases for tests: a SQLite file each, and a PostgreSQL server of our own; and which tests come first."""

from __future__ import annotations

import gc
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.storage import Ledger, migrate
from tests.operations.knowledge import World
from tests.postgres import PostgresServer, postgres_or_skip

# A shell without job control starts background commands with SIGINT ignored, and their children inherit it:
# tests that interrupt a command would then prove nothing.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


gc.disable()  # until all is collected: walking what stays for good is half of what collecting takes

FIRST = ("tests/chaos/", "tests/drills/", "tests/journeys/test_crash.py", "tests/journeys/", "tests/long/")
"""What begins processes and takes longest.  One worker has it, one after the other: they load the machine, and
have bounds of time, so they do better beside small tests than beside each other.  The other worker begins with
the small ones, and takes from the first one's when it is through."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first; else the order stays."""

    def place(item: pytest.Item) -> int:
        found = (n for n, path in enumerate(FIRST) if item.nodeid.startswith(path))
        return next(found, len(FIRST))

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """What was collected stays: the collector need not walk it again and again."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server per test process.  Tests end it, if at all, by signals: what it wrote outlives that without
    fsync, as it does not outlive a power cut."""
    server = PostgresServer(postgres_or_skip(), fsync=False)
    yield server
    server.close()


@pytest.fixture(scope="session")
def _migrated_postgres(postgres_server: PostgresServer) -> str:
    name = postgres_server.create()
    migrate(postgres_server.url(name))
    return name


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "template.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, _migrated_sqlite: Path) -> str:
    """A ledger of this test's own, empty, in a SQLite file."""
    path = tmp_path / "ledger.db"
    shutil.copy(_migrated_sqlite, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, _migrated_postgres: str) -> Iterator[str]:
    """A ledger of this test's own, empty, on PostgreSQL."""
    name = postgres_server.create(_migrated_postgres)
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A ledger of this test's own, empty, once on each database."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
def ledger(database_url: str) -> Iterator[Ledger]:
    """An open ledger of this test's own, empty, once on each database."""
    opened = Ledger.open(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Partners with keys and a handbook that knows them, for all tests of a module."""
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any table, once on each database (on SQLite: without a file)."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'bare.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create()
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def python() -> str:
    """The interpreter for child processes."""
    return sys.executable
