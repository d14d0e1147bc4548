"""A server that reads its files again: what is new counts from the next message on, what is broken never."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread

from gateway import security
from gateway.delivery import BackendCourier
from gateway.intake import Intake, Numbers
from gateway.model import Decision, DecisionKind
from gateway.operations import home as homes
from gateway.operations.server import Server
from gateway.storage import Ledger
from tests.delivery.fakes import InlineCommits, InlinePool, PaperOffice, StillReactor, done
from tests.operations.knowledge import NOW, TRADER, World, declaration

REACTOR: Any = installed


@pytest.fixture
def server(home: Path) -> Iterator[Server]:
    if not REACTOR.running:
        threading.Thread(target=REACTOR.run, args=(False,), daemon=True).start()
    made = blockingCallFromThread(REACTOR, Server, home, REACTOR)

    yield made
    blockingCallFromThread(REACTOR, lambda: Deferred.fromCoroutine(made.stop()))


def rotate(server: Server, name: str) -> str:
    """A new signing key in the home; its subject."""
    own = server.home / server.settings.keys.own
    subject = homes.subject(name, "Customs gateway", "VN")
    homes.authority(server.home).issue(subject, own / "signing.key.pem", own / "signing.crt.pem")
    return subject


def test_a_rotated_key_is_told_to_who_signs(server: Server) -> None:
    told: list[str] = []
    server.on_reload(lambda: told.append(server.signing(datetime.now(UTC)).signer.subject))
    subject = rotate(server, "Gateway signing 2")
    blockingCallFromThread(REACTOR, server.reload)
    assert told == [subject]


def test_broken_knowledge_keeps_the_old_and_own_keys_go_their_way(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[None] = []
    server.on_reload(lambda: told.append(None))
    book = server.handbook()
    subject = rotate(server, "Gateway signing 2")
    (server.home / "mappings/rules/common.toml").write_text("broken [")
    blockingCallFromThread(REACTOR, server.reload)
    assert (server.handbook().catalogue is book.catalogue, told) == (True, [])
    assert server.signing(datetime.now(UTC)).signer.subject == subject
    assert "knowledge not reloaded: " in caplog.text


@pytest.mark.parametrize("name", ["signing.key.pem", "keys.toml"])
def test_a_broken_own_key_stops_no_knowledge(
    server: Server, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Partners' anchors are taken up; the key goes on from memory, and the fault is told once."""
    told: list[None] = []
    server.on_reload(lambda: told.append(None))
    before, book = server.signing(datetime.now(UTC)), server.handbook()
    (server.home / server.settings.keys.own / name).write_text("broken [")
    for _ in range(2):
        blockingCallFromThread(REACTOR, server.reload)
    assert server.signing(datetime.now(UTC)).certificates == before.certificates
    assert server.signing(datetime.now(UTC)).sign(b"x", datetime.now(UTC))
    assert server.handbook().trust is not book.trust
    assert told == [None, None]
    assert name.partition(".")[0] in caplog.text


def test_files_of_others_are_read_each_for_itself(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    read: list[str] = []

    def broken() -> None:
        raise ValueError("why")

    caplog.set_level("INFO")
    server.on_hangup("first", broken)
    server.on_hangup("second", lambda: read.append("second"))
    (server.home / "mappings/rules/common.toml").write_text("broken [")
    blockingCallFromThread(REACTOR, server.reload)
    assert read == ["second"]
    assert "first not reloaded: why" in caplog.text
    assert "second reloaded" in caplog.text


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def commits(sqlite_url: str) -> Iterator[InlineCommits]:
    ledger = Ledger.open(sqlite_url)
    yield InlineCommits(ledger)
    ledger.close()


class Ring:
    """Own keys, of which the active one changes."""

    def __init__(self, key: security.SigningKey) -> None:
        self.key = key

    def signing(self, now: datetime) -> security.SigningKey:
        return self.key


def signer(world: World, body: bytes, media_type: str) -> str:
    policy = security.Policy()
    return security.verify(body, media_type, world.handbook.trust, policy, datetime.now(UTC)).signer.subject


def test_the_next_receipt_is_signed_with_the_new_key(world: World, commits: InlineCommits) -> None:
    anything: Any = commits
    new = world.issue("gateway-2", "Gateway signing 2")
    ring = Ring(world.own)
    intake = Intake(anything, Numbers(commits.ledger), lambda: world.handbook, ring, lambda: NOW, "office")
    signers = []
    for reference, key in (("LRN-1", world.own), ("LRN-2", new)):
        ring.key = key
        answer = done(intake.submit(world.submission(world.signed(declaration(reference)))))
        signers.append(signer(world, answer.receipt.body, answer.receipt.media_type))
    assert signers == [world.own.signer.subject, new.signer.subject]


def test_the_next_decision_is_signed_with_the_new_key(world: World, commits: InlineCommits) -> None:
    anything: Any = commits
    new, office, reactor, pool = (
        world.issue("gateway-2", "Gateway signing 2"),
        PaperOffice(),
        StillReactor(),
        InlinePool(),
    )
    numbers, ring = Numbers(commits.ledger), Ring(world.own)
    intake = Intake(anything, numbers, lambda: world.handbook, world.own, lambda: NOW, "office")
    threads: Any = pool
    courier = BackendCourier(
        "office",
        office,
        anything,
        numbers,
        lambda: world.handbook,
        ring,
        reactor,
        threads,
        reactor.now,
        "me",
    )
    signers = []
    for number, key in ((1, world.own), (2, new)):
        ring.key = key
        answer = done(intake.submit(world.submission(world.signed(declaration(f"LRN-{number}")))))
        message = f"{answer.submission}.1"
        office.outbox.append(
            Decision(
                f"d{number}",
                message,
                DecisionKind.REGISTERED,
                NOW,
                statement="Yes",
                registration=f"26VN{number:014}",
            )
        )
        done(courier.round())
        said = commits.ledger.fetch(TRADER.id, f"{message}.d{number}.d")
        assert said is not None
        signers.append(signer(world, said.body, said.media_type))
    assert signers == [world.own.signer.subject, new.signer.subject]
