"""Leases are renewed each second: what that leaves behind in the queue is cleared away sooner."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """PostgreSQL keeps every version of a row until it is vacuumed, and looks for that at a fifth of the
    table by default: of a queue, whose rows change many times, at a hundredth."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE delivery SET (autovacuum_vacuum_scale_factor = 0.01, fillfactor = 80)")
