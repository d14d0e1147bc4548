"""Payments: exact, in parts, too much, twice, taken back, and none of the office's business."""

from __future__ import annotations

import itertools
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from clearance_samples import Partners, codes, config, credit, e, goods, item, kinds, only, payment
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_clearance_goods import GREEN, SECURITY, YELLOW

from adapters.clearance.settings import Guarantee
from adapters.clearance.states import State
from gateway.model import Decision, Severity
from gateway.model import DecisionKind as K

DUE = 5080000


def notice(partners: Partners, lrn: str = "L1", declared: object = GREEN) -> Decision:
    return only(partners.file(goods(lrn, declared)), K.DUTY_NOTICE)  # type: ignore[arg-type]


def state(partners: Partners, of: Decision) -> str:
    return partners.office.show(of.registration).line.state


def test_an_exact_payment_releases_and_clears(partners: Partners) -> None:
    due = notice(partners)
    matched, released, cleared = partners.file(
        payment(credit(due.payment_reference, DUE, "E1")), principal="bank"
    )
    assert kinds([matched, released, cleared]) == [K.PAYMENT_MATCHED, K.RELEASED, K.CLEARED]
    assert (matched.message, matched.registration, matched.amount) == ("m2", due.registration, "5080000")
    assert {(d.message, d.registration) for d in (released, cleared)} == {("m1", due.registration)}
    (booked,) = partners.office.show(due.registration).payments
    assert (booked.entry, booked.amount, booked.type) == ("E1", Decimal(DUE), "CRDT")


def test_references_may_be_written_in_groups_and_small_letters(partners: Partners) -> None:
    reference = notice(partners).payment_reference.lower()
    grouped = " ".join(reference[n : n + 4] for n in range(0, 25, 4))
    assert K.CLEARED in kinds(partners.file(payment(credit(grouped, DUE, "E1"))))


def test_parts_add_up(partners: Partners) -> None:
    due = notice(partners)
    matched, reminder = partners.file(payment(credit(due.payment_reference, 1000000, "E1")))
    assert (matched.kind, codes(matched)) == (K.PAYMENT_MATCHED, ["CLR040"])
    assert matched.findings[0].severity is Severity.WARNING
    assert (reminder.kind, reminder.amount, reminder.message) == (K.DUTY_NOTICE, "4080000", "m1")
    assert reminder.payment_reference == due.payment_reference
    assert state(partners, due) == State.PAYMENT
    rest = partners.file(payment(credit(due.payment_reference, 4080000, "E2")))
    assert kinds(rest) == [K.PAYMENT_MATCHED, K.RELEASED, K.CLEARED]


def test_too_much_releases_and_is_noted(partners: Partners) -> None:
    due = notice(partners)
    matched = partners.file(payment(credit(due.payment_reference, DUE + 1, "E1")))[0]
    assert codes(matched) == ["CLR041"]
    assert "1 VND are more than is due" in matched.statement
    late = partners.file(payment(credit(due.payment_reference, 5, "E2")))
    assert kinds(late) == [K.PAYMENT_MATCHED]


def test_an_entry_counts_once(partners: Partners) -> None:
    due = notice(partners)
    part = credit(due.payment_reference, 1000000, "E1")
    partners.file(payment(part, part))
    (again,) = partners.file(payment(part))
    assert again.kind is K.PAYMENT_MATCHED
    assert "not counted again" in again.statement
    assert partners.office.show(due.registration).line.paid == "1000000"
    (other,) = partners.file(payment(credit(due.payment_reference, 4080000, "E1")))
    assert (other.kind, codes(other)) == (K.PAYMENT_UNMATCHED, ["CLR037"])


@pytest.mark.parametrize("how", ["RVSL", "DBIT"])
def test_money_taken_back_holds_the_goods(partners: Partners, how: str) -> None:
    due = notice(partners)
    partners.file(payment(credit(due.payment_reference, DUE, "E1")))
    back = partners.file(payment(credit(due.payment_reference, DUE, "E1", how)))
    assert kinds(back) == [K.PAYMENT_MATCHED, K.HELD]
    assert (back[1].message, back[1].amount) == ("m1", "5080000")
    assert state(partners, due) == State.HELD
    assert kinds(partners.file(payment(credit(due.payment_reference, DUE, "E1", how)))) == [K.PAYMENT_MATCHED]
    again = partners.file(payment(credit(due.payment_reference, DUE, "E3")))
    assert kinds(again) == [K.PAYMENT_MATCHED, K.RELEASED, K.CLEARED]


def test_money_taken_back_before_release_is_asked_again(partners: Partners) -> None:
    due = notice(partners)
    partners.file(payment(credit(due.payment_reference, 1000, "E1")))
    back = partners.file(payment(credit(due.payment_reference, 1000, "E2", "RVSL")))
    assert kinds(back) == [K.PAYMENT_MATCHED, K.DUTY_NOTICE]
    assert back[1].amount == "5080000"
    (more,) = partners.file(payment(credit(due.payment_reference, 1, "E3", "RVSL")))
    assert codes(more) == ["CLR038"]


def test_a_surplus_taken_back_changes_nothing(partners: Partners) -> None:
    due = notice(partners)
    partners.file(payment(credit(due.payment_reference, DUE + 500, "E1")))
    assert kinds(partners.file(payment(credit(due.payment_reference, 500, "E2", "DBIT")))) == [
        K.PAYMENT_MATCHED
    ]
    assert state(partners, due) == State.CLEARED


def test_an_officers_hold_outlasts_payment(partners: Partners) -> None:
    due = notice(partners)
    partners.office.hold(due.registration, "Lan", "suspicion")
    partners.fetch()
    assert kinds(partners.file(payment(credit(due.payment_reference, DUE, "E1")))) == [K.PAYMENT_MATCHED]
    assert state(partners, due) == State.HELD
    partners.office.release_hold(due.registration, "Lan", "nothing found")
    assert kinds(partners.fetch()) == [K.RELEASED, K.CLEARED]


def test_an_officers_hold_on_top_of_the_banks(partners: Partners) -> None:
    due = notice(partners)
    partners.file(payment(credit(due.payment_reference, DUE, "E1")))
    partners.file(payment(credit(due.payment_reference, DUE, "E1", "RVSL")))
    partners.office.hold(due.registration, "Lan", "fraud")
    partners.fetch()
    assert kinds(partners.file(payment(credit(due.payment_reference, DUE, "E3")))) == [K.PAYMENT_MATCHED]
    assert state(partners, due) == State.HELD


def test_payment_before_the_checks_waits_for_them(partners: Partners) -> None:
    due = notice(partners, declared=YELLOW)
    assert kinds(partners.file(payment(credit(due.payment_reference, due.amount, "E1")))) == [
        K.PAYMENT_MATCHED
    ]
    partners.office.accept_documents(due.registration, "Lan")
    assert kinds(partners.fetch()) == [K.RELEASED, K.CLEARED]


def test_paid_after_release_on_a_guarantee(partners: Partners) -> None:
    due = only(partners.file(goods("L1", GREEN, head=[SECURITY])), K.DUTY_NOTICE)
    part = partners.file(payment(credit(due.payment_reference, 80000, "E1")))
    assert kinds(part) == [K.PAYMENT_MATCHED, K.DUTY_NOTICE]
    back = partners.file(payment(credit(due.payment_reference, 80000, "E1", "RVSL")))
    assert kinds(back) == [K.PAYMENT_MATCHED, K.DUTY_NOTICE]
    assert state(partners, due) == State.RELEASED
    rest = partners.file(payment(credit(due.payment_reference, DUE, "E2")))
    assert kinds(rest) == [K.PAYMENT_MATCHED, K.CLEARED]


def test_payment_gives_the_guarantee_its_room_back(partners: Partners) -> None:
    held = Guarantee("BL-DEMO-0001", "importer", Decimal(DUE))
    partners.clearance.use(msgspec.structs.replace(config(), guarantees={held.reference: held}))
    first = only(partners.file(goods("L1", GREEN, head=[SECURITY])), K.DUTY_NOTICE)
    assert K.RELEASED not in kinds(partners.file(goods("L2", GREEN, head=[SECURITY])))
    partners.file(payment(credit(first.payment_reference, DUE, "E1")))
    assert K.RELEASED in kinds(partners.file(goods("L3", GREEN, head=[SECURITY])))


def test_an_old_notices_reference_still_finds_the_declaration(partners: Partners) -> None:
    old = notice(partners)
    change = goods("A1", item(1, "39011010", 3000, "USD"), function="5", mrn=old.registration)
    new = only(partners.file(change), K.DUTY_NOTICE)
    partners.file(payment(credit(old.payment_reference, DUE, "E1")))
    assert state(partners, old) == State.PAYMENT
    partners.file(payment(credit(new.payment_reference, 7620000 - DUE, "E2")))
    assert state(partners, old) == State.CLEARED


def test_a_paid_part_counts_against_an_amended_duty(partners: Partners) -> None:
    due = notice(partners, declared=item(1, "39011010", 3000, "USD"))
    partners.file(payment(credit(due.payment_reference, 6000000, "E1")))
    lower = partners.file(goods("A1", GREEN, function="5", mrn=due.registration))
    assert kinds(lower) == [K.AMENDED, K.GREEN, K.DUTY_NOTICE, K.RELEASED, K.CLEARED]
    assert "920000" in lower[2].statement


def test_money_for_what_is_cancelled_is_refundable(partners: Partners) -> None:
    due = notice(partners)
    partners.file(payment(credit(due.payment_reference, 1000, "E0")))
    (cancelled,) = partners.file(goods("X", function="1", mrn=due.registration))
    assert "1000 VND" in cancelled.statement
    (matched,) = partners.file(payment(credit(due.payment_reference, DUE, "E1")))
    assert (matched.kind, codes(matched)) == (K.PAYMENT_MATCHED, ["CLR042"])
    assert state(partners, due) == State.CANCELLED
    (back,) = partners.file(payment(credit(due.payment_reference, DUE, "E1", "RVSL")))
    assert back.kind is K.PAYMENT_MATCHED


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"status": "PDNG"}, "CLR032"),
        ({"type_": "XXXX"}, "CLR039"),
        ({"amount": "0"}, "CLR033"),
        ({"amount": "-5"}, "CLR033"),
        ({"amount": "five"}, "CLR033"),
        ({"currency": "USD"}, "CLR034"),
        ({"currency": ""}, "CLR034"),
        ({"entry": ""}, "CLR036"),
        ({"entry": "x" * 36}, "CLR036"),
        ({"entry": "a\0"}, "CLR036"),
        ({"reference": ""}, "CLR030"),
        ({"reference": "RF00123"}, "CLR030"),
        ({"reference": "RF18539007547034"}, "CLR031"),
    ],
)
def test_what_does_not_pay(partners: Partners, change: dict[str, object], code: str) -> None:
    due = notice(partners)
    facts: dict[str, object] = {"reference": due.payment_reference, "amount": DUE, "entry": "E1"} | change
    (answer,) = partners.file(payment(credit(**facts)))  # type: ignore[arg-type]
    assert (answer.kind, codes(answer)) == (K.PAYMENT_UNMATCHED, [code])
    assert state(partners, due) == State.PAYMENT
    good = partners.file(payment(credit(due.payment_reference, DUE, "E1")))
    assert K.CLEARED in kinds(good)  # what did not pay did not use up the entry either


def test_another_account_does_not_pay(partners: Partners) -> None:
    due = notice(partners)
    elsewhere = payment(credit(due.payment_reference, DUE, "E1"), account="GB82WEST12345698765432")
    (answer,) = partners.file(elsewhere)
    assert codes(answer) == ["CLR035"]


def test_every_entry_of_a_message_has_its_own_answer(partners: Partners) -> None:
    one, two = notice(partners, "L1"), notice(partners, "L2")
    batch = payment(
        credit(one.payment_reference, DUE, "E1"),
        credit("RF18539007547034", 5, "E2"),
        credit(two.payment_reference, DUE, "E3"),
        e("DutyTaxFee"),
    )
    decisions = partners.file(batch)
    banks = [d for d in decisions if d.message == "m3"]
    assert kinds(banks) == [K.PAYMENT_MATCHED, K.PAYMENT_UNMATCHED, K.PAYMENT_MATCHED, K.PAYMENT_UNMATCHED]
    assert [d.registration for d in banks] == [one.registration, "", two.registration, ""]
    assert len({d.id for d in decisions}) == len(decisions)
    assert banks[1].findings[0].place.pointer == "Declaration/DutyTaxFee[2]/Payment/ReferenceID"


ENTRIES = st.lists(
    st.tuples(
        st.integers(1, 6),  # entry number: repeats are the bank's
        st.sampled_from([1000000, 2000000, 5080000]),
        st.sampled_from(["CRDT", "CRDT", "CRDT", "RVSL"]),
        st.sampled_from(["BOOK", "BOOK", "BOOK", "PDNG"]),
    ),
    max_size=10,
)
NUMBERS = itertools.count()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ENTRIES)
def test_whatever_the_bank_says_the_balance_is_that_of_the_entries_that_count(
    sqlite_partners: Partners, entries: list[tuple[int, int, str, str]]
) -> None:
    partners, run = sqlite_partners, next(NUMBERS)
    due = notice(partners, f"P{run}")
    booked: dict[tuple[int, str], int] = {}
    paid = 0
    for number, amount, type_, status in entries:
        told = partners.file(payment(credit(due.payment_reference, amount, f"{run}-{number}", type_, status)))
        counts = status == "BOOK" and (number, type_) not in booked and (type_ == "CRDT" or amount <= paid)
        if counts:
            booked[number, type_] = amount
            paid += amount if type_ == "CRDT" else -amount
        line = partners.office.show(due.registration).line
        assert line.paid == str(paid)
        assert (line.state == State.CLEARED) == (paid >= DUE)
        assert line.state in (State.PAYMENT, State.HELD, State.CLEARED)
        again = counts or booked.get((number, type_)) == amount
        bank = told[0].kind
        assert bank is (K.PAYMENT_MATCHED if again and status == "BOOK" else K.PAYMENT_UNMATCHED)


@pytest.fixture
def sqlite_partners(tmp_path: Path) -> Partners:
    return Partners(f"sqlite:///{tmp_path / 'office.db'}")
