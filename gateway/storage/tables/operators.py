"""What operators decide of deliveries, and what one node of many does for all."""

from __future__ import annotations

from sqlalchemy import Column, Integer, LargeBinary, Table, Text

from gateway.storage.tables.base import by_month, key_column, metadata, text_column, time_column

paused = Table(
    "paused",  # destinations to which nothing is sent until an operator says so
    metadata,
    Column("destination", Text, primary_key=True),
    time_column("since"),
    text_column("who"),
    text_column("why"),
)

correction = Table(
    "correction",  # what is handed over, or where it is pushed, instead of the original
    metadata,
    key_column("submission"),
    key_column("delivery"),
    Column("number", Integer, primary_key=True, autoincrement=False),  # from 1; the last one counts
    text_column("how"),
    time_column("at"),
    text_column("who"),
    text_column("why"),
    text_column("original"),  # hex SHA-256 of the declaration as accepted, "" where none is corrected
    Column("declaration", LargeBinary),  # JSON, NULL where none is corrected
    text_column("address"),  # "" where it stays
    text_column("changes"),  # JSON
    **by_month("submission"),
)

duty = Table(
    "duty",  # what one node does for all: whose it is, until when
    metadata,
    Column("name", Text, primary_key=True),
    text_column("owner"),
    time_column("until"),
)
