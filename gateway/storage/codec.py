"""How times and model values are written in columns."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec

T = TypeVar("T")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

MAX_CLAIM = 128
"""Characters of a reference that are kept as they are in the unique index; WCO and EDIFACT references
are far shorter, and a longer one is replaced by its SHA-256 (index rows are bounded)."""

OF_RECEIPT = "r"
"""The name of a submission's receipt."""

_encoder = msgspec.json.Encoder()


def micros(at: datetime) -> int:
    """Microseconds since 1970 in UTC.  Raises ValueError for a time without a zone."""
    if at.tzinfo is None:
        raise ValueError(f"a time without a zone: {at.isoformat()}")
    return (at - EPOCH) // MICROSECOND


def moment(value: int) -> datetime:
    """The aware UTC time of a stored number."""
    return EPOCH + timedelta(microseconds=value)


def octets(value: object) -> bytes:
    """A model value as JSON, UTF-8."""
    return _encoder.encode(value)


def packed(value: object) -> str:
    """A model value as JSON text."""
    return _encoder.encode(value).decode()


def unpacked(value: str | bytes, kind: type[T]) -> T:
    """The model value of a stored JSON.  Raises msgspec.ValidationError where it is of another kind."""
    return msgspec.json.decode(value, type=kind)


def claim_of(reference: str) -> str:
    """A reference as the unique index holds it."""
    if len(reference) <= MAX_CLAIM:
        return reference
    return "sha256:" + hashlib.sha256(reference.encode()).hexdigest()


def submission_of(about: str) -> str:
    """The submission that an id belongs to: itself, or that of message ``submission-id.ordinal``."""
    return about.partition(".")[0]


def message_id(submission: str, ordinal: int) -> str:
    """A message's id."""
    return f"{submission}.{ordinal}"


def message_key(about: str) -> tuple[str, int]:
    """(submission, ordinal) of a message's id; an id of no message gives a key that none has."""
    submission, _, ordinal = about.partition(".")
    return (submission, int(ordinal)) if ordinal.isdecimal() and len(ordinal) < 10 else (submission, 0)


def part_of(about: str) -> str:
    """What follows the submission's id in an id: "" in its own, ``.1`` in its first message's."""
    return about[len(submission_of(about)) :]


def receipt_id(submission: str) -> str:
    """The id of the receipt that answers a submission."""
    return f"{submission}.{OF_RECEIPT}"
