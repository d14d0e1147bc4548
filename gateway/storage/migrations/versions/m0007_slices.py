"""Octets of large submissions lie in rows of bounded size."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What an older node stored has its octets where they always were."""
    op.create_table(
        "slice",
        sa.Column("submission", sa.Text(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("octets", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("submission", "part", "number", name=op.f("pk_slice")),
    )
