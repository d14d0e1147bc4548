"""What the ledger keeps of certificates and their revocation, and of submissions that are held."""

from __future__ import annotations

import hashlib
import threading
import time
from datetime import UTC, datetime, timedelta

from gateway.model import Credential, Finding, Partner, Submission, Use
from gateway.storage import Known, Learned, Ledger, Sighting
from gateway.storage.journal import Chain, Page

AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MONTH = timedelta(days=30)


def sighting(name: str, use: str = "sign", days: int = 100) -> Sighting:
    return Sighting(name, name.encode(), b"issuer", f"CN={name}", AT + timedelta(days=days), use)


def word(subject: str, at: datetime = AT, der: bytes = b"der", final: bool = False) -> Learned:
    return Learned(subject, der, b"told", at, at + HOUR, AT, "http://ocsp.test", final)


def claimed(ledger: Ledger, at: datetime, limit: int = 10, owner: str = "me") -> list[str]:
    found = ledger.claim_certificates(owner, at, HOUR, MONTH, limit)
    return [known.fingerprint for known in found]


def known(ledger: Ledger, name: str) -> Known:
    return next(each for each in ledger.certificates(10, AT) if each.fingerprint == name)


def test_a_new_certificate_is_asked_after_at_once(ledger: Ledger) -> None:
    ledger.sight([sighting("a"), sighting("a", "tls"), sighting("b")], AT)
    assert sorted(claimed(ledger, AT)) == ["a", "b"]
    assert claimed(ledger, AT) == []  # leased
    assert sorted(claimed(ledger, AT + HOUR)) == ["a", "b"]  # whoever had them is gone
    ledger.asked(known(ledger, "a"), AT + 3 * HOUR, AT + HOUR, "")
    ledger.asked(known(ledger, "b"), AT + 2 * HOUR, None, "SIG340 down")
    assert claimed(ledger, AT + HOUR) == []
    assert claimed(ledger, AT + 2 * HOUR) == ["b"]
    by_name = {known.fingerprint: known for known in ledger.certificates(10, AT)}
    assert (by_name["a"].attempts, by_name["a"].asked_at) == (0, AT + HOUR)
    assert (by_name["b"].attempts, by_name["b"].error, by_name["b"].asked_at) == (1, "SIG340 down", None)
    ledger.asked(known(ledger, "b"), AT + 5 * HOUR, None, "x" * 1_000)
    b = known(ledger, "b")
    assert (b.attempts, len(b.error)) == (2, 500)


def test_a_lease_is_renewed_by_its_owner_alone(ledger: Ledger) -> None:
    ledger.sight([sighting("a"), sighting("b")], AT)
    claimed(ledger, AT)
    assert ledger.renew_certificates("me", ["a"], AT + 2 * HOUR) == {"a"}
    assert claimed(ledger, AT + HOUR, owner="other") == ["b"]  # whoever asked after it has ended
    assert ledger.renew_certificates("me", ["a", "b"], AT + 3 * HOUR) == {"a"}


def test_who_is_hurried_while_it_is_asked_after_is_asked_again(ledger: Ledger) -> None:
    """The responder came back a moment after it was asked, and the operator said so."""
    ledger.sight([sighting("a")], AT)
    (taken,) = ledger.claim_certificates("me", AT, HOUR, MONTH, 1)
    soon = AT + timedelta(seconds=1)
    assert ledger.hurry([], soon) == 1
    ledger.asked(taken, AT + HOUR, None, "SIG340 down")
    (again,) = ledger.claim_certificates("me", soon, HOUR, MONTH, 1)
    ledger.asked(again, AT + HOUR, soon, "")
    assert claimed(ledger, soon) == []


def test_meeting_again_changes_neither_due_time_nor_first_meeting(ledger: Ledger) -> None:
    ledger.sight([sighting("a")], AT)
    claimed(ledger, AT)
    ledger.asked(known(ledger, "a"), AT + 9 * HOUR, AT, "")
    ledger.sight([sighting("a", "tls")], AT + HOUR)
    (met,) = ledger.certificates(10, AT)
    assert met.uses == ("sign", "tls")
    assert (met.first_seen, met.last_seen, met.due_at) == (AT, AT + HOUR, AT + 9 * HOUR)


def test_idle_and_expired_certificates_rest(ledger: Ledger) -> None:
    ledger.sight([sighting("short", days=2), sighting("long")], AT)
    late = AT + timedelta(days=3)
    assert claimed(ledger, late) == ["long"]
    assert claimed(ledger, AT + timedelta(days=40)) == []
    assert ledger.hurry(["long"], late) == 1
    assert ledger.hurry([], late) == 1
    assert claimed(ledger, late) == ["long"]


def test_registered_certificates_are_met_before_their_first_message(ledger: Ledger) -> None:
    def credential(name: str, days: int = 100) -> Credential:
        at = AT + timedelta(days=days)
        return Credential(name, (Use.SIGN,), certificate=name.encode(), expires_at=at)

    late = credential("c", -1)
    ledger.put_partner(Partner("p", "P", credentials=(credential("a"), credential("b"), late)))
    assert ledger.unmet(AT, 10) == [b"a", b"b"]
    assert ledger.unmet(AT, 1) == [b"a"]
    ledger.sight([sighting("a", "registered")], AT)
    assert ledger.unmet(AT, 10) == [b"b"]
    much_later = AT + timedelta(days=60)
    assert ledger.claim_certificates("me", much_later, HOUR, MONTH, 9) == []  # not met for long
    ledger.unmet(much_later, 10)
    assert claimed(ledger, much_later) == ["a"]  # but registered


def test_two_couriers_share_the_work(ledger: Ledger) -> None:
    ledger.sight([sighting(f"{n:02}") for n in range(40)], AT)
    mine: list[list[str]] = []
    workers = [
        threading.Thread(target=lambda o=o: mine.append(claimed(ledger, AT, 20, o))) for o in ("x", "y")
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    taken = [fingerprint for part in mine for fingerprint in part]
    assert len(taken) == len(set(taken)) >= 20


def test_the_newest_word_on_a_subject_is_kept(ledger: Ledger) -> None:
    assert ledger.revocation_version() == 0
    first = ledger.learn([word("ocsp:1"), word("crl:1")])
    assert first == ledger.revocation_version() > 0
    items, version = ledger.learned(0, 100)
    assert ({i.subject for i in items}, version) == ({"ocsp:1", "crl:1"}, first)
    assert ledger.learned(version, 100) == ([], version)
    second = ledger.learn([word("ocsp:1", AT + HOUR, b"newer"), word("crl:1", AT - HOUR, b"older")])
    items, version = ledger.learned(first, 100)
    assert ([(i.subject, i.der) for i in items], version) == ([("ocsp:1", b"newer")], second)
    third = ledger.learn([word("ocsp:1", AT + HOUR, b"newer")])  # the same again is no news
    assert ledger.learned(second, 100) == ([], third)


def test_a_revocation_is_not_talked_away(ledger: Ledger) -> None:
    ledger.learn([word("ocsp:1", AT, b"revoked", final=True)])
    ledger.learn([word("ocsp:1", AT + HOUR, b"good")])
    (kept,) = ledger.learned(0, 100)[0]
    assert kept.der == b"revoked"
    ledger.learn([word("ocsp:2", AT + HOUR, b"good")])
    ledger.learn([word("ocsp:2", AT, b"revoked", final=True)])
    assert {i.der for i in ledger.learned(0, 100)[0]} == {b"revoked"}


def test_much_is_learned_in_parts(ledger: Ledger) -> None:
    for n in range(5):
        ledger.learn([word(f"ocsp:{n}"), word(f"ocsp:{n}b")])
    after, seen = 0, []
    while True:
        items, version = ledger.learned(after, 3)
        if not items:
            break
        seen += [i.subject for i in items]
        after = version
    assert len(seen) == len(set(seen)) == 10


def submission(name: str, body: bytes = b"<a/>", partner: str = "trader") -> Submission:
    digest = hashlib.sha256(body).hexdigest()
    return Submission(name, partner, "https", "application/xml", body, digest, AT)


def test_the_valid_come_before_the_ended_which_are_forgotten(ledger: Ledger) -> None:
    days = {"gone": -40, "ended": -2, "lately": -1, "soon": 3, "late": 90}
    ledger.sight([sighting(name, days=at) for name, at in days.items()], AT)
    assert [known.fingerprint for known in ledger.certificates(10, AT)] == [
        "soon",
        "late",
        "lately",
        "ended",
        "gone",
    ]
    assert [known.fingerprint for known in ledger.certificates(1, AT)] == ["soon"]
    good, revoked = word("ocsp:gone", AT - 2 * MONTH), word("ocsp:bad", AT - 2 * MONTH, final=True)
    ledger.learn([good, revoked, word("ocsp:new"), word("crl:old", AT - 2 * MONTH)])
    assert ledger.forget(AT - MONTH) == 2
    assert "gone" not in {known.fingerprint for known in ledger.certificates(10, AT)}
    items, _ = ledger.learned(0, 10)
    assert sorted(item.subject for item in items) == ["crl:old", "ocsp:bad", "ocsp:new"]
    assert ledger.forget(AT - MONTH) == 0


WAITS = (Finding("SIG302", found="CN=a"),)


def test_held_once_and_let_go_once(ledger: Ledger) -> None:
    def hold(name: str, body: bytes = b"<a/>", partner: str = "trader") -> str:
        kept = ledger.hold(
            submission(name, body, partner), WAITS, (b"leaf", b"root"), AT + HOUR, [sighting("a")]
        )
        return kept.id

    assert hold("s1") == "s1"
    assert hold("s2") == "s1"  # the same bytes of the same partner
    assert hold("s3", partner="van") == "s3"
    assert hold("s4", body=b"<b/>") == "s4"
    waiting = ledger.holdings("", 10)
    assert [h.id for h in waiting] == ["s1", "s3", "s4"]
    assert waiting[0].certificates == (b"leaf", b"root")
    assert waiting[0].findings == WAITS
    assert (waiting[0].received_at, waiting[0].deadline) == (AT, AT + HOUR)
    assert ledger.held_count() == 3
    assert [h.id for h in ledger.holdings("s1", 1)] == ["s3"]
    assert [h.id for h in ledger.holdings("s4", 9)] == []
    assert claimed(ledger, AT) == ["a"]  # what it waits for is asked after
    assert ledger.held_submission("s1") == submission("s1")
    assert ledger.holding("van", "s1") is None
    ledger.let_go("s1", "s9")
    ledger.let_go("s1", "s10")  # a second process comes late
    gone = ledger.holding("trader", "s1")
    assert gone is not None
    assert gone.became == "s9"
    assert ledger.held_submission("s1") is None
    assert [h.id for h in ledger.holdings("", 10)] == ["s3", "s4"]
    assert hold("s5") == "s1"


def test_a_large_list_is_hashed_once_not_for_every_message_that_rests_on_it() -> None:
    """Each proof names it by its digest; 50 MB cost tenths of a second, a look-up nothing."""
    page = Page(None, Chain(), AT)  # type: ignore[arg-type]
    crl = b"x" * 50_000_000
    began = time.process_time()
    first = page.keep([crl])
    once = time.process_time() - began
    began = time.process_time()
    assert {page.keep([crl]) for _ in range(100)} == {first} == {(hashlib.sha256(crl).hexdigest(),)}
    assert time.process_time() - began < 20 * once


def test_a_lease_by_a_clock_that_was_ahead_counts_as_ended(ledger: Ledger) -> None:
    ledger.sight([sighting("a")], AT)
    assert claimed(ledger, AT + 5 * HOUR) == ["a"]
    assert claimed(ledger, AT) == ["a"]
    assert claimed(ledger, AT) == []
