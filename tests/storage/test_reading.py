"""Reading: who may see what, in which order."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import text

from gateway.model import Answer, DecisionKind, Finding, Outcome, Partner, Place, Role
from gateway.storage import Ledger, Settlement, reading

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


def test_status_of_many_messages_comes_page_by_page(ledger: Ledger) -> None:
    ledger.settle([settlement("a", messages=6)])
    ledger.record([recorded(f"D{n}", f"a.{n}", registration=f"26VN00000{n}") for n in (1, 4, 5)])
    whole = ledger.status("VAN1", "a")
    assert whole is not None
    assert whole.next == 0
    found = []
    for after in (0, 3, 6):
        page = ledger.status("VAN1", "a", after, 3)
        assert page is not None
        assert {e.about for e in page.timeline} <= {"a", *(m.id for m in page.messages)}
        assert "received" in {e.what for e in page.timeline}
        found.append(page)
    assert [page.next for page in found] == [3, 6, 0]
    assert tuple(m for page in found for m in page.messages) == whole.messages
    assert {e for page in found for e in page.timeline} == set(whole.timeline)
    last = ledger.status("VAN1", "a", 7, 3)
    assert last is not None
    assert (last.messages, last.next) == ((), 0)


def test_a_page_is_short_where_there_is_much_to_be_told(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Findings are put into words on the thread that answers everybody: a page is bounded by them, too."""
    told = tuple(Finding("MAP002", Place(segment=n, tag="FTX"), found="\u1ea1" * 10) for n in range(100))
    one = settlement("a", messages=6)
    messages = tuple(msgspec.structs.replace(m, findings=told) for m in one.verdict.messages)
    verdict = msgspec.structs.replace(one.verdict, messages=messages)
    ledger.settle([msgspec.structs.replace(one, verdict=verdict)])
    each = len(msgspec.json.encode(told))
    for octets, ordinals in (
        (1, [[1], [2], [3], [4], [5], [6], [7]]),
        (3 * each, [[1, 2, 3], [4, 5, 6], [7]]),
        (7 * each, [[1, 2, 3, 4, 5, 6, 7]]),
    ):
        monkeypatch.setattr(reading, "FINDINGS_OCTETS", octets)
        found, after = [], 0
        while page := ledger.status("VAN1", "a", after, 1_000):
            found.append([m.ordinal for m in page.messages])
            assert all(m.findings == told for m in page.messages)
            after = page.next
            if not after:
                break
        assert found == ordinals


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
    ledger.clock = lambda: NOW
    assert ledger.acknowledge("VAN1", ["a.r", "c.r", "nothing"]) == 1
    ledger.clock = lambda: NOW + SECOND
    assert ledger.acknowledge("VAN1", ["a.r"]) == 1
    assert [e.id for e in ledger.mailbox("VAN1", "", 9)] == ["b.r"]
    entries = ledger.mailbox("VAN1", "", 9, include_acknowledged=True)
    assert [(e.id, e.acknowledged_at) for e in entries] == [("a.r", NOW), ("b.r", None)]
    assert ledger.fetch("VAN1", "a.r") is not None
    assert [e.id for e in ledger.mailbox("VAN2", "", 9)] == ["c.r"]


def test_a_mailbox_is_its_partners_own(ledger: Ledger) -> None:
    ledger.settle([settlement("a")])
    assert ledger.fetch("VAN2", "a.r") is None
    assert ledger.fetch("TRADER1", "a.r") is None
    assert ledger.mailbox("VAN2", "", 9, include_acknowledged=True) == []


def again(id: str, sender: str, entitled: tuple[int, ...]) -> Settlement:
    """The octets of submission ``a`` of two accepted messages and a rejected one, from another sender."""
    body = b"<MetaData>a</MetaData>"
    return settlement(id, body=body, reference="REF-a", partner=sender, messages=2, entitled=entitled)


def test_who_sends_what_another_filed_can_follow_it(ledger: Ledger) -> None:
    ledger.settle([settlement("a", messages=2)])
    assert ledger.status("VAN2", "a") is None
    (answer,) = ledger.settle([again("b", "VAN2", (1, 2, 3))])
    assert isinstance(answer, Answer)
    assert (answer.submission, answer.repeated) == ("a", True)
    told = ledger.status("VAN2", answer.submission)
    assert told is not None
    assert [m.id for m in told.messages] == ["a.1", "a.2", "a.3"]
    assert ledger.fetch("VAN2", told.receipt) == answer.receipt
    assert ledger.mailbox("VAN2", "", 9, include_acknowledged=True) == []
    assert ledger.acknowledge("VAN2", ["a.r"]) == 0
    assert ledger.status("VAN3", "a") is None
    assert ledger.fetch("VAN3", "a.r") is None
    mine = ledger.status("VAN1", "a")
    assert mine is not None
    assert [(e.what, e.detail) for e in mine.timeline if e.what == "joined"] == [("joined", "VAN2")]


def test_who_joined_learns_nothing_of_messages_that_are_not_its_to_file(ledger: Ledger) -> None:
    ledger.settle([settlement("a", messages=2)])
    ledger.settle([again("b", "VAN3", (1, 2, 3))])
    ledger.settle([again("c", "VAN2", (1,))])
    for number in (1, 2):
        ledger.record([recorded(f"D{number}", f"a.{number}", registration=f"26VN00000{number}")])
    told = ledger.status("VAN2", "a")
    assert told is not None
    assert [m.id for m in told.messages] == ["a.1"]
    assert [d.registration for d in told.messages[0].decisions] == ["26VN000001"]
    assert {e.about for e in told.timeline} == {"a", "a.1"}
    assert {e.detail for e in told.timeline if e.what == "joined"} == {"VAN2"}
    assert "26VN000002" not in repr(told)
    assert ledger.fetch("VAN2", "a.1.D1.d") is None  # the answers are in the mailbox of who filed


def test_joining_is_noted_once_and_may_grow(ledger: Ledger) -> None:
    ledger.settle([settlement("a", messages=2)])
    for number, entitled in enumerate(((1,), (1,), (1, 2, 3), (2,))):
        ledger.settle([again(f"b{number}", "VAN2", entitled)])
    told = ledger.status("VAN2", "a")
    assert told is not None
    assert [m.id for m in told.messages] == ["a.1", "a.2", "a.3"]
    assert [e.about for e in told.timeline if e.what == "joined"] == ["a.1", "a"]


def test_one_s_own_octets_again_are_no_joining(ledger: Ledger) -> None:
    ledger.settle([settlement("a", messages=2)])
    ledger.settle([again("b", "VAN1", (1, 2, 3))])
    told = ledger.status("VAN1", "a")
    assert told is not None
    assert "joined" not in {e.what for e in told.timeline}


def test_what_is_acknowledged_is_not_pushed_any_more(ledger: Ledger) -> None:
    ledger.settle([settlement("a", messages=2)])
    ledger.record([recorded("D1", "a.1", push=True), recorded("D2", "a.2", push=True)])
    assert ledger.acknowledge("VAN2", ["a.1.D1.d"]) == 0
    assert [d.payload for d in ledger.due("push:", 9)] == ["a.1.D1.d", "a.2.D2.d"]
    ledger.dead("a.2.D2.d.p", "404", NOW)
    assert ledger.acknowledge("VAN1", ["a.1.D1.d", "a.2.D2.d"]) == 2
    assert ledger.due("push:", 9) == []
    assert ledger.dead_letters("push:", 9) == []
    assert [d.id for d in ledger.due(BACKEND, 9)] == ["a.1", "a.2"]
    assert not ledger.retry("a.1.D1.d.p", NOW, "timeout")  # a push under way meanwhile failed
    assert ledger.resend("a.1.D1.d", NOW)
    assert [d.payload for d in ledger.due("push:", 9)] == ["a.1.D1.d"]


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


def test_a_message_that_was_spoilt_hides_no_other(ledger: Ledger) -> None:
    ledger.settle([settlement("s1"), settlement("s2")])
    spoil = text("UPDATE submission SET receipt = :spoilt WHERE id = 's1'")
    ledger._write(lambda c: c.execute(spoil, {"spoilt": b"no frame"}))
    assert [(e.id, e.size > 0) for e in ledger.mailbox("VAN1", "", 9)] == [("s1.r", False), ("s2.r", True)]
    with pytest.raises(ValueError, match="not written here"):
        ledger.fetch("VAN1", "s1.r")
    assert ledger.acknowledge("VAN1", ["s1.r"]) == 1
