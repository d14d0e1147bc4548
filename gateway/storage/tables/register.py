"""Partners, what proves them, and mandates."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Table, Text

from gateway.storage.tables.base import metadata, text_column

partner = Table(
    "partner",
    metadata,
    Column("id", Text, primary_key=True),
    text_column("body"),  # JSON
)

partner_key = Table(
    "partner_key",
    metadata,
    Column("kind", Text, primary_key=True),  # subject, identifier or token
    Column("value", Text, primary_key=True),
    Column("partner", Text, ForeignKey("partner.id"), nullable=False, index=True),
)

mandate = Table(
    "mandate",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agent", Text, nullable=False, index=True),
    Column("principal", Text, nullable=False, index=True),
    text_column("body"),  # JSON
)

counter = Table(
    "counter",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
