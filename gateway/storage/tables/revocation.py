"""Certificates that were met, what was learned of their revocation, and submissions held until it is."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table, Text, UniqueConstraint
from sqlalchemy import text as literal

from gateway.storage.tables.base import metadata, position_column, text_column, time_column

certificate = Table(
    "certificate",
    metadata,
    Column("fingerprint", Text, primary_key=True),  # hex SHA-256 of der
    Column("der", LargeBinary, nullable=False),
    Column("issuer", LargeBinary, nullable=False),  # DER of the certificate above it, in a proven chain
    text_column("subject"),
    text_column("uses"),  # words in order, with a blank between: own push sign stamp tls
    time_column("not_after"),
    time_column("first_seen"),
    time_column("last_seen"),
    Column("due_at", BigInteger, nullable=False, index=True),  # when its revocation is asked after next
    Column("attempts", Integer, nullable=False),  # that failed, since one did not
    time_column("asked_at"),  # last successfully, 0 before
    time_column("lease_until"),
    text_column("lease_owner"),
    text_column("error"),  # of the last attempt
)

learned = Table(
    "learned",
    metadata,
    Column("subject", Text, primary_key=True),  # ocsp:HEX of a certificate, crl:HEX of an issuer's scope
    Column("der", LargeBinary, nullable=False),  # the OCSP response or CRL, as it came
    Column("told", LargeBinary, nullable=False),  # what it says, verified: JSON of security's words
    Column("final", Boolean, nullable=False),  # a revocation that is never taken back
    time_column("this_update"),
    time_column("until"),
    time_column("learned_at"),
    text_column("source"),  # URL, or how else it came
    Column("version", BigInteger, nullable=False, index=True),
)

held = Table(
    "held",
    metadata,
    position_column(),
    text_column("id"),
    text_column("partner"),
    text_column("channel"),
    text_column("media_type"),
    Column("body", LargeBinary, nullable=False),  # emptied once it is settled
    text_column("digest"),
    time_column("received_at"),
    time_column("deadline"),
    text_column("findings"),  # JSON: what it waits for
    text_column("certificates"),  # JSON: the chain that nobody could speak of, base64 of DER
    text_column("became"),  # the submission that it was settled as, "" while it waits, its own id: unanswered
    UniqueConstraint("id"),
    UniqueConstraint("partner", "digest"),
)
Index(
    "ix_held_waiting",
    held.c.position,
    sqlite_where=held.c.became == literal("''"),
    postgresql_where=held.c.became == literal("''"),
)
