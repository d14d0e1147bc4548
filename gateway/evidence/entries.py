"""Journal entries: what each says, how it is written, and the hash that ties it to the one before."""

from __future__ import annotations

import hashlib
from datetime import datetime

import msgspec

from gateway.model import Signer

FIRST = "0" * 64
"""What stands for the previous hash before a chain's first entry."""

OPENED = "opened"
RECEIVED = "received"
REPEATED = "repeated"
REFUSED = "refused"
DECIDED = "decided"
DELIVERED = "delivered"
DEAD = "delivery-dead"
REVIVED = "delivery-revived"
SKIPPED = "delivery-skipped"
CORRECTED = "delivery-corrected"
PAUSED = "destination-paused"
RESUMED = "destination-resumed"
CLOSED = "breaker-closed"
RESENT = "resent"
ACKNOWLEDGED = "acknowledged"
NOTED = "noted"
HELD = "held"
LET_GO = "let-go"
PARTNER = "partner"
MANDATE = "mandate"
KEY = "key"
ARCHIVED = "archived"
RESTORED = "restored"

_encoder = msgspec.json.Encoder()


class Exhibits(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a proof rested on, by the SHA-256 of each DER octet string (see model.Proof)."""

    certificates: tuple[str, ...] = ()
    revocation: str = "unchecked"
    responses: tuple[str, ...] = ()
    stamps: tuple[str, ...] = ()
    stampers: tuple[str, ...] = ()

    def all(self) -> tuple[str, ...]:
        """Every digest, in order, each once."""
        named = (*self.certificates, *self.responses, *self.stamps, *self.stampers)
        return tuple(dict.fromkeys(named))


class Attested(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an entry vouches for; every digest is a hex SHA-256 and no field holds content.

    ``record``: of the thing's record (`records`); ``body``: of its octets.  ``messages``: of a
    submission's message records by ordinal.  ``sent``: of outgoing records by outgoing id.  ``due``:
    destination and payload by delivery id.  ``events``: of timeline lines.  ``ids``: deliveries,
    outgoings or decisions that something befell; of a submission that was received its receipt, where that
    waits nowhere.  ``mandates``: ids of those that a verdict rests on.  ``proof`` and
    ``carrier_proof``: exhibits of the signer's and the carrier's proof.  ``note``: words of ours.
    ``text``: a partner or mandate as registered, in JSON.
    """

    record: str = ""
    body: str = ""
    messages: tuple[str, ...] = ()
    sent: dict[str, str] = {}
    due: dict[str, str] = {}
    events: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    mandates: tuple[str, ...] = ()
    proof: Exhibits | None = None
    carrier: Signer | None = None
    carrier_proof: Exhibits | None = None
    note: str = ""
    text: str = ""


class Entry(msgspec.Struct, frozen=True):
    """A line of a chain.  ``seq`` from 1 without a gap; ``at``: aware, UTC; ``about``: a submission's id,
    ``partner:ID``, ``mandate:ID`` or ""."""

    chain: str
    seq: int
    at: datetime
    kind: str
    about: str
    of: Attested

    def text(self) -> str:
        """As it is stored and hashed: JSON on one line."""
        return _encoder.encode(self).decode()


_decoder = msgspec.json.Decoder(Entry)


def read_entry(text: str) -> Entry:
    """The entry of a stored text.  Raises msgspec.ValidationError where it is none."""
    return _decoder.decode(text)


def entry_hash(previous: str, text: str) -> str:
    """Hex SHA-256 of two lines: the previous entry's hash, and the entry."""
    made = hashlib.sha256(previous.encode() + b"\n")
    made.update(text.encode())  # some MB, of an interchange with very many messages
    made.update(b"\n")
    return made.hexdigest()


def sha256(octets: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(octets).hexdigest()
