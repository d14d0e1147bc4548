"""Submissions, messages, what goes out, deliveries, decisions.  A message's id, ``submission-id.ordinal``,
is its primary key."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)

from gateway.storage.tables.base import metadata, position_column, text_column, time_column

DUE = "due"
DONE = "done"
DEAD = "dead"
SKIPPED = "skipped"

HEAD = 64
"""Characters of a partner's text that a look-up index holds: PostgreSQL refuses index rows over 2,704
octets, and a refused message may carry a reference of any length."""

submission = Table(
    "submission",
    metadata,
    position_column(),
    text_column("id"),
    text_column("partner"),  # transport's partner
    text_column("channel"),
    text_column("media_type"),
    Column("body", LargeBinary, nullable=False),  # as received, octet for octet; empty: in `slice`
    text_column("digest"),  # hex SHA-256 of body
    time_column("received_at"),
    text_column("outcome"),
    text_column("signer"),  # partner id of who signed
    text_column("filer"),
    text_column("principal"),
    text_column("reference"),
    Column("claim", Text),  # the verdict's claim (its digest, when long) where it was taken, else NULL
    text_column("receipt"),  # outgoing id of the receipt first given
    text_column("route"),  # JSON
    text_column("findings"),  # JSON
    Column("certificate", Text),  # JSON of the Signer, NULL where unsigned
    text_column("events"),  # JSON: the timeline up to the settlement; what follows is in `event`
    UniqueConstraint("id"),
    UniqueConstraint("partner", "digest"),  # the same bytes from the same transport partner: repeated
    UniqueConstraint("signer", "claim"),  # one submission owns a signer's reference
)
Index("ix_submission_reference", func.substr(submission.c.reference, text("1"), text(str(HEAD))))

slice = Table(
    "slice",  # octets too many for a column, of submissions whose column is empty
    metadata,
    Column("submission", Text, primary_key=True),
    Column("part", Integer, primary_key=True),  # 0: the body; an ordinal: that message's declaration
    Column("number", Integer, primary_key=True),  # from 0
    Column("octets", LargeBinary, nullable=False),
)

message = Table(
    "message",
    metadata,
    Column("submission", Text, ForeignKey("submission.id"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    text_column("type"),
    text_column("reference"),
    text_column("identifier"),  # EDIFACT S009 as sent, "" for XML
    text_column("lrn"),
    text_column("function"),
    Column("kind", Text),
    text_column("outcome"),
    text_column("findings"),  # JSON
    Column("declaration", LargeBinary),  # JSON, NULL unless accepted; empty: in `slice`
    text_column("registration"),  # customs' number, "" until given
    text_column("state"),  # the outcome, then the kind of the newest decision
    time_column("decided_at"),  # of the newest decision, 0 before
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
    position_column(),
    text_column("id"),
    text_column("partner"),
    text_column("kind"),
    text_column("about"),
    text_column("reference"),
    text_column("media_type"),
    Column("body", LargeBinary, nullable=False),
    time_column("created_at"),
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
    position_column(),
    text_column("id"),
    text_column("destination"),
    text_column("payload"),
    time_column("due_at"),
    Column("attempts", Integer, nullable=False),
    time_column("lease_until"),  # 0 where no courier holds it
    text_column("lease_owner"),
    text_column("state"),  # due, done, dead or skipped
    text_column("error"),  # of the last failed attempt; why it was skipped
    UniqueConstraint("id"),
    # Within a lane nothing passes what came before; "" where no order is kept.
    Column("lane", Text, nullable=False, server_default=text("''")),
)
is_push = func.substr(delivery.c.destination, text("1"), text("5")) == text("'push:'")
"""Told in literals: the index of pushes is chosen by it."""
_is_due = delivery.c.state == text("'due'")
_is_dead = delivery.c.state == text("'dead'")
_holds_its_lane = text("state IN ('due', 'dead') AND lane != ''")
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
    "ix_delivery_lane",  # whether an earlier one of the lane has not arrived
    delivery.c.lane,
    delivery.c.position,
    sqlite_where=_holds_its_lane,
    postgresql_where=_holds_its_lane,
)
Index(
    "ix_delivery_push",  # only these are asked for by their payload
    delivery.c.payload,
    sqlite_where=is_push,
    postgresql_where=is_push,
)

breaker = Table(
    "breaker",  # destinations that fail as a whole; one that works has no row
    metadata,
    Column("destination", Text, primary_key=True),
    Column("failures", Integer, nullable=False),  # in a row
    time_column("since"),  # the first of them
    time_column("probe_at"),  # when it is tried again; of a probe under way, when that is given up
    text_column("error"),
)

decision = Table(
    "decision",
    metadata,
    position_column(),
    text_column("id"),
    Column("submission", Text, nullable=False, index=True),
    text_column("message"),  # may be one that we do not know
    text_column("kind"),
    time_column("at"),
    text_column("body"),  # JSON
    Column("outgoing", Text),  # outgoing id of the answer that carried it, NULL where nobody was told
    UniqueConstraint("id"),
)

event = Table(
    "event",
    metadata,
    position_column(),
    Column("submission", Text, nullable=False, index=True),
    text_column("about"),
    time_column("at"),
    text_column("what"),
    text_column("detail"),
)

refusal = Table(
    "refusal",
    metadata,
    position_column(),
    text_column("partner"),
    text_column("channel"),
    text_column("code"),
    text_column("digest"),
    time_column("at"),
)
