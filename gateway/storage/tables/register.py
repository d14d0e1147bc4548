"""Partners, what proves them, and mandates.

``changed``: the register's version that a row was written by; who knows an earlier one reads what came since.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, Table, Text

from gateway.storage.tables.base import metadata, text_column

partner = Table(
    "partner",
    metadata,
    Column("id", Text, primary_key=True),
    text_column("body"),  # JSON, without the certificates themselves
    text_column("search"),  # id, name and keys, folded: without case and diacritics
    Column("changed", BigInteger, nullable=False, index=True),
)

partner_key = Table(
    "partner_key",
    metadata,
    Column("kind", Text, primary_key=True),  # subject, identifier, token or certificate
    Column("value", Text, primary_key=True),
    Column("partner", Text, ForeignKey("partner.id"), nullable=False, index=True),
)

credential = Table(
    "credential",
    metadata,
    Column("fingerprint", Text, primary_key=True),  # hex SHA-256
    Column("partner", Text, ForeignKey("partner.id"), nullable=False, index=True),
    Column("certificate", LargeBinary, nullable=False),  # DER
    Column("expires_at", BigInteger, nullable=False, index=True),  # the certificate's end, or our window's
)

mandate = Table(
    "mandate",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agent", Text, nullable=False, index=True),
    Column("principal", Text, nullable=False, index=True),
    Column("valid_from", BigInteger),
    Column("valid_to", BigInteger),
    Column("revoked_at", BigInteger),
    text_column("terms"),  # JSON: types, offices, form
    Column("changed", BigInteger, nullable=False, index=True),
)

counter = Table(
    "counter",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
