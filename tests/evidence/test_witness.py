"""Whoever has the database and nothing else cannot write another past, however well its hashes fit."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.evidence import merkle
from gateway.evidence.checkpoints import previous_of, read_checkpoint
from gateway.evidence.entries import FIRST, entry_hash, sha256
from gateway.evidence.signatures import completed
from gateway.security import SigningKey
from tests.operations.shell import cvan
from tests.sqlite import sqlite3

from .kit import AN_PHAT, Stage, stage


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A home with some days behind it, all covered."""
    root = tmp_path_factory.mktemp("witness")
    made = stage(root, f"sqlite:///{root / 'ledger.db'}", datetime.now(UTC) - timedelta(minutes=5))
    own = made.town.home / "keystore" / "own"
    for name in ("signing.key.pem", "signing.crt.pem"):
        shutil.copy(root / "own" / name, own / name)
        (own / name).chmod(0o600)
    made.day()
    made.day()
    made.ledger.close()
    shutil.copy(root / "ledger.db", made.town.home / "ledger.db")
    for act in ("suspend", "resume"):
        assert cvan("journal", "checkpoint", home=made.town.home).code == 0
        assert cvan("partner", act, AN_PHAT.id, home=made.town.home).code == 0
    assert cvan("journal", "checkpoint", home=made.town.home).code == 0
    return made


@pytest.fixture
def home(lived: Stage, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt."""
    shutil.copytree(lived.town.home, tmp_path / "home")
    return tmp_path / "home"


def forge(file: sqlite3.Connection) -> None:
    """Another decision, and every entry's hash as it follows from that."""
    chain, seq, entry = file.execute(
        """SELECT chain, seq, entry FROM journal WHERE entry LIKE '%"kind":"decided"%'"""
    ).fetchone()
    told = json.loads(entry)
    told["of"]["note"] = "forged"
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=False)
    file.execute("UPDATE journal SET entry = ? WHERE chain = ? AND seq = ?", (text, chain, seq))
    for (one,) in file.execute("SELECT DISTINCT chain FROM journal").fetchall():
        head = FIRST
        rows = file.execute("SELECT seq, entry FROM journal WHERE chain = ? ORDER BY seq", (one,)).fetchall()
        for number, line in rows:
            head = entry_hash(head, line)
            file.execute("UPDATE journal SET hash = ? WHERE chain = ? AND seq = ?", (head, one, number))


def sign_again(file: sqlite3.Connection, key: ec.EllipticCurvePrivateKey, chain: list[bytes]) -> None:
    """Every checkpoint over the forged entries, signed by this key."""
    digests = [sha256(der) for der in chain]
    for der, digest in zip(chain, digests, strict=True):
        file.execute("INSERT OR IGNORE INTO exhibit VALUES (?, ?)", (digest, der))
    previous = None
    for number, text in file.execute("SELECT number, text FROM checkpoint ORDER BY number").fetchall():
        told = read_checkpoint(text)
        leaves, spans = [], []
        for span in told.spans:
            found = file.execute(
                "SELECT hash FROM journal WHERE chain = ? AND seq BETWEEN ? AND ? ORDER BY seq",
                (span.chain, span.first, span.last),
            )
            these = [row[0] for row in found]
            leaves += these
            spans.append(msgspec.structs.replace(span, head=these[-1]))
        root = merkle.Tree(leaves).root
        again = msgspec.structs.replace(
            told, spans=tuple(spans), root=root, key=digests[0], previous=previous_of(previous)
        )
        previous = again.text()
        signature = key.sign(previous.encode(), ec.ECDSA(hashes.SHA256()))
        file.execute(
            "UPDATE checkpoint SET text = ?, signature = ?, certificates = ? WHERE number = ?",
            (previous, signature, json.dumps(digests), number),
        )


def issued(
    subject: x509.Name, issuer: x509.Name, by: SigningKey, at: datetime
) -> tuple[bytes, ec.EllipticCurvePrivateKey]:
    """A certificate that an end entity's key signed as if it were an authority's."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), 4711)
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(at + timedelta(days=9))
    )
    private = by._private
    return builder.sign(private, hashes.SHA256()).public_bytes(Encoding.DER), key  # type: ignore[arg-type]


def write(home: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(home / "ledger.db", isolation_level=None))


def test_nothing_was_touched(home: Path) -> None:
    assert cvan("journal", "verify", home=home).code == 0
    assert cvan("journal", "checkpoint", home=home).code == 0


def test_every_checkpoint_deleted_and_the_gateway_asked_to_sign_anew(home: Path) -> None:
    with write(home) as file:
        forge(file)
        for statement in ("DELETE FROM checkpoint", "DELETE FROM span", "UPDATE chain SET covered = 0"):
            file.execute(statement)
    said = cvan("journal", "verify", home=home)
    assert said.code == 1
    assert "noted elsewhere" in said.text
    asked = cvan("journal", "checkpoint", home=home)
    assert asked.code == 2
    assert "noted elsewhere" in asked.err
    with write(home) as file:
        assert file.execute("SELECT count(*) FROM checkpoint").fetchone() == (0,)


def test_the_last_checkpoint_cut_off(home: Path) -> None:
    with write(home) as file:
        (last,) = file.execute("SELECT max(number) FROM checkpoint").fetchone()
        file.execute("DELETE FROM checkpoint WHERE number = ?", (last,))
        file.execute("DELETE FROM span WHERE checkpoint = ?", (last,))
        file.execute(
            "UPDATE chain SET covered = (SELECT coalesce(max(last), 0) FROM span WHERE span.chain = chain.id)"
        )
    assert cvan("journal", "verify", home=home).code == 1
    assert cvan("journal", "checkpoint", home=home).code == 2


def test_a_restored_database_goes_on_when_somebody_says_so(home: Path) -> None:
    with write(home) as file:
        file.execute("VACUUM INTO ?", (str(home / "backup.db"),))
    assert cvan("partner", "suspend", AN_PHAT.id, home=home).code == 0
    assert cvan("journal", "checkpoint", home=home).code == 0
    for old in home.glob("ledger.db*"):
        old.unlink()
    (home / "backup.db").rename(home / "ledger.db")
    assert cvan("journal", "checkpoint", home=home).code == 2
    assert cvan("journal", "checkpoint", "--restored", home=home).code == 0
    assert cvan("journal", "verify", home=home).code == 0


@pytest.mark.parametrize("noted", [True, False])
def test_a_partner_s_certificate_certifies_nobody(lived: Stage, home: Path, noted: bool) -> None:
    """The journal signed anew by a key of the gateway's name that a partner's leaf certified."""
    partner = lived.keys[AN_PHAT.id]
    leaf = partner.certificates[0]
    own = lived.own.certificates[0]
    forged, key = issued(own.subject, leaf.subject, partner, lived.now)
    with write(home) as file:
        forge(file)
        sign_again(file, key, [forged, partner.der[0]])
    if not noted:
        (home / "journal.json").unlink()
    said = cvan("journal", "verify", home=home)
    assert said.code == 1
    assert "a stranger under the gateway's name" in said.text
    assert cvan("journal", "checkpoint", home=home).code == 2


def test_a_chain_is_made_of_authorities_only(lived: Stage) -> None:
    partner = lived.keys[AN_PHAT.id]
    forged, _ = issued(lived.own.certificates[0].subject, partner.certificates[0].subject, partner, lived.now)
    leaf = x509.load_der_x509_certificate(forged)
    assert completed((leaf, partner.certificates[0]), (lived.anchor,)) == (leaf,)


def test_a_key_of_another_authority_is_still_the_gateway(lived: Stage, home: Path, tmp_path: Path) -> None:
    """A roll-over to another authority, the one of before being gone from the trusted ones."""
    authority = lived._authority(tmp_path / "new")
    key, certificate = (home / "keystore" / "own" / f"signing.{kind}.pem" for kind in ("key", "crt"))
    key.unlink()
    certificate.unlink()
    authority.issue("CN=Another name,C=VN", key, certificate)
    trust = home / "keystore" / "trust" / "development.pem"
    trust.write_bytes(authority.certificate_path.read_bytes())
    said = cvan("journal", "verify", home=home)
    assert said.code == 0, said.text
