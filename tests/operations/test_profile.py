"""A country's rules, chosen by a setting; and files of the home that are named where they are broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway import handbook
from gateway.operations import settings
from tests.operations.conftest import SAMPLES
from tests.operations.knowledge import ROOT
from tests.operations.shell import cvan

Rewrite = Callable[[str, str, str], None]
IMPORT = SAMPLES / "wco" / "import.xml"


def test_a_profile_brings_its_rules() -> None:
    general = {rule.name for rule in handbook.load(ROOT).rulebook.describe()}
    special = {rule.name for rule in handbook.load(ROOT, profile="vn").rulebook.describe()}
    assert special - general >= {"vn-commodity-code", "vn-items"}


def test_the_setting_chooses_it_for_the_server_and_for_checks(home: Path, rewrite: Rewrite) -> None:
    plain = settings.handbook(home, settings.load(home)).rulebook.describe()
    rewrite("conf/gateway.toml", 'profile = ""', 'profile = "vn"')
    chosen = settings.handbook(home, settings.load(home)).rulebook.describe()
    assert len(chosen) > len(plain)
    assert cvan("check", IMPORT, home=home).code in (0, 1)


@pytest.mark.parametrize(("name", "named"), [("xx", "xx.toml"), ("../vn", "rules.profile")])
def test_a_profile_that_is_not_there_is_named(home: Path, rewrite: Rewrite, name: str, named: str) -> None:
    rewrite("conf/gateway.toml", 'profile = ""', f'profile = "{name}"')
    said = cvan("check", IMPORT, home=home)
    assert (said.code, named in said.err) == (2, True)


@pytest.mark.parametrize("spoiled", ["[received", '[received]\nfunction = 1\nstatus = "x"'])
def test_broken_sayings_are_named(home: Path, spoiled: str) -> None:
    (home / "mappings" / "profiles" / "decisions.toml").write_text(spoiled, "utf-8")
    said = cvan("check", IMPORT, home=home)
    assert (said.code, "decisions.toml: " in said.err) == (2, True)


def test_a_folder_that_is_no_home_is_called_so(tmp_path: Path) -> None:
    said = cvan("check", IMPORT, home=tmp_path / "nohome")
    assert (said.code, "is not a home" in said.err) == (2, True)


def test_an_office_whose_database_is_away_says_why(home: Path, rewrite: Rewrite) -> None:
    away = "postgresql+psycopg://cvan:secret@127.0.0.1:1/cvan"
    rewrite("conf/gateway.toml", "sqlite:///clearance.db", away)
    said = cvan("office", "list", home=home)
    assert (said.code, "port 1 failed" in said.err, "secret" in said.err) == (2, True, False)
