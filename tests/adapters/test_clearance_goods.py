"""Goods declarations: what customs decides, in which order, in which state."""

from __future__ import annotations

import msgspec
import pytest
from clearance_samples import (
    ACCOUNT,
    NOW,
    Partners,
    codes,
    config,
    consignment,
    e,
    goods,
    item,
    kinds,
    only,
    payment,
    v,
)

from adapters.clearance.identifiers import is_creditor_reference, is_registration_number
from adapters.clearance.settings import Release
from adapters.clearance.states import GOODS, MOVES, RESUMED, State
from gateway.adapter import Backend
from gateway.model import DecisionKind as K
from gateway.model import Kind

GREEN = item(1, "39011010", 2000, "USD")  # VAT 10 percent of 50,800,000
YELLOW = item(1, "02013000", 2000, "USD", "AU")
RED = item(1, "93020000", 2000, "USD")
FREE = item(1, "49011000", 2000, "USD")


def test_the_office_is_a_back_end(partners: Partners) -> None:
    backend: Backend = partners.clearance
    backend.hand_over([], NOW)
    assert backend.decisions(10) == []


def test_green_waits_for_payment(partners: Partners) -> None:
    registered, green, notice = partners.file(goods("L1", GREEN))
    assert kinds([registered, green, notice]) == [K.REGISTERED, K.GREEN, K.DUTY_NOTICE]
    number = registered.registration
    assert is_registration_number(number)
    assert number[:8] == "26VNDEM1"
    assert number[16] == "I"
    assert {(d.message, d.registration, d.version, d.office) for d in (registered, green, notice)} == {
        ("m1", number, 1, "VNDEMO01")
    }
    assert (notice.amount, notice.currency) == ("5080000", "VND")
    assert [d.assessed for d in notice.duties] == ["0", "5080000"]
    assert is_creditor_reference(notice.payment_reference)
    assert notice.payment_reference in notice.statement
    assert (notice.bank, notice.account) == ("DEMOVNVX", ACCOUNT)
    assert notice.limit_at is not None
    assert (notice.limit_at - NOW).days == 30
    assert number in registered.statement
    assert "Luồng xanh" in green.statement_vi
    assert partners.office.show(number).line.state == State.PAYMENT


def test_what_owes_nothing_is_cleared_at_once(partners: Partners) -> None:
    assert kinds(partners.file(goods("L1", FREE))) == [K.REGISTERED, K.GREEN, K.RELEASED, K.CLEARED]
    export = goods("L2", item(1, "09012100"), kind=Kind.EXPORT)
    assert kinds(partners.file(export)) == [K.REGISTERED, K.GREEN, K.RELEASED, K.CLEARED]


def test_yellow_names_documents_and_a_term(partners: Partners) -> None:
    decisions = partners.file(goods("L1", YELLOW))
    assert kinds(decisions) == [K.REGISTERED, K.YELLOW, K.DUTY_NOTICE]
    yellow = decisions[1]
    assert [d.type for d in yellow.documents] == ["852"]
    assert yellow.limit_at is not None
    assert (yellow.limit_at - NOW).days == 5
    assert "sanitary certificate" in yellow.statement
    assert "food-sanitary" not in yellow.statement  # the criterion's name stays inside
    assert [h.criterion for h in partners.office.show(yellow.registration).hits] == ["food-sanitary"]


def test_yellow_without_documents_of_its_own_asks_for_the_usual(partners: Partners) -> None:
    thresholds = msgspec.structs.replace(config().criteria.thresholds, yellow=30)
    criteria = msgspec.structs.replace(config().criteria, thresholds=thresholds)
    bare = tuple(msgspec.structs.replace(c, documents=()) for c in criteria.criteria)
    criteria = msgspec.structs.replace(criteria, criteria=bare)
    partners.clearance.use(msgspec.structs.replace(config(), criteria=criteria))
    yellow = only(partners.file(goods("L1", item(1, "2203"))), K.YELLOW)
    assert [d.type for d in yellow.documents] == ["380", "271", "705"]


def test_red_is_inspected(partners: Partners) -> None:
    decisions = partners.file(goods("L1", RED, YELLOW))
    assert kinds(decisions) == [K.REGISTERED, K.RED, K.DUTY_NOTICE]
    assert "ammunition" in decisions[1].statement
    assert partners.office.show(decisions[0].registration).line.state == State.INSPECTION


def test_transit_is_released_and_cleared_by_its_discharge(partners: Partners) -> None:
    guarantee = e("ObligationGuarantee", v("ReferenceID", "G1"))
    with_guarantee = goods("T1", kind=Kind.TRANSIT, head=[guarantee, consignment(1)])
    decisions = partners.file(with_guarantee)
    assert kinds(decisions) == [K.REGISTERED, K.GREEN, K.RELEASED]
    number = decisions[0].registration
    assert number[16] == "T"
    assert partners.office.discharge(number, "Lan").state == State.CLEARED
    assert kinds(partners.fetch()) == [K.CLEARED]
    assert kinds(partners.file(goods("T2", kind=Kind.TRANSIT))) == [K.REGISTERED, K.YELLOW]


def test_a_reference_serves_once_per_principal(partners: Partners) -> None:
    first = partners.file(goods("L1", FREE))[0]
    (refused,) = partners.file(goods("L1", GREEN))
    assert refused.kind is K.REFUSED
    assert codes(refused) == ["CLR001"]
    assert refused.findings[0].place.pointer == "Declaration/FunctionalReferenceID"
    assert refused.findings[0].found == "L1"
    assert first.registration in refused.statement
    assert refused.registration == ""
    assert partners.file(goods("L1", FREE), principal="other")[0].kind is K.REGISTERED
    same_batch = partners.file(goods("L2", FREE), goods("L2", FREE))
    assert kinds(same_batch)[-1] is K.REFUSED


@pytest.mark.parametrize("lrn", ["", "x" * 36, "a\0b", "a\nb"])
def test_unusable_references_are_refused(partners: Partners, lrn: str) -> None:
    (refused,) = partners.file(goods(lrn, FREE))
    assert (refused.kind, codes(refused)) == (K.REFUSED, ["CLR002"])


def test_all_errors_are_said_together_and_nothing_is_registered(partners: Partners) -> None:
    (refused,) = partners.file(goods("", item(value="x"), item(2, hs="zz")))
    assert codes(refused) == ["CLR002", "CLR010", "CLR012"]
    assert refused.findings[1].place.pointer.startswith(
        "Declaration/GoodsShipment/GovernmentAgencyGoodsItem/"
    )
    assert "GovernmentAgencyGoodsItem[2]" in refused.findings[2].place.pointer
    assert partners.office.work() == ()


def test_another_offices_declaration_is_refused(partners: Partners) -> None:
    office = msgspec.structs.replace(config().office, serves=("VN01",))
    partners.clearance.use(msgspec.structs.replace(config(), office=office))
    (refused,) = partners.file(goods("L1", FREE, head=[v("DeclarationOfficeID", "VN02")]))
    assert codes(refused) == ["CLR003"]
    taken = partners.file(goods("L2", FREE, head=[v("DeclarationOfficeID", "VN01")]))
    assert taken[0].kind is K.REGISTERED


@pytest.mark.parametrize(("function", "type_"), [("2", ""), ("", ""), ("99", ""), ("13", "XXX"), ("13", "")])
def test_other_functions_are_refused(partners: Partners, function: str, type_: str) -> None:
    (refused,) = partners.file(goods("L1", FREE, function=function, type_code=type_))
    assert codes(refused) == ["CLR004"]


def test_a_claim_that_is_not_earned_is_a_warning_on_registration(partners: Partners) -> None:
    claim = e("DutyTaxFee", v("DutyRegimeCode", "300"))
    paper = e("AdditionalDocument", v("TypeCode", "861"))
    decisions = partners.file(
        goods("L1", item(1, "8301", 1000, "USD", "BR", commodity=[claim], extra=[paper]))
    )
    assert codes(decisions[0]) == ["CLR015"]
    assert kinds(decisions) == [K.REGISTERED, K.GREEN, K.DUTY_NOTICE]


# -- release before payment -----------------------------------------------------------------------------

SECURITY = e("ObligationGuarantee", v("ReferenceID", "BL-DEMO-0001"))


def test_a_guarantee_releases_before_payment(partners: Partners) -> None:
    decisions = partners.file(goods("L1", GREEN, head=[SECURITY]))
    assert kinds(decisions) == [K.REGISTERED, K.GREEN, K.DUTY_NOTICE, K.RELEASED]
    assert "BL-DEMO-0001" in decisions[3].statement
    assert partners.office.show(decisions[0].registration).line.state == State.RELEASED


def test_anothers_guarantee_does_not(partners: Partners) -> None:
    decisions = partners.file(goods("L1", GREEN, head=[SECURITY]), principal="stranger")
    assert kinds(decisions) == [K.REGISTERED, K.GREEN, K.DUTY_NOTICE]


def test_nor_one_that_is_used_up(partners: Partners) -> None:
    held = msgspec.structs.replace(config().guarantees["BL-DEMO-0001"], limit=5080000 * 2)
    partners.clearance.use(msgspec.structs.replace(config(), guarantees={held.reference: held}))
    batch = partners.file(*(goods(f"L{n}", GREEN, head=[SECURITY]) for n in range(3)))
    assert kinds(batch).count(K.RELEASED) == 2
    assert K.RELEASED not in kinds(partners.file(goods("L4", GREEN, head=[SECURITY])))


def test_nor_where_the_office_does_not_release_before_payment(partners: Partners) -> None:
    partners.clearance.use(msgspec.structs.replace(config(), release=Release(before_payment=False)))
    assert K.RELEASED not in kinds(partners.file(goods("L1", GREEN, head=[SECURITY])))


# -- the table, and the overlay -------------------------------------------------------------------------


def test_every_state_is_in_the_table_and_leads_on() -> None:
    for table in MOVES.values():
        reached = {state for moves in table.values() for state in moves.values()} | {State.REGISTERED}
        assert reached == set(table)
    assert set(RESUMED) == {s for s, moves in GOODS.items() if State.HELD in moves.values()} - {State.HELD}


def test_a_payment_is_never_registered(partners: Partners) -> None:
    (unmatched,) = partners.file(payment())
    assert unmatched.kind is K.PAYMENT_UNMATCHED
    assert codes(unmatched) == ["CLR043"]
    assert partners.office.work() == ()
