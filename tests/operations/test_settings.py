"""The settings of a home: read whole, refused whole."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from gateway import safexml, security
from gateway.operations import home as homes
from gateway.operations import settings
from gateway.security import SigningKey
from gateway.syntax import EdifactLimits
from tests.operations.knowledge import NOW, TRADER, declaration, manifest
from tests.operations.shell import cvan

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
    (home / chosen.keys.own / "signing.key.pem").chmod(0o644)
    with pytest.raises(ValueError, match="0644"):
        settings.signing_key(home, chosen)


def test_every_bound_of_an_interchange_can_be_set(home: Path) -> None:
    """Whatever fields the reader's bounds have: the file that is shipped names each."""
    path = home / "conf" / "gateway.toml"
    shipped = tomllib.loads(path.read_text("utf-8"))["edifact"]
    assert shipped == msgspec.structs.asdict(EdifactLimits())
    chosen = {name: bound - 1 for name, bound in shipped.items()}
    path.write_text("[edifact]\n" + "".join(f"{n} = {b}\n" for n, b in chosen.items()), "utf-8")
    book = settings.handbook(home, settings.load(home))
    assert msgspec.structs.asdict(book.edifact_limits) == chosen


def test_a_check_goes_by_the_bounds_of_the_home(home: Path, rewrite: Rewrite, tmp_path: Path) -> None:
    file = tmp_path / "manifest.edi"
    file.write_bytes(manifest())
    assert cvan("check", file, home=home).code == 0
    rewrite("conf/gateway.toml", "\nsegments = 1000000\n", "\nsegments = 5\n")
    said = cvan("check", file, home=home)
    assert (said.code, "EDI116" in said.text) == (1, True)


def test_trust_is_one_setting_for_connections_and_signatures(
    home: Path, rewrite: Rewrite, tmp_path: Path
) -> None:
    """Anchors that are moved count in the new place, and no longer in the old."""
    subject = homes.issue_partner(home, TRADER, tmp_path / "anphat")
    key = SigningKey.load(tmp_path / "anphat" / "signing.key.pem", tmp_path / "anphat" / "signing.crt.pem")
    signed = security.sign_xml(safexml.parse(declaration()), key, NOW)

    def signer() -> str:
        book = settings.handbook(home, settings.load(home))
        return security.verify(signed, "application/xml", book.trust, book.policy, NOW).signer.subject

    assert signer() == subject
    (home / "anchors").mkdir()
    for anchor in (home / "keystore" / "trust").glob("*.pem"):
        anchor.rename(home / "anchors" / anchor.name)
    with pytest.raises((ValueError, security.Refused)):
        signer()
    rewrite("conf/gateway.toml", 'trust = "keystore/trust"', 'trust = "anchors"')
    assert signer() == subject
    (tmp_path / "signed.xml").write_bytes(signed)
    assert cvan("verify", tmp_path / "signed.xml", home=home).code == 0
