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
from hypothesis import given
from hypothesis import strategies as st

from adapters.clearance.filing import overlay
from adapters.clearance.identifiers import is_creditor_reference, is_registration_number
from adapters.clearance.settings import Release
from adapters.clearance.states import GOODS, MOVES, RESUMED, State
from gateway.adapter import Backend
from gateway.model import DecisionKind as K
from gateway.model import Entity, Kind, Value
from gateway.model.checkdigits import mrn_check

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


# -- amendment ------------------------------------------------------------------------------------------


def registered(partners: Partners, *items: Entity, lrn: str = "L1") -> str:
    return partners.file(goods(lrn, *items))[0].registration


@pytest.mark.parametrize(("function", "type_"), [("4", ""), ("5", ""), ("13", "COR"), ("04", "")])
def test_an_amendment_makes_a_version_and_is_assessed_again(
    partners: Partners, function: str, type_: str
) -> None:
    number = registered(partners, GREEN)
    before = partners.office.show(number).line.payment_reference
    change = goods("A1", item(1, "39011010", 3000, "USD"), function=function, mrn=number, type_code=type_)
    amended, green, notice = partners.file(change)
    assert kinds([amended, green, notice]) == [K.AMENDED, K.GREEN, K.DUTY_NOTICE]
    assert {(d.registration, d.version, d.message) for d in (amended, green, notice)} == {(number, 2, "m2")}
    assert notice.amount == "7620000"
    assert notice.payment_reference != before
    view = partners.office.show(number)
    assert (view.line.version, view.line.lrn, len(view.versions)) == (2, "L1", 2)
    assert view.history[-2].what == "amended"


def test_an_amendment_that_changes_no_duty_gets_no_second_notice(partners: Partners) -> None:
    number = registered(partners, GREEN)
    note = e("AdditionalInformation", v("StatementDescription", "typing error"))
    same = goods("A1", item(1, "39011010", 2000, "USD", "KR"), function="4", mrn=number, head=[note])
    assert kinds(partners.file(same)) == [K.AMENDED, K.GREEN]
    view = partners.office.show(number)
    assert view.declaration.root.text("GoodsShipment/GovernmentAgencyGoodsItem/Origin/CountryCode") == "KR"
    assert "typing error" in [h.why for h in view.history]


def test_a_change_touches_only_what_it_says(partners: Partners) -> None:
    number = registered(partners, GREEN, item(2, "49011000", 5, "USD"))
    only_second = e(
        "GovernmentAgencyGoodsItem",
        v("SequenceNumeric", 2),
        v("CustomsValueAmount", 9, currencyID="USD"),
    )
    third = item(3, "49011000", 1, "USD")
    partners.file(goods("A1", only_second, third, function="4", mrn=number))
    items = list(
        partners.office.show(number).declaration.root.each("GoodsShipment/GovernmentAgencyGoodsItem")
    )
    assert [i.text("CustomsValueAmount") for i in items] == ["2000", "9", "1"]
    assert [i.text("Commodity/Classification/ID") for i in items] == ["39011010", "49011000", "49011000"]
    assert partners.office.show(number).declaration.reference == "L1"


def test_an_amendment_never_lowers_the_channel(partners: Partners) -> None:
    number = registered(partners, YELLOW)
    decisions = partners.file(goods("A1", GREEN, function="5", mrn=number))
    assert kinds(decisions)[:2] == [K.AMENDED, K.YELLOW]
    raised = partners.file(goods("A2", RED, function="5", mrn=number))
    assert kinds(raised)[:2] == [K.AMENDED, K.RED]


def test_an_amendment_that_settles_says_so(partners: Partners) -> None:
    number = registered(partners, GREEN)
    decisions = partners.file(goods("A1", FREE, function="5", mrn=number))
    assert kinds(decisions) == [K.AMENDED, K.GREEN, K.DUTY_NOTICE, K.RELEASED, K.CLEARED]
    assert (decisions[2].amount, decisions[2].payment_reference) == ("0", "")


@pytest.mark.parametrize("function", ["4", "5", "1"])
def test_strangers_and_wrong_numbers_are_refused_alike(partners: Partners, function: str) -> None:
    number = registered(partners, GREEN)
    wrong = number[:17] + str((int(number[17]) + 1) % 10)
    unknown = "26VNDEM199999999I" + mrn_check("26VNDEM199999999I")
    for mrn in (wrong, unknown, "", "nonsense\0"):
        (refused,) = partners.file(goods("A", GREEN, function=function, mrn=mrn))
        assert codes(refused) == ["CLR005"]
    (stranger,) = partners.file(goods("A", GREEN, function=function, mrn=number), principal="rival")
    assert codes(stranger) == ["CLR005"]
    assert stranger.registration == ""


def test_a_message_of_another_kind_is_refused(partners: Partners) -> None:
    number = registered(partners, GREEN)
    (refused,) = partners.file(goods("A", GREEN, kind=Kind.EXPORT, function="4", mrn=number))
    assert codes(refused) == ["CLR007"]


def test_a_broken_amendment_leaves_the_case_as_it_is(partners: Partners) -> None:
    number = registered(partners, GREEN)
    before = partners.office.show(number)
    (refused,) = partners.file(goods("A1", item(value="many"), function="5", mrn=number))
    assert (refused.kind, codes(refused), refused.registration) == (K.REFUSED, ["CLR010"], number)
    assert partners.office.show(number).versions == before.versions


@pytest.mark.parametrize("function", ["4", "5", "1"])
@pytest.mark.parametrize("items", [(FREE,), (RED,)])
def test_after_release_and_under_inspection_nothing_is_changed(
    partners: Partners, function: str, items: tuple[Entity, ...]
) -> None:
    number = registered(partners, *items)
    (refused,) = partners.file(goods("A1", FREE, function=function, mrn=number))
    assert (refused.kind, codes(refused)) == (K.REFUSED, ["CLR006"])
    assert refused.findings[0].found in ("cleared", "inspection")
    assert number in refused.statement


def test_versions_end_where_their_reference_ends(partners: Partners) -> None:
    number = registered(partners, GREEN)
    with partners.clearance.books.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE clearance_case SET version = 999")
    (refused,) = partners.file(goods("A1", GREEN, function="5", mrn=number))
    assert codes(refused) == ["CLR017"]


# -- cancellation ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("function", "type_"), [("1", ""), ("13", "INV")])
def test_cancellation(partners: Partners, function: str, type_: str) -> None:
    number = registered(partners, GREEN)
    (cancelled,) = partners.file(goods("X1", function=function, type_code=type_, mrn=number))
    assert (cancelled.kind, cancelled.message) == (K.CANCELLED, "m2")
    assert partners.office.show(number).line.state == State.CANCELLED
    (again,) = partners.file(goods("X2", function="1", mrn=number))
    assert codes(again) == ["CLR006"]
    (used,) = partners.file(goods("L1", GREEN))
    assert codes(used) == ["CLR001"]


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


TREES = st.recursive(
    st.builds(lambda n, t: Entity(n, (Value("ID", t),)), st.sampled_from("ABC"), st.text("xy", max_size=3)),
    lambda inner: st.builds(
        lambda name, number, kids: Entity(name, (Value("SequenceNumeric", str(number)),), tuple(kids)),
        st.sampled_from("ABC"),
        st.integers(1, 3),
        st.lists(inner, max_size=3),
    ),
    max_leaves=10,
)


@given(TREES, TREES)
def test_an_overlay_says_what_the_change_says_and_loses_nothing_else(before: Entity, changes: Entity) -> None:
    laid = overlay(before, changes)
    assert {v.name: v for v in changes.values}.items() <= {v.name: v for v in laid.values}.items()
    assert {v.name for v in before.values} <= {v.name for v in laid.values}
    assert len(laid.entities) >= max(len(before.entities), len({e.name for e in changes.entities}))
    assert overlay(before, Entity(before.name)) == before


def test_a_payment_is_never_registered(partners: Partners) -> None:
    (unmatched,) = partners.file(payment())
    assert unmatched.kind is K.PAYMENT_UNMATCHED
    assert codes(unmatched) == ["CLR043"]
    assert partners.office.work() == ()
