"""What every table of the ledger is made with.

Times are integers: microseconds since 1970-01-01T00:00:00Z (`codec.micros`); they compare, index and
round-trip alike on both databases.  ``position`` is the order of arrival and the paging cursor; it may
have gaps.  JSON columns hold msgspec's encoding of a model value, as text or (declarations) as octets.
Enumerations are stored as their model texts.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Identity, Integer, MetaData, Text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

KEY = Text().with_variant(Text(collation="C"), "postgresql")
"""Of columns by whose order rows are found and cut into months: by octets, whatever the server's language."""


def position_column() -> Column[int]:
    kind = BigInteger().with_variant(Integer(), "sqlite")
    return Column("position", kind, Identity(), primary_key=True)


def text_column(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def time_column(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def number_column(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def key_column(name: str, **options: Any) -> Column[str]:
    """Part of the primary key."""
    return Column(name, KEY, primary_key=True, **options)


def by_month(column: str) -> dict[str, Any]:
    """On PostgreSQL the table is cut into months by this column, which begins with a submission's id."""
    return {"postgresql_partition_by": f"RANGE ({column})", "info": {"by_month": column}}
