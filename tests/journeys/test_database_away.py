"""PostgreSQL goes down under load and comes up again; the gateway waits for it, and nothing is lost."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.intake import INLINE_BYTES
from tests.journeys.plain import Answer
from tests.journeys.test_crash import Paper, Senders, rows
from tests.journeys.town import AN_PHAT, BINH_MINH, BOOKS, CUU_LONG, LINE, Town, until
from tests.postgres import PostgresServer, postgres_or_skip

MESSAGES = 60
OUTAGES = 2
AWAY_SECONDS = 2.5
ANSWER_SECONDS = 5.0
"""Within which a partner is told that the gateway cannot take its message."""
SETTLED_WITHIN = 60.0
SEED = 7


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server of this test's own, which it may end."""
    made = PostgresServer(postgres_or_skip())
    yield made
    made.close()


@pytest.fixture
def town(server: PostgresServer, tmp_path: Path) -> Iterator[Town]:
    """A town with ledger and office on that server, its gateway up."""
    name = server.create()
    made = Town(tmp_path, server.url(name), server.url(name))
    made.gateway.start()
    yield made
    made.close()


def papers(town: Town) -> list[Paper]:
    made = []
    for number in range(MESSAGES):
        sender, reference = (AN_PHAT, BINH_MINH, CUU_LONG)[number % 3], town.reference()
        if number % 6 == 0:
            bills = [town.bill(), town.bill()]
            body, kind = town.sealed(town.manifest(bills))
            made.append(Paper(LINE, body, kind, tuple(b.number for b in bills)))
        else:
            made.append(Paper(sender, town.signed(sender, BOOKS, reference), "application/xml", (reference,)))
    return made


def for_a_worker(town: Town) -> bytes:
    """A declaration so large that a process of its own judges it."""
    document = town.declaration(AN_PHAT, BOOKS)
    padded = document.replace(b"<GoodsShipment>", b"<GoodsShipment>" + b" " * 2 * INLINE_BYTES)
    return town.sign(padded, AN_PHAT)


class Probe:
    """A partner that sends the same declaration, again and again, and keeps what it hears."""

    def __init__(self, town: Town) -> None:
        self.heard: list[tuple[Answer, float]] = []
        self.unheard: list[str] = []
        self._client = town.new_client(BINH_MINH)
        self._body = town.signed(BINH_MINH, BOOKS)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            try:
                answer = self._client.submit(self._body)
                self.heard.append((answer, time.monotonic() - began))
            except (OSError, http.client.HTTPException) as error:
                self.unheard.append(repr(error))
            time.sleep(0.02)


def test_the_database_goes_down_under_load_and_comes_up_again(server: PostgresServer, town: Town) -> None:
    before = town.gateway.group()
    sent, large = papers(town), for_a_worker(town)
    probe = Probe(town)
    senders = Senders(town, sent, SEED)
    for number in range(1, OUTAGES + 1):
        share = number * MESSAGES // (OUTAGES + 2)
        until(lambda n=share: len(senders.acknowledged) >= n or senders.ended, 60)  # type: ignore[misc]
        assert not senders.ended
        server.crash()
        time.sleep(AWAY_SECONDS)
        until(lambda: town.client(AN_PHAT).call("GET", "/health/ready").status == 503)
        assert town.client(AN_PHAT).call("GET", "/health/live").status == 200
        assert town.client(AN_PHAT).mailbox().status == 503
        assert town.client(AN_PHAT).submit(large).status == 503
        server.start()
        until(lambda: town.client(AN_PHAT).call("GET", "/health/ready").status == 200)
        assert town.client(AN_PHAT).submit(large).outcome == "accepted"
    until(lambda: senders.ended, 90, "the gateway did not recover")
    probe.stop()

    assert set(before) <= set(town.gateway.group())  # nobody had to begin again
    told_to_wait(probe)
    assert senders.odd == []
    assert senders.differing == []
    assert len(senders.acknowledged) == MESSAGES
    registered_once(town, Counter(r for paper in sent for r in paper.references), senders)


def told_to_wait(probe: Probe) -> None:
    """While the database was away every answer was 503 with a time to wait, and came soon; the first and
    the last word are the receipt, the same one."""
    assert probe.unheard == []
    taken = [answer for answer, _ in probe.heard if answer.status == 200]
    refused = [answer for answer, _ in probe.heard if answer.status != 200]
    assert len(refused) > 10
    assert {answer.status for answer in refused} == {503}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert {tuple(answer.codes) for answer in refused} == {("API503",)}
    assert max(seconds for _, seconds in probe.heard) < ANSWER_SECONDS
    assert probe.heard[0][0].status == probe.heard[-1][0].status == 200
    assert len({answer.body for answer in taken}) == 1
    assert [answer.repeated for answer in taken] == [False] + [True] * (len(taken) - 1)


def registered_once(town: Town, references: Counter[str], senders: Senders) -> None:
    """Each reference has one case, one registration and one message about it, whatever was sent twice."""
    wanted = len(references) + 2  # the probe's own, and the large one
    told = "select count(*) from outgoing where kind = 'registered'"
    until(
        lambda: int(str(rows(town.ledger_url, told)[0][0])) >= wanted,
        SETTLED_WITHIN,
        town.gateway.log()[-500:],
    )
    until(lambda: sum(town.ledger.counts().due.values()) == 0, SETTLED_WITHIN, "couriers did not finish")
    cases = rows(town.clearance_url, "select lrn, registration, version from clearance_case")
    assert Counter(lrn for lrn, _, _ in cases) >= references
    assert len(cases) == wanted
    assert {version for _, _, version in cases} == {1}
    assert rows(town.ledger_url, told) == [(wanted,)]
    messages = rows(
        town.ledger_url,
        "select lrn, registration from message m join decision d "
        "on d.submission = m.submission and d.about = '.' || m.ordinal where registration <> ''",
    )
    assert dict(messages) == {lrn: registration for lrn, registration, _ in cases}
    assert len(set(messages)) == wanted
    for paper, answer in senders.acknowledged.values():
        kept = town.client(paper.sender).call("GET", f"/v1/messages/{answer.submission}/receipt")
        assert (kept.status, kept.body) == (200, answer.body)
    assert town.ledger.counts().dead == {}
