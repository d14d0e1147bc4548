"""Whoever changes the database behind the gateway's back is found out, whatever the table."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.evidence.checkpoints import Checkpoint
from gateway.evidence.entries import FIRST, entry_hash, sha256
from gateway.model import Submission
from gateway.storage import Breach, Ledger
from gateway.storage.database import Database
from tests.postgres import PostgresServer
from tests.sqlite import sqlite3

from .kit import LINE, Stage, clean, stage


@pytest.fixture(scope="module")
def lived_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    root = tmp_path_factory.mktemp("audit")
    made = stage(root, f"sqlite:///{root / 'ledger.db'}")
    _live(made)
    made.ledger.close()
    return made


@pytest.fixture(scope="module")
def lived_postgres(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> tuple[Stage, str]:
    name = postgres_server.create()
    made = stage(tmp_path_factory.mktemp("audit"), postgres_server.url(name))
    _live(made)
    made.ledger.close()
    return made, name


def _live(made: Stage) -> None:
    for _ in range(3):
        made.day()
    made.submit(*made.manifest(), partner=LINE)
    made.day(wrong=True)
    made.ledger.refuse("anphat", "https", "SIG001", "00" * 32, made.tick())
    held = made.declaration()[0]
    waiting = Submission("HELD", "anphat", "https", "application/xml", held, sha256(held), made.tick())
    made.ledger.hold(waiting, (), (), made.now + timedelta(days=1), ())
    made.seal(limit=10)
    made.ledger.revoke_mandate(made.ledger.mandates()[0].id, made.tick())
    made.day()
    made.submit(*made.declaration())


@pytest.fixture(params=["sqlite", "postgresql"])
def lived(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Stage]]:
    """A ledger of this test's own with some days behind it, to be spoilt."""
    if request.param == "sqlite":
        made: Stage = request.getfixturevalue("lived_sqlite")
        shutil.copy(made.root / "ledger.db", tmp_path / "ledger.db")
        yield f"sqlite:///{tmp_path / 'ledger.db'}", made
        return
    made, template = request.getfixturevalue("lived_postgres")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create(template)
    yield server.url(name), made
    server.drop(name)


def spoil(url: str, statement: str) -> None:
    """As somebody does who has the database and not the gateway: no constraint is in the way."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as file:
            file.execute("PRAGMA foreign_keys=OFF")
            assert file.execute(statement).rowcount != 0
        return
    database = Database(url)
    with database.engine.begin() as connection:
        connection.execute(text("SET session_replication_role = replica"))
        assert connection.execute(text(statement)).rowcount != 0
    database.close()


def breaches(url: str) -> list[Breach]:
    ledger = Ledger.open(url)
    found = clean(ledger)
    ledger.close()
    return found


ONE = "(SELECT min(id) FROM submission)"
ACTS = {
    "a body": f"UPDATE octets SET body = 'x' WHERE submission = {ONE}",
    "a body gone": f"DELETE FROM octets WHERE submission = {ONE}",
    "a digest": f"UPDATE submission SET digest = 'y' WHERE id = {ONE}",
    "a claim": f"UPDATE submission SET claim = NULL WHERE id = {ONE}",
    "a receiving time": f"UPDATE submission SET received_at = received_at + 1 WHERE id = {ONE}",
    "a filer": f"UPDATE submission SET filer = 'somebody' WHERE id = {ONE}",
    "a submission's end": "DELETE FROM submission WHERE id = (SELECT max(id) FROM submission)",
    "a copied submission": (
        "INSERT INTO submission (id, partner, channel, media_type, digest, received_at, outcome, signer, filer,"
        " principal, reference, route, findings, events, position, receipt_at, receipt_type, receipt) SELECT"
        " 'NEW', 'p', channel, media_type, digest, received_at, outcome, 's', filer, principal, reference, route,"
        f" findings, events, position, receipt_at, receipt_type, receipt FROM submission WHERE id = {ONE}"
    ),
    "a message's outcome": f"UPDATE message SET outcome = 'rejected' WHERE submission = {ONE}",
    "a declaration": f"UPDATE message SET declaration = 'x' WHERE submission = {ONE}",
    "a message's state": f"UPDATE decision SET kind = 'cleared' WHERE submission = {ONE}",
    "a registration": f"UPDATE decision SET registration = '4711' WHERE submission = {ONE}",
    "a decision's time": f"UPDATE decision SET at = at + 1 WHERE submission = {ONE}",
    "a decision about another": f"UPDATE decision SET about = '.2' WHERE submission = {ONE}",
    "a message gone": f"DELETE FROM message WHERE submission = {ONE}",
    "an answer's body": "UPDATE outgoing SET body = 'x' WHERE kind = 'registered'",
    "an answer gone": "DELETE FROM outgoing WHERE kind = 'registered'",
    "a receipt": f"UPDATE submission SET receipt = 'x' WHERE id = {ONE}",
    "a receipt's time": f"UPDATE submission SET receipt_at = receipt_at + 1 WHERE id = {ONE}",
    "an answer to another": "UPDATE outgoing SET partner = 'somebody' WHERE kind = 'registered'",
    "an answer invented": (
        "INSERT INTO outgoing (submission, name, partner, kind, about, reference, media_type, body, created_at,"
        " position) SELECT submission, 'NEW', partner, kind, about, reference, media_type, body, created_at,"
        " position FROM outgoing WHERE kind = 'registered' LIMIT 1"
    ),
    "an acknowledgement forged": "DELETE FROM waiting",
    "an acknowledgement undone": (
        "INSERT INTO waiting (partner, position, outgoing) SELECT filer, position, id || '.r' FROM submission"
        f" WHERE id = {ONE}"
    ),
    "an entry of a mailbox invented": "INSERT INTO waiting (partner, position, outgoing) VALUES ('p', 1, 'NEW.r')",
    "a key of octets gone": "DELETE FROM taken",
    "a key of octets invented": "INSERT INTO taken (digest, partner, submission) VALUES ('x', 'p', 'NEW')",
    "a reference moved": "UPDATE claim SET signer = 'somebody'",
    "a reference freed": "DELETE FROM claim",
    "a delivery made again": (
        "INSERT INTO delivery (id, destination, payload, due_at, attempts, lease_until, lease_owner, state, error,"
        " lane) SELECT id || '.1', 'backend:clearance', id || '.1', 0, 0, 0, '', 'due', '', '' FROM submission"
        f" WHERE id = {ONE}"
    ),
    "a delivery turned": "UPDATE delivery SET destination = 'backend:evil'",
    "a delivery gone": "DELETE FROM delivery",
    "a delivery invented": (
        "INSERT INTO delivery (id, destination, payload, due_at, attempts, lease_until, lease_owner, state,"
        " error, lane) VALUES ('NEW.1', 'backend:clearance', 'NEW.1', 0, 0, 0, '', 'due', '', '')"
    ),
    "a decision": "UPDATE decision SET body = replace(body, 'registered', 'released')",
    "a decision gone": "DELETE FROM decision",
    "a timeline": "UPDATE event SET detail = 'x'",
    "a timeline cut": "DELETE FROM event WHERE position = (SELECT max(position) FROM event)",
    "a refusal": "UPDATE refusal SET code = 'SIG002'",
    "a partner": "UPDATE partner SET body = replace(body, 'trader', 'customs') WHERE id = 'anphat'",
    "a partner's end": "DELETE FROM partner WHERE id = 'anphat'",
    "a mandate unrevoked": "UPDATE mandate SET revoked_at = NULL WHERE revoked_at IS NOT NULL",
    "a mandate invented": (
        "INSERT INTO mandate (id, agent, principal, valid_from, valid_to, revoked_at, terms, changed)"
        " SELECT 'NEW', agent, principal, valid_from, valid_to, NULL, terms, changed FROM mandate LIMIT 1"
    ),
    "an exhibit": ("UPDATE exhibit SET body = 'x' WHERE digest = (SELECT min(digest) FROM exhibit)"),
    "an exhibit gone": (
        "DELETE FROM exhibit WHERE digest NOT IN (SELECT substr(certificates, 3, 64) FROM checkpoint)"
    ),
    "refusals gone": "DELETE FROM refusal",
    "a held one's octets": "UPDATE held SET body = 'x'",
    "a held one gone": "DELETE FROM held",
    "a held one let go": "UPDATE held SET became = 'somewhere'",
    "a key invented": "INSERT INTO partner_key (kind, value, partner) VALUES ('token', 'abc', 'anphat')",
    "a key moved": "UPDATE partner_key SET partner = 'anphat' WHERE kind = 'subject' AND partner <> 'anphat'",
    "a key gone": "DELETE FROM partner_key WHERE partner = 'anphat'",
    "a credential invented": (
        "INSERT INTO credential (fingerprint, partner, certificate, expires_at)"
        " SELECT digest, 'anphat', body, 1 FROM exhibit LIMIT 1"
    ),
    "the register's version": "DELETE FROM counter WHERE name = 'register'",
    "an archive invented": (
        f"INSERT INTO archived (submission, archive, digest, at, rows) VALUES ({ONE}, 'x.zip', 'x', 1, 9)"
    ),
    "an entry's text": "UPDATE journal SET entry = replace(entry, 'T', 'U') WHERE seq = 7",
    "an entry's hash": "UPDATE journal SET hash = 'x' WHERE seq = 7",
    "an entry's name": "UPDATE journal SET about = 'x' WHERE seq = 7",
    "an entry gone": "DELETE FROM journal WHERE seq = 7",
    "a chain cut before its last checkpoint": "DELETE FROM journal WHERE seq >= 7",
    "a checkpoint's text": "UPDATE checkpoint SET text = replace(text, 'number: 1', 'number: 2') WHERE number = 1",
    "a checkpoint's signature": "UPDATE checkpoint SET signature = 'x' WHERE number = 1",
    "a checkpoint gone": "DELETE FROM checkpoint WHERE number = 1",
    "what is covered": "UPDATE chain SET covered = covered + 1",
}


def test_what_nobody_touched_is_sound(lived: tuple[str, Stage]) -> None:
    assert breaches(lived[0]) == []


@pytest.mark.parametrize("act", ACTS)
def test_tampering_is_found(lived: tuple[str, Stage], act: str) -> None:
    url, _ = lived
    spoil(url, ACTS[act])
    assert breaches(url) != []


def test_the_first_broken_entry_is_named(lived: tuple[str, Stage]) -> None:
    url, _ = lived
    for seq in (9, 5, 12):
        spoil(url, f"UPDATE journal SET entry = replace(entry, '\"kind\"', '\"kinds\"') WHERE seq = {seq}")
    found = [b for b in breaches(url) if b.place.startswith("entry")]
    assert [b.place.rpartition(":")[2] for b in found] == ["5", "9", "12"]


def test_rewriting_the_whole_chain_needs_the_key(lived: tuple[str, Stage]) -> None:
    """Whoever may write everything but has no key can make hashes fit, but no checkpoint."""
    url, _ = lived
    database = Database(url)
    with database.engine.begin() as connection:
        rows = connection.execute(text("SELECT chain, seq, entry FROM journal ORDER BY chain, seq")).all()
        heads: dict[str, str] = {}
        for chain, seq, entry in rows:
            entry = entry.replace('"accepted"', '"rejected"').replace("anphat", "evilco")
            heads[chain] = entry_hash(heads.get(chain, FIRST), entry)
            connection.execute(
                text("UPDATE journal SET entry = :e, hash = :h WHERE chain = :c AND seq = :s"),
                {"e": entry, "h": heads[chain], "c": chain, "s": seq},
            )
    database.close()
    assert any("root" in b.why for b in breaches(url))


def test_a_stranger_s_key_is_told(lived: tuple[str, Stage]) -> None:
    url, made = lived
    other = made.issue("Somebody else", made.root / "stranger")
    ledger = Ledger.open(url)
    ledger.cover(other, made.tick())
    found: list[Breach] = []

    def known(chain: object, checkpoint: Checkpoint) -> str:
        return "" if checkpoint.key == made.own.signer.fingerprint else "a stranger"

    ledger.audit(found.append, known, lambda sealed: "")
    ledger.close()
    assert [b.why for b in found] == ["a stranger"]


def test_two_nodes_cover_each_entry_once(database_url: str, tmp_path: Path) -> None:
    made = stage(tmp_path, database_url)
    for _ in range(6):
        made.day()
    nodes = [Ledger.open(database_url) for _ in range(3)]
    at = made.tick()

    def cover(node: Ledger) -> None:
        while node.cover(made.own, at, 3) is not None:
            pass

    threads = [threading.Thread(target=cover, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clean(made.ledger) == []
    audited = made.ledger.audit(lambda b: None, lambda c, k: "", lambda s: "")
    assert audited.uncovered == 0
    assert audited.checkpoints >= audited.entries // 3
