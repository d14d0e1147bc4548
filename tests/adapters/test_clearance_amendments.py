"""Amendments and cancellations of goods declarations: what they may change, and when they come too late."""

from __future__ import annotations

import pytest
from clearance_samples import Partners, codes, e, goods, item, kinds, v
from hypothesis import given
from hypothesis import strategies as st
from test_clearance_goods import FREE, GREEN, RED, YELLOW

from adapters.clearance.filing import overlay
from adapters.clearance.states import State
from gateway.model import DecisionKind as K
from gateway.model import Entity, Kind, Value
from gateway.model.checkdigits import mrn_check


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


# -- the overlay ------------------------------------------------------------------------------------------

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
