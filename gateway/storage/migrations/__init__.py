"""The schema's history and how a database is brought to its newest state.

The steps are Alembic revisions in ``versions/``, forward only, numbered ``0001``, ``0002``...; each is
frozen once released.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from gateway.storage import months
from gateway.storage.database import Database
from gateway.storage.faults import LedgerError, LedgerMissing

LOCK = 0x6376616E
"""PostgreSQL advisory lock: two processes that start together do not migrate at once."""


class SchemaNewer(LedgerError):
    """A newer gateway made this ledger: this one must not touch it."""


class SchemaOlder(LedgerError):
    """The ledger must be migrated before this gateway can use it."""


def migrate(url: str) -> str:
    """Bring the ledger at the URL to the newest schema, making it where there is none; its revision.

    All missing steps happen in one transaction under a lock: they are all there, or none is.  Where none is
    missing nothing is locked: a process begins beside others that are at work.  The next schema, which a newer
    gateway made, is left as it is.
    Raises SchemaNewer, or ValueError for a URL that cannot be used.
    """
    database = Database(url, create=True)
    try:
        newest = _known()[-1]
        revision = newest if database.read(_found) == newest else database.write(_upgrade)
        months.keep_ahead(database, datetime.now(UTC))
        return revision
    finally:
        database.close()


def known() -> list[str]:
    """Every schema that this gateway can bring up to its own, and its own, oldest first."""
    return _known()


def require_usable(connection: Connection) -> None:
    """Raises LedgerMissing, SchemaOlder or SchemaNewer unless the schema is ours or the next one: that one is
    made so that we can go on with it, while nodes are replaced one by one."""
    found, known = _found(connection), _known()
    if found is None:
        raise LedgerMissing("the database holds no ledger; create it first")
    if found in known and found != known[-1]:
        raise SchemaOlder(f"the ledger's schema is {found}; migrate it to {known[-1]} first")
    _refuse_later(found, known[-1])


def _refuse_later(found: str, ours: str) -> None:
    """Raises SchemaNewer for a schema that is neither ours, nor an older one, nor the next one."""
    if not found.isdecimal() or int(found) > int(ours) + 1:
        raise SchemaNewer(
            f"the ledger's schema is {found}; this gateway's is {ours}, and it goes on with the next one at most: "
            "begin a newer gateway"
        )


def _upgrade(connection: Connection) -> str:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    found, known = _found(connection), _known()
    if found is not None and found not in known:
        _refuse_later(found, known[-1])
        return found
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return known[-1]


def _found(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _known() -> list[str]:
    """Every revision that this gateway ships, oldest first."""
    scripts = ScriptDirectory.from_config(_config())
    return [script.revision for script in scripts.walk_revisions()][::-1]


def _config() -> Config:
    config = Config()
    # The percent sign is the configuration format's own and may stand in a path.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
