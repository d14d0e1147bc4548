"""A message of everyday size that ends whichever process judges it, as by a fault in native code."""

from __future__ import annotations

import hashlib
import http.client
import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.model import Finding, Partner, Submission
from gateway.operations.setaside import ENDED
from gateway.operations.suspects import Suspects
from gateway.transport import identifier
from tests.chaos.launch.sitecustomize import ENDLESS, FATAL, TOLD
from tests.chaos.node import Node
from tests.journeys.conftest import Found
from tests.journeys.plain import Answer, Plain
from tests.journeys.town import AN_PHAT, BINH_MINH, BOOKS, CUU_LONG, DAI_NAM, Town, until

SECONDS = 120.0
"""For all processes that end to be begun again, on a slow machine."""
AWAY = (OSError, http.client.HTTPException, ValueError)
DOOR, WORKER = "a door dies of it\n", "a worker dies of it\n"


@pytest.fixture
def town(found: Found) -> Iterator[Town]:
    """Its gateway dies of FATAL, and was not begun."""
    made = found("sqlite")
    made.gateway = Node(made.home, {}, "fatal")
    yield made
    made.gateway.sweep()


def marked(town: Town, sender: Partner, mark: bytes) -> bytes:
    document = town.declaration(sender, BOOKS)
    assert b"Pearl River Trading Co." in document
    return town.sign(document.replace(b"Pearl River Trading Co.", mark), sender)


def hold(town: Town, sender: Partner, body: bytes) -> str:
    """As a door does that cannot tell whether a certificate was revoked."""
    now, digest = datetime.now(UTC), hashlib.sha256(body).hexdigest()
    made = identifier.new(now, os.urandom(identifier.RANDOM_OCTETS))
    submission = Submission(made, sender.id, "https", "application/xml", body, digest, now)
    town.ledger.hold(submission, (Finding("SIG303"),), (), now + timedelta(hours=1), ())
    return made


def sent(client: Plain, body: bytes) -> Answer | None:
    """What came of it, None where the gateway was away."""
    try:
        return client.submit(body)
    except AWAY:
        return None


def until_answered(client: Plain, body: bytes) -> Answer:
    """Sent again as long as that may help."""
    end = time.monotonic() + SECONDS
    while (answer := sent(client, body)) is None or answer.status == 503:
        assert time.monotonic() < end, answer
        time.sleep(0.1)
    return answer


def in_one_turn(town: Town, *papers: tuple[Partner, bytes]) -> None:
    """Several send while the door stands still, and find nobody there when it has gone on."""
    clients = [town.client(partner) for partner, _ in papers]
    for client in clients:
        client.entries(everything=True)
    (door,) = town.gateway.doors()
    os.kill(door, signal.SIGSTOP)
    sending = [
        threading.Thread(target=sent, args=(client, body))
        for client, (_, body) in zip(clients, papers, strict=True)
    ]
    for thread in sending:
        thread.start()
    time.sleep(0.3)
    os.kill(door, signal.SIGCONT)
    for thread in sending:
        thread.join()


def test_it_ends_one_door_and_three_workers_and_is_set_aside(town: Town) -> None:
    """Sent, and held: who looks after what is held judges none of it, as his end would close every door."""
    body, innocent = marked(town, AN_PHAT, FATAL), town.signed(BINH_MINH, BOOKS)
    held = marked(town, DAI_NAM, FATAL)
    hold(town, DAI_NAM, held)
    for _ in range(ENDED - 1):
        Suspects(town.home).ended(hashlib.sha256(held).hexdigest())  # long ago
    beside = hold(town, CUU_LONG, marked(town, CUU_LONG, TOLD))
    town.gateway.start()
    in_one_turn(town, (BINH_MINH, innocent), (AN_PHAT, body))
    until(lambda: DOOR in town.gateway.log(), SECONDS)
    assert until_answered(town.client(BINH_MINH), innocent).outcome == "accepted"
    refused = until_answered(town.client(AN_PHAT), body)
    assert (refused.status, refused.codes) == (422, ["API5034"])
    assert town.ledger.counts().refusals["API5034"] == 1
    until(lambda: "held, and set aside until somebody looks" in town.gateway.log(), SECONDS)
    assert town.await_entries(CUU_LONG, beside, "registered", seconds=SECONDS)
    for octets in (body, held):
        assert (town.home / "aside" / hashlib.sha256(octets).hexdigest()).read_bytes() == octets
    log = town.gateway.log()
    assert ("a worker judges it" in log, "a door judges it" in log) == (True, False)
    assert (log.count(DOOR), log.count(WORKER)) == (1, ENDED + 1)
    assert town.gateway.stop() == 0
    assert _left(town.home) == []


def test_what_is_judged_for_ever_ends_one_door_and_three_workers_too(town: Town) -> None:
    """A door that stands still is ended by its supervisor, a worker by the kernel, when its time is over."""
    conf = town.home / "conf" / "gateway.toml"
    text = conf.read_text("utf-8")
    text = text.replace("hung_seconds = 30", "hung_seconds = 3").replace(
        "judging_seconds = 60", "judging_seconds = 3"
    )
    conf.write_text(text, "utf-8")
    town.gateway.start()
    body = marked(town, AN_PHAT, ENDLESS)
    (door,) = town.gateway.doors()
    assert sent(town.client(AN_PHAT), body) is None
    until(lambda: "door 1 stands still: it is ended" in town.gateway.log(), SECONDS)
    refused = until_answered(town.client(AN_PHAT), body)
    assert (refused.status, refused.codes) == (422, ["API5034"])
    assert until_answered(town.client(BINH_MINH), town.signed(BINH_MINH, BOOKS)).outcome == "accepted"
    assert town.gateway.doors() != [door]
    log = town.gateway.log()
    assert (log.count("stands still"), log.count("SIGPROF")) == (
        1,
        ENDED - 1,
    )  # the third is told as set aside
    assert town.gateway.stop() == 0
    assert _left(town.home) == []


def _left(home: Path) -> list[str]:
    """Of what was under way, after an orderly end."""
    notes = [*(home / "run/judging").iterdir(), *(home / "run/begun").iterdir()]
    return [note.name for note in notes if any(note.read_bytes()) or note.parent.name == "begun"]
