"""What all declarations share when they are filed: their purpose, their checks, amendment, refusal."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from adapters.clearance import identifiers
from adapters.clearance.case import Case, changed
from adapters.clearance.docket import Docket
from adapters.clearance.progress import move
from adapters.clearance.states import Move, allowed, family_of
from gateway.adapter import Handover
from gateway.model import Correction, DecisionKind, Declaration, Entity, Finding, Place, Value

TOLD_PLACES = 5
"""Places of a correction that a case's history names; the gateway has them all."""

MAX_LRN = 35
"""WCO D026 is an..35."""


class Purpose(StrEnum):
    """What a message wants of customs."""

    REGISTER = "register"
    CHANGE = "change"
    REPLACE = "replace"
    CANCEL = "cancel"


FUNCTIONS: Mapping[str, Purpose] = {
    "9": Purpose.REGISTER,
    "4": Purpose.CHANGE,
    "5": Purpose.REPLACE,
    "1": Purpose.CANCEL,
}
"""WCO 017 (EDIFACT 1225)."""

REQUEST = "13"
REQUESTS: Mapping[str, Purpose] = {"COR": Purpose.CHANGE, "INV": Purpose.CANCEL}
"""Function 13, request: its TypeCode (WCO D013) says for what."""

OWN_HEAD = frozenset({"FunctionCode", "FunctionalReferenceID", "ID", "TypeCode"})
"""Head values that are an amending message's own, and do not change the declaration's."""


def purpose_of(declaration: Declaration) -> Purpose | None:
    """What the message wants; None where the office does not serve its function."""
    function = declaration.function.strip().lstrip("0") or declaration.function
    if function == REQUEST:
        return REQUESTS.get(declaration.root.text("TypeCode"))
    return FUNCTIONS.get(function)


def refuse(
    docket: Docket,
    handover: Handover,
    findings: tuple[Finding, ...],
    statement: tuple[str, str] | None = None,
    case: Case | None = None,
) -> None:
    """A refusal of the message; the case that it is about, if any, stays as it is."""
    docket.answer(
        handover,
        DecisionKind.REFUSED,
        statement or docket.config.statements.say("refused"),
        findings=findings,
        registration=case.registration if case else "",
        version=case.version if case else 1,
    )


def head_findings(docket: Docket, declaration: Declaration) -> tuple[Finding, ...]:
    """CLR002 without a usable reference, CLR003 for another office's declaration."""
    findings: list[Finding] = []
    lrn = declaration.reference
    if not 0 < len(lrn) <= MAX_LRN or not lrn.isprintable():
        place = Place(pointer="Declaration/FunctionalReferenceID")
        findings.append(Finding("CLR002", place, f"an..{MAX_LRN}", lrn))
    serves, office = docket.config.office.serves, declaration.root.text("DeclarationOfficeID")
    if serves and office not in serves:
        place = Place(pointer="Declaration/DeclarationOfficeID")
        findings.append(Finding("CLR003", place, ", ".join(serves), office))
    return tuple(findings)


def is_duplicate(docket: Docket, handover: Handover) -> bool:
    """Refuses a reference that the principal has used (CLR001), and says whether it did."""
    lrn = handover.declaration.reference
    known = docket.registered_as(family_of(handover.declaration.kind), handover.principal, lrn)
    if known:
        finding = Finding("CLR001", Place(pointer="Declaration/FunctionalReferenceID"), "", lrn)
        statement = docket.config.statements.say("refused-duplicate", registration=known)
        refuse(docket, handover, (finding,), statement)
    return bool(known)


def open_case(docket: Docket, handover: Handover) -> Case:
    """A new case with its registration number, in state REGISTERED."""
    declaration = handover.declaration
    case = Case(
        registration=docket.numbers.next(declaration.kind),
        family=family_of(declaration.kind),
        kind=declaration.kind,
        lrn=declaration.reference,
        principal=handover.principal,
        filer=handover.filer,
        message=handover.message,
        registered_at=docket.now,
        changed_at=docket.now,
    )
    docket.record(case, who_filed(handover), "registered", case.state)
    docket.open(case)
    return case


def note_correction(docket: Docket, case: Case, correction: Correction) -> None:
    """What of the message is not the filer's own stands in the case's history, for its officers."""
    places = ", ".join(change.pointer for change in correction.changes[:TOLD_PLACES])
    more = len(correction.changes) - TOLD_PLACES
    told = f"{places} and {more} more" if more > 0 else places
    why = f"{correction.why} ({told}; as signed: SHA-256 {correction.original})"
    docket.record(case, f"operator {correction.who}", correction.how.value, case.state, why)


def say_registered(docket: Docket, case: Case, warnings: tuple[Finding, ...] = ()) -> Case:
    """The decision that gives the registration number."""
    statement = docket.config.statements.say("registered", registration=case.registration)
    return docket.tell(case, DecisionKind.REGISTERED, statement, findings=warnings)


def referred(docket: Docket, handover: Handover, step: Move) -> Case | None:
    """The case that an amendment or cancellation names, where it may make the step now.

    Otherwise the message is refused here: CLR005 not a number of this principal's, CLR007 of another
    kind, CLR006 not in this state.
    """
    declaration, place = handover.declaration, Place(pointer="Declaration/ID")
    number = declaration.registration.strip()
    case = docket.case(number) if identifiers.is_registration_number(number) else None
    if case is None or case.principal != handover.principal:
        refuse(docket, handover, (Finding("CLR005", place, "", number),))
        return None
    if case.kind is not declaration.kind:
        refuse(docket, handover, (Finding("CLR007", place, case.kind, declaration.kind),), case=case)
        return None
    if step not in allowed(case.family, case.state):
        moves = ", ".join(allowed(case.family, case.state)) or "-"
        statement = docket.config.statements.say("refused-state", registration=number)
        refuse(docket, handover, (Finding("CLR006", place, moves, case.state),), statement, case)
        return None
    if step is Move.AMENDED and case.version >= identifiers.MAX_VERSION:
        finding = Finding("CLR017", place, str(identifiers.MAX_VERSION), str(case.version + 1))
        refuse(docket, handover, (finding,), case=case)
        return None
    return case


def amended(docket: Docket, handover: Handover, case: Case, warnings: tuple[Finding, ...] = ()) -> Case:
    """The case in its next version, which the amending message stands for from now on."""
    case = changed(case, version=case.version + 1, message=handover.message, filer=handover.filer)
    case = move(docket, case, Move.AMENDED, who_filed(handover), reason_of(handover.declaration))
    statement = docket.config.statements.say("amended", version=str(case.version))
    return docket.tell(case, DecisionKind.AMENDED, statement, findings=warnings)


def who_filed(handover: Handover) -> str:
    """Who is named in the audit for what a message did."""
    return f"partner {handover.filer}"


def reason_of(declaration: Declaration) -> str:
    """The declarant's own reason for an amendment or cancellation."""
    return declaration.root.text("AdditionalInformation/StatementDescription")


def version_of(docket: Docket, case: Case, handover: Handover, purpose: Purpose) -> Declaration:
    """What the declaration becomes: a replacement as it came, a change laid over what was declared."""
    came = handover.declaration
    if purpose is Purpose.REPLACE:
        return came
    before = docket.declaration(case)
    changes = Entity(
        came.root.name,
        tuple(v for v in came.root.values if v.name not in OWN_HEAD),
        tuple(e for e in came.root.entities if e.name != "Amendment"),
    )
    return msgspec.structs.replace(before, root=overlay(before.root, changes))


def overlay(before: Entity, changes: Entity) -> Entity:
    """``changes`` laid over ``before``: a value replaces its namesake; a class is laid over the
    occurrence with its SequenceNumeric, or else in its place; what is new is added.

    Nothing can be taken away like this: that needs a replacement (function 5).
    """
    said = {value.name for value in changes.values}
    values = tuple(v for v in before.values if v.name not in said) + changes.values
    entities = list(before.entities)
    places: dict[str, int] = {}
    for change in changes.entities:
        places[change.name] = places.get(change.name, 0) + 1
        index = _counterpart(entities, change, places[change.name])
        if index is None:
            entities.insert(_after_namesakes(entities, change.name), change)
        else:
            entities[index] = overlay(entities[index], change)
    return Entity(before.name, values, tuple(entities))


def _counterpart(entities: list[Entity], change: Entity, occurrence: int) -> int | None:
    """Where the occurrence is that a change is about."""
    namesakes = [i for i, entity in enumerate(entities) if entity.name == change.name]
    number = _number(change.value("SequenceNumeric"))
    if number:
        same = [i for i in namesakes if _number(entities[i].value("SequenceNumeric")) == number]
        return same[0] if same else None
    return namesakes[occurrence - 1] if occurrence <= len(namesakes) else None


def _number(value: Value | None) -> str:
    return value.text.strip().lstrip("0") if value else ""


def _after_namesakes(entities: list[Entity], name: str) -> int:
    last = [i for i, entity in enumerate(entities) if entity.name == name]
    return last[-1] + 1 if last else len(entities)
