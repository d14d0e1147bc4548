"""Plain values that go into the ledger and come out of it, where the model has none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from gateway.model import (
    Decision,
    Delivery,
    Event,
    Finding,
    Kind,
    Outcome,
    Outgoing,
    Route,
    Submission,
    Verdict,
)


class Settlement(msgspec.Struct, frozen=True):
    """All that one submission leaves behind, stored together or not at all.

    ``claim``: the submission takes its signer's reference (``verdict.claim``) for itself; False for one
    that was refused because another has it.  ``answers``: further messages to partners, beside the
    receipt; these and ``deliveries`` are gone through more than once.  ``entitled``: ordinals of the messages that
    the transport partner may file for their signer.
    ``register``: the version of the register that it was judged by; None where no ledger holds that.
    ``staged``: the digests (hex SHA-256) of declarations that are in slices already, by ordinal; its octets are
    there too.  ``owner``: who put them there: where another one works on it since, it is Stale.
    ``pushed``: who filed gets his messages pushed.  ``receipt_waits``: the receipt is put into the mailbox, too.
    """

    submission: Submission
    verdict: Verdict
    receipt: Outgoing
    deliveries: Iterable[Delivery] = ()
    events: tuple[Event, ...] = ()
    claim: bool = True
    answers: Iterable[Outgoing] = ()
    entitled: tuple[int, ...] = ()
    register: int | None = None
    staged: Mapping[int, str] = {}
    owner: str = ""
    pushed: bool = False
    receipt_waits: bool = True


class Stale(msgspec.Struct, frozen=True):
    """A partner or mandate that the verdict rests on was changed since; nothing was stored."""


class Clash(msgspec.Struct, frozen=True):
    """The reference belongs to an earlier submission with other bytes; nothing was stored."""

    submission: str
    digest: str
    reference: str


class Recorded(msgspec.Struct, frozen=True):
    """One decision with the answer that carries it, stored together or not at all.

    ``outgoing``: None where there is nobody to answer.  ``published``: the delivery to a broker, if any.
    """

    decision: Decision
    outgoing: Outgoing | None = None
    delivery: Delivery | None = None
    events: tuple[Event, ...] = ()
    published: Delivery | None = None

    @property
    def due(self) -> tuple[Delivery, ...]:
        """Its deliveries."""
        return tuple(d for d in (self.delivery, self.published) if d is not None)


class Addressed(msgspec.Struct, frozen=True):
    """What an answer about a message must know: the way back and how the sender called it."""

    route: Route
    ordinal: int
    type: str
    reference: str
    identifier: str
    lrn: str
    function: str
    kind: Kind | None
    registration: str
    state: str
    received_at: datetime


class MessageStatus(msgspec.Struct, frozen=True):
    """One message: outcome, findings, and the decisions on it, oldest first.

    ``state``: the outcome, or the kind of the newest decision.
    """

    id: str
    ordinal: int
    type: str
    reference: str
    lrn: str
    kind: Kind | None
    outcome: Outcome
    registration: str
    state: str
    findings: tuple[Finding, ...]
    decisions: tuple[Decision, ...]


class Status(msgspec.Struct, frozen=True):
    """A submission as its parties may see it; ``timeline`` oldest first.  ``next``: the ordinal behind which there are
    more messages, 0 where there are none."""

    submission: str
    partner: str
    principal: str
    reference: str
    outcome: Outcome
    received_at: datetime
    receipt: str
    findings: tuple[Finding, ...]
    messages: tuple[MessageStatus, ...]
    timeline: tuple[Event, ...]
    next: int = 0


class Entry(msgspec.Struct, frozen=True):
    """A mailbox entry without its body; ``size`` in octets."""

    id: str
    kind: str
    about: str
    reference: str
    media_type: str
    size: int
    created_at: datetime
    acknowledged_at: datetime | None


class Filed(msgspec.Struct, frozen=True):
    """A submission found by a reference, LRN or registration; ``claimed``: it owns the reference."""

    submission: str
    reference: str
    outcome: Outcome
    received_at: datetime
    claimed: bool


class Refusal(msgspec.Struct, frozen=True):
    """A sender that was not proven, kept for audit; never content."""

    partner: str
    channel: str
    code: str
    digest: str
    at: datetime


class Counts(msgspec.Struct, frozen=True):
    """What waits now.

    ``due``, ``dead``: deliveries by destination; ``oldest_due_at``: the earliest that is still due, by
    destination, and ``first``: the place of the one that came first; ``refusals``: by code, of those kept.
    """

    due: Mapping[str, int]
    dead: Mapping[str, int]
    oldest_due_at: Mapping[str, datetime]
    first: Mapping[str, int]
    refusals: Mapping[str, int]


class Expiry(msgspec.Struct, frozen=True):
    """A certificate of a partner's that ends: ``what`` is ``credential``, or ``seen`` for one that proves it
    by its subject."""

    partner: str
    fingerprint: str
    what: str
    expires_at: datetime
