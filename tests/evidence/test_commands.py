"""The commands: bundles, the journal and archives, on a home as an operator has it."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.operations import settings
from gateway.security import SigningKey
from tests.operations.shell import cvan

from .kit import Stage, stage

pytestmark = pytest.mark.skipif(
    not (shutil.which("openssl") and shutil.which("xmlsec1")), reason="openssl and xmlsec1 are not installed"
)


@pytest.fixture
def made(tmp_path: Path) -> Stage:
    """A stage whose home has the ledger and the key of its gateway."""
    made = stage(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}")
    home = made.town.home
    own = home / "keystore" / "own"
    for name in ("signing.key.pem", "signing.crt.pem"):
        shutil.copy(tmp_path / "own" / name, own / name)
        (own / name).chmod(0o600)
    path = home / "conf" / "gateway.toml"
    text = path.read_text("utf-8").replace("sqlite:///ledger.db", made.url)
    path.write_text(text, "utf-8")
    assert settings.load(home).database.ledger == made.url
    return made


def test_from_a_reference_to_a_verified_bundle(made: Stage, tmp_path: Path) -> None:
    home, one = made.town.home, made.day()
    bundle = tmp_path / "bundle.zip"
    made_by = cvan("evidence", "E0000001", "-o", bundle, "--json", home=home)
    assert made_by.code == 0, made_by.err
    assert made_by.json()["submission"] == one
    verified = cvan("evidence", "verify", bundle, "--trust", made.authority.certificate_path)
    assert (verified.code, verified.text.splitlines()[-1]) == (0, "VERIFIED")
    assert cvan("evidence", "verify", bundle, "--json", home=home).json()["code"] == 0
    for identity in (f"{one}.1", f"{one}.r", f"D-{one}-registered", f"{one}.1.D-{one}-registered.d"):
        assert cvan("evidence", "make", identity, "-o", bundle, home=home).code == 0
    octets = bytearray(bundle.read_bytes())
    octets[octets.index(b"Portable")] ^= 1
    bundle.write_bytes(bytes(octets))
    spoilt = cvan("evidence", "verify", bundle)
    assert spoilt.code == 1
    assert "submission/body" in spoilt.text or "declaration.json" in spoilt.text


def test_what_is_unknown_is_said(made: Stage, tmp_path: Path) -> None:
    said = cvan("evidence", "nobody", "-o", tmp_path / "x.zip", home=made.town.home)
    assert (said.code, said.err) == (2, "cvan: nothing is known of nobody\n")
    assert not (tmp_path / "x.zip").exists()
    (tmp_path / "x.zip").write_bytes(b"not a bundle")
    other = cvan("evidence", "verify", tmp_path / "x.zip")
    assert (other.code, "no ZIP file" in other.text) == (1, True), other.text


def test_the_journal_verified_and_witnessed(made: Stage) -> None:
    home = made.town.home
    made.day()
    covered = cvan("journal", "checkpoint", home=home)
    witness = covered.text.splitlines()[0]
    assert cvan("journal", "verify", "--witness", witness, home=home).code == 0
    told = cvan("journal", "verify", "--json", home=home).json()
    assert (told["breaches"], told["uncovered"]) == ([], 0)
    number = witness.partition(":")[0]
    gone = cvan("journal", "verify", "--witness", f"{number}:{'0' * 64}", home=home)
    assert gone.code == 1
    assert f"checkpoint {number}: not the one" in gone.text
    made.ledger._write(lambda c: c.exec_driver_sql("UPDATE outgoing SET body = x'00'"))
    spoilt = cvan("journal", "verify", home=home)
    assert spoilt.code == 1
    assert "is not as it was sent" in spoilt.text


def test_a_new_key_is_the_same_gateway_and_a_stranger_s_is_not(made: Stage, tmp_path: Path) -> None:
    home = made.town.home
    made.day()
    made.seal()
    again = made.issue("Gateway signing", tmp_path / "again")
    made.day()
    made.ledger.cover(again, made.tick())
    assert cvan("journal", "verify", home=home).code == 0
    stranger: SigningKey = made.issue("Somebody else", tmp_path / "stranger")
    made.day()
    made.ledger.cover(stranger, made.tick())
    said = cvan("journal", "verify", home=home)
    assert said.code == 1
    assert "signed by a stranger" in said.text


def test_archive_and_back(made: Stage, tmp_path: Path) -> None:
    home, folder = made.town.home, tmp_path / "archive"
    made.now = datetime(made.now.year, made.now.month, made.now.day, tzinfo=UTC)
    one = made.submit(*made.declaration())
    made.deliver()
    early = cvan("archive", "--before", "2001-01-01", "--to", folder, "--json", home=home)
    assert early.json()["archived"] == 0
    assert "in the future" in cvan("archive", "--before", "2999-01-01", "--to", folder, home=home).err
    made.ledger._write(lambda c: c.exec_driver_sql("SELECT 1"))
    assert "say where" in cvan("archive", "--before", "2001-01-01", home=home).err
    today = cvan("archive", "--before", f"{datetime.now(UTC):%Y-%m-%d}", "--to", folder, home=home)
    assert today.code == 0
    assert one
    assert cvan("archive", "list", home=home).code == 0
    assert cvan("archive", "verify", "--from", folder, home=home).code == 0
    unknown = cvan("archive", "restore", "nobody", "--from", folder, home=home)
    assert "is in no archive" in unknown.err
