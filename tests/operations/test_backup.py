"""A home put away and brought back: whole or not at all, without secrets nobody asked for."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import tarfile
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st

from adapters.clearance.clearance import Clearance
from gateway.model import Partner, Role
from gateway.operations import backup as backups
from gateway.operations import settings
from gateway.operations.backup.homefiles import secret
from gateway.operations.backup.making import Asked
from gateway.operations.backup.snapshot import copy, one_moment
from gateway.storage import Ledger
from tests.operations.shell import Said, cvan
from tests.postgres import PostgresServer, postgres_or_skip
from tests.sqlite import sqlite3

QUIET = lambda what, done, whole: None  # noqa: E731


@pytest.fixture
def kept(home: Path) -> Path:
    """A home with a partner, an office and a checkpoint."""
    ledger = Ledger.open(settings.database_url(home, "sqlite:///ledger.db"), create=True)
    ledger.put_partner(Partner("anphat", "An Phat", (Role.TRADER,), ("0100109106",)))
    ledger.close()
    Clearance.open(settings.database_url(home, "sqlite:///clearance.db"), home / "conf" / "clearance").close()
    assert cvan("journal", "checkpoint", home=home).code == 0
    return home


def _good(said: Said) -> Said:
    assert said.code == 0, said.err
    return said


def test_a_home_comes_back_with_everything(kept: Path, tmp_path: Path) -> None:
    made = _good(cvan("backup", tmp_path / "b.tar", "--with-keys", "--json", home=kept)).json()
    assert (tmp_path / "b.tar").stat().st_mode & 0o777 == 0o600
    back = _good(cvan("restore", tmp_path / "b.tar", tmp_path / "new", "--skip", 0, "--json")).json()
    assert back["breaches"] == []
    assert back["position"] == made["position"]
    assert (made["position"]["checkpoint"], made["position"]["uncovered"]) == (1, 0)
    assert _contents(kept) == _contents(tmp_path / "new")
    assert _rows(kept / "ledger.db") == _rows(tmp_path / "new" / "ledger.db")
    assert _rows(kept / "clearance.db") == _rows(tmp_path / "new" / "clearance.db")
    assert cvan("journal", "checkpoint", "--restored", home=tmp_path / "new").code == 0


def test_numbers_that_somebody_may_hold_are_left_out(kept: Path, tmp_path: Path) -> None:
    backups.make(kept, tmp_path / "b.tar", Asked())
    _good(cvan("restore", tmp_path / "b.tar", tmp_path / "new", "--skip", 5_000))
    _good(cvan("skip-numbers", 70, home=tmp_path / "new"))
    with closing(sqlite3.connect(tmp_path / "new" / "clearance.db")) as office:
        query = "SELECT value FROM clearance_counter WHERE name LIKE 'registered-%'"
        assert office.execute(query).fetchall() == [(5_070,)]
    ledger = Ledger.open(settings.database_url(tmp_path / "new", "sqlite:///ledger.db"))
    assert ledger.references("outgoing", 1) == range(50_701, 50_702)
    ledger.close()


def test_each_restore_begins_ids_that_no_other_gave(kept: Path, tmp_path: Path) -> None:
    """Also where the same backup is restored twice, and both have told something since."""
    backups.make(kept, tmp_path / "b.tar", Asked())
    drawn = set()
    for name in ("one", "two"):
        _good(cvan("restore", tmp_path / "b.tar", tmp_path / name))
        with closing(sqlite3.connect(tmp_path / name / "clearance.db")) as office:
            drawn |= set(office.execute("SELECT value FROM clearance_counter WHERE name = 'epoch'"))
    assert len(drawn) == 2


def test_the_broker_s_secrets_are_left_out_and_what_is_elsewhere_is_told(kept: Path, tmp_path: Path) -> None:
    (kept / "keystore" / "token").write_text("s3cr3t\n")
    path = kept / "conf" / "gateway.toml"
    text = path.read_text("utf-8").replace('\ncredentials = ""', '\ncredentials = "keystore/token"')
    path.write_text(text.replace('\ntrust = ""\ncert', '\ntrust = "/etc/broker.pem"\ncert'), "utf-8")
    made = backups.make(kept, tmp_path / "b.tar", Asked())
    assert made.manifest.elsewhere == ("/etc/broker.pem",)
    assert "home/keystore/token" not in {member.path for member in made.manifest.members}
    made = backups.make(kept, tmp_path / "all.tar", Asked(keys=True))
    assert "home/keystore/token" in {member.path for member in made.manifest.members}


def test_a_file_that_goes_while_it_is_packed_ends_no_backup(kept: Path, tmp_path: Path) -> None:
    """As when an operator removes what was set aside."""
    (kept / "aside").mkdir()
    for name in "ab":
        (kept / "aside" / name).write_text(name)

    def progress(what: str, done: int, whole: int) -> None:
        if what == "files":
            (kept / "aside" / "b").unlink(missing_ok=True)

    made = backups.make(kept, tmp_path / "b.tar", Asked(), progress)
    names = {member.path for member in made.manifest.members}
    assert ("home/aside/a" in names, "home/aside/b" in names) == (True, False)


def test_a_folder_gets_a_file_named_by_its_moment(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    said = _good(cvan("backup", tmp_path / "backups", home=kept))
    (file,) = (tmp_path / "backups").iterdir()
    assert file.name.startswith("cvan-20")
    assert str(file) in said.text
    assert "without private keys" in said.text


def test_keys_stay_where_they_are_unless_asked_for(kept: Path, tmp_path: Path) -> None:
    (kept / "keystore" / "own" / "old").mkdir()
    (kept / "keystore" / "own" / "old" / "strange").write_bytes(b"\x30\x82")
    (kept / ".pgpass").write_text("db:5432:cvan:cvan:s3cr3t\n")
    (kept / "conf" / "stray.pem").write_bytes((kept / "keystore/own/tls.key.pem").read_bytes())
    said = cvan("backup", tmp_path / "with.tar", "--with-keys", home=kept)
    assert "private keys are in this backup" in said.err
    assert cvan("backup", tmp_path / "without.tar.gz", home=kept).err == ""
    assert b"PRIVATE KEY" in _everything(tmp_path / "with.tar")
    assert b"PRIVATE KEY" not in _everything(tmp_path / "without.tar.gz")
    names = {m.path for m in backups.check(tmp_path / "without.tar.gz").members}
    assert "home/keystore/own/signing.crt.pem" in names
    assert not any("strange" in name or "stray" in name or "pgpass" in name for name in names)
    # Who signed is known by the certificates: the journal is proven without a key.
    back = _good(cvan("restore", tmp_path / "without.tar.gz", tmp_path / "new"))
    assert "private keys are not in it" in back.text


def test_a_home_may_be_a_disk_of_its_own(kept: Path, tmp_path: Path) -> None:
    """Nothing is made beside it, where its user may not write; and a disk is not quite empty."""
    backups.make(kept, tmp_path / "b.tar", Asked())
    home = tmp_path / "locked" / "home"
    (home / "lost+found").mkdir(parents=True)
    before = home.stat().st_ino
    _good(cvan("restore", tmp_path / "b.tar", home))
    assert home.stat().st_ino == before
    assert [one.name for one in home.parent.iterdir()] == ["home"]
    assert not [one for one in home.iterdir() if one.name.endswith(".new")]
    _good(cvan("journal", "verify", home=home))


def test_a_home_comes_back_beside_a_database_that_is_there(home: Path, tmp_path: Path) -> None:
    """What came after the backup is in the database, and stays; a second copy of it would be a second gateway."""
    server = PostgresServer(postgres_or_skip())
    try:
        url = server.url(server.create())
        path = home / "conf" / "gateway.toml"
        text = (
            path.read_text("utf-8").replace("sqlite:///ledger.db", url).replace("sqlite:///clearance.db", url)
        )
        path.write_text(text, "utf-8")
        Ledger.open(url, create=True).close()
        Clearance.open(url, home / "conf" / "clearance").close()
        _good(cvan("journal", "checkpoint", home=home))
        _good(cvan("backup", tmp_path / "b.tar", home=home))
        ledger = Ledger.open(url)
        ledger.put_partner(Partner("later", "Later", (Role.TRADER,), ("0100109106",)))
        ledger.close()
        assert "make an empty one" in cvan("restore", tmp_path / "b.tar", tmp_path / "whole").err
        said = _good(cvan("restore", tmp_path / "b.tar", tmp_path / "new", "--home-only"))
        assert "the database is as it was" in said.text
        again = _good(cvan("restore", tmp_path / "b.tar", tmp_path / "again", "--home-only", "--json"))
        assert json.loads(again.text)["breaches"] is None  # nothing was looked at
        assert not list((tmp_path / "new").glob("*.dump"))
        _good(cvan("journal", "verify", home=tmp_path / "new"))
        assert "later" in _good(cvan("partner", "list", home=tmp_path / "new")).text
        for wrong in (["--witness", "1:00"], ["--database", url]):
            assert cvan("restore", tmp_path / "b.tar", tmp_path / "no", "--home-only", *wrong).code == 2
    finally:
        server.close()


def test_sqlite_s_home_alone_is_none(kept: Path, tmp_path: Path) -> None:
    backups.make(kept, tmp_path / "b.tar", Asked())
    refused = cvan("restore", tmp_path / "b.tar", tmp_path / "new", "--home-only")
    assert (refused.code, (tmp_path / "new").exists()) == (2, False)


def test_nothing_is_overwritten(kept: Path, tmp_path: Path) -> None:
    file = tmp_path / "b.tar"
    file.write_bytes(b"somebody's")
    refused = cvan("backup", file, home=kept)
    assert (refused.code, file.read_bytes()) == (2, b"somebody's")
    assert f"{file} is there already, and nothing is overwritten" in refused.err
    nowhere = cvan("backup", tmp_path / "no" / "b.tar", "--with-keys", home=kept)
    assert (nowhere.code, nowhere.err) == (2, f"cvan: no backup: there is no folder {tmp_path / 'no'}\n")
    spoilt = cvan("restore", file, tmp_path / "new")
    assert (spoilt.code, len(spoilt.err.splitlines())) == (2, 1)
    file.unlink()
    _good(cvan("backup", file, home=kept))
    refused = cvan("restore", file, kept)
    assert refused.code == 2
    assert "not empty" in refused.err
    assert not _left(tmp_path)


def test_a_backup_inside_its_home_is_refused(kept: Path) -> None:
    refused = cvan("backup", kept / "b.tar", home=kept)
    assert refused.code == 2
    assert "in the home" in refused.err


@pytest.mark.parametrize("name", ["b.tar", "b.tar.gz"])
@tries(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True), flip=st.booleans())
def test_a_spoilt_backup_is_never_taken_for_a_whole(
    kept: Path, tmp_path: Path, name: str, share: float, flip: bool
) -> None:
    whole = tmp_path / name
    if not whole.exists():
        backups.make(kept, whole, Asked())
    octets, spoilt = bytearray(whole.read_bytes()), tmp_path / f"spoilt-{name}"
    before = backups.check(whole)
    at = int(len(octets) * share)
    if flip:
        octets[at] ^= 0xFF
    else:
        del octets[at:]
    spoilt.write_bytes(octets)
    try:
        found = backups.check(spoilt)
    except backups.Broken:
        return
    # What can change unseen is blanks between and behind the members, and notes that nobody reads.
    assert found == before


def test_a_name_that_leads_out_is_refused(kept: Path, tmp_path: Path) -> None:
    backups.make(kept, tmp_path / "b.tar", Asked())
    for name in ("home/../../outside", "/home/x", "elsewhere/x", "home"):
        with tarfile.open(tmp_path / "b.tar") as old, tarfile.open(tmp_path / "evil.tar", "w") as evil:
            info = tarfile.TarInfo(name)
            info.size = 4
            evil.addfile(info, io.BytesIO(b"evil"))
            for member in old:
                evil.addfile(member, old.extractfile(member))
        refused = cvan("restore", tmp_path / "evil.tar", tmp_path / "new")
        assert (refused.code, (tmp_path / "new").exists()) == (2, False), name
        assert "does not belong" in refused.err


def test_a_backup_of_a_newer_gateway_is_refused(kept: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(kept / "ledger.db")) as ledger:
        ledger.execute("UPDATE alembic_version SET version_num = '9999'")
        ledger.commit()
    backups.make(kept, tmp_path / "b.tar", Asked())
    refused = cvan("restore", tmp_path / "b.tar", tmp_path / "new")
    assert (refused.code, (tmp_path / "new").exists()) == (2, False)
    assert "9999" in refused.err
    assert not _left(tmp_path)


def test_an_older_backup_is_brought_up(kept: Path, tmp_path: Path) -> None:
    from alembic import command

    from gateway.storage import migrations
    from gateway.storage.database import Database

    *before, _ = migrations.known()
    if not before:
        pytest.skip("there is one schema only: no older one")
    database = Database(f"sqlite:///{tmp_path / 'old.db'}", create=True)
    config = migrations._config()

    def old(connection: object) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, before[-1])

    database.write(old)
    database.close()
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm", "journal.json"):
        (kept / name).unlink(missing_ok=True)
    (tmp_path / "old.db").rename(kept / "ledger.db")
    backups.make(kept, tmp_path / "b.tar", Asked())
    back = _good(cvan("restore", tmp_path / "b.tar", tmp_path / "new", "--json")).json()
    assert back["position"]["ledger"] == before[-1]
    Ledger.open(settings.database_url(tmp_path / "new", "sqlite:///ledger.db")).close()


def test_what_was_signed_after_the_backup_is_told(kept: Path, tmp_path: Path) -> None:
    _good(cvan("backup", tmp_path / "b.tar", "--with-keys", home=kept))
    _good(cvan("partner", "suspend", "anphat", home=kept))
    (signed,) = _good(cvan("journal", "checkpoint", "--json", home=kept)).json()
    word = f"{signed['number']}:{signed['digest']}"
    new = tmp_path / "new"
    back = _good(cvan("restore", tmp_path / "b.tar", new, "--witness", word))
    assert "1 checkpoints were signed after the backup" in back.text
    _good(cvan("partner", "suspend", "anphat", home=new))
    assert cvan("journal", "checkpoint", home=new).code == 2
    assert cvan("journal", "verify", home=new).code == 1
    _good(cvan("journal", "checkpoint", "--restored", home=new))
    _good(cvan("journal", "verify", home=new))
    assert cvan("restore", tmp_path / "b.tar", tmp_path / "other", "--witness", "1:00").code == 1
    said = cvan(
        "restore", tmp_path / "b.tar", tmp_path / "third", "--witness", kept / "journal.json", "--json"
    )
    assert said.json()["checkpoints_after"] == 1


def test_a_journal_that_was_changed_is_found_after_restoring(kept: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(kept / "ledger.db")) as ledger:
        ledger.execute("UPDATE partner SET body = replace(body, 'An Phat', 'An Phap')") if _has(
            ledger, "partner", "body"
        ) else ledger.execute("UPDATE journal SET entry = replace(entry, 'anphat', 'anphap')")
        ledger.commit()
    _good(cvan("backup", tmp_path / "b.tar", home=kept))
    assert cvan("restore", tmp_path / "b.tar", tmp_path / "new").code == 1


def test_archive_files_are_named_or_included(kept: Path, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    (folder / "01-abc.zip").write_bytes(b"an archive")
    digest = hashlib.sha256(b"an archive").hexdigest()
    with closing(sqlite3.connect(kept / "ledger.db")) as ledger:
        ledger.execute("INSERT INTO archived VALUES ('01', '01-abc.zip', ?, 0, 1)", (digest,))
        ledger.commit()
    named = _good(cvan("backup", tmp_path / "named.tar", home=kept))
    assert "not in it: 1 archive files" in named.text
    _good(cvan("backup", tmp_path / "in.tar", "--archives", folder, home=kept))
    backups.restore(tmp_path / "in.tar", tmp_path / "new")
    assert (tmp_path / "new" / "archive" / "01-abc.zip").read_bytes() == b"an archive"
    (folder / "01-abc.zip").write_bytes(b"another")
    refused = cvan("backup", tmp_path / "wrong.tar", "--archives", folder, home=kept)
    assert (refused.code, (tmp_path / "wrong.tar").exists()) == (2, False)
    assert not _left(tmp_path)


def test_a_database_of_another_name_lies_in_the_home_afterwards(kept: Path, tmp_path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        if (kept / f"ledger.db{suffix}").exists():
            (kept / f"ledger.db{suffix}").rename(tmp_path / f"books.sqlite{suffix}")
    path = kept / "conf" / "gateway.toml"
    text = path.read_text("utf-8").replace("sqlite:///ledger.db", f"sqlite:///{tmp_path}/books.sqlite")
    path.write_text(text, "utf-8")
    backups.make(kept, tmp_path / "b.tar", Asked())
    assert _good(cvan("restore", tmp_path / "b.tar", tmp_path / "new", "--json")).json()["breaches"] == []
    assert settings.load(tmp_path / "new").database.ledger == "sqlite:///ledger.db"


def test_two_databases_that_nobody_can_copy_at_once(kept: Path, tmp_path: Path) -> None:
    path = kept / "conf" / "gateway.toml"
    text = path.read_text("utf-8").replace("sqlite:///clearance.db", "postgresql://cvan@nowhere/cvan")
    path.write_text(text, "utf-8")
    refused = cvan("backup", tmp_path / "b.tar", home=kept)
    assert refused.code == 2
    assert "as of one moment" in refused.err


# -- one moment --------------------------------------------------------------------------------------


def test_two_databases_are_of_one_moment_while_both_are_written(tmp_path: Path) -> None:
    """One writer counts in the first, then in the second, as the gateway and the office do; a copy of both
    shows the same count, or the first one ahead by the one that was on its way; and nobody waits for it."""
    paths = [tmp_path / "first.db", tmp_path / "second.db"]
    for path in paths:
        with closing(sqlite3.connect(path)) as made:
            made.execute("PRAGMA journal_mode=WAL")
            made.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, filling BLOB)")
            made.executemany(
                "INSERT INTO t VALUES (?, ?)", ((-n, os.urandom(4_000)) for n in range(1, 3_000))
            )
            made.commit()
    over, longest = threading.Event(), [0.0]

    def write() -> None:
        with closing(sqlite3.connect(paths[0], timeout=10)) as a, closing(sqlite3.connect(paths[1])) as b:
            n = 0
            while not over.is_set():
                n += 1
                began = time.monotonic()
                for connection in (a, b):
                    connection.execute("INSERT INTO t VALUES (?, ?)", (n, os.urandom(500)))
                    connection.commit()
                longest[0] = max(longest[0], time.monotonic() - began)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for turn in range(5):
            time.sleep(random.random() / 10)
            _copied(paths, tmp_path / f"copy-{turn}")
    finally:
        over.set()
        writer.join()
    assert longest[0] < 2.0


def _copied(paths: list[Path], folder: Path) -> None:
    folder.mkdir()
    newest = []
    with one_moment(paths) as seen:
        time.sleep(0.05)
        for path, connection in zip(paths, seen, strict=True):
            copy(connection, folder / path.name, QUIET)
            with closing(sqlite3.connect(folder / path.name)) as copied:
                newest.append(
                    copied.execute("SELECT coalesce(max(n), 0), count(*) FROM t WHERE n > 0").fetchone()
                )
    (first, one), (second, other) = newest
    assert (first, second) == (one, other), "gaps"
    assert first - second in (0, 1)


def test_a_writer_that_never_rests_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.operations.backup import snapshot

    monkeypatch.setattr(snapshot, "LOCK_SECONDS", 0.2)
    with closing(sqlite3.connect(tmp_path / "held.db", isolation_level=None)) as held:
        held.execute("CREATE TABLE t (n)")
        held.execute("BEGIN IMMEDIATE")
        with pytest.raises(backups.Busy, match=r"held\.db"), one_moment([tmp_path / "held.db"]):
            pass


def test_a_copy_that_was_ended_leaves_nothing_of_its_name(kept: Path, tmp_path: Path) -> None:
    def interrupt(what: str, done: int, whole: int) -> None:
        if what == "files":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backups.make(kept, tmp_path / "b.tar", Asked(), interrupt)
    assert not (tmp_path / "b.tar").exists()
    assert not _left(tmp_path)


def test_what_counts_as_a_key(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for name, octets, is_secret in (
        ("own/a.crt.pem", b"x", False),
        ("own/keys.toml", b"x", False),
        ("own/passphrase", b"x", True),
        ("b.p12", b"x", True),
        ("c.pem", b"-----BEGIN ENCRYPTED PRIVATE KEY-----", True),
        ("d.pem", b"-----BEGIN CERTIFICATE-----", False),
    ):
        (tmp_path / name).write_bytes(octets)
        assert secret(tmp_path / name, own.resolve()) is is_secret, name


def _contents(home: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(p.relative_to(home)): (p.read_bytes(), p.name == "journal.json" or p.stat().st_mode & 0o777)
        for p in home.rglob("*")
        if p.is_file() and not p.name.endswith((".db", "-wal", "-shm")) and "run" not in p.parts
    }


def _rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as database:
        said = database.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
        ).fetchall()
        return {name: database.execute(f'SELECT * FROM "{name}"').fetchall() for (name,) in said}


def _has(database: sqlite3.Connection, table: str, column: str) -> bool:
    return column in {row[1] for row in database.execute(f"PRAGMA table_info({table})")}


def _everything(path: Path) -> bytes:
    with tarfile.open(path) as tar:
        files = [tar.extractfile(info) for info in tar]
        return b"".join(file.read() for file in files if file is not None)


def _left(folder: Path) -> list[Path]:
    return [p for p in folder.iterdir() if p.name.endswith(".new")]


def test_the_manifest_says_when_and_of_what(kept: Path, tmp_path: Path) -> None:
    made = backups.make(kept, tmp_path / "b.tar", Asked())
    with tarfile.open(tmp_path / "b.tar") as tar:
        *_, last, seal = tar
        file = tar.extractfile(last)
        assert (last.name, seal.name) == ("MANIFEST", "MANIFEST.sha256")
        assert file is not None
        octets = file.read()
    assert hashlib.sha256(octets).hexdigest() == made.manifest.digest
    told = json.loads(octets)
    assert abs((datetime.now(UTC) - datetime.fromisoformat(told["at"])).total_seconds()) < 60
    audited = _good(cvan("journal", "verify", "--json", home=kept)).json()
    assert told["position"]["entries"] == audited["entries"]
    assert told["position"]["digest"] == audited["head"]
