"""The journal and what is signed over it; exhibits; what was archived."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Table, Text

from gateway.storage.tables.base import KEY, key_column, metadata, text_column, time_column

chain = Table(
    "chain",
    metadata,
    Column("id", Text, primary_key=True),
    time_column("opened_at"),
    Column("covered", Integer, nullable=False),  # up to this entry, checkpoints hold it
)
"""One writer's entries: each open ledger has one for every transaction that it runs at the same time."""

journal = Table(
    "journal",
    metadata,
    key_column("chain"),
    Column("seq", Integer, primary_key=True),
    Column("about", KEY, nullable=False, index=True),  # submission id, partner:ID, mandate:ID or ""
    text_column("entry"),  # JSON, as it is hashed
    text_column("hash"),
    sqlite_with_rowid=False,  # one tree instead of two for what is written most
)

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    time_column("at"),
    text_column("text"),  # as it is signed
    Column("signature", LargeBinary, nullable=False),
    text_column("certificates"),  # JSON: digests of exhibits, the signer's first
    Column("stamp", LargeBinary),  # RFC 3161 token over the signature, NULL while there is none
    Column("stamped_at", BigInteger),
    Column("stampers", Text),  # JSON: digests of exhibits, the time-stamp authority's chain
)

span = Table(
    "span",
    metadata,
    Column("chain", Text, primary_key=True),
    Column("last", Integer, primary_key=True),
    Column("first", Integer, nullable=False),
    Column("checkpoint", Integer, nullable=False),
)
"""Which checkpoint holds an entry."""

exhibit = Table(
    "exhibit",
    metadata,
    Column("digest", Text, primary_key=True),  # hex SHA-256 of body
    Column("body", LargeBinary, nullable=False),
)

archived = Table(
    "archived",
    metadata,
    key_column("submission"),
    text_column("archive"),  # the file's name
    text_column("digest"),  # hex SHA-256 of the file
    time_column("at"),
    Column("rows", Integer, nullable=False),  # of its, in tables that are cut into months
)
