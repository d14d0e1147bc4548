"""The office's own tables, all named ``clearance_...``, and the steps that bring a database up to them.

Money is stored as decimal text: it is exact on every database, and never summed by one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator


class Instant(TypeDecorator[datetime]):
    """An aware moment, kept in UTC (SQLite keeps no zone of its own)."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


metadata = sa.MetaData()

_POSITION = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""SQLite gives numbers by itself only to a column declared INTEGER."""


def _text(name: str, **options: Any) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, **options)


def _at(name: str, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, Instant, nullable=nullable)


schema = sa.Table(
    "clearance_schema",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True),
    _at("at"),
)

counter = sa.Table(
    "clearance_counter",
    metadata,
    _text("name", primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)
"""Running numbers by year; the row ``turn`` is what writers queue on."""

handover = sa.Table(
    "clearance_handover",
    metadata,
    _text("delivery", primary_key=True),
    _text("message"),
    _text("registration"),
    _at("at"),
)
"""Every delivery key that had its effect; ``registration`` "" where nothing was registered."""

case = sa.Table(
    "clearance_case",
    metadata,
    _text("registration", primary_key=True),
    _text("family"),
    _text("kind"),
    _text("lrn"),
    _text("principal"),
    _text("filer"),
    _text("message"),
    sa.Column("version", sa.Integer, nullable=False),
    _text("state"),
    _text("held_from"),
    sa.Column("revoked", sa.Boolean, nullable=False),
    _text("channel"),
    _text("total"),
    _text("paid"),
    _text("secured"),
    _text("guarantee"),
    _text("reference"),
    _at("due_at", nullable=True),
    _at("limit_at", nullable=True),
    sa.Column("said", sa.Integer, nullable=False),
    _at("registered_at"),
    _at("changed_at"),
    sa.UniqueConstraint("family", "principal", "lrn", name="clearance_case_lrn"),
    sa.Index("clearance_case_state", "state", "registered_at"),
    sa.Index("clearance_case_lrn_alone", "lrn"),
    sa.Index("clearance_case_guarantee", "guarantee"),
)

version = sa.Table(
    "clearance_version",
    metadata,
    _text("registration", primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    _text("delivery"),
    _text("message"),
    _text("filer"),
    _text("total"),
    sa.Column("declaration", sa.LargeBinary, nullable=False),
    sa.Column("duties", sa.LargeBinary, nullable=False),
    _at("at"),
)
"""The declaration as each version left it, JSON, with the duty lines assessed on it; empty: in `piece`."""

piece = sa.Table(
    "clearance_piece",
    metadata,
    _text("registration", primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("octets", sa.LargeBinary, nullable=False),
)
"""Octets of declarations that are too long for a column."""

history = sa.Table(
    "clearance_history",
    metadata,
    sa.Column("position", _POSITION, primary_key=True, autoincrement=True),
    _text("registration", index=True),
    _at("at"),
    _text("who"),
    _text("what"),
    _text("before"),
    _text("after"),
    _text("why"),
)
"""The audit: who moved a declaration, when, from where to where, and why."""

hit = sa.Table(
    "clearance_hit",
    metadata,
    sa.Column("position", _POSITION, primary_key=True, autoincrement=True),
    _text("registration", index=True),
    sa.Column("version", sa.Integer, nullable=False),
    _text("criterion"),
    _text("pointer"),
    _text("outcome"),
)

notice = sa.Table(
    "clearance_notice",
    metadata,
    _text("reference", primary_key=True),
    _text("registration", index=True),
    sa.Column("version", sa.Integer, nullable=False),
    _text("amount"),
    _at("at"),
)

payment = sa.Table(
    "clearance_payment",
    metadata,
    _text("account", primary_key=True),
    _text("entry", primary_key=True),
    _text("type", primary_key=True),
    _text("reference"),
    _text("registration", index=True),
    _text("amount"),
    _text("delivery"),
    _at("at"),
)
"""Booked entries of the bank; the key is the bank's own, so that an entry counts once."""

block = sa.Table(
    "clearance_block",
    metadata,
    sa.Column("position", _POSITION, primary_key=True, autoincrement=True),
    _text("registration", index=True),
    _text("consignment"),
    _text("action"),
    _text("criterion"),
    _text("reason"),
    _text("placed_by"),
    _at("placed_at"),
    _text("lifted_by"),
    _text("lift_reason"),
    _at("lifted_at", nullable=True),
)
"""Do-not-load and do-not-unload orders; ``criterion`` "" where an officer gave the order."""

decision = sa.Table(
    "clearance_decision",
    metadata,
    sa.Column("position", _POSITION, primary_key=True, autoincrement=True),
    _text("id", unique=True),
    _text("registration", index=True),
    _text("kind"),
    sa.Column("body", sa.LargeBinary, nullable=False),
    _at("at"),
    _at("confirmed_at", nullable=True),
    sa.Index(
        "clearance_decision_due",
        "position",
        sqlite_where=sa.text("confirmed_at IS NULL"),
        postgresql_where=sa.text("confirmed_at IS NULL"),
    ),
)
"""The outbox: JSON decisions, offered until they are confirmed and kept for the record afterwards."""


def named(row: sa.Row[Any]) -> dict[str, Any]:
    """A row's values by plain column names (SQLAlchemy's own names are a subclass of str)."""
    return {str(name): value for name, value in zip(row._fields, row, strict=True)}


TURN = "turn"

EPOCH = "epoch"
"""The counter that tells what is said after a restore from what was said, under the same numbers, before it."""

MIGRATION_LOCK = 0x636C6561
"""Key of the PostgreSQL advisory lock under which the schema is brought up (ASCII "clea")."""


Step = Callable[[sa.Connection], None]

STEPS: tuple[Step, ...] = ()
"""Step n brings a database of schema version n + 1 to n + 2.  A released step is never edited; an
empty database is made at the newest version at once."""


class SchemaTooNew(Exception):
    """The database is of a release of this office after the next one."""


def migrate(connection: sa.Connection, now: datetime, steps: tuple[Step, ...] = STEPS) -> None:
    """Bring the database to the newest schema version, in the caller's transaction.

    The next schema is left as it is: it is made so that this release can go on with it, while nodes are replaced one
    by one.  Raises SchemaTooNew for one after that.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
    metadata.create_all(connection, tables=[schema], checkfirst=True)
    newest = 1 + len(steps)
    current = connection.scalar(sa.select(sa.func.max(schema.c.version)))
    if current is None:
        tables = [table for table in metadata.sorted_tables if table is not schema]
        metadata.create_all(connection, tables=tables, checkfirst=False)
        connection.execute(counter.insert().values(name=TURN, value=0))
        connection.execute(schema.insert().values(version=newest, at=now))
    elif current > newest + 1:
        raise SchemaTooNew(f"schema version {current}; this release knows {newest} and the next one")
    else:
        for number, step in enumerate(steps[current - 1 :], start=current + 1):
            step(connection)
            connection.execute(schema.insert().values(version=number, at=now))
