"""Goods declarations: import, export, transit; registered, channelled, assessed, amended, cancelled."""

from __future__ import annotations

from adapters.clearance import assessment, filing, money, selectivity
from adapters.clearance.assessment import Assessment
from adapters.clearance.case import Case, changed
from adapters.clearance.conditions import Subject
from adapters.clearance.docket import Docket
from adapters.clearance.filing import Purpose
from adapters.clearance.progress import advance, give_notice, move
from adapters.clearance.statements import join
from adapters.clearance.states import Channel, Move
from gateway.adapter import Handover
from gateway.model import DecisionKind, Declaration
from gateway.model.finding import worst


def register(docket: Docket, handover: Handover) -> Case | None:
    """A new declaration: refused, or registered, channelled, assessed, and released where it may be."""
    declaration = handover.declaration
    assessed = _assess(docket, declaration)
    findings = filing.head_findings(docket, declaration) + assessed.findings
    if filing.is_duplicate(docket, handover):
        return None
    if worst(findings):
        filing.refuse(docket, handover, findings)
        return None
    case = changed(
        filing.open_case(docket, handover),
        total=assessed.total,
        guarantee=_guarantee(docket, handover.principal, declaration),
    )
    docket.keep(case, handover, declaration, assessed.duties)
    case = filing.say_registered(docket, case, findings)
    case = _channel(docket, case, handover, declaration)
    return advance(docket, give_notice(docket, case, assessed.duties, None))


def amend(docket: Docket, handover: Handover, purpose: Purpose) -> Case | None:
    """An amendment before release: a new version, channelled and assessed again."""
    case = filing.referred(docket, handover, Move.AMENDED)
    if case is None:
        return None
    declaration = filing.version_of(docket, case, handover, purpose)
    assessed = _assess(docket, declaration)
    if worst(assessed.findings):
        filing.refuse(docket, handover, assessed.findings, case=case)
        return None
    before = case.total
    case = changed(
        filing.amended(docket, handover, case, assessed.findings),
        total=assessed.total,
        guarantee=_guarantee(docket, handover.principal, declaration),
    )
    docket.keep(case, handover, declaration, assessed.duties)
    case = _channel(docket, case, handover, declaration)
    return advance(docket, give_notice(docket, case, assessed.duties, before))


def cancel(docket: Docket, handover: Handover) -> Case | None:
    """A cancellation before release; what was paid is the trader's to ask back."""
    case = filing.referred(docket, handover, Move.CANCELLED)
    if case is None:
        return None
    case = changed(case, message=handover.message, filer=handover.filer)
    why = filing.reason_of(handover.declaration)
    case = move(docket, case, Move.CANCELLED, filing.who_filed(handover), why)
    statement = docket.config.statements.say("cancelled")
    if case.paid:
        currency = docket.config.office.currency
        paid = money.say(case.paid)
        statement = docket.config.statements.say("cancelled-refund", paid=paid, currency=currency)
    return docket.tell(case, DecisionKind.CANCELLED, statement)


def _assess(docket: Docket, declaration: Declaration) -> Assessment:
    config = docket.config
    return assessment.assess(declaration, config.tariff, config.office.currency, config.payment.minimum)


def _guarantee(docket: Docket, principal: str, declaration: Declaration) -> str:
    """The first guarantee that the declaration names and that customs holds for the principal."""
    for entity in declaration.root.each("ObligationGuarantee"):
        held = docket.config.guarantees.get(entity.text("ReferenceID"))
        if held is not None and held.principal == principal:
            return held.reference
    return ""


def _channel(docket: Docket, case: Case, handover: Handover, declaration: Declaration) -> Case:
    """Selectivity.  An amendment may raise the control of a declaration and never lowers it."""
    config = docket.config
    subject = Subject(declaration, handover.principal, handover.filer, config.exchange)
    selection = selectivity.select(subject, case.registration, config.criteria)
    docket.note_hits(case, selection.hits)
    channel = selectivity.heaviest((selection.channel, case.channel))
    case = changed(case, channel=channel, limit_at=None)
    if channel is Channel.GREEN:
        case = move(docket, case, Move.GREEN)
        return docket.tell(case, DecisionKind.GREEN, config.statements.say("green"))
    if channel is Channel.RED:
        case = move(docket, case, Move.RED)
        statement = join(config.statements.say("red"), *selection.statements)
        return docket.tell(case, DecisionKind.RED, statement, documents=selection.documents)
    limit = config.limit(docket.now, config.documents.days)
    case = move(docket, changed(case, limit_at=limit), Move.YELLOW)
    statement = join(config.statements.say("yellow", limit=config.day(limit)), *selection.statements)
    documents = selection.documents or config.documents.wanted
    return docket.tell(case, DecisionKind.YELLOW, statement, documents=documents, limit_at=limit)
