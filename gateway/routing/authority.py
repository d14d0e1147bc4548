"""Who may file what for whom: roles, mandates, and the form of signatures that was agreed."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

import msgspec

from gateway.model import Declaration, Finding, Form, Kind, Mandate, Partner, Place, Register, Role
from gateway.routing.ways import Envelope

ROLE_KINDS: dict[Role, frozenset[Kind]] = {
    Role.TRADER: frozenset({Kind.IMPORT, Kind.EXPORT, Kind.TRANSIT}),
    Role.CARRIER: frozenset({Kind.CARGO_IMPORT, Kind.CARGO_EXPORT, Kind.CONVEYANCE, Kind.TRANSIT}),
    Role.PORT: frozenset({Kind.CONVEYANCE}),
    Role.BANK: frozenset({Kind.PAYMENT}),
    Role.VAN: frozenset(),
    Role.MINISTRY: frozenset(),
    Role.CUSTOMS: frozenset(Kind),
    Role.OPERATOR: frozenset(),
    Role.OFFICER: frozenset(),
}

COMBINATIONS = 256
"""Of roles, or of kinds that were agreed: there are few, whatever the number of partners."""


def sender(interchange: Envelope, filer: Partner, signer: Partner) -> tuple[Finding, ...]:
    """Identity comes from the key, and UNB's sender must agree with it (facts: 9.5): PAR002."""
    named = interchange.sender[0]
    if named in signer.identifiers or named in filer.identifiers:
        return ()
    place = Place(message=interchange.reference, tag="UNB", element=2, component=1)
    return (Finding("PAR002", place, "an identifier of the signer", named),)


class Admission(msgspec.Struct, frozen=True):
    """What stands against a declaration or, where nothing does, by which mandates it came in.

    ``mandates``: ids, of the filer's for the signer first, then of the signer's for the declarant; ``form``:
    in which form the agent acted, "" where nobody acted for another.
    """

    findings: tuple[Finding, ...] = ()
    mandates: tuple[str, ...] = ()
    form: str = ""


NOT_ENTITLED = frozenset({"PAR003", "PAR110"})
"""Findings by which who filed may not act for who signed."""


def admission(
    declaration: Declaration,
    filer: Partner,
    signer: Partner,
    register: Register,
    now: datetime,
    *,
    carried: bool = False,
    revoked_by: datetime | None = None,
) -> Admission:
    """What the signer and the filer lack to bring this declaration in, or what admits it.

    ``carried``: the filer signed around the signer's signature.  ``revoked_by``: a later time than ``now``, at
    which a mandate must not have been revoked.  PAR003: no mandate joins filer and signer
    here; PAR004: the declarant's roles do not allow this kind (a mandate hands on no more than its principal
    has); PAR005: the declarant named inside is neither the signer nor one who mandated it; PAR111: its
    mandate is not for this; PAR110: a mandate is, but asks for another form of signatures.
    """
    kind, office = declaration.kind.value, declaration.root.text(OFFICE)
    filed = _Acting(filer, signer, Form.BOTH if carried else Form.PRINCIPAL)
    asked = _Asked(kind, office, now, revoked_by or now)
    findings = filed.judged(register, asked, "PAR003", Place(pointer="Declaration"))
    named = declaration.declarant
    principal = register.by_identifier(named) if named else signer
    if principal is None:
        expected = "a registered declarant"
        findings += (Finding("PAR005", declarant_place(declaration), expected, named),)
        return Admission(findings)
    signed = _Acting(signer, principal, Form.AGENT)
    lacking = signed.judged(register, asked, "PAR111", declarant_place(declaration))
    if any(f.code == "PAR111" for f in lacking) and not register.mandates(signer.id, principal.id):
        lacking = (Finding("PAR005", declarant_place(declaration), signer.name, named),)
    findings += lacking
    allowed = kinds_of(principal)
    if not lacking and kind not in allowed:
        found = Finding("PAR004", Place(pointer="Declaration"), ", ".join(sorted(allowed)), kind)
        findings += (found,)
    acted = [one for one in (filed, signed) if one.mandate]
    return Admission(findings, tuple(one.mandate for one in acted), acted[-1].form.value if acted else "")


def authority(
    declaration: Declaration, filer: Partner, signer: Partner, register: Register, now: datetime
) -> tuple[Finding, ...]:
    """The findings of ``admission`` where the filer did not sign around."""
    return admission(declaration, filer, signer, register, now).findings


class _Asked(msgspec.Struct, frozen=True):
    """What a mandate is asked for: a kind of declaration at an office, at a time, not revoked by another."""

    kind: str
    office: str
    now: datetime
    revoked_by: datetime

    def met_by(self, mandate: Mandate) -> bool:
        return mandate.covers(self.kind, self.now, self.office) and not mandate.revoked(self.revoked_by)


class _Acting:
    """One acting for another, in a form of signatures; ``mandate``: the id of the one that admits it."""

    def __init__(self, agent: Partner, principal: Partner, form: Form) -> None:
        self._agent = agent
        self._principal = principal
        self.form = form
        self.mandate = ""

    def judged(self, register: Register, asked: _Asked, code: str, place: Place) -> tuple[Finding, ...]:
        """Nothing, or why not: ``code`` where no mandate covers it, PAR110 where one asks for more."""
        if self._agent.id == self._principal.id:
            return ()
        weaker: Mandate | None = None
        for mandate in register.between(self._agent.id, self._principal.id):
            if asked.met_by(mandate):
                if self.form.meets(mandate.form):
                    self.mandate = mandate.id
                    return ()
                weaker = mandate
        if weaker is not None:
            expected = f"{SIGNED[weaker.form]} (mandate {weaker.id})"
            return (Finding("PAR110", place, expected, SIGNED[self.form]),)
        wanted = f"a mandate for {asked.kind}" + (f" at office {asked.office}" if asked.office else "")
        return (Finding(code, place, wanted, self._lacking(register, asked)),)

    def _lacking(self, register: Register, asked: _Asked) -> str:
        """Who for whom, and of their mandates the one that is nearest: why it does not admit this."""
        pair = f"{self._agent.id} for {self._principal.id}"
        known = register.mandates(self._agent.id, self._principal.id)
        for_this = [m for m in known if m.names(asked.kind, asked.office)]
        if for_this:
            return f"{pair}: {_ended(for_this[-1], asked)}"
        if known:
            near = next((m for m in known if m.holds(asked.now)), known[-1])
            at = f" at {', '.join(near.offices)}" if near.offices else ""
            return f"{pair}: {near.id} is for {', '.join(near.types) or 'every kind'}{at}"
        return pair


OFFICE = "DeclarationOfficeID"
"""WCO 065: the customs office that a declaration is made to."""

SIGNED = {
    Form.AGENT: "the agent's signature",
    Form.PRINCIPAL: "the principal's signature",
    Form.BOTH: "the principal's signature and the agent's around it",
}


def _ended(mandate: Mandate, asked: _Asked) -> str:
    if mandate.revoked(asked.revoked_by):
        return f"{mandate.id} was revoked at {mandate.revoked_at:%Y-%m-%dT%H:%M:%SZ}"
    if mandate.valid_to is not None and mandate.valid_to <= asked.now:
        return f"{mandate.id} ended at {mandate.valid_to:%Y-%m-%dT%H:%M:%SZ}"
    return f"{mandate.id} begins at {mandate.valid_from:%Y-%m-%dT%H:%M:%SZ}"


def kinds_of(partner: Partner) -> frozenset[str]:
    """The kinds of declaration that are the partner's to make."""
    return _kinds(partner.types, partner.roles)


@lru_cache(COMBINATIONS)
def _kinds(types: tuple[str, ...], roles: tuple[Role, ...]) -> frozenset[str]:
    return frozenset(types) or frozenset(k.value for role in roles for k in ROLE_KINDS[role])


def declarant_place(declaration: Declaration) -> Place:
    """Where the declaration names its declarant."""
    named = "Declarant/ID" if declaration.root.text("Declarant/ID") else "Submitter/ID"
    return Place(pointer=f"Declaration/{named}")
