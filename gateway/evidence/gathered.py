"""All that the ledger holds about one submission, as plain values: what a bundle is made of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from gateway.evidence.verify import Octets
from gateway.model import Outgoing, Signer, Submission


class Line(msgspec.Struct, frozen=True):
    """A journal entry: its text, the previous entry's hash and its own, the checkpoint that holds it (0:
    none yet) and the way from its leaf to that one's root."""

    previous: str
    text: str
    hash: str
    checkpoint: int = 0
    path: tuple[tuple[str, str], ...] = ()


class Sealed(msgspec.Struct, frozen=True):
    """A stored checkpoint.  ``certificates``: digests of the signer's chain; ``stamp``: an RFC 3161 token
    over the signature, verified, of ``stamped_at`` and signed by ``stampers``."""

    number: int
    text: str
    signature: bytes
    certificates: tuple[str, ...]
    stamp: bytes | None = None
    stamped_at: datetime | None = None
    stampers: tuple[str, ...] = ()


class Told(msgspec.Struct, frozen=True):
    """A message to a partner and its record."""

    record: bytes
    outgoing: Outgoing


class Read(msgspec.Struct, frozen=True):
    """A message of the submission: its record, and the declaration's JSON where it was accepted."""

    ordinal: int
    record: bytes
    declaration: Octets | None


class Instead(msgspec.Struct, frozen=True):
    """An operator's correction of a delivery: its record, and the declaration's JSON where another one than
    was accepted is handed over."""

    record: bytes
    declaration: bytes | None


class Carried(msgspec.Struct, frozen=True):
    """A delivery as it stands."""

    id: str
    destination: str
    payload: str
    state: str


class Gathered(msgspec.Struct, frozen=True):
    """Everything about one submission.

    ``submission``: without its octets; these are ``body``.  ``lines``: its entries; ``register``: those of its parties
    and of the mandates it rests on, as they were registered when it was judged.  ``exhibits``: by digest, those that
    its proofs and the checkpoints name.
    """

    submission: Submission
    body: Octets
    record: bytes
    signer: Signer | None
    messages: tuple[Read, ...]
    sent: tuple[Told, ...]
    decisions: tuple[bytes, ...]
    corrections: tuple[Instead, ...]
    events: tuple[bytes, ...]
    deliveries: tuple[Carried, ...]
    lines: tuple[Line, ...]
    register: tuple[Line, ...]
    checkpoints: tuple[Sealed, ...]
    exhibits: Mapping[str, bytes]
