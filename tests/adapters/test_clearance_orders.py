"""Officers' orders on cargo: do not load, do not unload, and their lifting."""

from __future__ import annotations

import pytest
from clearance_samples import Partners, cargo, codes, consignment, kinds, only

from adapters.clearance import NotAllowed, Unknown
from adapters.clearance.states import State
from gateway.model import DecisionKind as K


def report(partners: Partners) -> str:
    return partners.file(cargo("C1", consignment(1, "BL1"), consignment(2, "BL2")))[0].registration


def test_orders_and_their_lifting(partners: Partners) -> None:
    number, office = report(partners), partners.office
    assert office.do_not_load(number, "BL2", "Lan", "weapons suspected").state == State.BLOCKED
    assert office.do_not_unload(number, "BL1", "Lan", "no permit").state == State.BLOCKED
    load, unload = partners.fetch()
    assert kinds([load, unload]) == [K.DO_NOT_LOAD, K.DO_NOT_UNLOAD]
    assert load.findings[0].place.pointer == "Declaration/Consignment[2]"
    assert codes(unload) == ["CLR021"]
    assert office.lift(number, "BL2", "Minh", "inspected").state == State.BLOCKED
    assert office.lift(number, "BL1", "Minh", "permit shown").state == State.REGISTERED
    lifted = partners.fetch()
    assert kinds(lifted) == [K.RELEASED, K.RELEASED]
    assert "BL2" in lifted[0].statement
    assert [(o.placed_by, o.lifted_by, o.lift_reason) for o in office.show(number).orders] == [
        ("Lan", "Minh", "inspected"),
        ("Lan", "Minh", "permit shown"),
    ]
    assert [h.who for h in office.show(number).history][-4:] == ["Lan", "Lan", "Minh", "Minh"]


def test_orders_that_make_no_sense(partners: Partners) -> None:
    number, office = report(partners), partners.office
    with pytest.raises(Unknown, match="BL1, BL2"):
        office.do_not_load(number, "BL9", "Lan", "why")
    with pytest.raises(Unknown, match="no order"):
        office.lift(number, "BL1", "Lan", "why")
    office.do_not_load(number, "BL1", "Lan", "why")
    with pytest.raises(ValueError, match="stands already"):
        office.do_not_load(number, "BL1", "Lan", "why")


def test_an_officers_order_outlasts_an_amendment(partners: Partners) -> None:
    number = report(partners)
    partners.office.do_not_load(number, "BL1", "Lan", "why")
    partners.fetch()
    partners.file(cargo("C2", consignment(1, "BL1", "Tiles"), function="5", mrn=number))
    assert partners.office.show(number).line.state == State.BLOCKED
    partners.office.lift(number, "BL1", "Lan", "seen")
    assert partners.office.show(number).line.state == State.REGISTERED


def test_reports_can_be_sent_back_and_refused(partners: Partners) -> None:
    number = report(partners)
    assert partners.office.request_amendment(number, "Lan", "weights differ").state == State.AMENDMENT
    assert only(partners.fetch(), K.AMENDMENT_WANTED).findings[0].place.pointer == "Declaration"
    assert partners.office.refuse(number, "Lan", "not ours").state == State.REFUSED
    with pytest.raises(NotAllowed):
        partners.office.hold(number, "Lan", "why")
