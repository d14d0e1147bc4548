"""Cargo and conveyance reports: registered, screened, stopped, corrected."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from clearance_samples import NOW, Partners, cargo, codes, consignment, e, kinds, v
from hypothesis import given
from hypothesis import strategies as st

from adapters.clearance.cargo import has_departed
from adapters.clearance.states import State
from gateway.model import DecisionKind as K
from gateway.model import Declaration, Kind, Severity, Value

HANOI = ZoneInfo("Asia/Ho_Chi_Minh")
GOOD = consignment(1, "BL1")
VAGUE = consignment(2, "BL2", "Said to contain: goods")
BOMB = consignment(3, "BL3", "Fertiliser", undg="2067")


def test_a_clean_report_is_registered_and_nothing_more(partners: Partners) -> None:
    (registered,) = partners.file(cargo("C1", GOOD))
    assert registered.kind is K.REGISTERED
    assert registered.registration[16] == "C"
    (export,) = partners.file(cargo("C2", GOOD, kind=Kind.CARGO_EXPORT))
    assert export.registration[16] == "X"


def test_stopped_consignments_are_named_one_by_one(partners: Partners) -> None:
    decisions = partners.file(cargo("C1", GOOD, VAGUE, BOMB))
    assert kinds(decisions) == [K.REGISTERED, K.DO_NOT_LOAD, K.DO_NOT_LOAD]
    vague, bomb = decisions[1:]
    assert codes(vague) == ["CLR020"]
    assert vague.findings[0].place.pointer == "Declaration/Consignment[2]"
    assert vague.findings[0].found == "BL2"
    assert vague.statement.startswith("Do not load BL2: ")
    assert "BL3" in bomb.statement_vi
    assert "stop-words" not in vague.statement
    view = partners.office.show(vague.registration)
    assert view.line.state == State.BLOCKED
    assert [(o.consignment, o.action, o.placed_by) for o in view.orders] == [
        ("BL2", "do-not-load", "customs"),
        ("BL3", "do-not-load", "customs"),
    ]
    assert {h.criterion for h in view.hits} == {"stop-words", "explosives-on-board"}


def test_two_criteria_on_a_consignment_make_one_order(partners: Partners) -> None:
    both = consignment(1, "BL1", "Ammonium nitrate, said to contain", undg="1942")
    decisions = partners.file(cargo("C1", both))
    assert kinds(decisions) == [K.REGISTERED, K.DO_NOT_LOAD]
    assert len(partners.office.show(decisions[0].registration).hits) == 3


def test_what_is_under_way_is_not_unloaded(partners: Partners) -> None:
    past = v("DepartureDateTime", "20260301", formatCode="102")
    future = v("DepartureDateTime", "202603021300", formatCode="203")  # 06:00 UTC, three hours ahead
    assert kinds(partners.file(cargo("C1", VAGUE, departure=past))) == [K.REGISTERED, K.DO_NOT_UNLOAD]
    assert kinds(partners.file(cargo("C2", VAGUE, departure=future))) == [K.REGISTERED, K.DO_NOT_LOAD]
    landed = consignment(1, "BL9", "Used batteries")
    assert kinds(partners.file(cargo("C3", landed))) == [K.REGISTERED, K.DO_NOT_UNLOAD]


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("20260302", "102", False),
        ("20260301", "102", True),
        ("202603021004", "203", True),
        ("202603021005", "203", False),
        ("20260302100405", "204", True),
        ("20260302100406", "204", False),
        ("20260302030405Z", "304", True),
        ("20260302030405", "304", True),
        ("20260302030405UTC", "304", True),
        ("20260302030406Z", "304", False),
        ("20260302100405+07", "304", True),
        ("20260302100405-07", "304", False),
        ("20260302100405+07:00", "304", True),
        ("20260299", "102", False),
        ("2026", "102", False),
        ("00010101000000+2359", "304", False),
        ("20200101", "", False),
        ("20200101", "999", False),
        ("20260302030405ICT", "304", False),
    ],
)
def test_departures(text: str, form: str, expected: bool) -> None:
    report = cargo("C", GOOD, departure=v("DepartureDateTime", text, formatCode=form))
    assert has_departed(report, NOW, HANOI) is expected


@given(
    st.text(max_size=20) | st.from_regex(r"[0-9]{8,14}[Z+\-0-9:]{0,6}", fullmatch=True),
    st.sampled_from(["102", "203", "204", "304", ""]),
)
def test_any_departure_can_be_asked(text: str, form: str) -> None:
    means = e("BorderTransportMeans", Value("DepartureDateTime", text, (("formatCode", form),)))
    assert has_departed(Declaration(Kind.CARGO_IMPORT, e("Declaration", means)), NOW, HANOI) in (True, False)


def test_a_report_without_consignments_is_refused(partners: Partners) -> None:
    (refused,) = partners.file(cargo("C1"))
    assert (refused.kind, codes(refused)) == (K.REFUSED, ["CLR009"])
    number = partners.file(cargo("C2", GOOD))[0].registration
    (refused,) = partners.file(cargo("C3", function="5", mrn=number))
    assert codes(refused) == ["CLR009"]


def test_references_serve_once_among_reports(partners: Partners) -> None:
    partners.file(cargo("C1", GOOD))
    (refused,) = partners.file(cargo("C1", GOOD))
    assert codes(refused) == ["CLR001"]


def test_a_correction_lifts_what_a_correction_cures(partners: Partners) -> None:
    number = partners.file(cargo("C1", GOOD, VAGUE, BOMB))[0].registration
    cured = consignment(2, "BL2", "Ceramic tiles, glazed")
    disguised = consignment(3, "BL3", "Fertiliser")
    amended, lifted = partners.file(cargo("C2", GOOD, cured, disguised, function="5", mrn=number))
    assert (amended.kind, amended.version) == (K.AMENDED, 2)
    assert (lifted.kind, codes(lifted)) == (K.RELEASED, ["CLR022"])
    assert lifted.findings[0].severity is Severity.NOTE
    assert lifted.findings[0].place.pointer == "Declaration/Consignment[2]"
    view = partners.office.show(number)
    assert [(o.consignment, o.lifted_by) for o in view.orders] == [("BL2", "partner van"), ("BL3", "")]
    assert view.line.state == State.BLOCKED


def test_a_correction_by_parts_and_a_new_stop(partners: Partners) -> None:
    number = partners.file(cargo("C1", GOOD, VAGUE))[0].registration
    assert kinds(partners.file(cargo("C2", GOOD, function="4", mrn=number))) == [K.AMENDED]
    assert partners.office.show(number).line.state == State.BLOCKED
    added = cargo("C3", BOMB, function="4", mrn=number)
    assert kinds(partners.file(added)) == [K.AMENDED, K.DO_NOT_LOAD]
    cured = cargo("C4", GOOD, function="5", mrn=number)
    assert kinds(partners.file(cured)) == [K.AMENDED, K.RELEASED]  # BL2 is gone; BL3 needs an officer


def test_cancellation_of_reports(partners: Partners) -> None:
    number = partners.file(cargo("C1", GOOD))[0].registration
    assert kinds(partners.file(cargo("X1", function="1", mrn=number))) == [K.CANCELLED]
    blocked = partners.file(cargo("C2", VAGUE))[0].registration
    (refused,) = partners.file(cargo("X2", function="1", mrn=blocked))
    assert codes(refused) == ["CLR006"]
    (unknown,) = partners.file(cargo("X3", function="1", mrn="26VN"))
    assert codes(unknown) == ["CLR005"]
    (amend_unknown,) = partners.file(cargo("X4", GOOD, function="5", mrn="26VN"))
    assert codes(amend_unknown) == ["CLR005"]


def test_consignments_without_a_document_have_their_place(partners: Partners) -> None:
    unnamed = consignment(1, "", "general cargo")
    long = consignment(2, "B" * 71, "general cargo")
    decisions = partners.file(cargo("C1", unnamed, long))
    assert [d.findings[0].found for d in decisions[1:]] == ["#1", "#2"]


def test_no_consignee(partners: Partners) -> None:
    assert kinds(partners.file(cargo("C1", consignment(1, "BL1", consignee="")))) == [
        K.REGISTERED,
        K.DO_NOT_LOAD,
    ]


def test_conveyance_reports(partners: Partners) -> None:
    (registered,) = partners.file(cargo("V1", kind=Kind.CONVEYANCE))
    number = registered.registration
    assert (registered.kind, number[16]) == (K.REGISTERED, "V")
    assert kinds(partners.file(cargo("V2", kind=Kind.CONVEYANCE, function="5", mrn=number))) == [K.AMENDED]
    assert kinds(partners.file(cargo("V3", kind=Kind.CONVEYANCE, function="1", mrn=number))) == [K.CANCELLED]
