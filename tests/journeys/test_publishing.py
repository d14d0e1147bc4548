"""What is accepted and decided reaches a real broker, each once, whatever is killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from adapters.jetstream import Access, JetStream, Wanted
from gateway.delivery.publishing import LEASE
from gateway.operations.demo.town import configure
from gateway.storage import LedgerUnavailable
from tests.broker import Broker, Stored, broker
from tests.delivery import schemas
from tests.delivery.conftest import commits, delivery_world, ledger, reactor  # noqa: F401 - fixtures
from tests.delivery.fakes import InlineCommits, StillReactor
from tests.delivery.test_publishing import Desk
from tests.journeys.conftest import DATABASES, Found
from tests.journeys.plain import Plain
from tests.journeys.test_crash import rows
from tests.journeys.town import AN_PHAT, BINH_MINH, BOOKS, CUU_LONG, LAPTOPS, Town, until
from tests.operations.knowledge import World

FILERS = (AN_PHAT, BINH_MINH, CUU_LONG)
DECLARATIONS = 30
PATIENCE = 90.0


@pytest.fixture
def server() -> Iterator[Broker]:
    with broker() as made:
        made.add_stream()
        yield made


@pytest.fixture(params=DATABASES)
def publishing(request: pytest.FixtureRequest, found: Found, server: Broker) -> Iterator[Town]:
    """A town that publishes, its gateway up."""
    made = found(request.param)
    configure(made.home, servers=[server.url])
    made.gateway.start()
    yield made
    made.gateway.sweep()


def expected(town: Town) -> Counter[str]:
    """The ids of all that must be in the stream, as the ledger's tables say."""
    accepted = rows(town.ledger_url, "select submission, ordinal from message where outcome = 'accepted'")
    decided = rows(town.ledger_url, "select submission, about, id from decision")
    return Counter(
        [f"{s}.{n}.pub" for s, n in accepted] + [f"{s}{about}.{i}.d.pub" for s, about, i in decided]
    )


def carried(town: Town) -> bool:
    return sum(town.ledger.counts().due.values()) == 0


def each_once(stored: list[Stored], wanted: Counter[str]) -> None:
    assert Counter(s.headers["Nats-Msg-Id"] for s in stored) == wanted


def in_order(stored: list[Stored]) -> None:
    """Of every declaration: itself first, then its decisions as they were taken."""
    seen: dict[str, list[dict[str, Any]]] = {}
    for message in stored:
        about = message.headers["ce-subject"]
        if message.subject.startswith("cvan.declaration."):
            assert about not in seen, "a decision stands before its declaration"
            seen[about] = []
        else:
            seen[about].append(json.loads(message.payload))
    for decisions in seen.values():
        kinds = [d["kind"] for d in decisions]
        assert kinds[0] == "registered"
        assert [d["at"] for d in decisions] == sorted(d["at"] for d in decisions)


def test_everything_is_there_once_though_broker_and_gateway_are_killed(
    publishing: Town, server: Broker
) -> None:
    town = publishing
    end = threading.Event()

    def harm() -> None:
        for number in range(4):
            time.sleep(0.7)
            server.kill()
            if number % 2:
                os.killpg(town.gateway.pid, signal.SIGKILL)
                town.gateway.kill()
                town.gateway.start()
            time.sleep(0.4)
            server.start()
        end.set()

    harming = threading.Thread(target=harm)
    harming.start()
    filed = _file_all(town, end)
    harming.join()
    assert filed >= DECLARATIONS
    until(lambda: carried(town), PATIENCE, what=lambda: town.ledger.due("publish:", 3))
    decided = "select count(*) from decision where kind = 'registered'"
    until(lambda: int(str(rows(town.ledger_url, decided)[0][0])) >= filed, PATIENCE)
    until(lambda: carried(town), PATIENCE)
    stored = server.stored()
    each_once(stored, expected(town))
    in_order(stored)
    assert town.ledger.counts().dead == {}
    assert town.cvan("journal", "verify").code == 0


def _file_all(town: Town, end: threading.Event) -> int:
    """Files until all is filed and the harm is over, each until it is acknowledged; how many."""
    clients: dict[str, Plain] = {}
    number = 0
    while number < DECLARATIONS or not end.is_set():
        filer = FILERS[number % len(FILERS)]
        body = town.signed(filer, BOOKS if number % 2 else LAPTOPS)
        until_acknowledged(town, clients, filer.id, body)
        number += 1
        time.sleep(0.02)
    return number


def until_acknowledged(town: Town, clients: dict[str, Plain], filer: str, body: bytes) -> None:
    until_at = time.monotonic() + PATIENCE
    partner = next(p for p in FILERS if p.id == filer)
    while time.monotonic() < until_at:
        client = clients.pop(filer, None) or town.new_client(partner)
        try:
            answer = client.submit(body)
        except Exception:  # noqa: BLE001 - whatever a gateway that is being killed does to a client
            time.sleep(0.2)
            continue
        clients[filer] = client
        if answer.status == 200:
            assert answer.outcome == "accepted"
            return
        time.sleep(0.2)
    raise AssertionError("never acknowledged")


@pytest.mark.parametrize("publishing", ["sqlite"], indirect=True)
def test_readers_get_documents_by_their_schemas(publishing: Town, server: Broker) -> None:
    town = publishing
    answer = town.client(AN_PHAT).submit(town.signed(AN_PHAT, BOOKS))
    town.client(AN_PHAT).close()
    town.await_entries(AN_PHAT, answer.submission, "registered", "cleared")
    until(lambda: carried(town) and len(server.ids()) == 5, PATIENCE)
    stored = server.stored()
    assert [s.subject for s in stored] == [
        "cvan.declaration.IM",
        *(f"cvan.decision.{kind}" for kind in ("registered", "green", "released", "cleared")),
    ]
    for message in stored:
        name = message.subject.split(".")[1]
        jsonschema.validate(json.loads(message.payload), json.loads(schemas.text(f"{name}-1.schema.json")))
        assert message.headers["ce-id"] == message.headers["Nats-Msg-Id"]
        assert message.headers["ce-subject"] == f"{answer.submission}.1"
    assert "publish" not in json.dumps(town.client(AN_PHAT).status(answer.submission).json())


@pytest.mark.parametrize("publishing", ["postgresql"], indirect=True)
def test_without_a_stream_the_operator_is_told_what_to_do(publishing: Town, server: Broker) -> None:
    town = publishing
    server.kill()
    server.start()
    server.ask(lambda js: js.delete_stream("CVAN"))
    answer = town.client(AN_PHAT).submit(town.signed(AN_PHAT, BOOKS))
    town.client(AN_PHAT).close()
    town.await_entries(AN_PHAT, answer.submission, "registered")  # nobody waits for a broker
    until(lambda: "nats stream add CVAN" in town.gateway.log(), PATIENCE)
    until(lambda: "nats stream add CVAN" in town.cvan("deliveries", "list").text, PATIENCE)
    server.add_stream()
    until(lambda: carried(town), PATIENCE)
    each_once(server.stored(), expected(town))


# -- the moment between publishing and noting it -----------------------------------------------------------


def test_a_courier_that_ended_between_publishing_and_noting_it_doubles_nothing(
    server: Broker,
    delivery_world: World,  # noqa: F811
    commits: InlineCommits,  # noqa: F811
    reactor: StillReactor,  # noqa: F811
) -> None:
    desk = Desk(delivery_world, commits, reactor)
    messages = [desk.file() for _ in range(5)]
    first, second = (JetStream(Access((server.url,)), Wanted()) for _ in range(2))
    desk.courier._publisher = first
    commits.failing["done"] = LedgerUnavailable("killed")
    with pytest.raises(LedgerUnavailable):
        desk.round()
    assert server.ids() == [f"{m}.pub" for m in messages]
    first.close()
    del commits.failing["done"]
    reactor.advance(LEASE.total_seconds())
    other = desk.another("other")
    other._publisher = second
    messages.append(desk.file())
    assert desk.round(other) is True
    second.close()
    assert server.ids() == [f"{m}.pub" for m in messages]
    assert desk.due() == 0
