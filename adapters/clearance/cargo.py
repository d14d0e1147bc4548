"""Cargo and conveyance reports: registered, and cargo screened consignment by consignment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

from adapters.clearance import filing, orders
from adapters.clearance.case import Case, changed
from adapters.clearance.conditions import Subject
from adapters.clearance.criteria import Action
from adapters.clearance.docket import Docket
from adapters.clearance.filing import Purpose
from adapters.clearance.progress import move
from adapters.clearance.selectivity import Hit, hits_of
from adapters.clearance.states import Family, Move, State
from gateway.adapter import Handover
from gateway.model import DecisionKind, Declaration, Finding, Place, parse_pointer

CURABLE, LASTING = "curable", "lasting"
"""Orders by criteria, as kept: lifted by a corrected report, or by an officer only."""

DIGITS = {"102": 8, "203": 12, "204": 14, "304": 14}
"""Digits of a date-time by its UN/EDIFACT 2379 form; 304 has a zone after them."""


class Stop(msgspec.Struct, frozen=True):
    """A consignment that criteria stop: where it is, how it is called, why."""

    number: int
    consignment: str
    action: Action
    hits: tuple[Hit, ...]

    @property
    def curable(self) -> bool:
        """True where an amendment is enough to lift the order."""
        return all(hit.criterion is not None and hit.criterion.lifted_by_amendment for hit in self.hits)


def register(docket: Docket, handover: Handover) -> Case | None:
    """A new report: refused, or registered and screened."""
    findings = filing.head_findings(docket, handover.declaration) + _cargo_findings(handover.declaration)
    if filing.is_duplicate(docket, handover):
        return None
    if findings:
        filing.refuse(docket, handover, findings)
        return None
    case = filing.open_case(docket, handover)
    docket.keep(case, handover, handover.declaration, ())
    case = filing.say_registered(docket, case)
    return _screen(docket, case, handover, handover.declaration)


def amend(docket: Docket, handover: Handover, purpose: Purpose) -> Case | None:
    """A corrected report: screened again; orders that a correction cures are lifted."""
    case = filing.referred(docket, handover, Move.AMENDED)
    if case is None:
        return None
    declaration = filing.version_of(docket, case, handover, purpose)
    findings = _cargo_findings(declaration)
    if findings:
        filing.refuse(docket, handover, findings, case=case)
        return None
    case = filing.amended(docket, handover, case)
    docket.keep(case, handover, declaration, ())
    return _screen(docket, case, handover, declaration)


def cancel(docket: Docket, handover: Handover) -> Case | None:
    """A report withdrawn; not while an order stands on one of its consignments."""
    case = filing.referred(docket, handover, Move.CANCELLED)
    if case is None:
        return None
    case = changed(case, message=handover.message, filer=handover.filer)
    why = filing.reason_of(handover.declaration)
    case = move(docket, case, Move.CANCELLED, filing.who_filed(handover), why)
    return docket.tell(case, DecisionKind.CANCELLED, docket.config.statements.say("cancelled"))


def _cargo_findings(declaration: Declaration) -> tuple[Finding, ...]:
    if not declaration.kind.is_cargo or declaration.root.entity("Consignment") is not None:
        return ()
    return (Finding("CLR009", Place(pointer="Declaration/Consignment"), "1", "0"),)


def _screen(docket: Docket, case: Case, handover: Handover, declaration: Declaration) -> Case:
    """Orders for consignments that criteria stop; orders that no criterion upholds any more are
    lifted where their criterion allows it, and all others stay."""
    if case.family is not Family.CARGO:
        return case
    config = docket.config
    subject = Subject(declaration, handover.principal, handover.filer, config.exchange)
    hits = list(hits_of(subject, config.criteria))
    loaded = has_departed(declaration, docket.now, ZoneInfo(config.office.time_zone))
    stops = list(_stops(declaration, hits, loaded))
    for stop in stops:
        docket.note_hits(case, stop.hits, stop.action)
    stopped = {stop.consignment for stop in stops}
    standing = orders.standing(docket, case.registration)
    cured = [block for block in standing if block.criterion == CURABLE and block.consignment not in stopped]
    for block in cured:
        orders.lift(docket, block, filing.who_filed(handover), "corrected by an amendment")
        case = orders.say_lifted(
            docket, case, declaration, block, config.statements.say("lifted-by-amendment")
        )
    known = {(block.consignment, block.action) for block in standing}
    for stop in stops:
        if (stop.consignment, stop.action) not in known:
            criterion = CURABLE if stop.curable else LASTING
            reasons = dict.fromkeys((hit.statement, hit.statement_vi) for hit in stop.hits)
            case = orders.give(docket, case, stop.number, stop.consignment, stop.action, criterion, *reasons)
    if len(standing) > len(cured) and case.state is not State.BLOCKED:
        case = move(docket, case, Move.BLOCKED, why="earlier orders stand")
    return case


def _stops(declaration: Declaration, hits: Iterable[Hit], loaded: bool) -> Iterator[Stop]:
    """The stopped consignments, each action once; what is on its way can only not be unloaded."""
    gathered: dict[tuple[int, Action], list[Hit]] = {}
    for hit in hits:
        action = hit.criterion.action if hit.criterion else None
        if action is not None:
            number = parse_pointer(hit.pointer)[1].occurrence
            effective = Action.DO_NOT_UNLOAD if loaded else action
            gathered.setdefault((number, effective), []).append(hit)
    names = orders.consignments(declaration) if gathered else []
    for (number, action), some in sorted(gathered.items()):
        yield Stop(number, names[number - 1], action, tuple(some))


def has_departed(declaration: Declaration, now: datetime, zone: ZoneInfo) -> bool:
    """True where the means of transport has left with its cargo: BorderTransportMeans' departure
    (WCO 156) is past.  Times without a zone are the office's; a mere date has passed at its end."""
    value = declaration.root.value("BorderTransportMeans/DepartureDateTime")
    if value is None:
        return False
    departure = _moment(value.text.strip(), value.attribute("formatCode"), zone)
    return departure is not None and departure <= now


def _moment(text: str, form: str, zone: ZoneInfo) -> datetime | None:
    """The moment of a WCO date-time; None where it is none."""
    length = DIGITS.get(form, 0)
    digits, offset = text[:length], text[length:]
    if not length or not re.fullmatch(f"[0-9]{{{length}}}", digits, re.ASCII):
        return None
    known = "" if offset in ("Z", "UTC") else f"{offset:0<5}" if offset else ""
    filled = (digits + "235959" if form == "102" else digits.ljust(14, "0")) + known
    try:
        moment = datetime.strptime(filled, "%Y%m%d%H%M%S%z" if known else "%Y%m%d%H%M%S")  # noqa: DTZ007
        if known:
            return moment.astimezone(UTC)
        return moment.replace(tzinfo=UTC if form == "304" else zone)
    except (ValueError, OverflowError):
        return None
