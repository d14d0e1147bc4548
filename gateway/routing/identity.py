"""Who is proven by a certificate, why nobody is, and whether what was agreed with a partner was kept."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from gateway.model import Credential, Finding, Judged, Kind, Partner, Place, Register, Signer, Submission, Use

HEAD = 16
"""Digits of a fingerprint that are shown: as much as anybody compares, and enough to tell them apart."""


def unproven(
    register: Register,
    use: Use,
    subject: str,
    fingerprint: str,
    now: datetime,
    tax_codes: Iterable[str] = (),
    part: str = "signature",
) -> Finding:
    """Why a certificate proves no partner for this use: what was expected instead, and until when.

    PAR101: not active yet; PAR102: no longer; PAR103: the partner has registered others for this use; PAR105:
    registered for another use; PAR001: nobody's.
    """
    place = Place(part=part)
    own = register.by_fingerprint(fingerprint)
    if own is not None:
        mine = next(c for c in own.credentials if c.fingerprint == fingerprint)
        if use not in mine.uses:
            return Finding("PAR105", place, use.value, f"{', '.join(mine.uses) or 'no use'}: {shown(mine)}")
        code = "PAR101" if mine.active_from is not None and now < mine.active_from else "PAR102"
        return Finding(code, place, _expected(own, use, now, fingerprint), shown(mine))
    named = register.named_by(subject, tax_codes)
    if named is not None and named.credentials_for(use):
        return Finding("PAR103", place, _expected(named, use, now), fingerprint[:HEAD])
    return Finding("PAR001", place, "a registered certificate or subject", subject)


def shown(credential: Credential) -> str:
    """The head of a credential's fingerprint and its days, where it has any, in no language:
    ``1f2e3d4c5b6a7988 (2026-01-01 00:00Z .. 2027-01-01 00:00Z)``."""
    since = f"{credential.active_from:%Y-%m-%d %H:%M}Z" if credential.active_from else ""
    until = f"{credential.ends_at:%Y-%m-%d %H:%M}Z" if credential.ends_at else ""
    window = f" ({f'{since} .. {until}'.strip()})" if since or until else ""
    return credential.fingerprint[:HEAD] + window


def algorithm(partner: Partner, signer: Signer, now: datetime) -> tuple[Finding, ...]:
    """PAR104 where the credential's key is bound to other algorithms than the signature's."""
    known = partner.credential(Use.SIGN, signer.fingerprint, now)
    if known is None or not known.algorithms or signer.algorithm in known.algorithms:
        return ()
    expected = ", ".join(known.algorithms)
    return (Finding("PAR104", Place(part="signature"), expected, signer.algorithm),)


def terms(partner: Partner, signer: Signer, envelope: str) -> tuple[Finding, ...]:
    """What in a signature was not agreed with its signer: PAR106 a legacy profile, PAR107 the envelope."""
    place, agreed = Place(part="signature"), partner.terms
    findings: tuple[Finding, ...] = ()
    if signer.profile and signer.profile not in agreed.profiles:
        expected = ", ".join(agreed.profiles) or "no legacy profile"
        findings += (Finding("PAR106", place, expected, signer.profile),)
    if agreed.envelopes and envelope not in agreed.envelopes:
        findings += (Finding("PAR107", place, ", ".join(agreed.envelopes), envelope),)
    return findings


def channel(filer: Partner, submission: Submission) -> tuple[Finding, ...]:
    """PAR109 where the filer agreed to other channels than it came by."""
    agreed = filer.terms.channels
    if not agreed or submission.channel in agreed:
        return ()
    return (Finding("PAR109", Place(part="channel"), ", ".join(agreed), submission.channel),)


def message(partner: Partner, judged: Judged) -> tuple[Finding, ...]:
    """PAR108 where the message is of none of the types and versions agreed with who signed it, PAR114 where
    only customs sends such."""
    agreed, names = partner.terms, names_of(judged)
    if not judged.type or not names.isdisjoint(agreed.messages):
        return ()
    place = Place(message=judged.reference, tag="UNH", segment=1, element=2) if judged.identifier else Place()
    found = judged.identifier or judged.type
    if not names.isdisjoint(agreed.outward):
        return (Finding("PAR114", place, ", ".join(agreed.messages), found),)
    return (Finding("PAR108", place, ", ".join(agreed.messages), found),) if agreed.messages else ()


class Typed(Protocol):
    """A message, as far as its type goes: a Judged, or what the ledger has of one."""

    @property
    def type(self) -> str: ...
    @property
    def identifier(self) -> str: ...
    @property
    def kind(self) -> Kind | None: ...


def names_of(message: Typed) -> frozenset[str]:
    """How an agreement may name a message: its type, its kind of declaration, its type with a version."""
    parts = message.identifier.split(":") if message.identifier else []
    versions = {":".join(parts[:count]) for count in range(1, len(parts) + 1)}
    kind = {message.kind.value} if message.kind else set()
    return frozenset({message.type} | kind | versions)


def _expected(partner: Partner, use: Use, now: datetime, but: str = "") -> str:
    """The certificates that prove the partner for the use now or soon, else all of the use."""
    mine = [c for c in partner.credentials_for(use) if c.fingerprint != but]
    current = [c for c in mine if c.ends_at is None or c.ends_at > now] or mine
    return ", ".join(shown(c) for c in current) or "another certificate"
