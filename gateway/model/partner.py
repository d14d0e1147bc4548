"""Partners, their channels and limits, and the mandates between them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import msgspec

from gateway.model.edifact import Agreement


class Role(StrEnum):
    """What an organisation is to customs."""

    VAN = "van"
    TRADER = "trader"
    CARRIER = "carrier"
    BANK = "bank"
    PORT = "port"
    MINISTRY = "ministry"
    CUSTOMS = "customs"


class Channel(StrEnum):
    """How answers reach a partner."""

    MAILBOX = "mailbox"
    PUSH = "push"


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """Bounds of one partner at the doors; 0 means the gateway's own default."""

    max_bytes: int = 0
    per_minute: int = 0
    in_flight: int = 0


class Partner(msgspec.Struct, frozen=True, omit_defaults=True):
    """An organisation.

    ``identifiers``: numbers it may put in a message as its own (tax code, EORI, SCAC, BIC, UNB id).
    ``subjects``: certificate subjects (RFC 4514 strings) that prove it, for TLS and for signatures;
    the certificate must also chain to a trust anchor.  ``token_digest``: hex SHA-256 of its bearer
    token, where mutual TLS is not possible.  ``push_url``: its own HTTPS URL, with ``push_subject``
    unused where empty.  ``types``: message types it may file, empty for any its roles allow.
    ``edifact``: what was agreed about its interchanges.
    """

    id: str
    name: str
    roles: tuple[Role, ...] = ()
    identifiers: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    token_digest: str = ""
    channel: Channel = Channel.MAILBOX
    push_url: str = ""
    types: tuple[str, ...] = ()
    limits: Limits = Limits()
    language: str = "en"
    active: bool = True
    edifact: Agreement = Agreement()


class Mandate(msgspec.Struct, frozen=True, omit_defaults=True):
    """The principal allows the agent to file these message types in its name (empty: any)."""

    id: str
    agent: str
    principal: str
    types: tuple[str, ...] = ()
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    revoked_at: datetime | None = None

    def covers(self, message_type: str, now: datetime) -> bool:
        """True where the mandate holds at ``now`` (aware, UTC) for the message type."""
        return (
            (not self.types or message_type in self.types)
            and (self.valid_from is None or self.valid_from <= now)
            and (self.valid_to is None or now < self.valid_to)
            and (self.revoked_at is None or now < self.revoked_at)
        )


class Register:
    """A frozen view of all partners and mandates, with the look-ups that the journey needs."""

    def __init__(self, partners: Iterable[Partner], mandates: Iterable[Mandate]) -> None:
        self.partners = {p.id: p for p in partners}
        self._by_subject = {s: p for p in self.partners.values() for s in p.subjects}
        self._by_token = {p.token_digest: p for p in self.partners.values() if p.token_digest}
        self._by_identifier = {i: p for p in self.partners.values() for i in p.identifiers}
        self._mandates: dict[tuple[str, str], list[Mandate]] = {}
        for mandate in mandates:
            self._mandates.setdefault((mandate.agent, mandate.principal), []).append(mandate)

    def by_subject(self, subject: str) -> Partner | None:
        """The active partner that this certificate subject proves, or None."""
        return _active(self._by_subject.get(subject))

    def by_token(self, digest: str) -> Partner | None:
        """The active partner whose bearer token has this SHA-256, or None."""
        return _active(self._by_token.get(digest))

    def by_identifier(self, identifier: str) -> Partner | None:
        """The active partner that owns an identifier written in messages, or None."""
        return _active(self._by_identifier.get(identifier))

    def mandates(self, agent: str, principal: str) -> tuple[Mandate, ...]:
        """Every mandate, valid or not, between the two."""
        return tuple(self._mandates.get((agent, principal), ()))

    def may(self, agent: str, principal: str, message_type: str, now: datetime) -> bool:
        """True where the agent may file the message type for the principal (itself: always)."""
        if agent == principal:
            return True
        return any(m.covers(message_type, now) for m in self._mandates.get((agent, principal), ()))


def _active(partner: Partner | None) -> Partner | None:
    return partner if partner is not None and partner.active else None
