"""The commands on partners, mandates and cases that docs/operator.md shows, run in a home of their own."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from gateway.operations import home as homes
from tests.docs.pages import DOCS, commands
from tests.operations.shell import Said, cvan

PAGES = (DOCS / "operator.md", DOCS / "office.md")
MADE_UP = "vanlink.anphat.1a2b3c4d"
"""The page's mandate; a real one's last part is drawn at random."""


def shown(*beginnings: str) -> list[list[str]]:
    """The pages' commands that begin so, as words behind ``cvan``."""
    told = tuple(f"cvan {b}" for b in beginnings)
    lines = [line for page in PAGES for line in commands(page) if line.startswith(told)]
    assert lines
    return [shlex.split(line)[1:] for line in lines]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("operator") / "home"
    homes.create(folder)
    return folder


@pytest.fixture(scope="module")
def said(home: Path) -> dict[str, Said]:
    """What each command on partners and mandates did, by its first two words and what they are about."""
    done: dict[str, Said] = {}
    for words in shown("partner", "mandate"):
        if MADE_UP in words:
            (mandate,) = cvan("mandate", "list", "--json", home=home).json()
            words = [mandate["id"] if word == MADE_UP else word for word in words]
        done[" ".join(words[:3])] = cvan(*words, home=home)
    return done


def test_every_command_works(said: dict[str, Said]) -> None:
    assert {name: (s.code, s.err) for name, s in said.items()} == dict.fromkeys(said, (0, ""))


def test_a_partner_is_proven_by_all_its_subjects(said: dict[str, Said]) -> None:
    assert said["partner add anphat"].text.count("proven by CN=An Phat") == 2
    assert "0100109106" in said["partner show anphat"].text


def test_a_mandate_is_made_listed_and_revoked(said: dict[str, Said], home: Path) -> None:
    assert "vanlink may file for anphat" in said["mandate add vanlink"].text
    assert "IM,EX" in said["mandate list"].text
    (mandate,) = cvan("mandate", "list", "--json", home=home).json()
    assert mandate["revoked_at"]


def test_the_desk_opens(home: Path) -> None:
    (words,) = shown("office list")
    assert cvan(*words, home=home).code == 0


def test_a_wrong_home_is_told_as_the_page_says(tmp_path: Path) -> None:
    assert "is not a home" in cvan("partner", "list", home=tmp_path / "none").err
