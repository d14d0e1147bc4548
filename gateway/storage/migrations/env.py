"""Run by Alembic inside the transaction that `migrate` opened."""

from __future__ import annotations

from alembic import context

from gateway.storage.tables import metadata

# SQLite's data definitions are transactional too, since our connections begin explicitly.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
context.run_migrations()
