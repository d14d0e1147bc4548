"""Homes: made whole, never over another, private where it must be."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest

from gateway import handbook, security
from gateway.model import Partner, Role
from gateway.operations import home as homes
from gateway.operations import settings

TRADER = Partner("anphat", 'Công ty "An Phát", Đà Nẵng + Huế', (Role.TRADER,))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_home_has_all_that_a_gateway_needs(made_home: Path) -> None:
    book = handbook.load(made_home)
    assert book.mappings.names()
    assert book.sayings["received"].text
    assert settings.signing_key(made_home, settings.load(made_home))
    for room in homes.ROOMS:
        assert (made_home / room).is_dir()
        assert not list((made_home / room).rglob("__pycache__"))


def test_keys_are_private(made_home: Path) -> None:
    keys = [p for p in made_home.rglob("*.key*") if p.is_file()]
    assert len(keys) == 3
    assert {mode(p) for p in keys} == {0o600}
    assert {mode(made_home / f) for f in ("keystore", "keystore/own", "keystore/trust")} == {0o700}


def test_a_home_is_never_made_over_another(made_home: Path, tmp_path: Path) -> None:
    with pytest.raises(homes.NotEmpty):
        homes.create(made_home)
    (tmp_path / "empty").mkdir()
    homes.create(tmp_path / "empty", development=False)
    with pytest.raises(homes.NotEmpty):
        homes.create(tmp_path / "empty", development=False)


def test_without_development_there_is_no_key_and_no_anchor(tmp_path: Path) -> None:
    homes.create(tmp_path / "home", development=False)
    assert not list((tmp_path / "home").rglob("*.key.pem"))
    assert not list((tmp_path / "home" / "keystore" / "trust").glob("*.pem"))
    with pytest.raises(FileNotFoundError):
        homes.authority(tmp_path / "home")


def test_a_partner_s_folder_is_enough_to_be_a_client(made_home: Path, tmp_path: Path) -> None:
    subject = homes.issue_partner(made_home, TRADER, tmp_path / "anphat")
    assert {p.name for p in (tmp_path / "anphat").iterdir()} == {
        "authority.pem",
        "partner.toml",
        "signing.crt.pem",
        "signing.key.pem",
        "tls.crt.pem",
        "tls.key.pem",
    }
    told = tomllib.loads((tmp_path / "anphat" / "partner.toml").read_text("utf-8"))
    assert told == {"id": "anphat", "url": "https://localhost:8443"}
    folder = tmp_path / "anphat"
    key = security.SigningKey.load(folder / "signing.key.pem", folder / "signing.crt.pem")
    assert key.signer.subject == subject


def test_a_subject_holds_any_name(made_home: Path, tmp_path: Path) -> None:
    subject = homes.subject(TRADER.name, TRADER.id, "VN")
    key, certificate = tmp_path / "k.pem", tmp_path / "c.pem"
    homes.authority(made_home).issue(subject, key, certificate, algorithm="p256")
    assert security.SigningKey.load(key, certificate).signer.subject == subject


def test_a_long_name_is_cut_to_what_a_certificate_holds() -> None:
    """64 octets, and never within a letter."""
    assert homes.subject("A" * 200, "x", "VN").startswith(f"CN={'A' * 64},")
    assert homes.subject("Aă" * 200, "x", "VN").startswith(f"CN={'Aă' * 21}A,")
