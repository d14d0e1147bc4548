"""Records: the stored facts of each thing as one JSON text, whose digest the journal vouches for.

A record holds the octets of bodies and declarations by their digest only.  The same text is a file of an
evidence bundle, so that who verifies one needs nothing but SHA-256.  Parts that are stored as JSON are
taken as they are stored: a later gateway reads them otherwise, but their digest stays.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from gateway.evidence.entries import sha256

_encoder = msgspec.json.Encoder()


class SubmissionRecord(msgspec.Struct, frozen=True):
    """A submission and the verdict on it as a whole; times aware, UTC."""

    id: str
    partner: str
    channel: str
    media_type: str
    digest: str
    received_at: datetime
    outcome: str
    signer: str
    filer: str
    principal: str
    reference: str
    claim: str | None
    receipt: str
    route: msgspec.Raw
    findings: msgspec.Raw
    certificate: msgspec.Raw | None
    events: msgspec.Raw


class MessageRecord(msgspec.Struct, frozen=True):
    """One message of a submission; ``declaration``: the digest of the declaration's JSON."""

    submission: str
    ordinal: int
    type: str
    reference: str
    identifier: str
    lrn: str
    function: str
    kind: str | None
    outcome: str
    findings: msgspec.Raw
    declaration: str | None


class OutgoingRecord(msgspec.Struct, frozen=True):
    """A message to a partner; ``digest``: of its body."""

    id: str
    partner: str
    kind: str
    about: str
    reference: str
    media_type: str
    digest: str
    created_at: datetime


class DecisionRecord(msgspec.Struct, frozen=True):
    """A back end's decision, and the outgoing that told it."""

    id: str
    message: str
    outgoing: str | None
    decision: msgspec.Raw


class EventRecord(msgspec.Struct, frozen=True):
    """A line of a timeline."""

    about: str
    at: datetime
    what: str
    detail: str


class RefusalRecord(msgspec.Struct, frozen=True):
    """A sender that was not proven."""

    partner: str
    channel: str
    code: str
    digest: str
    at: datetime


class CorrectionRecord(msgspec.Struct, frozen=True):
    """An operator's correction of a delivery; ``original`` and ``declaration``: digests of the declaration's
    JSON as it was accepted, and as it is handed over."""

    submission: str
    delivery: str
    number: int
    how: str
    at: datetime
    who: str
    why: str
    original: str
    declaration: str | None
    address: str
    changes: msgspec.Raw


Record = (
    SubmissionRecord
    | MessageRecord
    | OutgoingRecord
    | DecisionRecord
    | EventRecord
    | RefusalRecord
    | CorrectionRecord
)


def written(record: Record) -> bytes:
    """The record's JSON, as it is digested and put into a bundle."""
    return _encoder.encode(record)


def digest(record: Record) -> str:
    """Hex SHA-256 of the record as written."""
    return sha256(_encoder.encode(record))


def raw(text: str) -> msgspec.Raw:
    """A stored JSON text as a part of a record."""
    return msgspec.Raw(text.encode())
