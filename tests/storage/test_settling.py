"""Settling: once each, whatever comes twice, in whatever order, from however many writers."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.model import Answer, Event, Outcome
from gateway.storage import Clash, Ledger, LedgerError, Settlement, Stale, working
from gateway.storage.settling import MAX_REFUSALS

from .making import NOW, SECOND, outgoing, settlement


def answer(one: Settlement, *, repeated: bool = False) -> Answer:
    return Answer(one.submission.id, one.verdict.outcome, one.receipt, repeated)


def test_a_settlement_is_answered_with_its_receipt(ledger: Ledger) -> None:
    first, second = settlement("a"), settlement("b", messages=3)
    assert ledger.settle([first, second]) == [answer(first), answer(second)]
    assert ledger.raw("b") == second.submission
    assert ledger.settle([]) == []


def test_nobody_waits_while_messages_are_gone_through(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be very many: what is made of them is made before the transaction, which others wait for."""
    inside: list[bool] = []
    looked: list[bool] = []
    write = ledger._database.write

    def writing(work: Callable[[Any], Any]) -> Any:
        inside.append(True)
        try:
            return write(work)
        finally:
            inside.pop()

    class Watched(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            looked.append(bool(inside))
            return super().__iter__()

    monkeypatch.setattr(ledger._database, "write", writing)
    one = settlement("a", messages=3)
    verdict = msgspec.structs.replace(one.verdict, messages=Watched(one.verdict.messages))
    due, answers = Watched(one.deliveries), Watched([outgoing("a.1.x", about="a.1", kind="rejected")])
    one = msgspec.structs.replace(one, verdict=verdict, deliveries=due, answers=answers)
    assert ledger.settle([one]) == [answer(one)]
    assert looked
    # Answers are of rejected messages alone, and stored as they are.
    assert looked.count(True) == 1


def test_octets_come_back_as_they_came(ledger: Ledger) -> None:
    body = bytes(range(256)) * 40
    ledger.settle([settlement("a", body=body)])
    stored = ledger.raw("a")
    assert stored is not None
    assert stored.body == body
    assert ledger.raw("nobody") is None


def test_same_bytes_get_the_first_receipt(ledger: Ledger) -> None:
    first = settlement("a", body=b"x", reference="R")
    again = settlement("b", body=b"x", reference="R")
    ledger.settle([first])
    assert ledger.settle([again, settlement("c")])[0] == answer(first, repeated=True)
    assert ledger.known("VAN1", first.submission.digest) == answer(first, repeated=True)
    assert ledger.known("VAN2", first.submission.digest) is None
    assert ledger.raw("b") is None
    assert ledger.fetch("VAN1", "b.r") is None


def test_same_bytes_by_another_partner_are_repeated_by_their_claim(ledger: Ledger) -> None:
    first = settlement("a", body=b"x", reference="R")
    ledger.settle([first])
    other = settlement("b", body=b"x", reference="R", partner="VAN2")
    assert ledger.settle([other]) == [answer(first, repeated=True)]


def test_same_reference_with_other_bytes_clashes_and_leaves_nothing(ledger: Ledger) -> None:
    first, clash, neighbour = (
        settlement("a", reference="R"),
        settlement("b", reference="R"),
        settlement("c"),
    )
    ledger.settle([first])
    expected = Clash("a", first.submission.digest, "R")
    assert ledger.settle([clash, neighbour]) == [expected, answer(neighbour)]
    assert ledger.claimed("TRADER1", "IM:R") == ("a", first.submission.digest)
    assert ledger.claimed("TRADER2", "IM:R") is None
    assert ledger.raw("b") is None
    assert ledger.status("VAN1", "b") is None


def test_a_refused_clash_is_stored_without_its_claim(ledger: Ledger) -> None:
    first, refused = settlement("a", reference="R"), settlement("b", reference="R", claim=False)
    assert ledger.settle([first, refused]) == [answer(first), answer(refused)]
    again = settlement("c", body=refused.submission.body, reference="R")
    assert ledger.settle([again]) == [answer(refused, repeated=True)]
    assert ledger.claimed("TRADER1", "IM:R") == ("a", first.submission.digest)


def test_duplicates_inside_a_batch(ledger: Ledger) -> None:
    first = settlement("a", body=b"x", reference="R")
    same = settlement("b", body=b"x", reference="R")
    clash = settlement("c", body=b"y", reference="R")
    last = settlement("d")
    assert ledger.settle([first, same, clash, last]) == [
        answer(first),
        answer(first, repeated=True),
        Clash("a", first.submission.digest, "R"),
        answer(last),
    ]


def test_settling_again_after_an_unheard_commit_is_no_repetition(ledger: Ledger) -> None:
    one = settlement("a")
    assert ledger.settle([one]) == ledger.settle([one]) == [answer(one)]


def test_an_id_of_another_submission_is_our_fault_and_stores_nothing(ledger: Ledger) -> None:
    ledger.settle([settlement("a")])
    with pytest.raises(LedgerError, match="another submission"):
        ledger.settle([settlement("b"), settlement("a", body=b"other", reference="other")])
    assert ledger.raw("b") is None


def test_an_id_with_a_point_and_a_time_without_zone_are_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="point"):
        ledger.settle([settlement("a.b")])
    naive = Event("a", datetime(2026, 1, 1), "x")  # noqa: DTZ001
    with pytest.raises(ValueError, match="zone"):
        ledger.note([naive])


def test_references_of_any_length_and_script_are_claimed(ledger: Ledger) -> None:
    long = "Tờ khai " * 2_000
    first = settlement("a", reference=long)
    ledger.settle([first])
    assert ledger.settle([settlement("b", reference=long)]) == [Clash("a", first.submission.digest, long)]
    assert isinstance(ledger.settle([settlement("c", reference=long + "!")])[0], Answer)
    assert [f.submission for f in ledger.find("TRADER1", long)] == ["a"]


def test_without_a_reference_nothing_is_claimed(ledger: Ledger) -> None:
    batch = [settlement("a", reference=""), settlement("b", reference="")]
    assert [a for a in ledger.settle(batch) if isinstance(a, Answer) and not a.repeated] == [
        answer(s) for s in batch
    ]


def test_further_answers_are_in_the_mailbox(ledger: Ledger) -> None:
    refusal = outgoing("a.2.x", "VAN1", "a.2", "rejected")
    ledger.settle([msgspec.structs.replace(settlement("a"), answers=(refusal,))])
    assert ledger.fetch("VAN1", "a.2.x") == refusal


def test_writers_at_the_same_moment_settle_each_submission_once(database_url: str) -> None:
    """Four writers with their own connections settle the same forty submissions in different orders."""
    answers: list[list[Answer | Clash]] = []
    turn = threading.Barrier(4)

    def work(writer: int) -> None:
        mine = [settlement(f"w{writer}-{n}", body=b"%d" % n, reference=f"R{n}") for n in range(40)]
        own = Ledger.open(database_url)
        turn.wait()
        for start in range(0, 40, 8):
            batch = mine[start : start + 8]
            answers.append(own.settle(batch[::-1] if writer % 2 else batch))
        own.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    flat = [a for batch in answers for a in batch if isinstance(a, Answer)]
    assert len(flat) == 160
    assert sum(not a.repeated for a in flat) == 40
    assert len({a.submission for a in flat}) == 40


def test_refusals_are_kept_and_bounded(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_REFUSALS >= 1_000
    monkeypatch.setattr("gateway.storage.settling.MAX_REFUSALS", 5)
    for n in range(8):
        ledger.refuse("", "https", "SIG001" if n % 2 else "SIG002", "00", NOW + n * SECOND)
    assert sum(ledger.counts().refusals.values()) == 5
    assert ledger.counts().refusals == {"SIG001": 3, "SIG002": 2}


def test_times_keep_their_microseconds_and_become_utc(ledger: Ledger) -> None:
    east = NOW.astimezone(timezone(timedelta(hours=7)))
    ledger.note([Event("a", east, "x")])
    ledger.settle([settlement("a")])
    status = ledger.status("VAN1", "a")
    assert status is not None
    assert status.received_at == NOW
    assert status.timeline[-1].at == NOW
    assert status.timeline[-1].at.utcoffset() == timedelta(0)


EXAMPLES = itertools.count()
filings = st.lists(
    st.tuples(
        st.sampled_from(["VAN1", "VAN2"]),
        st.sampled_from([b"x", b"y", b"z"]),
        st.sampled_from(["R1", "R2", ""]),
        st.booleans(),
    ),
    max_size=8,
)


@contextmanager
def opened(url: str) -> Iterator[Ledger]:
    ledger = Ledger.open(url)
    try:
        yield ledger
    finally:
        ledger.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(filings, min_size=1, max_size=4))
def test_any_sequence_obeys_the_two_rules(database_url: str, batches: list) -> None:
    """Against a model of two dictionaries: who was first with these bytes, and with this claim."""
    by_bytes: dict[tuple[str, bytes], Answer] = {}
    by_claim: dict[str, tuple[str, bytes]] = {}
    numbers, salt = itertools.count(), next(EXAMPLES)  # one database serves all examples
    with opened(database_url) as ledger:
        for batch in batches:
            given_ = [_salted(salt, next(numbers), filing) for filing in batch]
            expected = [_judge(one, by_bytes, by_claim) for one in given_]
            assert ledger.settle(given_) == expected
        for first in by_bytes.values():
            assert ledger.fetch(first.receipt.partner, first.receipt.id) == first.receipt
        for claim, (submission, _) in by_claim.items():
            owner = ledger.claimed(f"T{salt}", claim)
            assert owner is not None
            assert owner[0] == submission


def _salted(salt: int, number: int, filing: tuple[str, bytes, str, bool]) -> Settlement:
    partner, body, reference, claim = filing
    return settlement(
        f"{salt}-{number}",
        body=body + str(salt).encode(),
        reference=reference,
        partner=f"{partner}{salt}",
        signer=f"T{salt}",
        claim=claim,
    )


def _judge(
    one: Settlement,
    by_bytes: dict[tuple[str, bytes], Answer],
    by_claim: dict[str, tuple[str, bytes]],
) -> Answer | Clash:
    submission, claim = one.submission, one.verdict.claim if one.claim else ""
    known = by_bytes.get((submission.partner, submission.body))
    owner = by_claim.get(claim) if claim else None
    if known is None and owner is not None and owner[1] == submission.body:
        known = next(a for a in by_bytes.values() if a.submission == owner[0])
    if known is not None:
        return Answer(known.submission, Outcome.PARTLY, known.receipt, True)
    if owner is not None:
        return Clash(owner[0], hashlib.sha256(owner[1]).hexdigest(), one.verdict.reference)
    by_bytes[submission.partner, submission.body] = answer(one)
    if claim:
        by_claim[claim] = (submission.id, submission.body)
    return answer(one)


def test_what_another_one_works_on_by_now_is_not_stored(ledger: Ledger) -> None:
    """Nor beside something that was sent twice, when the batch is gone through one by one."""
    ledger.settle([settlement("s1")])
    mine = msgspec.structs.replace(settlement("s2"), owner="me")
    ledger.hold(mine.submission, (working("you"),), (), NOW, ())
    again = settlement("s3", body=settlement("s1").submission.body)
    assert ledger.settle([mine]) == [Stale()]
    assert ledger.settle([again, mine])[1] == Stale()
    assert ledger.status("VAN1", "s2") is None
    yours = msgspec.structs.replace(mine, owner="you")
    assert ledger.settle([yours]) == [Answer("s2", mine.verdict.outcome, mine.receipt)]


def test_a_lease_is_renewed_by_its_owner_alone(ledger: Ledger) -> None:
    submission = settlement("s1").submission
    ledger.hold(submission, (working("you"),), (), NOW, ())
    assert not ledger.renew_held("s1", "me", NOW + 60 * SECOND)
    assert ledger.renew_held("s1", "you", NOW + SECOND)
    assert ledger.take_over("me", NOW + SECOND, NOW + 5 * SECOND) is not None
    assert not ledger.renew_held("s1", "you", NOW + 60 * SECOND)
