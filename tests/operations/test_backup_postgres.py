"""A home on PostgreSQL: one dump of one moment, an empty database to come back to, and what is said otherwise."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from adapters.clearance.clearance import Clearance
from gateway.model import Partner, Role
from gateway.operations import backup as backups
from gateway.operations.backup import servers
from gateway.operations.backup.making import Asked
from gateway.operations.backup.servers import Server, Unable
from gateway.storage import Ledger
from tests.operations.shell import cvan
from tests.postgres import PostgresServer


@pytest.fixture
def url(postgres_server: PostgresServer) -> Iterator[str]:
    name = postgres_server.create()
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture
def empty(postgres_server: PostgresServer) -> Iterator[str]:
    name = postgres_server.create()
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture
def kept(home: Path, url: str) -> Path:
    """A home on a database with a partner, an office and a checkpoint."""
    path = home / "conf" / "gateway.toml"
    text = path.read_text("utf-8")
    for name in ("ledger", "clearance"):
        text = text.replace(f"sqlite:///{name}.db", url)
    path.write_text(text, "utf-8")
    ledger = Ledger.open(url, create=True)
    ledger.put_partner(Partner("anphat", "An Phat", (Role.TRADER,), ("0100109106",)))
    ledger.close()
    Clearance.open(url, home / "conf" / "clearance").close()
    assert cvan("journal", "checkpoint", home=home).code == 0
    return home


def test_a_home_comes_back_in_another_database(kept: Path, empty: str, tmp_path: Path) -> None:
    made = cvan("backup", tmp_path / "b.tar", "--with-keys", "--json", home=kept)
    assert made.code == 0, made.err
    # Written after the backup: not in it.
    assert cvan("partner", "suspend", "anphat", home=kept).code == 0
    back = cvan("restore", tmp_path / "b.tar", tmp_path / "new", "--database", empty, "--json")
    assert back.code == 0, back.err
    assert back.json()["position"] == made.json()["position"]
    assert made.json()["position"]["clearance"] == 1
    assert cvan("journal", "checkpoint", "--restored", home=tmp_path / "new").code == 0
    assert "active: yes" in cvan("partner", "show", "anphat", home=tmp_path / "new").text
    assert "active: no" in cvan("partner", "show", "anphat", home=kept).text
    assert not (tmp_path / "new" / "ledger.dump").exists()


def test_the_moment_is_held_for_as_long_as_the_dump_takes(kept: Path, url: str, tmp_path: Path) -> None:
    """Servers end what idles in a transaction; a dump takes longer than that."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        for bound in ("idle_in_transaction_session_timeout", "statement_timeout"):
            connection.execute(f"ALTER DATABASE {connection.info.dbname} SET {bound} = '100ms'")
    with Server(url).snapshot() as (moment, ask):
        time.sleep(0.3)
        assert ask("SELECT pg_sleep(0.2), count(*) FROM partner")[0][1] == 1
        Server(url).dump(moment, tmp_path / "later.dump")


def test_a_database_with_tables_is_refused(kept: Path, tmp_path: Path) -> None:
    backups.make(kept, tmp_path / "b.tar", Asked())
    refused = cvan("restore", tmp_path / "b.tar", tmp_path / "new")
    assert (refused.code, (tmp_path / "new").exists()) == (2, False)
    assert "holds tables already" in refused.err


def test_a_dump_that_cannot_be_brought_in_leaves_no_table(kept: Path, empty: str, tmp_path: Path) -> None:
    backups.make(kept, tmp_path / "b.tar", Asked())
    with psycopg.connect(empty.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE VIEW chain AS SELECT 1")
    refused = cvan("restore", tmp_path / "b.tar", tmp_path / "new", "--database", empty)
    assert (refused.code, (tmp_path / "new").exists()) == (2, False)
    assert "pg_restore" in refused.err
    assert Server(empty).empty()


def test_a_server_that_is_away_is_named(kept: Path, url: str, tmp_path: Path) -> None:
    path = kept / "conf" / "gateway.toml"
    path.write_text(path.read_text("utf-8").replace(url, "postgresql://cvan@/x?host=/nowhere"), "utf-8")
    refused = cvan("backup", tmp_path / "b.tar", home=kept)
    assert (refused.code, (tmp_path / "b.tar").exists()) == (2, False)
    assert "/nowhere" in refused.err
    assert "Traceback" not in refused.err


def test_without_the_tools_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "DEBIAN", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unable, match="pg_dump is not installed"):
        Server("postgresql://cvan@/x?host=/nowhere").dump("1", tmp_path / "dump")


def test_a_password_is_not_on_the_command_line() -> None:
    server = Server("postgresql+psycopg://cvan:secret@db.example:5433/cvan?sslmode=require")
    assert "secret" not in server.name
    assert {"host=db.example", "port=5433", "dbname=cvan", "sslmode=require"} <= set(server.name.split())
