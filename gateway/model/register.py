"""The register in memory: all partners and mandates, compact, with the look-ups that the journey needs."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec

from gateway.model.grants import MAX_PARTIES, Draft, Grants, MandateRow, row_of
from gateway.model.index import Index, key_of, packed
from gateway.model.message import Signer
from gateway.model.partner import Credential, Mandate, Partner, Use

KEPT = 4_096
"""Partners kept decoded: those at work now; the others are decoded when they are asked for (some 5 us)."""

MAX_KEPT = 256
"""Characters of what was asked for that are kept with the answer: subjects, fingerprints and tax codes are
shorter, and a message may hold anything."""

SUBJECT = "subject"
IDENTIFIER = "identifier"
TOKEN = "token"  # noqa: S105 - a word for it
CERTIFICATE = "certificate"
"""What proves or names a partner, and no other one."""

SIGNER = "signer"
"""What a message may name a certificate by; several may be named alike."""

ALIKE = 64
"""Certificates of one name that are looked at: serial numbers of several authorities may be the same."""

NAMING = 32
"""Digits of a fingerprint, of the 64, that name a certificate in EDIFACT (0536 and 0538 hold 35)."""

_reader = msgspec.json.Decoder(Partner)
_writer = msgspec.json.Encoder()


def keys_of(partner: Partner) -> Iterator[tuple[str, str]]:
    """(kind, text) of everything that proves or names a partner."""
    yield from ((SUBJECT, s) for s in partner.subjects)
    yield from ((IDENTIFIER, i) for i in partner.identifiers)
    yield from ((CERTIFICATE, c.fingerprint) for c in partner.credentials)
    if partner.token_digest:
        yield TOKEN, partner.token_digest


def _has(partner: Partner, kind: str, text: str) -> bool:
    """True where this is one of the partner's keys."""
    if kind == CERTIFICATE:
        return any(c.fingerprint == text for c in partner.credentials)
    if kind == TOKEN:
        return bool(text) and partner.token_digest == text
    return text in (partner.subjects if kind == SUBJECT else partner.identifiers)


def hints_of(partner: Partner) -> Iterator[tuple[str, str]]:
    """(SIGNER, text) of what messages may name its certificates by, of those that are at hand."""
    for credential in partner.credentials:
        if credential.certificate:
            yield from ((SIGNER, name) for name in _names(credential))


def _names(credential: Credential) -> tuple[str, ...]:
    return (credential.fingerprint[:NAMING].upper(), *credential.names)


def _entries(partner: Partner, number: int) -> Iterator[tuple[int, int]]:
    """What the index has of a partner."""
    yield from ((key_of(*key), number) for key in keys_of(partner))
    yield from ((key_of(*hint), number) for hint in hints_of(partner))


def body_of(partner: Partner) -> bytes:
    """A partner as the register keeps it, in JSON: without its certificates, which only take room, but for those
    that messages name and do not carry."""
    named = partner.terms.names_signers
    bare = tuple(
        c
        if not c.certificate or (named and Use.SIGN in c.uses)
        else msgspec.structs.replace(c, certificate=b"")
        for c in partner.credentials
    )
    return _writer.encode(msgspec.structs.replace(partner, credentials=bare) if bare else partner)


class _Unasked:
    """Stands where nobody asked yet."""


_UNASKED = _Unasked()


class Parties(Mapping[str, Partner]):
    """Partners by id.  Frozen; those named only in mandates have a number and no body."""

    __slots__ = ("_bodies", "_count", "_found", "_index", "_known", "_numbers")

    def __init__(self, numbers: dict[str, int], bodies: list[bytes], index: Index, count: int) -> None:
        self._numbers = numbers
        self._bodies = bodies
        self._index = index
        self._count = count
        self._known: dict[int, Partner] = {}
        self._found: dict[tuple[str, str], Partner | None] = {}

    def number(self, identity: str) -> int:
        """The number of a party in mandates; -1 for a stranger."""
        return self._numbers.get(identity, -1)

    def by_key(self, kind: str, text: str) -> Partner | None:
        """The active partner that this proves or names, or None."""
        asked = kind, text
        found = self._found.get(asked, _UNASKED)
        if isinstance(found, _Unasked):
            found = self._find(kind, text)
            if len(self._found) >= KEPT:
                self._found.clear()
            if len(text) <= MAX_KEPT:
                self._found[asked] = found
        return found

    def _find(self, kind: str, text: str) -> Partner | None:
        for number in self._index.rows(key_of(kind, text)):
            found = self._at(number)
            if found is not None and found.active and _has(found, kind, text):
                return found
        return None

    def signers(self, name: str) -> Iterator[bytes]:
        """Certificates (DER) of active partners that a message may mean by this name."""
        for number in self._index.rows(key_of(SIGNER, name)):
            found = self._at(number)
            if found is not None and found.active:
                yield from (c.certificate for c in found.credentials if c.certificate and name in _names(c))

    def changed(self, bodies: Iterable[bytes], others: Iterable[str] = ()) -> Parties:
        """The same with some partners put anew, and with numbers for others."""
        numbers, kept, count = dict(self._numbers), list(self._bodies), self._count
        entries: list[tuple[int, int]] = []
        for body in bodies:
            partner = _reader.decode(body)
            number = _number(numbers, kept, partner.id)
            count += not kept[number]
            kept[number] = body
            entries += _entries(partner, number)
        for identity in others:
            _number(numbers, kept, identity)
        return Parties(numbers, kept, self._index.with_more(entries), count)

    def owns(self, kind: str, text: str) -> bool:
        """True where a partner has this, be it suspended."""
        found = map(self._at, self._index.rows(key_of(kind, text)))
        return any(one is not None and _has(one, kind, text) for one in found)

    def __getitem__(self, identity: str) -> Partner:
        found = self._at(self._numbers[identity])
        if found is None:
            raise KeyError(identity)
        return found

    def __contains__(self, identity: object) -> bool:
        number = self._numbers.get(identity, -1) if isinstance(identity, str) else -1
        return number >= 0 and bool(self._bodies[number])

    def __iter__(self) -> Iterator[str]:
        return (identity for identity, number in self._numbers.items() if self._bodies[number])

    def __len__(self) -> int:
        return self._count

    def _at(self, number: int) -> Partner | None:
        found = self._known.get(number)
        if found is None and self._bodies[number]:
            found = _reader.decode(self._bodies[number])
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[number] = found
        return found


class Filling:
    """A register in the making: partners and mandates, then ``register``."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._bodies: list[bytes] = []
        self._entries = array("Q")
        self._draft = Draft()

    def partner(self, body: bytes) -> None:
        """A partner in JSON; one of the same id is replaced."""
        partner = _reader.decode(body)
        number = _number(self._numbers, self._bodies, partner.id)
        self._bodies[number] = body
        self._entries.extend(packed(*entry) for entry in _entries(partner, number))

    def mandates(self, rows: Iterable[Sequence[Any]]) -> None:
        """Mandates, each with the fields of a MandateRow; each id once."""
        self._draft.add(rows, lambda identity: _number(self._numbers, self._bodies, identity))

    def register(self, version: int | None) -> Register:
        """What was filled in, as of a version of the ledger's register."""
        count = sum(1 for body in self._bodies if body)
        parties = Parties(self._numbers, self._bodies, Index(self._entries), count)
        return Register.of(parties, self._draft.grants(), version)


class Register:
    """A frozen view of all partners and mandates.

    ``version``: of the ledger's register when this was read; None for one that no ledger holds.
    """

    __slots__ = ("_grants", "partners", "version")

    partners: Parties
    version: int | None
    _grants: Grants

    def __init__(self, partners: Iterable[Partner] = (), mandates: Iterable[Mandate] = ()) -> None:
        filling = Filling()
        for partner in partners:
            filling.partner(body_of(partner))
        filling.mandates({m.id: row_of(m) for m in mandates}.values())
        made = filling.register(None)
        self.partners, self._grants, self.version = made.partners, made._grants, None

    @classmethod
    def of(cls, partners: Parties, grants: Grants, version: int | None) -> Register:
        """A register of its parts."""
        made = cls.__new__(cls)
        made.partners, made._grants, made.version = partners, grants, version
        return made

    def changed(self, version: int, bodies: Iterable[bytes], mandates: Iterable[MandateRow]) -> Register:
        """The register after some changes; what did not change is shared."""
        rows = tuple(mandates)
        named = [party for row in rows for party in (row.agent, row.principal)]
        parties = self.partners.changed(bodies, named)
        placed = ((row, parties.number(row.agent), parties.number(row.principal)) for row in rows)
        return Register.of(parties, self._grants.changed(placed), version)

    @property
    def changes(self) -> int:
        """How many mandates changed since the register was read whole; they take more room."""
        return len(self._grants.later or ())

    @property
    def mandate_count(self) -> int:
        """How many mandates there are, those that ended too."""
        return self._grants.count

    def by_subject(self, subject: str) -> Partner | None:
        """The active partner that registered this certificate subject, or None."""
        return self.partners.by_key(SUBJECT, subject)

    def by_token(self, digest: str) -> Partner | None:
        """The active partner whose bearer token has this SHA-256, or None."""
        return self.partners.by_key(TOKEN, digest)

    def by_identifier(self, identifier: str) -> Partner | None:
        """The active partner that owns an identifier written in messages, or None."""
        return self.partners.by_key(IDENTIFIER, identifier)

    def by_fingerprint(self, fingerprint: str) -> Partner | None:
        """The active partner that registered the certificate (hex SHA-256), whatever its window and uses."""
        return self.partners.by_key(CERTIFICATE, fingerprint)

    def signers(self, name: str) -> tuple[bytes, ...]:
        """Certificates (DER) that a message may name so: by the first NAMING digits of the fingerprint, the
        serial number, or the key identifier, in capitals.

        Only those registered for signing by partners that agreed on EDIFACT's own security; ALIKE at most.
        """
        return tuple(dict.fromkeys(islice(self.partners.signers(name), ALIKE)))

    def owns(self, fingerprint: str, subject: str) -> bool:
        """True where a certificate is some partner's own, be it suspended."""
        return self.partners.owns(CERTIFICATE, fingerprint) or self.partners.owns(SUBJECT, subject)

    def by_certificate(
        self, use: Use, subject: str, fingerprint: str, now: datetime, tax_codes: Iterable[str] = ()
    ) -> Partner | None:
        """The active partner that a certificate proves for a use, at ``now`` (aware, UTC), or None.

        The chain must have been proven before.  ``tax_codes``: those that a public authority wrote into
        the subject.  A partner with credentials for the use is proven by these alone.
        """
        own = self.by_fingerprint(fingerprint)
        if own is not None and own.credential(use, fingerprint, now) is not None:
            return own
        named = self.named_by(subject, tax_codes)
        return None if named is None or named.credentials_for(use) else named

    def by_signer(self, signer: Signer, now: datetime, tax_codes: Iterable[str] = ()) -> Partner | None:
        """As ``by_certificate``, for who signed a message."""
        return self.by_certificate(Use.SIGN, signer.subject, signer.fingerprint, now, tax_codes)

    def named_by(self, subject: str, tax_codes: Iterable[str] = ()) -> Partner | None:
        """The active partner that a certificate's subject, or a tax code in it, is of; proof of nothing
        where it has credentials."""
        found = self.by_subject(subject)
        if found is not None:
            return found
        return next(filter(None, map(self.by_identifier, tax_codes)), None)

    def between(self, agent: str, principal: str) -> Iterator[Mandate]:
        """Every mandate, valid or not, between the two."""
        numbers = self.partners.number(agent), self.partners.number(principal)
        return self._grants.between(*numbers, (agent, principal)) if min(numbers) >= 0 else iter(())

    def mandates(self, agent: str, principal: str) -> tuple[Mandate, ...]:
        """Every mandate, valid or not, between the two."""
        return tuple(self.between(agent, principal))

    def may(self, agent: str, principal: str, message_type: str, now: datetime, office: str = "") -> bool:
        """True where the agent may act for the principal, in whatever form (for itself: always)."""
        if agent == principal:
            return True
        return any(m.covers(message_type, now, office) for m in self.between(agent, principal))


def _number(numbers: dict[str, int], bodies: list[bytes], identity: str) -> int:
    """The number of a party, a new one where it has none.  Raises OverflowError beyond MAX_PARTIES."""
    number = numbers.get(identity, -1)
    if number < 0:
        number = numbers[identity] = len(bodies)
        if number >= MAX_PARTIES:
            raise OverflowError(f"a register holds {MAX_PARTIES} parties")
        bodies.append(b"")
    return number
