"""The mapping tables as they ship, compiled once."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import syntax
from gateway.mapping import Mappings, load
from gateway.model.edifact import Directory, MessageTable

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def directories() -> syntax.Directories:
    return syntax.Directories.load(ROOT / "xsd/edifact")


@pytest.fixture(scope="session")
def find(directories):
    def find(type: str, version: str, release: str) -> tuple[MessageTable, Directory] | None:
        message = directories.message(type, version, release)
        directory = directories.directory(version, release)
        return None if message is None or directory is None else (message, directory)

    return find


@pytest.fixture(scope="session")
def mappings(find) -> Mappings:
    return load(ROOT / "mappings", find)
