"""Towns: one for most journeys on each kind of database, others for those that end their gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.journeys.town import Town
from tests.postgres import PostgresServer

DATABASES = ("sqlite", "postgresql")
Found = Callable[[str], Town]


@pytest.fixture(scope="session")
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    """Makes towns, and ends all that run in them."""
    towns: list[Town] = []

    def make(database: str) -> Town:
        urls = ("sqlite:///ledger.db", "sqlite:///clearance.db")
        if database == "postgresql":
            server: PostgresServer = request.getfixturevalue("postgres_server")
            urls = (server.url(server.create()), server.url(server.create()))
        root: Path = tmp_path_factory.mktemp("town")
        towns.append(Town(root, *urls))
        return towns[-1]

    yield make
    for town in towns:
        town.close()


@pytest.fixture(scope="session", params=DATABASES)
def town(request: pytest.FixtureRequest, found: Found) -> Town:
    """A town with its gateway up, shared by the tests of a process."""
    made = found(request.param)
    made.gateway.start()
    return made


@pytest.fixture(params=DATABASES)
def fresh_town(request: pytest.FixtureRequest, found: Found) -> Iterator[Town]:
    """A town of the test's own, its gateway not begun."""
    made = found(request.param)
    yield made
    made.gateway.sweep()
