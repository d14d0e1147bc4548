"""Fixtures of the security room: one world of authorities and signers for the whole run."""

from __future__ import annotations

import pytest

from gateway.security import Trust
from gateway.security.certificates.authority import Authority

from .signing_kit import World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    trusted = Authority.create(folder / "authority", "Test Authority")
    stranger = Authority.create(folder / "stranger", "Other Authority")
    return World(folder, trusted, stranger)


@pytest.fixture(scope="session")
def trust(world: World) -> Trust:
    return world.trust
