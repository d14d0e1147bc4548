"""Partners, what proves them, their channels and limits, and the mandates between them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from gateway.model.edifact import Agreement

EDIFACT = "edifact"
"""The envelope of an interchange that is signed by its own security segments alone."""


class Role(StrEnum):
    """What an organisation is to customs.  An operator, who keeps deliveries going, and an officer, who decides
    what of them customs gets, are persons of the gateway's own: they file nothing."""

    VAN = "van"
    TRADER = "trader"
    CARRIER = "carrier"
    BANK = "bank"
    PORT = "port"
    MINISTRY = "ministry"
    CUSTOMS = "customs"
    OPERATOR = "operator"
    OFFICER = "officer"


class Channel(StrEnum):
    """How answers reach a partner."""

    MAILBOX = "mailbox"
    PUSH = "push"


class Use(StrEnum):
    """What a certificate proves its partner for: as who connects, as who signs, as who is pushed to."""

    TLS = "tls"
    SIGN = "sign"
    PUSH = "push"


class Limits(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Bounds of one partner at the doors; 0 means the gateway's own default."""

    max_bytes: int = 0
    per_minute: int = 0
    in_flight: int = 0


class Credential(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A certificate that proves a partner, in a window of time that we set.

    ``fingerprint``: hex SHA-256 of the certificate's DER; ``certificate``: the DER itself, which look-ups
    do without; ``subject`` and ``expires_at``: as it says.  ``uses``: empty means none.  ``active_from`` to
    ``active_to``: aware, UTC, the end excluded; None: no bound but the certificate's own.  ``algorithms``:
    the only ones that its key may sign with, empty for any that the policy takes.  ``names``: what EDIFACT may
    name it by beside its fingerprint, in capitals: serial number and key identifier, hexadecimal.
    """

    fingerprint: str
    uses: tuple[Use, ...] = (Use.TLS, Use.SIGN)
    active_from: datetime | None = None
    active_to: datetime | None = None
    algorithms: tuple[str, ...] = ()
    subject: str = ""
    expires_at: datetime | None = None
    note: str = ""
    certificate: bytes = b""
    names: tuple[str, ...] = ()

    @property
    def ends_at(self) -> datetime | None:
        """When it ends to prove anything: the certificate's own end, or our window's."""
        ends = [t for t in (self.expires_at, self.active_to) if t is not None]
        return min(ends) if ends else None

    def active(self, now: datetime) -> bool:
        """True within the window (aware, UTC)."""
        return (self.active_from is None or self.active_from <= now) and (
            self.active_to is None or now < self.active_to
        )


class Deadline(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Times agreed for a type of message ("": any), in minutes; 0 where none was agreed.

    ``answer``: within which customs decides on it, from its receipt.  ``before_arrival``, ``before_departure``:
    how long before its means of transport arrives or departs it is to be filed.
    """

    message: str = ""
    answer: int = 0
    before_arrival: int = 0
    before_departure: int = 0


class Terms(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What was agreed with a partner about all that it sends; empty fields leave it to the policy.

    ``messages``: message types it may send, as they name themselves, with a version or without
    (``CUSCAR``, ``CUSCAR:D:95B``, ``IM``).  ``channels``: by which it may file.  ``envelopes``: how it may
    sign (``xmldsig``, ``multipart/signed``, ``application/pkcs7-mime`` ...).  ``profiles``: legacy signature
    profiles of the policy that hold for it; none where empty.  ``outward``: message types that only customs
    sends, and it does not file.  ``deadlines``: the first that is for a message's type counts.
    """

    messages: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    envelopes: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    outward: tuple[str, ...] = ()
    deadlines: tuple[Deadline, ...] = ()

    @property
    def names_signers(self) -> bool:
        """True where messages may be signed by EDIFACT's own means, which name a certificate and do not carry
        it: those of who agreed to that are kept at hand."""
        return EDIFACT in self.envelopes

    def deadline(self, names: Collection[str]) -> Deadline | None:
        """What was agreed for a message that has these names, or None."""
        return next((d for d in self.deadlines if not d.message or d.message in names), None)


class Partner(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """An organisation.

    ``identifiers``: numbers it may put in a message as its own (tax code, EORI, SCAC, BIC, UNB id).
    ``subjects``: certificate subjects (RFC 4514 strings) that prove it, for TLS and for signatures;
    the certificate must also chain to a trust anchor.  ``credentials``: certificates that prove it; for a
    use that any of them names, only these do, and no subject.  ``token_digest``: hex SHA-256 of its bearer
    token, where mutual TLS is not possible.  ``push_url``: its own HTTPS URL.  ``types``: kinds of
    declaration it may file, empty for any its roles allow.  ``edifact``: what was agreed about its
    interchanges, ``terms``: about all that it sends.
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
    credentials: tuple[Credential, ...] = ()
    terms: Terms = Terms()

    def credentials_for(self, use: Use) -> tuple[Credential, ...]:
        """The certificates of a use, whatever their windows."""
        return tuple(c for c in self.credentials if use in c.uses)

    def credential(self, use: Use, fingerprint: str, now: datetime) -> Credential | None:
        """The certificate of this fingerprint (hex SHA-256), where it proves the partner now for the use."""
        for known in self.credentials:
            if known.fingerprint == fingerprint and use in known.uses and known.active(now):
                return known
        return None

    def replaced(self, fingerprint: str) -> bool:
        """True where others take over all uses of this certificate before it ends."""
        mine = next((c for c in self.credentials if c.fingerprint == fingerprint), None)
        end = mine.ends_at if mine is not None else None
        if mine is None or end is None:
            return True
        later = [c for c in self.credentials if c.active(end) and (c.ends_at is None or c.ends_at > end)]
        return all(any(use in c.uses for c in later) for use in mine.uses)


class Form(StrEnum):
    """Whose signatures a mandate asks for, the weakest first.

    ``AGENT``: the agent's alone is enough.  ``PRINCIPAL``: the principal signs, TLS proves the agent.
    ``BOTH``: the principal signs inside and the agent around it.
    """

    AGENT = "agent"
    PRINCIPAL = "principal"
    BOTH = "both"

    def meets(self, agreed: Form) -> bool:
        """True where what was signed in this form is at least what was agreed."""
        return STRENGTH[self] >= STRENGTH[agreed]


STRENGTH = {form: strength for strength, form in enumerate(Form)}


CLOCK_SKEW = timedelta(minutes=5)
"""How far two clocks may lie apart: what was revoked by one is revoked at once, whatever the other shows."""


class Mandate(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The principal allows the agent to file these kinds of declaration in its name (empty: any), at these
    customs offices (WCO 065; empty: at any), in this form or a stronger one."""

    id: str
    agent: str
    principal: str
    types: tuple[str, ...] = ()
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    revoked_at: datetime | None = None
    offices: tuple[str, ...] = ()
    form: Form = Form.PRINCIPAL

    def names(self, message_type: str, office: str) -> bool:
        """True where it is for this kind of declaration at this office ("" for none named)."""
        return (not self.types or message_type in self.types) and (not self.offices or office in self.offices)

    def holds(self, now: datetime) -> bool:
        """True within its time (aware, UTC)."""
        return (
            (self.valid_from is None or self.valid_from <= now)
            and (self.valid_to is None or now < self.valid_to)
            and not self.revoked(now)
        )

    def revoked(self, now: datetime) -> bool:
        """True once it was revoked, by a clock that may be CLOCK_SKEW ahead of who asks."""
        return self.revoked_at is not None and self.revoked_at <= now + CLOCK_SKEW

    def covers(self, message_type: str, now: datetime, office: str = "") -> bool:
        """True where it holds now for the kind of declaration at the office."""
        return self.names(message_type, office) and self.holds(now)
