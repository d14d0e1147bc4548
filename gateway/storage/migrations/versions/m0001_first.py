"""The first schema.

Tables that are cut into months have no month yet: these are made when a ledger is opened (gateway.storage.months).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
FIRST, END = "'01dxf6dt00'", "'06k7ms3a00'"
"""What ids of the first millisecond of 2020, and of 2200, begin with."""
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table; what another one refers to comes before it."""
    _archived()
    _breaker()
    _certificate()
    _chain()
    _checkpoint()
    _claim()
    _correction()
    _counter()
    _decision()
    _delivery()
    _event()
    _duty()
    _exhibit()
    _held()
    _journal()
    _learned()
    _mandate()
    _message()
    _octets()
    _outgoing()
    _partner()
    _paused()
    _refusal()
    _span()
    _slice()
    _submission()
    _taken()
    _waiting()
    _credential()
    _partner_key()
    _heads()
    _queues()
    _already_compressed()
    _outside_months()


def _archived() -> None:
    op.create_table(
        "archived",
        sa.Column("submission", KEY, nullable=False),
        sa.Column("archive", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("submission", name=op.f("pk_archived")),
    )


def _breaker() -> None:
    op.create_table(
        "breaker",
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("probe_at", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("destination", name=op.f("pk_breaker")),
    )


def _certificate() -> None:
    op.create_table(
        "certificate",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("issuer", sa.LargeBinary(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("uses", sa.Text(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.Column("first_seen", sa.BigInteger(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_certificate")),
    )
    op.create_index(op.f("ix_certificate_due_at"), "certificate", ["due_at"], unique=False)


def _chain() -> None:
    op.create_table(
        "chain",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("covered", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chain")),
    )


def _checkpoint() -> None:
    op.create_table(
        "checkpoint",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("certificates", sa.Text(), nullable=False),
        sa.Column("stamp", sa.LargeBinary(), nullable=True),
        sa.Column("stamped_at", sa.BigInteger(), nullable=True),
        sa.Column("stampers", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_checkpoint")),
    )


def _claim() -> None:
    op.create_table(
        "claim",
        sa.Column("signer", KEY, nullable=False),
        sa.Column("claim", KEY, nullable=False),
        sa.Column("submission", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("signer", "claim", name=op.f("pk_claim")),
        sqlite_with_rowid=False,
    )


def _correction() -> None:
    op.create_table(
        "correction",
        sa.Column("submission", KEY, nullable=False),
        sa.Column("delivery", KEY, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("how", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("original", sa.Text(), nullable=False),
        sa.Column("declaration", sa.LargeBinary(), nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("submission", "delivery", "number", name=op.f("pk_correction")),
        postgresql_partition_by="RANGE (submission)",
    )


def _paused() -> None:
    op.create_table(
        "paused",
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("destination", name=op.f("pk_paused")),
    )


def _duty() -> None:
    op.create_table(
        "duty",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_duty")),
    )


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
        sa.Column("submission", KEY, nullable=False),
        sa.Column("about", KEY, nullable=False),
        sa.Column("id", KEY, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("registration", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("outgoing", sa.Text(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("submission", "about", "id", name=op.f("pk_decision")),
        postgresql_partition_by="RANGE (submission)",
    )


def _delivery() -> None:
    op.create_table(
        "delivery",
        sa.Column("position", NUMBER, sa.Identity(always=False), nullable=False),
        sa.Column("id", KEY, nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
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
        "ix_delivery_lane",
        "delivery",
        ["lane", "position"],
        unique=False,
        sqlite_where=sa.text("lane != ''"),
        postgresql_where=sa.text("lane != ''"),
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
        sa.Column("submission", KEY, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("submission", "position", name=op.f("pk_event")),
        postgresql_partition_by="RANGE (submission)",
        sqlite_with_rowid=False,
    )


def _exhibit() -> None:
    op.create_table(
        "exhibit",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_exhibit")),
    )


def _held() -> None:
    op.create_table(
        "held",
        sa.Column("position", NUMBER, sa.Identity(always=False), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.Column("findings", sa.Text(), nullable=False),
        sa.Column("certificates", sa.Text(), nullable=False),
        sa.Column("became", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_held")),
        sa.UniqueConstraint("id", name=op.f("uq_held_id")),
        sa.UniqueConstraint("partner", "digest", name=op.f("uq_held_partner_digest")),
    )
    op.create_index(
        "ix_held_waiting",
        "held",
        ["position"],
        unique=False,
        sqlite_where=sa.text("became = ''"),
        postgresql_where=sa.text("became = ''"),
    )


def _journal() -> None:
    op.create_table(
        "journal",
        sa.Column("chain", KEY, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("about", KEY, nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("chain", "seq", name=op.f("pk_journal")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_journal_about"), "journal", ["about"], unique=False)


def _learned() -> None:
    op.create_table(
        "learned",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("told", sa.LargeBinary(), nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.Column("this_update", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("learned_at", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_learned")),
    )
    op.create_index(op.f("ix_learned_version"), "learned", ["version"], unique=False)


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
    op.create_index(op.f("ix_mandate_agent"), "mandate", ["agent"], unique=False)
    op.create_index(op.f("ix_mandate_changed"), "mandate", ["changed"], unique=False)
    op.create_index(op.f("ix_mandate_principal"), "mandate", ["principal"], unique=False)


def _message() -> None:
    op.create_table(
        "message",
        sa.Column("submission", KEY, nullable=False),
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
        sa.PrimaryKeyConstraint("submission", "ordinal", name=op.f("pk_message")),
        postgresql_partition_by="RANGE (submission)",
    )


def _octets() -> None:
    op.create_table(
        "octets",
        sa.Column("submission", KEY, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("submission", name=op.f("pk_octets")),
        postgresql_partition_by="RANGE (submission)",
    )


def _outgoing() -> None:
    op.create_table(
        "outgoing",
        sa.Column("submission", KEY, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("submission", "name", name=op.f("pk_outgoing")),
        postgresql_partition_by="RANGE (submission)",
    )
    op.create_index("ix_outgoing_partner_position", "outgoing", ["partner", "position"], unique=False)


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


def _refusal() -> None:
    op.create_table(
        "refusal",
        sa.Column("position", NUMBER, sa.Identity(always=False), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_refusal")),
    )


def _span() -> None:
    op.create_table(
        "span",
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("checkpoint", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("chain", "last", name=op.f("pk_span")),
    )


def _slice() -> None:
    op.create_table(
        "slice",
        sa.Column("submission", KEY, nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("octets", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("submission", "part", "number", name=op.f("pk_slice")),
        postgresql_partition_by="RANGE (submission)",
    )


def _submission() -> None:
    op.create_table(
        "submission",
        sa.Column("id", KEY, nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("signer", sa.Text(), nullable=False),
        sa.Column("filer", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("claim", sa.Text(), nullable=True),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("findings", sa.Text(), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=True),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("receipt_at", sa.BigInteger(), nullable=False),
        sa.Column("receipt_type", sa.Text(), nullable=False),
        sa.Column("receipt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_submission")),
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index("ix_submission_filer_position", "submission", ["filer", "position"], unique=False)


def _taken() -> None:
    op.create_table(
        "taken",
        sa.Column("digest", KEY, nullable=False),
        sa.Column("partner", KEY, nullable=False),
        sa.Column("submission", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest", "partner", name=op.f("pk_taken")),
        sqlite_with_rowid=False,
    )


def _waiting() -> None:
    op.create_table(
        "waiting",
        sa.Column("partner", KEY, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("outgoing", KEY, nullable=False),
        sa.PrimaryKeyConstraint("partner", "position", "outgoing", name=op.f("pk_waiting")),
        sqlite_with_rowid=False,
    )


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
    op.create_index(op.f("ix_credential_expires_at"), "credential", ["expires_at"], unique=False)
    op.create_index(op.f("ix_credential_partner"), "credential", ["partner"], unique=False)


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


def _heads() -> None:
    given = sa.text("registration != ''")
    for table, column, where in (
        ("submission", "reference", None),
        ("message", "lrn", None),
        ("decision", "registration", given),
    ):
        op.create_index(
            f"ix_{table}_{column}",
            table,
            [sa.text(f"substr({column}, 1, 64)")],
            sqlite_where=where,
            postgresql_where=where,
        )


def _queues() -> None:
    """PostgreSQL keeps every version of a row until it is vacuumed, and looks for that at a fifth of the table by
    default: of a queue, whose rows come and go and change many times, at a hundredth."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE delivery SET (autovacuum_vacuum_scale_factor = 0.01, fillfactor = 80)")
        op.execute("ALTER TABLE waiting SET (autovacuum_vacuum_scale_factor = 0.01)")


def _already_compressed() -> None:
    """These come as compressed octets: PostgreSQL need not try once more."""
    if op.get_bind().dialect.name == "postgresql":
        for column in (
            "submission.receipt",
            "octets.body",
            "slice.octets",
            "message.declaration",
            "outgoing.body",
        ):
            table, _, name = column.partition(".")
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {name} SET STORAGE EXTERNAL")


def _outside_months() -> None:
    """What is no id of a month has its place before the first and behind the last: 2020 to 2199."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in ("correction", "decision", "event", "message", "octets", "outgoing", "slice", "submission"):
        for name, first, end in (("early", "MINVALUE", FIRST), ("late", END, "MAXVALUE")):
            op.execute(
                f"CREATE TABLE {table}_{name} PARTITION OF {table} FOR VALUES FROM ({first}) TO ({end})"
            )
