"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table; what another one refers to comes before it."""
    _counter()
    _decision()
    _delivery()
    _event()
    _mandate()
    _outgoing()
    _partner()
    _refusal()
    _submission()
    _message()
    _partner_key()


def _counter() -> None:
    op.create_table(
        "counter",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counter")),
    )


def _decision() -> None:
    op.create_table(
        "decision",
        _position(),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("submission", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("outgoing", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_decision")),
        sa.UniqueConstraint("id", name=op.f("uq_decision_id")),
    )
    op.create_index(op.f("ix_decision_submission"), "decision", ["submission"], unique=False)


def _delivery() -> None:
    op.create_table(
        "delivery",
        _position(),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_delivery")),
        sa.UniqueConstraint("id", name=op.f("uq_delivery_id")),
    )
    op.create_index(
        "ix_delivery_dead",
        "delivery",
        ["destination", "position"],
        unique=False,
        sqlite_where=sa.text("state = 'dead'"),
        postgresql_where=sa.text("state = 'dead'"),
    )
    op.create_index(
        "ix_delivery_push",
        "delivery",
        ["payload"],
        unique=False,
        sqlite_where=sa.text("substr(destination, 1, 5) = 'push:'"),
        postgresql_where=sa.text("substr(destination, 1, 5) = 'push:'"),
    )
    op.create_index(
        "ix_delivery_queue",
        "delivery",
        ["destination", "position", "due_at", "lease_until"],
        unique=False,
        sqlite_where=sa.text("state = 'due'"),
        postgresql_where=sa.text("state = 'due'"),
    )


def _event() -> None:
    op.create_table(
        "event",
        _position(),
        sa.Column("submission", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_event")),
    )
    op.create_index(op.f("ix_event_submission"), "event", ["submission"], unique=False)


def _mandate() -> None:
    op.create_table(
        "mandate",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mandate")),
    )
    op.create_index(op.f("ix_mandate_agent"), "mandate", ["agent"], unique=False)
    op.create_index(op.f("ix_mandate_principal"), "mandate", ["principal"], unique=False)


def _outgoing() -> None:
    op.create_table(
        "outgoing",
        _position(),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_outgoing")),
        sa.UniqueConstraint("id", name=op.f("uq_outgoing_id")),
    )
    op.create_index("ix_outgoing_partner_position", "outgoing", ["partner", "position"], unique=False)
    op.create_index(
        "ix_outgoing_waiting",
        "outgoing",
        ["partner", "position"],
        unique=False,
        sqlite_where=sa.text("acknowledged_at IS NULL"),
        postgresql_where=sa.text("acknowledged_at IS NULL"),
    )


def _partner() -> None:
    op.create_table(
        "partner",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partner")),
    )


def _refusal() -> None:
    op.create_table(
        "refusal",
        _position(),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_refusal")),
    )


def _submission() -> None:
    op.create_table(
        "submission",
        _position(),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("signer", sa.Text(), nullable=False),
        sa.Column("filer", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("claim", sa.Text(), nullable=True),
        sa.Column("receipt", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("findings", sa.Text(), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=True),
        sa.Column("events", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_submission")),
        sa.UniqueConstraint("id", name=op.f("uq_submission_id")),
        sa.UniqueConstraint("partner", "digest", name=op.f("uq_submission_partner_digest")),
        sa.UniqueConstraint("signer", "claim", name=op.f("uq_submission_signer_claim")),
    )
    _head_index("ix_submission_reference", "submission", "reference")


def _message() -> None:
    op.create_table(
        "message",
        sa.Column("submission", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("lrn", sa.Text(), nullable=False),
        sa.Column("function", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("findings", sa.Text(), nullable=False),
        sa.Column("declaration", sa.LargeBinary(), nullable=True),
        sa.Column("registration", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["submission"], ["submission.id"], name=op.f("fk_message_submission")),
        sa.PrimaryKeyConstraint("submission", "ordinal", name=op.f("pk_message")),
    )
    _head_index("ix_message_lrn", "message", "lrn")
    _head_index("ix_message_registration", "message", "registration", "registration != ''")


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


def _position() -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("position", kind, sa.Identity(always=False), nullable=False)


def _head_index(name: str, table: str, column: str, where: str | None = None) -> None:
    condition = None if where is None else sa.text(where)
    head = sa.text(f"substr({column}, 1, 64)")
    op.create_index(name, table, [head], sqlite_where=condition, postgresql_where=condition)
