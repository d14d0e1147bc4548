"""The ledger's tables, the same on SQLite and PostgreSQL.

Times are integers: microseconds since 1970-01-01T00:00:00Z (`codec.micros`); they compare, index and
round-trip alike on both databases.  ``position`` is the order of arrival and the paging cursor; it may
have gaps.  JSON columns hold msgspec's encoding of a model value, as text or (declarations) as octets.
Enumerations are stored as their model texts.  A message's id, ``submission-id.ordinal``, is its primary key.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)

DUE = "due"
DONE = "done"
DEAD = "dead"

HEAD = 64
"""Characters of a partner's text that a look-up index holds: PostgreSQL refuses index rows over 2,704
octets, and a refused message may carry a reference of any length."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _position() -> Column[int]:
    kind = BigInteger().with_variant(Integer(), "sqlite")
    return Column("position", kind, Identity(), primary_key=True)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _time(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


submission = Table(
    "submission",
    metadata,
    _position(),
    _text("id"),
    _text("partner"),  # transport's partner
    _text("channel"),
    _text("media_type"),
    Column("body", LargeBinary, nullable=False),  # as received, octet for octet
    _text("digest"),  # hex SHA-256 of body
    _time("received_at"),
    _text("outcome"),
    _text("signer"),  # partner id of who signed
    _text("filer"),
    _text("principal"),
    _text("reference"),
    Column("claim", Text),  # the verdict's claim (its digest, when long) where it was taken, else NULL
    _text("receipt"),  # outgoing id of the receipt first given
    _text("route"),  # JSON
    _text("findings"),  # JSON
    Column("certificate", Text),  # JSON of the Signer, NULL where unsigned
    _text("events"),  # JSON: the timeline up to the settlement; what follows is in `event`
    UniqueConstraint("id"),
    UniqueConstraint("partner", "digest"),  # the same bytes from the same transport partner: repeated
    UniqueConstraint("signer", "claim"),  # one submission owns a signer's reference
)
Index("ix_submission_reference", func.substr(submission.c.reference, text("1"), text(str(HEAD))))

message = Table(
    "message",
    metadata,
    Column("submission", Text, ForeignKey("submission.id"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    _text("type"),
    _text("reference"),
    _text("identifier"),  # EDIFACT S009 as sent, "" for XML
    _text("lrn"),
    _text("function"),
    Column("kind", Text),
    _text("outcome"),
    _text("findings"),  # JSON
    Column("declaration", LargeBinary),  # JSON, NULL unless accepted
    _text("registration"),  # customs' number, "" until given
    _text("state"),  # the outcome, then the kind of the newest decision
    _time("decided_at"),  # of the newest decision, 0 before
)
Index("ix_message_lrn", func.substr(message.c.lrn, text("1"), text(str(HEAD))))
Index(
    "ix_message_registration",
    func.substr(message.c.registration, text("1"), text(str(HEAD))),
    sqlite_where=message.c.registration != text("''"),
    postgresql_where=message.c.registration != text("''"),
)

outgoing = Table(
    "outgoing",
    metadata,
    _position(),
    _text("id"),
    _text("partner"),
    _text("kind"),
    _text("about"),
    _text("reference"),
    _text("media_type"),
    Column("body", LargeBinary, nullable=False),
    _time("created_at"),
    Column("acknowledged_at", BigInteger),
    UniqueConstraint("id"),
)
Index("ix_outgoing_partner_position", outgoing.c.partner, outgoing.c.position)
Index(
    "ix_outgoing_waiting",
    outgoing.c.partner,
    outgoing.c.position,
    sqlite_where=outgoing.c.acknowledged_at.is_(None),
    postgresql_where=outgoing.c.acknowledged_at.is_(None),
)

delivery = Table(
    "delivery",
    metadata,
    _position(),
    _text("id"),
    _text("destination"),
    _text("payload"),
    _time("due_at"),
    Column("attempts", Integer, nullable=False),
    _time("lease_until"),  # 0 where no courier holds it
    _text("lease_owner"),
    _text("state"),  # due, done or dead
    _text("error"),  # of the last failed attempt
    UniqueConstraint("id"),
)
is_push = func.substr(delivery.c.destination, text("1"), text("5")) == text("'push:'")
"""Told in literals: the index of pushes is chosen by it."""
_is_due = delivery.c.state == text("'due'")
_is_dead = delivery.c.state == text("'dead'")
Index(
    "ix_delivery_queue",  # in order of arrival; what waits for its time or is leased is skipped inside it
    delivery.c.destination,
    delivery.c.position,
    delivery.c.due_at,
    delivery.c.lease_until,
    sqlite_where=_is_due,
    postgresql_where=_is_due,
)
Index(
    "ix_delivery_dead",
    delivery.c.destination,
    delivery.c.position,
    sqlite_where=_is_dead,
    postgresql_where=_is_dead,
)
Index(
    "ix_delivery_push",  # only these are asked for by their payload
    delivery.c.payload,
    sqlite_where=is_push,
    postgresql_where=is_push,
)

decision = Table(
    "decision",
    metadata,
    _position(),
    _text("id"),
    Column("submission", Text, nullable=False, index=True),
    _text("message"),  # may be one that we do not know
    _text("kind"),
    _time("at"),
    _text("body"),  # JSON
    Column("outgoing", Text),  # outgoing id of the answer that carried it, NULL where nobody was told
    UniqueConstraint("id"),
)

event = Table(
    "event",
    metadata,
    _position(),
    Column("submission", Text, nullable=False, index=True),
    _text("about"),
    _time("at"),
    _text("what"),
    _text("detail"),
)

refusal = Table(
    "refusal",
    metadata,
    _position(),
    _text("partner"),
    _text("channel"),
    _text("code"),
    _text("digest"),
    _time("at"),
)

partner = Table(
    "partner",
    metadata,
    Column("id", Text, primary_key=True),
    _text("body"),  # JSON
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
    _text("body"),  # JSON
)

counter = Table(
    "counter",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
