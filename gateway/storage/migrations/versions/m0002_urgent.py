"""What is urgent goes before what is not.

Who does not know the column yet writes none, and what it writes waits in order of arrival, as before: so this may be
read as soon as it is there.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

URGENT = sa.text("state = 'due' AND urgent = true")


def upgrade() -> None:
    """A column with a default, which rewrites nothing, and an index of the few that have it set."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '2s'")
    op.add_column(
        "delivery", sa.Column("urgent", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.create_index(
        "ix_delivery_urgent",
        "delivery",
        ["destination", "urgent", "position", "due_at", "lease_until"],
        unique=False,
        sqlite_where=URGENT,
        postgresql_where=URGENT,
    )
