"""Reading: who may see what, in which order."""

from __future__ import annotations

import pytest

from gateway.model import DecisionKind, Outcome, Partner, Role
from gateway.storage import Ledger

from .making import BACKEND, LEASE, NOW, SECOND, recorded, settlement


def test_status_tells_the_whole_story(ledger: Ledger) -> None:
    one = settlement("a", messages=2)
    ledger.settle([one])
    ledger.record([recorded("D1", "a.1", registration="26VN000001", at=NOW + 5 * SECOND)])
    status = ledger.status("VAN1", "a")
    assert status is not None
    assert (status.submission, status.outcome, status.receipt) == ("a", Outcome.PARTLY, "a.r")
    assert (status.partner, status.principal, status.reference) == ("VAN1", "TRADER1", "REF-a")
    assert [m.id for m in status.messages] == ["a.1", "a.2", "a.3"]
    assert [m.state for m in status.messages] == ["registered", "accepted", "rejected"]
    assert status.messages[0].registration == "26VN000001"
    assert [d.id for d in status.messages[0].decisions] == ["D1"]
    assert status.messages[2].findings == one.verdict.messages[2].findings
    assert [e.what for e in status.timeline] == ["received", "partly", "registered"]


@pytest.mark.parametrize(
    ("reader", "sees"),
    [("VAN1", True), ("TRADER1", True), ("VAN2", False), ("CUSTOMS", True), ("RETIRED", False), ("", False)],
)
def test_only_its_parties_and_customs_see_a_submission(ledger: Ledger, reader: str, sees: bool) -> None:
    ledger.put_partner(Partner("CUSTOMS", "Customs", (Role.CUSTOMS,)))
    ledger.put_partner(Partner("RETIRED", "Customs before", (Role.CUSTOMS,), active=False))
    ledger.put_partner(Partner("VAN2", "Another VAN", (Role.VAN,)))
    ledger.settle([settlement("a")])
    assert (ledger.status(reader, "a") is not None) is sees
    assert bool(ledger.find(reader, "REF-a")) is sees
    assert ledger.status(reader, "nowhere") is None


def test_find_by_reference_lrn_and_registration_newest_first(ledger: Ledger) -> None:
    ledger.settle([settlement("a", reference="R"), settlement("b", reference="R", claim=False)])
    ledger.settle([settlement("c", signer="TRADER2", partner="VAN2", reference="R")])
    ledger.record([recorded("D1", "b.1", registration="26VN7")])
    assert [(f.submission, f.claimed) for f in ledger.find("VAN1", "R")] == [("b", False), ("a", True)]
    assert [f.submission for f in ledger.find("VAN1", "LRN-a-1")] == ["a"]
    assert [f.submission for f in ledger.find("TRADER1", "26VN7")] == ["b"]
    assert ledger.find("VAN1", "") == []
    assert ledger.find("VAN1", "R%") == []


def test_mailbox_pages_in_order_of_arrival(ledger: Ledger) -> None:
    ledger.settle([settlement(name) for name in ("z", "m", "a")])
    ledger.settle([settlement("x", partner="VAN2")])
    first = ledger.mailbox("VAN1", "", 2)
    assert [e.id for e in first] == ["z.r", "m.r"]
    assert [e.id for e in ledger.mailbox("VAN1", first[-1].id, 2)] == ["a.r"]
    assert [e.id for e in ledger.mailbox("VAN1", "unknown", 9)] == ["z.r", "m.r", "a.r"]
    assert [e.id for e in ledger.mailbox("VAN1", "x.r", 9)] == ["z.r", "m.r", "a.r"]
    body = ledger.fetch("VAN1", "z.r")
    assert body is not None
    assert first[0].size == len(body.body)


def test_acknowledged_entries_leave_the_mailbox_and_can_be_read_again(ledger: Ledger) -> None:
    ledger.settle([settlement("a"), settlement("b"), settlement("c", partner="VAN2")])
    assert ledger.acknowledge("VAN1", ["a.r", "c.r", "nothing"], NOW) == 1
    assert ledger.acknowledge("VAN1", ["a.r"], NOW + SECOND) == 1
    assert [e.id for e in ledger.mailbox("VAN1", "", 9)] == ["b.r"]
    entries = ledger.mailbox("VAN1", "", 9, include_acknowledged=True)
    assert [(e.id, e.acknowledged_at) for e in entries] == [("a.r", NOW), ("b.r", None)]
    assert ledger.fetch("VAN1", "a.r") is not None
    assert ledger.counts().unacknowledged == 2


def test_a_mailbox_is_its_partners_own(ledger: Ledger) -> None:
    ledger.settle([settlement("a")])
    assert ledger.fetch("VAN2", "a.r") is None
    assert ledger.fetch("TRADER1", "a.r") is None
    assert ledger.mailbox("VAN2", "", 9, include_acknowledged=True) == []


def test_counts_tell_what_waits(ledger: Ledger) -> None:
    ledger.settle([settlement("a", messages=3), settlement("b")])
    ledger.record([recorded("D1", "a.1", DecisionKind.GREEN, push=True)])
    ledger.dead("a.2", "poison", NOW)
    ledger.done(["a.3"], NOW)
    ledger.claim_due(BACKEND, "me", NOW, LEASE, 1)
    counts = ledger.counts()
    assert counts.due == {BACKEND: 2, "push:VAN1": 1}
    assert counts.dead == {BACKEND: 1}
    assert counts.oldest_due_at[BACKEND] == NOW
    assert counts.unacknowledged == 3
