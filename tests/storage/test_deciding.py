"""Decisions: each once, and the message follows the newest."""

from __future__ import annotations

from gateway.model import DecisionKind
from gateway.storage import Ledger, Recorded

from .making import NOW, SECOND, recorded, settlement


def test_a_decision_is_recorded_once_with_its_answer(ledger: Ledger) -> None:
    ledger.settle([settlement("a")])
    one = recorded("D1", "a.1", registration="26VN1", push=True)
    assert ledger.record([one, recorded("D2", "a.1", DecisionKind.GREEN), one]) == ("D1", "D2")
    assert ledger.record([one, recorded("D3", "a.1", DecisionKind.RELEASED)]) == ("D3",)
    assert ledger.record([]) == ()
    assert [e.id for e in ledger.mailbox("VAN1", "", 9)] == ["a.r", "a.1.D1.d", "a.1.D2.d", "a.1.D3.d"]
    assert ledger.counts().due["push:VAN1"] == 1
    status = ledger.status("VAN1", "a")
    assert status is not None
    assert [d.id for d in status.messages[0].decisions] == ["D1", "D2", "D3"]
    assert status.messages[0].decisions[0] == one.decision
    assert [e.what for e in status.timeline].count("registered") == 1


def test_a_late_decision_does_not_undo_a_newer_state(ledger: Ledger) -> None:
    ledger.settle([settlement("a")])
    ledger.record([recorded("D2", "a.1", DecisionKind.RELEASED, at=NOW + SECOND)])
    ledger.record([recorded("D1", "a.1", DecisionKind.REGISTERED, at=NOW, registration="26VN1")])
    to = ledger.routes(["a.1"])["a.1"]
    assert (to.state, to.registration) == ("released", "26VN1")


def test_a_decision_about_nothing_known_is_kept(ledger: Ledger) -> None:
    lost = Recorded(recorded("D1", "gone.7").decision)
    assert ledger.record([lost]) == ("D1",)
    assert ledger.record([lost]) == ()


def test_routes_tell_how_to_answer(ledger: Ledger) -> None:
    one = settlement("a", messages=2)
    ledger.settle([one])
    found = ledger.routes(["a.2", "b.1", "a", "a.x", ""])
    assert list(found) == ["a.2"]
    to = found["a.2"]
    assert to.route == one.verdict.route
    assert (to.ordinal, to.type, to.reference, to.lrn) == (2, "IM", "M2", "LRN-a-2")
    assert (to.identifier, to.function, to.state) == ("CUSDEC:D:96B:UN", "9", "accepted")
    assert ledger.routes([]) == {}
