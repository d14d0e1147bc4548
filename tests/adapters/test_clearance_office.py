"""Officers: every action by name, in the states that allow it, audited, told to the trader."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from clearance_samples import (
    CONF,
    NOW,
    Partners,
    cargo,
    codes,
    consignment,
    credit,
    goods,
    kinds,
    payment,
)
from test_clearance_goods import FREE, GREEN, RED, SECURITY, YELLOW

from adapters.clearance import NotAllowed, Office, Unknown
from adapters.clearance.states import State
from gateway.model import DecisionKind as K
from gateway.model import Entity, Kind


def filed(partners: Partners, *items: Entity, lrn: str = "L1") -> str:
    return partners.file(goods(lrn, *items))[0].registration


def test_work_is_listed_by_what_is_asked(partners: Partners) -> None:
    numbers = [filed(partners, i, lrn=f"L{n}") for n, i in enumerate((GREEN, YELLOW, RED, FREE))]
    partners.file(goods("L9", FREE, kind=Kind.EXPORT), principal="exporter")
    office = partners.office
    assert [line.registration for line in office.work()][:4] == numbers
    assert [line.lrn for line in office.work(state="documents")] == ["L1"]
    assert [line.lrn for line in office.work(channel="green", kind="EX")] == ["L9"]
    assert [line.lrn for line in office.work(principal="exporter")] == ["L9"]
    assert len(office.work(limit=2)) == 2
    (green,) = office.work(state="payment")
    assert (green.total, green.outstanding, green.filer) == ("5080000", "5080000", "van")
    assert "cancelled" in green.moves


def test_terms_run_out(partners: Partners) -> None:
    filed(partners, YELLOW)
    assert not partners.office.work()[0].overdue
    partners.later(days=6)
    assert partners.office.work()[0].overdue
    number = partners.office.work()[0].registration
    assert not partners.office.accept_documents(number, "Lan").overdue
    partners.later(days=30)
    assert partners.office.work()[0].overdue


def test_a_case_is_shown_in_full(partners: Partners) -> None:
    number = filed(partners, YELLOW)
    partners.office.hold(number, "Lan", "tip")
    view = partners.office.show(number)
    assert [(h.who, h.what, h.before, h.after, h.why) for h in view.history] == [
        ("partner van", "registered", "registered", "registered", ""),
        ("customs", "yellow", "registered", "documents", ""),
        ("Lan", "held", "documents", "held", "tip"),
    ]
    assert {h.at for h in view.history} == {NOW}
    assert [d.decision.kind for d in view.decisions] == [K.REGISTERED, K.YELLOW, K.DUTY_NOTICE, K.HELD]
    assert [d.confirmed_at for d in view.decisions] == [NOW, NOW, NOW, None]
    assert view.declaration == goods("L1", YELLOW)
    assert [d.type for d in view.duties] == ["CUD", "VAT"]


def test_documents_then_payment(partners: Partners) -> None:
    number = filed(partners, YELLOW)
    assert partners.office.accept_documents(number, "Lan", "seen").state == State.PAYMENT
    (reminder,) = partners.fetch()
    assert reminder.kind is K.DUTY_NOTICE
    assert reminder.statement.startswith("The documents are accepted. Pay ")
    assert reminder.message == "m1"
    paid = partners.file(payment(credit(reminder.payment_reference, reminder.amount, "E1")))
    assert kinds(paid) == [K.PAYMENT_MATCHED, K.RELEASED, K.CLEARED]


def test_an_inspection(partners: Partners) -> None:
    number = filed(partners, RED)
    partners.office.pass_inspection(number, "Minh", "container opened")
    (reminder,) = partners.fetch()
    assert "inspection is finished" in reminder.statement
    assert partners.office.show(number).history[-1].why == "container opened"


def test_inspection_after_documents(partners: Partners) -> None:
    number = filed(partners, YELLOW)
    line = partners.office.order_inspection(number, "Lan", "papers do not fit")
    assert (line.state, line.channel) == (State.INSPECTION, "red")
    (red,) = partners.fetch()
    assert (red.kind, "papers do not fit" in red.statement) == (K.RED, True)
    (refused,) = partners.file(goods("X", function="1", mrn=number))
    assert codes(refused) == ["CLR006"]


def test_asking_for_documents(partners: Partners) -> None:
    number = filed(partners, GREEN)
    line = partners.office.ask_documents(number, "Lan", [("380", "invoice")], "value in doubt", days=2)
    assert (line.state, line.channel) == (State.DOCUMENTS, "yellow")
    (yellow,) = partners.fetch()
    assert (yellow.kind, [d.type for d in yellow.documents]) == (K.YELLOW, ["380"])
    assert yellow.limit_at is not None
    assert (yellow.limit_at - NOW).days == 2
    assert "value in doubt" in yellow.statement_vi
    with pytest.raises(ValueError, match="documents' types"):
        partners.office.ask_documents(number, "Lan", [], "why")


def test_documents_asked_during_an_inspection_leave_it_red(partners: Partners) -> None:
    number = filed(partners, RED)
    line = partners.office.ask_documents(number, "Lan", [("380", "")], "licence")
    assert (line.state, line.channel) == (State.INSPECTION, "red")


def test_goods_cleared_can_be_stopped_and_let_go_again(partners: Partners) -> None:
    number = filed(partners, FREE)
    assert partners.office.hold(number, "Lan", "control after clearance").state == State.HELD
    assert partners.office.release_hold(number, "Lan", "done").state == State.CLEARED
    assert kinds(partners.fetch()) == [K.HELD, K.RELEASED, K.CLEARED]


@pytest.mark.parametrize(
    ("goods_item", "said", "state"),
    [
        (YELLOW, K.YELLOW, State.DOCUMENTS),
        (RED, K.RED, State.INSPECTION),
        (GREEN, K.DUTY_NOTICE, State.PAYMENT),
    ],
)
def test_a_hold_ends_where_it_began(partners: Partners, goods_item: Entity, said: K, state: State) -> None:
    number = filed(partners, goods_item)
    partners.office.hold(number, "Lan", "tip")
    assert partners.office.hold(number, "Minh", "another tip").state == State.HELD
    partners.fetch()
    assert partners.office.release_hold(number, "Lan", "false tip").state == state
    (decision,) = partners.fetch()
    assert decision.kind is said
    assert decision.statement.startswith("The hold is released.")


def test_a_secured_release_held_and_released_again(partners: Partners) -> None:
    number = partners.file(goods("L1", GREEN, head=[SECURITY]))[0].registration
    partners.office.hold(number, "Lan", "tip")
    partners.office.release_hold(number, "Lan", "false tip")
    assert kinds(partners.fetch()) == [K.HELD, K.RELEASED]
    partners.office.hold(number, "Lan", "tip")
    assert partners.office.refuse(number, "Lan", "forged").state == State.REFUSED


def test_wanted_amendments(partners: Partners) -> None:
    number = filed(partners, RED)
    pointer = "Declaration/GoodsShipment/GovernmentAgencyGoodsItem/Origin/CountryCode"
    partners.office.request_amendment(number, "Lan", "origin differs", [pointer])
    (wanted,) = partners.fetch()
    assert (wanted.kind, codes(wanted)) == (K.AMENDMENT_WANTED, ["CLR051"])
    assert wanted.findings[0].place.pointer == pointer
    assert wanted.limit_at is not None
    partners.office.hold(number, "Lan", "wait")
    partners.office.release_hold(number, "Lan", "go on")
    partners.fetch()
    amended = partners.file(goods("A1", RED, function="5", mrn=number))
    assert kinds(amended) == [K.AMENDED, K.RED]
    with pytest.raises(ValueError, match="not a step"):
        partners.office.request_amendment(number, "Lan", "why", ["no/[path"])


def test_refusal(partners: Partners) -> None:
    number = filed(partners, GREEN)
    assert partners.office.refuse(number, "Lan", "forged invoice").state == State.REFUSED
    (refused,) = partners.fetch()
    assert (refused.kind, codes(refused), refused.registration) == (K.REFUSED, ["CLR050"], number)
    assert "forged invoice" in refused.statement


def test_moves_that_the_table_does_not_have(partners: Partners) -> None:
    number, done = filed(partners, GREEN), filed(partners, FREE, lrn="L2")
    office = partners.office
    actions: list[Callable[[], object]] = [
        lambda: office.accept_documents(number, "Lan"),
        lambda: office.pass_inspection(number, "Lan"),
        lambda: office.release_hold(number, "Lan", "why"),
        lambda: office.discharge(number, "Lan"),
        lambda: office.do_not_load(number, "BL1", "Lan", "why"),
        lambda: office.refuse(done, "Lan", "why"),
        lambda: office.ask_documents(done, "Lan", [("380", "")], "why"),
        lambda: office.order_inspection(done, "Lan", "why"),
        lambda: office.request_amendment(done, "Lan", "why"),
    ]
    before = [office.show(n) for n in (number, done)]
    for action in actions:
        with pytest.raises(NotAllowed) as caught:
            action()
        assert caught.value.state in (State.PAYMENT, State.CLEARED)
        assert caught.value.allowed
        assert "allowed:" in str(caught.value)
    assert [office.show(n) for n in (number, done)] == before
    secured = partners.file(goods("L3", GREEN, head=[SECURITY]))[0].registration
    with pytest.raises(NotAllowed):
        office.discharge(secured, "Lan")  # released, but no transit


def test_names_and_reasons_are_needed(partners: Partners) -> None:
    number = filed(partners, GREEN)
    for officer, reason in (("", "why"), (" ", "why"), ("Lan", ""), ("Lan", " "), ("Lan", "x" * 301)):
        with pytest.raises(ValueError, match="needed"):
            partners.office.hold(number, officer, reason)
    with pytest.raises(Unknown):
        partners.office.hold("26VNDEM199999999I0", "Lan", "why")
    with pytest.raises(Unknown):
        partners.office.show("26VNDEM199999999I0")


def test_reasons_may_have_braces_and_vietnamese(partners: Partners) -> None:
    number = filed(partners, GREEN)
    partners.office.hold(number, "Trần Thị Mai", "{amount}: xem hồ sơ")
    (held,) = partners.fetch()
    assert "{amount}: xem hồ sơ" in held.statement
    last = partners.office.show(number).history[-1]
    assert (last.who, last.why) == ("Trần Thị Mai", "{amount}: xem hồ sơ")


@pytest.mark.parametrize(
    "control", ["\0", "\n", "\t", "\x1b", "\x85", "\u2028", "\u202e", "\udc80", "\ufffe"]
)
def test_what_no_message_can_carry_is_refused(partners: Partners, control: str) -> None:
    number, text, office = filed(partners, YELLOW), f"see{control}file", partners.office
    cargo_report = partners.file(cargo("C1", consignment(1, "BL1")))[0].registration
    before = [office.show(n) for n in (number, cargo_report)]
    actions: list[Callable[[], object]] = [
        lambda: office.hold(number, text, "why"),
        lambda: office.hold(number, "Lan", text),
        lambda: office.accept_documents(number, "Lan", text),
        lambda: office.refuse(number, "Lan", text),
        lambda: office.request_amendment(number, "Lan", text),
        lambda: office.ask_documents(number, "Lan", [("380", text)], "why"),
        lambda: office.ask_documents(number, "Lan", [(text, "why")], "why"),
        lambda: office.do_not_load(cargo_report, "BL1", "Lan", text),
    ]
    for action in actions:
        with pytest.raises(ValueError, match=rf"character 4 is U\+{ord(control):04X}"):
            action()
    assert [office.show(n) for n in (number, cargo_report)] == before


def test_the_desk_may_be_another_process_of_its_own(partners: Partners) -> None:
    number = filed(partners, YELLOW)
    desk = Office.open(partners.url, CONF)
    desk.accept_documents(number, "Lan")
    desk.close()
    assert partners.office.show(number).line.state == State.PAYMENT
