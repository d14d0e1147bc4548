"""A home for the commands, made once, and copies for tests that change it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.operations import home as homes

SAMPLES = Path(__file__).resolve().parents[1] / "samples"


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A development home that no test changes."""
    home = tmp_path_factory.mktemp("home") / "home"
    homes.create(home)
    return home


@pytest.fixture
def home(made_home: Path, tmp_path: Path) -> Path:
    """A development home of the test's own."""
    return Path(shutil.copytree(made_home, tmp_path / "home"))


@pytest.fixture
def rewrite(home: Path) -> Callable[[str, str, str], None]:
    """Changes a text in a file of the home."""

    def change(name: str, old: str, new: str) -> None:
        path = home / name
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")

    return change
