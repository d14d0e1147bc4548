"""Payments: a bank's credit notification against the duty notices, one entry at a time.

Only a booked credit pays.  An entry counts once, by the bank's own reference.  A reversal or a debit
takes back what was booked, and with it the release that rested on it.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from adapters.clearance import identifiers, money, tables
from adapters.clearance.case import ZERO, Case, Entry, changed
from adapters.clearance.docket import Docket
from adapters.clearance.progress import advance, move, remind
from adapters.clearance.states import Move, State
from gateway.adapter import Handover
from gateway.model import DecisionKind, Entity, Finding, Place, Severity

BOOKED = "BOOK"
CREDIT = "CRDT"
TAKEN_BACK = frozenset({"RVSL", "DBIT"})
"""A reversal, or money that left the account again under the same reference."""

CREDITS = "DutyTaxFee"
MAX_REFERENCE = 35
"""ISO 20022 references are at most 35 characters."""

OVER = frozenset({State.CANCELLED, State.REFUSED})


class Credit(msgspec.Struct, frozen=True):
    """One entry as the bank states it; ``number`` from 1 in its message."""

    number: int
    account: str
    reference: str
    entry: str
    type: str
    status: str
    amount: Decimal
    amount_text: str
    currency: str

    def pointer(self, element: str) -> str:
        """Where an element of its Payment is."""
        nth = f"[{self.number}]" if self.number > 1 else ""
        return f"Declaration/{CREDITS}{nth}/Payment/{element}"

    def finding(
        self, code: str, element: str, expected: str, found: str, severity: Severity = Severity.ERROR
    ) -> Finding:
        """A finding at one of its elements."""
        return Finding(code, Place(pointer=self.pointer(element)), expected, found, severity)


def book(docket: Docket, handover: Handover) -> None:
    """Book every entry of the message; each has its own decision, to the bank that sent it.

    What they do to declarations is told to whoever filed those.
    """
    root = handover.declaration.root
    entries = list(root.each(CREDITS))
    if not entries:
        finding = Finding("CLR043", Place(pointer=f"Declaration/{CREDITS}"), "1", "0")
        statement = docket.config.statements.say("payment-unmatched", reference="-")
        docket.answer(handover, DecisionKind.PAYMENT_UNMATCHED, statement, findings=(finding,))
    for number, entity in enumerate(entries, start=1):
        _book_one(docket, handover, _credit(docket, root, entity, number))


def _credit(docket: Docket, root: Entity, entity: Entity, number: int) -> Credit:
    value = entity.value("Payment/PaymentAmount")
    text = value.text if value else ""
    return Credit(
        number=number,
        account=root.text("Bank/ID").replace(" ", ""),
        reference=entity.text("Payment/ReferenceID").replace(" ", "").upper(),
        entry=entity.text("Payment/ID").strip(),
        type=entity.text("Payment/TypeCode"),
        status=entity.text("Payment/StatusCode"),
        amount=money.parse(text) or ZERO,
        amount_text=text,
        currency=value.attribute("currencyID") if value else "",
    )


def _book_one(docket: Docket, handover: Handover, credit: Credit) -> None:
    case, findings = _matched(docket, credit)
    if case is None or findings:
        _unmatched(docket, handover, credit, findings)
        return
    before = _booked(docket, credit)
    if before is not None:
        _again(docket, handover, credit, before)
        return
    if credit.type in TAKEN_BACK and credit.amount > case.paid:
        finding = credit.finding("CLR038", "PaymentAmount", money.say(case.paid), credit.amount_text)
        _unmatched(docket, handover, credit, (finding,))
        return
    _keep(docket, handover, credit, case)
    step = _taken_back if credit.type in TAKEN_BACK else _paid
    docket.put(step(docket, handover, credit, case))


def _booked(docket: Docket, credit: Credit) -> Entry | None:
    """What was booked before under the bank's own reference."""
    c = tables.payment.c
    query = tables.payment.select().where(
        c.account == credit.account, c.entry == credit.entry, c.type == credit.type
    )
    row = docket.connection.execute(query).first()
    return None if row is None else msgspec.convert(tables.named(row), Entry)


def _keep(docket: Docket, handover: Handover, credit: Credit, case: Case) -> None:
    """The entry counts from now on."""
    entry = Entry(
        account=credit.account,
        entry=credit.entry,
        type=credit.type,
        reference=credit.reference,
        registration=case.registration,
        amount=credit.amount,
        delivery=handover.delivery,
        at=docket.now,
    )
    row = msgspec.structs.asdict(entry) | {"amount": str(entry.amount)}
    docket.connection.execute(tables.payment.insert().values(row))


def _matched(docket: Docket, credit: Credit) -> tuple[Case | None, tuple[Finding, ...]]:
    """The case that the reference belongs to, and everything that forbids to book the entry."""
    payment, currency = docket.config.payment, docket.config.office.currency
    findings: list[Finding] = []
    if credit.status != BOOKED:
        findings.append(credit.finding("CLR032", "StatusCode", BOOKED, credit.status))
    if credit.type != CREDIT and credit.type not in TAKEN_BACK:
        expected = ", ".join(sorted({CREDIT} | TAKEN_BACK))
        findings.append(credit.finding("CLR039", "TypeCode", expected, credit.type))
    if not credit.amount:
        findings.append(credit.finding("CLR033", "PaymentAmount", "> 0", credit.amount_text))
    if credit.currency != currency:
        findings.append(credit.finding("CLR034", "PaymentAmount", currency, credit.currency))
    if credit.account != payment.account:
        place = Place(pointer="Declaration/Bank/ID")
        findings.append(Finding("CLR035", place, payment.account, credit.account))
    if not 0 < len(credit.entry) <= MAX_REFERENCE or not credit.entry.isprintable():
        findings.append(credit.finding("CLR036", "ID", f"an..{MAX_REFERENCE}", credit.entry))
    if not identifiers.is_creditor_reference(credit.reference):
        findings.append(credit.finding("CLR030", "ReferenceID", "RF..", credit.reference))
        return None, tuple(findings)
    registration = docket.noticed(credit.reference)
    if not registration:
        findings.append(credit.finding("CLR031", "ReferenceID", "", credit.reference))
        return None, tuple(findings)
    return docket.case(registration), tuple(findings)


def _unmatched(docket: Docket, handover: Handover, credit: Credit, findings: tuple[Finding, ...]) -> None:
    statement = docket.config.statements.say("payment-unmatched", reference=credit.reference or "-")
    docket.answer(
        handover,
        DecisionKind.PAYMENT_UNMATCHED,
        statement,
        credit.number,
        findings=findings,
        payment_reference=credit.reference,
        amount=money.say(credit.amount) if credit.amount else "",
        currency=credit.currency,
    )


def _again(docket: Docket, handover: Handover, credit: Credit, before: Entry) -> None:
    """The bank says an entry a second time: the same answer, no second effect; other facts under
    the same entry reference are not believed."""
    if (before.reference, before.amount) != (credit.reference, credit.amount):
        said = f"{before.reference} {money.say(before.amount)}"
        finding = credit.finding("CLR037", "ID", said, f"{credit.reference} {credit.amount_text}")
        _unmatched(docket, handover, credit, (finding,))
        return
    statement = docket.config.statements.say("payment-repeated", registration=before.registration)
    _confirm(docket, handover, credit, before.registration, statement)


def _confirm(
    docket: Docket,
    handover: Handover,
    credit: Credit,
    registration: str,
    statement: tuple[str, str],
    *findings: Finding,
) -> None:
    docket.answer(
        handover,
        DecisionKind.PAYMENT_MATCHED,
        statement,
        credit.number,
        findings=findings,
        registration=registration,
        payment_reference=credit.reference,
        amount=money.say(credit.amount),
        currency=credit.currency,
    )


def _paid(docket: Docket, handover: Handover, credit: Credit, case: Case) -> Case:
    """Money came in: the balance grows; goods that waited for it alone go."""
    case = changed(case, paid=case.paid + credit.amount)
    docket.record(case, f"partner {handover.filer}", "paid", case.state, _what(credit))
    _confirm_paid(docket, handover, credit, case)
    if case.state in OVER:
        return case
    if case.outstanding:
        if case.secured:
            case = changed(case, secured=case.outstanding)
        return remind(docket, case)
    if case.state is State.HELD and case.revoked:
        case = move(docket, case, Move.PAYMENT_RESTORED, why=_what(credit))
    return advance(docket, case)


def _confirm_paid(docket: Docket, handover: Handover, credit: Credit, case: Case) -> None:
    """The bank's answer: booked in full, in part, above what is due, or to a case that is over."""
    places = {"amount": money.say(credit.amount), "currency": credit.currency}
    findings: tuple[Finding, ...] = ()
    key = "payment-matched"
    if case.state in OVER:
        key = "payment-refundable"
        findings = (credit.finding("CLR042", "ReferenceID", "", case.state, Severity.WARNING),)
    elif case.outstanding:
        key, places["remaining"] = "payment-partial", money.say(case.outstanding)
        due = money.say(case.outstanding + credit.amount)
        findings = (credit.finding("CLR040", "PaymentAmount", due, credit.amount_text, Severity.WARNING),)
    elif case.surplus:
        key, places["surplus"] = "payment-surplus", money.say(case.surplus)
        due = money.say(max(credit.amount - case.surplus, ZERO))
        findings = (credit.finding("CLR041", "PaymentAmount", due, credit.amount_text, Severity.NOTE),)
    statement = docket.config.statements.say(key, registration=case.registration, **places)
    _confirm(docket, handover, credit, case.registration, statement, *findings)


def _taken_back(docket: Docket, handover: Handover, credit: Credit, case: Case) -> Case:
    """Money went back: goods released on the strength of it are held, or drawn on the guarantee."""
    case = changed(case, paid=case.paid - credit.amount)
    docket.record(case, f"partner {handover.filer}", "payment-taken-back", case.state, _what(credit))
    say, currency = docket.config.statements.say, docket.config.office.currency
    statement = say(
        "payment-reversed",
        amount=money.say(credit.amount),
        currency=currency,
        registration=case.registration,
    )
    _confirm(docket, handover, credit, case.registration, statement)
    if case.state in OVER or not case.outstanding:
        return case
    if case.state not in (State.RELEASED, State.CLEARED):
        return remind(docket, case)
    if case.secured:
        return remind(docket, changed(case, secured=case.outstanding))
    case = move(docket, case, Move.PAYMENT_REVOKED, why=_what(credit))
    held = say("held-payment", amount=money.say(case.outstanding), currency=currency)
    return docket.tell(
        case,
        DecisionKind.HELD,
        held,
        amount=money.say(case.outstanding),
        currency=currency,
        payment_reference=case.reference,
        bank=docket.config.payment.bank,
        account=docket.config.payment.account,
    )


def _what(credit: Credit) -> str:
    return f"{credit.type} {money.say(credit.amount)} {credit.currency} {credit.reference} {credit.entry}"
