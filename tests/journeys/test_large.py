"""Large messages: judged in a worker process, bounded by the partner's limit, and no trouble to others."""

from __future__ import annotations

import os
import re
import signal
import threading
import time

from gateway.intake import INLINE_BYTES
from tests.journeys.town import AN_PHAT, FEEDER, LAPTOPS, LINE, Town, until

DEFAULT_LIMIT = 10 * 1024 * 1024
LINES = 98
"""FTX of a goods item may stand 99 times; one is there already."""
HEARD_SECONDS = 0.3
"""For a large one to be with its worker; where it is not yet, the test says less, and fails no more for it."""


def manifest(town: Town, octets: int) -> tuple[bytes, int]:
    """An interchange of at least so many octets, its goods described at length; and its number of bills."""
    text = ":".join([f"{'Parts of furniture, of wood, packed for the sea ':.<70}"] * 5)
    more = f"FTX+AAA+++{text}'".encode() * LINES
    one = town.manifest([town.bill()])  # its envelope is less than 150
    count = octets // (len(one) - 150 + len(more)) + 1
    whole = town.manifest([town.bill() for _ in range(count)])
    whole = whole.replace(b"MEA+WT", more + b"MEA+WT")
    whole = re.sub(rb"UNT\+(\d+)\+", lambda found: b"UNT+%d+" % (int(found[1]) + LINES), whole)
    assert len(whole) > octets
    return whole, count


def test_a_large_manifest_is_answered_like_a_small_one(town: Town) -> None:
    interchange, count = manifest(town, INLINE_BYTES)
    body, media_type = town.sealed(interchange)
    answer = town.client(LINE).submit(body, media_type)
    assert answer.outcome == "accepted"
    assert b"CONTRL" in town.prove(answer.body, answer.media_type)
    town.await_entries(LINE, answer.submission, *["registered"] * count)
    again = town.client(LINE).submit(body, media_type)
    assert (again.repeated, again.body) == (True, answer.body)


def test_a_large_clash_is_refused(town: Town) -> None:
    interchange, _ = manifest(town, INLINE_BYTES)
    other = interchange.replace(b"KGM:5000", b"KGM:5001")
    outcomes = []
    for content in (interchange, other):
        body, media_type = town.sealed(content)
        outcomes.append(town.client(LINE).submit(body, media_type).outcome)
    assert outcomes == ["accepted", "rejected"]


def test_a_large_tampered_manifest_is_refused_as_a_small_one(town: Town) -> None:
    interchange, _ = manifest(town, INLINE_BYTES)
    body, media_type = town.sealed(interchange)
    answer = town.client(LINE).submit(body.replace(b"KGM:5000", b"KGM:5001"), media_type)
    assert answer.status == 403
    assert answer.codes[0].startswith("SIG")
    assert answer.json()["findings"][0]["text_vi"]


def test_large_octets_that_cannot_be_answered(town: Town) -> None:
    body, media_type = town.sealed(b"UNB+nothing" + b" " * INLINE_BYTES)
    answer = town.client(LINE).submit(body, media_type)
    assert answer.status == 422
    assert answer.codes[0].startswith("EDI")


def test_beyond_the_default_only_where_the_partner_s_limit_allows(town: Town) -> None:
    interchange, count = manifest(town, DEFAULT_LIMIT)
    body, media_type = town.sealed(interchange)
    answer = town.client(LINE).submit(body, media_type)
    assert answer.outcome in (
        "accepted",
        "held",
    )  # held: on a slow machine it takes longer than half a minute
    refused = town.new_client(FEEDER).announce(len(body), media_type)
    assert (refused.status, refused.codes) == (413, ["API413"])
    assert refused.json()["findings"][0]["expected"] == str(DEFAULT_LIMIT)
    town.await_entries(LINE, answer.submission, *["registered"] * count)


def test_small_messages_do_not_wait_for_a_large_one(town: Town) -> None:
    """They are answered while the worker stands still over the large one."""
    first, media_type = town.sealed(manifest(town, INLINE_BYTES)[0])
    assert town.client(LINE).submit(first, media_type).status == 200
    body, _ = town.sealed(manifest(town, 4 * INLINE_BYTES)[0])
    large = town.new_client(LINE)
    answers = []
    small = [town.signed(AN_PHAT, LAPTOPS) for _ in range(3)]
    workers = town.gateway.workers()
    assert workers
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        sender = threading.Thread(target=lambda: answers.append(large.submit(body, media_type)))
        sender.start()
        time.sleep(HEARD_SECONDS)
        for signed in small:
            assert town.client(AN_PHAT).submit(signed).outcome == "accepted"
        assert not answers
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    sender.join(60)
    assert answers[0].outcome == "accepted"


def test_a_worker_that_is_killed_is_replaced(town: Town) -> None:
    interchange, _ = manifest(town, INLINE_BYTES)
    body, media_type = town.sealed(interchange)
    assert town.client(LINE).submit(body, media_type).status == 200
    before = town.gateway.workers()
    assert before
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not set(before) & set(town.gateway.workers()))
    interchange, _ = manifest(town, INLINE_BYTES)
    body, media_type = town.sealed(interchange)
    answer = town.client(LINE).submit(body, media_type)
    if answer.status == 503:  # it was given to the dead worker; the sender tries again
        assert "retry-after" in answer.headers
        answer = town.client(LINE).submit(body, media_type)
    assert (answer.status, answer.outcome) == (200, "accepted")
