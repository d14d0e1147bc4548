"""Submissions, messages, what goes out, decisions, timelines; and, apart from these, what is still to do.

What is about a submission has its id as the first part of its key, and is written once and never changed.  The
rest of an id is told apart from it: a message's, ``SUBMISSION.1``, is (submission, 1); an outgoing's,
``SUBMISSION.1.x``, is (submission, 1.x); ``about`` is what follows the submission's id, "" or ``.1``.

``submission`` stays for good.  The octets and all that came of them leave for archives, a month at a time.
``taken`` and ``claim`` say what must be unique over all time.  ``delivery`` and ``waiting`` are small: they hold
what is still to do, and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    and_,
    func,
    text,
)

from gateway.storage.compression import Compressed
from gateway.storage.tables.base import (
    KEY,
    by_month,
    key_column,
    metadata,
    number_column,
    position_column,
    text_column,
    time_column,
)

DUE = "due"
DONE = "done"
DEAD = "dead"
SKIPPED = "skipped"

HEAD = 64
"""Characters of a partner's text that a look-up index holds: PostgreSQL refuses index rows over 2,704
octets, and a refused message may carry a reference of any length."""


def by_head(column: ColumnElement[str], value: str) -> ColumnElement[bool]:
    """Whether a partner's text is this, by the index of its first HEAD characters; the whole value decides."""
    # Joined to nothing it is no constant to SQLite, which would put it into the head and then find no index.
    head = func.substr(column, text("1"), text(str(HEAD)))
    return and_(head == value[:HEAD], column.concat(text("''")) == value)


def by_heads(column: ColumnElement[str], values: Collection[str]) -> ColumnElement[bool]:
    """Whether a partner's text is one of these, likewise."""
    head = func.substr(column, text("1"), text(str(HEAD)))
    return and_(head.in_(sorted({v[:HEAD] for v in values})), column.concat(text("''")).in_(sorted(values)))


submission = Table(
    "submission",
    metadata,
    key_column("id"),
    text_column("partner"),  # transport's partner
    text_column("channel"),
    text_column("media_type"),
    text_column("digest"),  # hex SHA-256 of the octets
    time_column("received_at"),
    text_column("outcome"),
    text_column("signer"),  # partner id of who signed
    text_column("filer"),
    text_column("principal"),
    text_column("reference"),
    Column("claim", Text),  # the verdict's claim (its digest, when long) where it was taken, else NULL
    text_column("route"),  # JSON
    text_column("findings"),  # JSON
    Column("certificate", Text),  # JSON of the Signer, NULL where unsigned
    text_column("events"),  # JSON: the timeline up to the settlement; what follows is in `event`
    number_column("position"),  # of the receipt in the filer's mailbox
    time_column("receipt_at"),
    text_column("receipt_type"),  # its media type
    Column("receipt", Compressed, nullable=False),  # as first given, octet for octet
    **by_month("id"),
)
"""Its receipt is the outgoing ``SUBMISSION.r``, to the filer, about the submission, with its reference."""
Index("ix_submission_reference", func.substr(submission.c.reference, text("1"), text(str(HEAD))))
Index("ix_submission_filer_position", submission.c.filer, submission.c.position)

octets = Table(
    "octets",
    metadata,
    key_column("submission"),
    Column("body", Compressed, nullable=False),  # as received, octet for octet; empty: in `slice`
    **by_month("submission"),
)

slice = Table(
    "slice",  # octets too many for a column, of submissions whose column is empty
    metadata,
    key_column("submission"),
    Column("part", Integer, primary_key=True),  # 0: the body; an ordinal: that message's declaration
    Column("number", Integer, primary_key=True),  # from 0
    Column("octets", Compressed, nullable=False),
    **by_month("submission"),
)

taken = Table(
    "taken",  # the same bytes from the same transport partner: repeated
    metadata,
    key_column("digest"),
    key_column("partner"),
    text_column("submission"),
    sqlite_with_rowid=False,
)

claim = Table(
    "claim",  # one submission owns a signer's reference
    metadata,
    key_column("signer"),
    key_column("claim"),
    text_column("submission"),
    sqlite_with_rowid=False,
)

message = Table(
    "message",
    metadata,
    key_column("submission"),
    Column("ordinal", Integer, primary_key=True),
    text_column("type"),
    text_column("reference"),
    text_column("identifier"),  # EDIFACT S009 as sent, "" for XML
    text_column("lrn"),
    text_column("function"),
    Column("kind", Text),
    text_column("outcome"),
    text_column("findings"),  # JSON
    Column("declaration", Compressed),  # JSON, NULL unless accepted; empty: in `slice`
    **by_month("submission"),
)
"""Its state is the kind of its newest decision, else its outcome; its registration is in decisions too."""
Index("ix_message_lrn", func.substr(message.c.lrn, text("1"), text(str(HEAD))))

outgoing = Table(
    "outgoing",  # all but receipts
    metadata,
    key_column("submission"),
    key_column("name"),  # what follows the submission's id, and a point, in the outgoing's
    text_column("partner"),
    text_column("kind"),
    text_column("about"),
    text_column("reference"),
    text_column("media_type"),
    Column("body", Compressed, nullable=False),
    time_column("created_at"),
    number_column("position"),  # in the partner's mailbox
    **by_month("submission"),
)
Index("ix_outgoing_partner_position", outgoing.c.partner, outgoing.c.position)

waiting = Table(
    "waiting",  # entries of mailboxes that nobody acknowledged
    metadata,
    key_column("partner"),
    Column("position", BigInteger, primary_key=True),
    key_column("outgoing"),
    sqlite_with_rowid=False,
)

delivery = Table(
    "delivery",  # what has not arrived; where one arrived or was skipped, the journal has it
    metadata,
    position_column(),
    Column("id", KEY, nullable=False),
    text_column("destination"),
    text_column("payload"),
    time_column("due_at"),
    Column("attempts", Integer, nullable=False),
    time_column("lease_until"),  # 0 where no courier holds it
    text_column("lease_owner"),
    text_column("state"),  # due or dead
    text_column("error"),  # of the last failed attempt
    # Within a lane nothing passes what came before; "" where no order is kept.
    text_column("lane"),
    # Before all of its destination that are not.
    Column("urgent", Boolean, nullable=False, server_default=text("false")),
    UniqueConstraint("id"),
)
_is_due = delivery.c.state == text("'due'")
_is_urgent = delivery.c.urgent == text("true")
_is_dead = delivery.c.state == text("'dead'")
_has_a_lane = text("lane != ''")
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
    "ix_delivery_urgent",  # the same of the few that go before the others
    delivery.c.destination,
    delivery.c.urgent,
    delivery.c.position,
    delivery.c.due_at,
    delivery.c.lease_until,
    sqlite_where=_is_due & _is_urgent,
    postgresql_where=_is_due & _is_urgent,
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
    sqlite_where=_has_a_lane,
    postgresql_where=_has_a_lane,
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
    key_column("submission"),
    key_column("about"),  # may be a message that we do not know
    key_column("id"),
    text_column("kind"),
    time_column("at"),
    text_column("registration"),  # customs' number, "" where it gives none
    text_column("body"),  # JSON
    Column("outgoing", Text),  # name of the answer that carried it, NULL where nobody was told
    number_column("position"),
    **by_month("submission"),
)
Index(
    "ix_decision_registration",
    func.substr(decision.c.registration, text("1"), text(str(HEAD))),
    sqlite_where=decision.c.registration != text("''"),
    postgresql_where=decision.c.registration != text("''"),
)

event = Table(
    "event",
    metadata,
    key_column("submission"),
    Column("position", BigInteger, primary_key=True),
    text_column("about"),
    time_column("at"),
    text_column("what"),
    text_column("detail"),
    sqlite_with_rowid=False,
    **by_month("submission"),
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
