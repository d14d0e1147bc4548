"""Where the files go: into the wheel, for who installs; never into a home."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.operations import home as homes
from tests.deploy.files import DEPLOY, ROOT

WORDS = re.compile(r"(?i)\b(todo|fixme|change[-_ ]?me|localhost\.localdomain)\b")


def test_a_home_has_none_of_it(tmp_path: Path) -> None:
    homes.create(tmp_path / "home", development=False)
    assert (tmp_path / "home" / "conf" / "gateway.toml").exists()
    assert not (tmp_path / "home" / "conf" / "deploy").exists()


def test_who_installs_has_all_of_it() -> None:
    assert homes.shipped() == ROOT
    assert DEPLOY.is_relative_to(homes.shipped() / "conf")


def test_nothing_secret_and_nothing_unfinished_lies_here() -> None:
    files = [p for p in DEPLOY.rglob("*") if p.is_file()]
    assert len(files) > 15
    for path in files:
        text = path.read_text("utf-8")
        assert "PRIVATE KEY" not in text, path
        assert not WORDS.search(text), path
        assert all(len(line) <= 200 or path.suffix in (".json", ".yml") for line in text.splitlines()), path
