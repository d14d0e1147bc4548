"""What every table of the ledger is made with.

Times are integers: microseconds since 1970-01-01T00:00:00Z (`codec.micros`); they compare, index and
round-trip alike on both databases.  ``position`` is the order of arrival and the paging cursor; it may
have gaps.  JSON columns hold msgspec's encoding of a model value, as text or (declarations) as octets.
Enumerations are stored as their model texts.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Identity, Integer, MetaData, Text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def position_column() -> Column[int]:
    kind = BigInteger().with_variant(Integer(), "sqlite")
    return Column("position", kind, Identity(), primary_key=True)


def text_column(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def time_column(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)
