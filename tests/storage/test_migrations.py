"""The schema's history: made, refused, and equal to the tables."""

from __future__ import annotations

import re
import stat
import threading
import time
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

from gateway.storage import Ledger, LedgerMissing, LedgerUnavailable, SchemaNewer, SchemaOlder, migrate
from gateway.storage.database import Database
from gateway.storage.migrations import _config
from gateway.storage.tables import metadata
from tests.sqlite import engine as engine_of

from .making import BACKEND, LEASE, NOW, recorded, settlement

STEPS = Path(__file__).parents[2] / "gateway" / "storage" / "migrations" / "versions"
MONTHS = re.compile(r"_(early|late|[0-9]{4}_[0-9]{2})(_|\.|$)")
"""In the names of what is of a partition, which is as its table is."""
NEWEST = max(step.name[1:5] for step in STEPS.glob("m[0-9][0-9][0-9][0-9]_*.py"))


def schema(url: str) -> dict[str, str]:
    """Every table's columns and every index and constraint, as the database itself describes them."""
    engine = engine_of(url)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            query = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'alembic%' AND sql IS NOT NULL"
            rows = [(r[0], _in_any_order(" ".join(r[1].split()))) for r in connection.execute(text(query))]
        else:
            indexes = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
            columns = (
                "SELECT table_name || '.' || column_name, concat_ws(' ', ordinal_position, data_type, "
                "is_nullable, column_default, identity_generation) FROM information_schema.columns "
                "WHERE table_schema = 'public'"
            )
            constraints = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype <> 'n'"
            rows = [
                (r[0], r[1])
                for query in (indexes, columns, constraints)
                for r in connection.execute(text(query))
                if not r[0].startswith("alembic") and not MONTHS.search(r[0])
            ]
    engine.dispose()
    return dict(rows)


def _in_any_order(sql: str) -> str:
    """A table's columns and constraints sorted: SQLite writes a column that was added behind the constraints."""
    head, opened, parts = sql.partition("(")
    if not head.startswith("CREATE TABLE"):
        return sql
    inside, closed, rest = parts.rpartition(")")
    return head + opened + ", ".join(sorted(re.split(r", ?(?![^(]*\))", inside.strip()))) + closed + rest


def test_migrated_schema_is_the_tables(bare_url: str) -> None:
    database = Database(bare_url, create=True)
    metadata.create_all(database.engine)
    drawn = schema(bare_url)
    metadata.drop_all(database.engine)
    database.close()
    migrate(bare_url)
    assert len(drawn) > 20
    assert schema(bare_url) == drawn


def test_migrating_twice_changes_nothing(bare_url: str) -> None:
    assert migrate(bare_url) == migrate(bare_url) == NEWEST


def test_two_processes_may_migrate_at_once(bare_url: str) -> None:
    revisions: list[str] = []
    threads = [threading.Thread(target=lambda: revisions.append(migrate(bare_url))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert revisions == [NEWEST] * 3


def test_newer_schema_is_refused(database_url: str) -> None:
    set_revision(database_url, "9999")
    with pytest.raises(SchemaNewer, match="9999"):
        Ledger.open(database_url)
    with pytest.raises(SchemaNewer, match="9999"):
        migrate(database_url)


NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table("novelty", sa.Column("id", sa.Text(), primary_key=True))
    for table in ("submission", "message", "delivery", "outgoing", "decision"):
        op.add_column(table, sa.Column("novel", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.create_index("ix_message_novel", "message", ["novel"])
"""
AFTER = NEXT.partition("def upgrade")[0] + "def upgrade():\n    pass\n"


def step(url: str, folder: Path, text_: str) -> None:
    """A newer gateway's migration, done as that one does it."""
    newest = max((p.name[1:5] for p in folder.glob("m*.py")), default=NEWEST)
    revision = f"{int(newest) + 1:04d}"
    (folder / f"m{revision}_next.py").write_text(text_.format(revision=revision, before=newest))
    config = _config()
    config.set_main_option("version_locations", f"{STEPS}:{folder}")
    config.set_main_option("version_path_separator", ":")
    database = Database(url)

    def upgrade(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    database.write(upgrade)
    database.close()


def test_the_gateway_of_before_goes_on_with_the_next_schema(database_url: str, tmp_path: Path) -> None:
    """It expands; what it replaces goes in the one after, when no such gateway is left."""
    ledger = Ledger.open(database_url)
    ledger.settle([settlement("a")])
    step(database_url, tmp_path, NEXT)
    assert migrate(database_url) == f"{int(NEWEST) + 1:04d}"
    for node in (ledger, Ledger.open(database_url, create=True)):  # one that runs, and one that begins
        name = f"of {id(node)}"
        node.settle([settlement(name)])
        due = node.claim_due(BACKEND, "me", NOW, LEASE, 9)
        assert node.handovers(due)
        assert node.done([d.id for d in due], NOW)
        assert node.record([recorded(f"D-{name}", f"{name}.1")])
        assert node.acknowledge("VAN1", [f"{name}.r"]) == 1
        assert node.status("VAN1", name) is not None
        node.close()
    step(database_url, tmp_path, AFTER)
    later = f"{int(NEWEST) + 2:04d}; this gateway's is {NEWEST}"
    with pytest.raises(SchemaNewer, match=later):
        Ledger.open(database_url)
    with pytest.raises(SchemaNewer, match=later):
        migrate(database_url)


def test_older_schema_wants_migrating(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.storage.migrations._known", lambda: [NEWEST, "9998"])
    with pytest.raises(SchemaOlder, match="9998"):
        Ledger.open(database_url)


def test_database_without_a_ledger_is_missing(bare_url: str) -> None:
    with pytest.raises(LedgerMissing):
        Ledger.open(bare_url)
    Ledger.open(bare_url, create=True).close()
    Ledger.open(bare_url).close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://x/y", "no url"])
def test_unusable_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Ledger.open(url, create=True)


def test_a_server_that_is_away_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable):
        Ledger.open(f"postgresql://nobody@/none?host={tmp_path}")


def test_sqlite_file_is_the_owners_alone_and_durable(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    Ledger.open(f"sqlite:///{path}", create=True).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    database = Database(f"sqlite:///{path}")
    pragmas = ("journal_mode", "synchronous", "foreign_keys")
    found = database.read(lambda c: [c.exec_driver_sql(f"PRAGMA {p}").scalar() for p in pragmas])
    database.close()
    assert found == ["wal", 2, 1]


def test_postgresql_commits_synchronously(postgres_url: str) -> None:
    database = Database(postgres_url)
    assert database.write(lambda c: c.exec_driver_sql("SHOW synchronous_commit").scalar()) == "on"
    database.close()


def test_a_node_that_stands_still_in_a_transaction_keeps_its_locks_for_seconds(postgres_url: str) -> None:
    """Its session is ended, and what it was at is done once more where it goes on."""
    database = Database(postgres_url)
    asked = "SHOW idle_in_transaction_session_timeout"
    assert database.read(lambda c: c.exec_driver_sql(asked).scalar()) == "10s"
    tries = []

    def stand_still(connection: Connection) -> int:
        tries.append(1)
        if len(tries) == 1:
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 50")
            time.sleep(0.5)
        return connection.exec_driver_sql("SELECT 7").scalar_one()

    assert database.write(stand_still) == 7
    assert len(tries) == 2
    database.close()


def test_plain_postgresql_url_gets_our_driver(postgres_url: str) -> None:
    plain = make_url(postgres_url).set(drivername="postgresql").render_as_string(hide_password=False)
    Ledger.open(plain).close()


def set_revision(url: str, revision: str) -> None:
    engine = engine_of(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": revision})
    engine.dispose()
