"""Deliveries keep their order within a lane; destinations that are left alone are remembered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Deliveries that were stored before, or that an older node stores meanwhile, have no lane: they go in
    order of arrival, and wait for nothing."""
    op.add_column("delivery", sa.Column("lane", sa.Text(), server_default=sa.text("''"), nullable=False))
    waits = sa.text("state IN ('due', 'dead') AND lane != ''")
    op.create_index(
        "ix_delivery_lane",
        "delivery",
        ["lane", "position"],
        sqlite_where=waits,
        postgresql_where=waits,
    )
    op.create_table(
        "breaker",
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("probe_at", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("destination", name=op.f("pk_breaker")),
    )
