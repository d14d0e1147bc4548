"""How a case moves on: by the table, with its audit line, and with the money settled on the way."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from adapters.clearance import identifiers, money
from adapters.clearance.case import ZERO, Case, changed
from adapters.clearance.docket import Docket
from adapters.clearance.statements import join
from adapters.clearance.states import RESUMED, Move, State, allowed
from gateway.model import DecisionKind, DutyLine, Kind

CUSTOMS = "customs"
"""Who moves a case when no person does."""


class NotAllowed(Exception):
    """The table has no such move from here; ``allowed`` names the moves that it has."""

    def __init__(self, registration: str, state: State, move: Move, allowed: tuple[Move, ...]) -> None:
        moves = ", ".join(allowed) or "nothing"
        super().__init__(f"{registration} is {state}: {move} is not allowed; allowed: {moves}")
        self.registration, self.state, self.move, self.allowed = registration, state, move, allowed


def move(docket: Docket, case: Case, step: Move, who: str = CUSTOMS, why: str = "") -> Case:
    """The case after one move.  Raises NotAllowed where the table does not have it."""
    moves = allowed(case.family, case.state)
    if step not in moves:
        raise NotAllowed(case.registration, case.state, step, tuple(moves))
    after = RESUMED[State(case.held_from)] if step is Move.HOLD_RELEASED else moves[step]
    docket.record(case, who, step, after, why)
    if not allowed(case.family, after):
        case = changed(case, secured=ZERO, limit_at=None)
    if after is not State.HELD:
        return changed(case, state=after, held_from="", revoked=False)
    held_from = case.held_from if case.state is State.HELD else case.state
    return changed(case, state=after, held_from=held_from, revoked=step is Move.PAYMENT_REVOKED)


def advance(docket: Docket, case: Case) -> Case:
    """Release what is checked and paid or secured; clear what is released and paid.

    Transit is released here, but cleared only by its discharge at the office of destination.
    """
    if case.state is State.PAYMENT:
        case = _release(docket, case)
    if case.state is State.RELEASED and not case.outstanding and case.kind is not Kind.TRANSIT:
        case = move(docket, changed(case, secured=ZERO), Move.CLEARED)
        case = docket.tell(case, DecisionKind.CLEARED, docket.config.statements.say("cleared"))
    return case


def _release(docket: Docket, case: Case) -> Case:
    say, currency = docket.config.statements.say, docket.config.office.currency
    if not case.outstanding:
        case = move(docket, changed(case, secured=ZERO), Move.RELEASED)
        return docket.tell(case, DecisionKind.RELEASED, say("released"))
    if not _covers(docket, case):
        return case
    case = changed(case, secured=case.outstanding)
    case = move(docket, case, Move.RELEASED, why=f"guarantee {case.guarantee}")
    amount = money.say(case.secured)
    statement = say("released-secured", amount=amount, currency=currency, guarantee=case.guarantee)
    return docket.tell(case, DecisionKind.RELEASED, statement)


def _covers(docket: Docket, case: Case) -> bool:
    """True where goods may leave before payment and the case's guarantee has room for what is due."""
    guarantee = docket.config.guarantees.get(case.guarantee)
    if guarantee is None or not docket.config.release.before_payment:
        return False
    if guarantee.principal != case.principal:
        return False
    return docket.secured_under(case.guarantee, case.registration) + case.outstanding <= guarantee.limit


def give_notice(docket: Docket, case: Case, duties: tuple[DutyLine, ...], before: Decimal | None) -> Case:
    """Tell what is assessed.  ``before``: the total of the version before, None for the first.

    A changed total gets a new payment reference; earlier references still lead to the case.
    """
    if case.total == (before or ZERO):
        return case
    if not case.outstanding:
        return _settled(docket, case, duties)
    case = changed(
        case,
        reference=identifiers.creditor_reference(case.registration, case.version),
        due_at=docket.config.limit(docket.now, docket.config.payment.days),
    )
    docket.notice(case)
    return remind(docket, case, duties=duties)


def _settled(docket: Docket, case: Case, duties: tuple[DutyLine, ...]) -> Case:
    """The notice after an amendment that leaves nothing to pay."""
    currency = docket.config.office.currency
    paid, surplus = money.say(case.paid), money.say(case.surplus)
    statement = docket.config.statements.say("duty-settled", paid=paid, surplus=surplus, currency=currency)
    return docket.tell(
        case, DecisionKind.DUTY_NOTICE, statement, duties=duties, amount="0", currency=currency
    )


def remind(docket: Docket, case: Case, *preface: tuple[str, str], duties: tuple[DutyLine, ...] = ()) -> Case:
    """The duty notice for what is outstanding now, after what else there is to say."""
    config = docket.config
    key = "duty-remaining" if case.paid else "duty"
    places = {
        "amount": money.say(case.outstanding),
        "currency": config.office.currency,
        "due": _day(docket, case.due_at),
        "reference": case.reference,
    }
    if case.paid:
        places["paid"] = money.say(case.paid)
    return docket.tell(
        case,
        DecisionKind.DUTY_NOTICE,
        join(*preface, config.statements.say(key, **places)),
        duties=duties,
        amount=places["amount"],
        currency=config.office.currency,
        limit_at=case.due_at,
        payment_reference=case.reference,
        bank=config.payment.bank,
        account=config.payment.account,
    )


def _day(docket: Docket, at: datetime | None) -> str:
    return docket.config.day(at) if at else ""
