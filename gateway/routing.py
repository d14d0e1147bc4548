"""Addressing: who may file what for whom, and how an answer finds its way back."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec

from gateway.model import (
    Declaration,
    Finding,
    Kind,
    Partner,
    Place,
    Register,
    Role,
    Route,
    Submission,
)

ROLE_KINDS: dict[Role, frozenset[Kind]] = {
    Role.TRADER: frozenset({Kind.IMPORT, Kind.EXPORT, Kind.TRANSIT}),
    Role.CARRIER: frozenset({Kind.CARGO_IMPORT, Kind.CARGO_EXPORT, Kind.CONVEYANCE, Kind.TRANSIT}),
    Role.PORT: frozenset({Kind.CONVEYANCE}),
    Role.BANK: frozenset({Kind.PAYMENT}),
    Role.VAN: frozenset(),
    Role.MINISTRY: frozenset(),
    Role.CUSTOMS: frozenset(Kind),
}


class Envelope(Protocol):
    """What an EDIFACT route needs of an interchange."""

    @property
    def reference(self) -> str: ...
    @property
    def sender(self) -> tuple[str, ...]: ...
    @property
    def recipient(self) -> tuple[str, ...]: ...
    @property
    def syntax(self) -> tuple[str, ...]: ...
    @property
    def test(self) -> bool: ...


def xml_route(submission: Submission, filer: Partner, signer: Partner, table: str) -> Route:
    """The way back for an XML document."""
    return Route(
        partner=filer.id,
        principal=signer.id,
        channel=submission.channel,
        syntax="xml",
        table=table,
        language=filer.language,
    )


def edifact_route(
    submission: Submission, filer: Partner, signer: Partner, interchange: Envelope, envelope: str
) -> Route:
    """The way back for an interchange: the parties and syntax as the sender wrote them."""
    return Route(
        partner=filer.id,
        principal=signer.id,
        channel=submission.channel,
        syntax="edifact",
        envelope=envelope,
        reference=interchange.reference,
        syntax_identifier=":".join(interchange.syntax),
        sender=interchange.sender,
        recipient=interchange.recipient,
        language=filer.language,
        test=interchange.test,
    )


def sender(interchange: Envelope, filer: Partner, signer: Partner) -> tuple[Finding, ...]:
    """Identity comes from the key, and UNB's sender must agree with it (facts: 9.5): PAR002."""
    named = interchange.sender[0]
    if named in signer.identifiers or named in filer.identifiers:
        return ()
    place = Place(message=interchange.reference, tag="UNB", element=2, component=1)
    return (Finding("PAR002", place, "an identifier of the signer", named),)


def authority(
    declaration: Declaration, filer: Partner, signer: Partner, register: Register, now: datetime
) -> tuple[Finding, ...]:
    """What the signer and the filer lack to bring this declaration in.

    PAR003: no mandate joins filer and signer; PAR004: the declarant's roles do not allow this kind (a
    mandate hands on no more than its principal has); PAR005: the declarant named inside is neither the
    signer nor one who mandated it.
    """
    kind = declaration.kind
    findings = []
    whole = Place(pointer="Declaration")
    if not register.may(filer.id, signer.id, kind.value, now):
        findings.append(
            Finding("PAR003", whole, f"a mandate for {kind.value}", f"{filer.id} for {signer.id}")
        )
    named = declaration.declarant
    principal = register.by_identifier(named) if named else signer
    if principal is None:
        findings.append(Finding("PAR005", declarant_place(declaration), "a registered declarant", named))
    elif not register.may(signer.id, principal.id, kind.value, now):
        findings.append(Finding("PAR005", declarant_place(declaration), signer.name, named))
    elif kind.value not in (allowed := kinds_of(principal)):
        findings.append(Finding("PAR004", whole, ", ".join(sorted(allowed)), kind.value))
    return tuple(findings)


def kinds_of(partner: Partner) -> frozenset[str]:
    """The kinds of declaration that are the partner's to make."""
    return frozenset(partner.types) or frozenset(k.value for role in partner.roles for k in ROLE_KINDS[role])


def declarant_place(declaration: Declaration) -> Place:
    """Where the declaration names its declarant."""
    named = "Declarant/ID" if declaration.root.text("Declarant/ID") else "Submitter/ID"
    return Place(pointer=f"Declaration/{named}")


def placed(finding: Finding, source: Place) -> Finding:
    """The finding with the sender's own place beside its pointer into the declaration."""
    return msgspec.structs.replace(
        finding, place=msgspec.structs.replace(source, pointer=finding.place.pointer)
    )


def within(finding: Finding, message: str) -> Finding:
    """The finding with the reference (0062) of the message that it is in."""
    return msgspec.structs.replace(finding, place=msgspec.structs.replace(finding.place, message=message))
