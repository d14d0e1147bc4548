"""Credentials, mandates in columns, and versions of what changed."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def upgrade() -> None:
    """Make the register's tables anew around what they hold.

    A mandate of before says nothing of signatures; it goes on to let the agent sign alone.
    """
    connection = op.get_bind()
    names = ("partner", "partner_key", "mandate")
    old = {n: [dict(r) for r in connection.execute(sa.text(f"SELECT * FROM {n}")).mappings()] for n in names}  # noqa: S608
    for name in ("partner_key", "mandate", "partner"):
        op.drop_table(name)
    _partner()
    _partner_key()
    _credential()
    _mandate()
    keys: dict[str, list[str]] = {}
    for row in old["partner_key"]:
        if row["kind"] != "token":
            keys.setdefault(row["partner"], []).append(row["value"])
    partners = [
        {"id": r["id"], "body": r["body"], "search": _search(r, keys.get(r["id"], [])), "changed": 0}
        for r in old["partner"]
    ]
    for name, rows in (
        ("partner", partners),
        ("partner_key", old["partner_key"]),
        ("mandate", [_columns(row) for row in old["mandate"]]),
    ):
        if rows:
            columns = list(rows[0])
            table = sa.table(name, *(sa.column(c) for c in columns))
            connection.execute(sa.insert(table), rows)


def _search(row: dict[str, Any], keys: list[str]) -> str:
    words = " ".join([row["id"], json.loads(row["body"]).get("name", ""), *sorted(keys)])
    bare = (c for c in unicodedata.normalize("NFD", words.casefold()) if not unicodedata.combining(c))
    return "".join(bare).replace("đ", "d")


def _columns(row: dict[str, Any]) -> dict[str, Any]:
    body = json.loads(row["body"])
    terms = {"types": body["types"]} if body.get("types") else {}
    terms["form"] = "agent"
    times = {name: _micros(body.get(name)) for name in ("valid_from", "valid_to", "revoked_at")}
    rest = {"terms": json.dumps(terms, separators=(",", ":")), "changed": 0}
    return {"id": row["id"], "agent": row["agent"], "principal": row["principal"], **times, **rest}


def _micros(text: str | None) -> int | None:
    return None if text is None else (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


def _partner() -> None:
    op.create_table(
        "partner",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("search", sa.Text(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partner")),
    )
    op.create_index(op.f("ix_partner_changed"), "partner", ["changed"], unique=False)


def _partner_key() -> None:
    op.create_table(
        "partner_key",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["partner"], ["partner.id"], name=op.f("fk_partner_key_partner")),
        sa.PrimaryKeyConstraint("kind", "value", name=op.f("pk_partner_key")),
    )
    op.create_index(op.f("ix_partner_key_partner"), "partner_key", ["partner"], unique=False)


def _credential() -> None:
    op.create_table(
        "credential",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["partner"], ["partner.id"], name=op.f("fk_credential_partner")),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_credential")),
    )
    op.create_index(op.f("ix_credential_partner"), "credential", ["partner"], unique=False)
    op.create_index(op.f("ix_credential_expires_at"), "credential", ["expires_at"], unique=False)


def _mandate() -> None:
    op.create_table(
        "mandate",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=True),
        sa.Column("valid_to", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mandate")),
    )
    for column in ("agent", "principal", "changed"):
        op.create_index(op.f(f"ix_mandate_{column}"), "mandate", [column], unique=False)
