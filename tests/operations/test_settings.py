"""The settings of a home: read whole, refused whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.operations import settings

Rewrite = Callable[[str, str, str], None]
FILE = "conf/gateway.toml"


def test_what_is_shipped_says_every_default(home: Path) -> None:
    assert settings.load(home) == settings.Settings()


def test_an_empty_file_is_every_default(home: Path) -> None:
    (home / FILE).write_text("", "utf-8")
    assert settings.load(home) == settings.Settings()


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("port = 8443", 'port = "8443"', "listen.port"),
        ("port = 8443", "prot = 8443", "prot"),
        ("[listen]", "[lisen]", "lisen"),
        ('engine = "fast"', 'engine = "slow"', "proof.engine"),
        ("max_batch = 100", "max_batch = ", "line"),
    ],
)
def test_a_fault_is_named(home: Path, rewrite: Rewrite, old: str, new: str, named: str) -> None:
    rewrite(FILE, old, new)
    with pytest.raises(settings.BadSettings) as refused:
        settings.load(home)
    assert named in str(refused.value)
    assert str(home / FILE) in str(refused.value)


def test_a_file_that_is_no_text_is_named(home: Path) -> None:
    (home / FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(settings.BadSettings, match=FILE):
        settings.load(home)


def test_a_folder_that_is_no_home_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(settings.BadSettings, match=f"cvan init {tmp_path}"):
        settings.load(tmp_path)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///ledger.db", "sqlite:///{home}/ledger.db"),
        ("sqlite:///data/ledger.db", "sqlite:///{home}/data/ledger.db"),
        ("sqlite:////var/lib/ledger.db", "sqlite:////var/lib/ledger.db"),
        ("postgresql+psycopg://cvan@db/cvan", "postgresql+psycopg://cvan@db/cvan"),
    ],
)
def test_relative_databases_are_inside_the_home(tmp_path: Path, url: str, expected: str) -> None:
    assert settings.database_url(tmp_path, url) == expected.format(home=tmp_path)


def test_a_relative_home_makes_an_absolute_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert settings.database_url(Path("home"), "sqlite:///l.db") == f"sqlite:///{tmp_path}/home/l.db"


def test_the_policy_has_the_engine(home: Path, rewrite: Rewrite) -> None:
    rewrite(FILE, 'engine = "fast"', 'engine = "both"')
    assert settings.policy(settings.load(home)).engine == "both"


def test_the_signing_key_must_be_private(home: Path) -> None:
    chosen = settings.load(home)
    assert settings.signing_key(home, chosen).signer.subject.startswith("CN=Gateway signing")
    (home / chosen.keys.signing_key).chmod(0o644)
    with pytest.raises(ValueError, match="0644"):
        settings.signing_key(home, chosen)
