"""Publishing to a real nats-server: each once, whatever ends in between."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest
from nats.js import JetStreamContext, api

from adapters.jetstream import Access, JetStream, Wanted
from gateway.adapter import BackendUnavailable, Publication, Publisher, Unpublishable
from tests.broker import Broker, broker


@pytest.fixture
def server() -> Iterator[Broker]:
    with broker() as made:
        made.add_stream()
        yield made


@pytest.fixture
def publisher(server: Broker) -> Iterator[JetStream]:
    made = of(server)
    yield made
    made.close()


def of(server: Broker, **wanted: object) -> JetStream:
    return JetStream(Access((server.url,)), Wanted(**wanted))  # type: ignore[arg-type]


def some(count: int, begin: int = 0, again: bool = False) -> list[Publication]:
    return [
        Publication(f"s.{n}.pub", "cvan.declaration.IM", {"ce-id": f"s.{n}.pub"}, b'{"n":%d}' % n, again)
        for n in range(begin, begin + count)
    ]


def test_it_is_a_publisher(publisher: JetStream) -> None:
    _: Publisher = publisher


def test_a_batch_is_there_in_its_order_when_it_returns(server: Broker, publisher: JetStream) -> None:
    batch = some(300)
    publisher.publish(batch)
    stored = server.stored()
    assert [(s.subject, s.payload) for s in stored] == [(p.subject, p.payload) for p in batch]
    assert stored[7].headers == {
        "ce-id": "s.7.pub",
        "Nats-Msg-Id": "s.7.pub",
        "Nats-Expected-Stream": "CVAN",
    }


def test_what_is_published_again_is_there_once(server: Broker, publisher: JetStream) -> None:
    publisher.publish(some(5))
    publisher.publish(some(8))
    assert server.ids() == [p.id for p in some(8)]


def test_an_empty_batch_is_nothing(server: Broker, publisher: JetStream) -> None:
    publisher.publish([])
    assert server.ids() == []


def test_beyond_the_window_the_stream_itself_tells(server: Broker) -> None:
    """The server has forgotten the ids: as after an outage of the ledger that was longer than its window."""
    server.ask(lambda js: js.delete_stream("CVAN"))
    server.add_stream(duplicate_window=0.2)

    async def before(js: JetStreamContext) -> None:
        for publication in some(40):
            await js.publish(publication.subject, b"", headers={"Nats-Msg-Id": publication.id})
        await asyncio.sleep(1.0)
        config = (await js.stream_info("CVAN")).config
        config.duplicate_window = 120.0
        await js.update_stream(config)

    server.ask(before)
    other = of(server)
    other.publish(some(45, again=True))
    assert server.ids() == [p.id for p in some(45)]
    other.publish(some(1))  # not said to be a second attempt: the test can fail
    other.close()
    assert len(server.ids()) == 46


def test_a_server_that_is_killed_keeps_what_it_confirmed(server: Broker, publisher: JetStream) -> None:
    confirmed: list[str] = []
    unheard = 0
    end = threading.Event()

    def kill() -> None:
        for _ in range(3):
            time.sleep(0.25)
            server.kill()
            server.start()
        end.set()

    killer = threading.Thread(target=kill)
    killer.start()
    number = 0
    heard = True
    while not (heard and end.is_set() and number >= 500):  # what is not confirmed may stand there, too
        batch = some(10, number)
        heard = False
        try:
            publisher.publish(batch)
        except BackendUnavailable:
            unheard += 1
            time.sleep(0.05)
            continue
        heard = True
        confirmed += [p.id for p in batch]
        number += 10
    killer.join()
    assert unheard > 0
    assert server.ids() == confirmed


def test_a_server_that_is_away_is_told(server: Broker, publisher: JetStream) -> None:
    server.kill()
    with pytest.raises(BackendUnavailable, match="away"):
        publisher.publish(some(1))
    server.start()
    publisher.publish(some(1))
    assert server.ids() == ["s.0.pub"]


def test_another_server_is_tried(server: Broker) -> None:
    dead = "nats://127.0.0.1:9"
    made = JetStream(Access((dead, server.url, dead)), Wanted())
    made.publish(some(3))
    made.close()
    assert len(server.ids()) == 3


def test_one_that_stands_still_is_given_up_in_time(server: Broker, publisher: JetStream) -> None:
    publisher.publish(some(1))
    server.pause()
    begun = time.monotonic()
    with pytest.raises(BackendUnavailable, match=r"confirm|timeout"):
        publisher.publish(some(3))
    assert time.monotonic() - begun < 10
    server.resume()
    publisher.publish(some(3))
    assert server.ids() == [p.id for p in some(3)]


def test_one_that_is_too_large_is_named_and_the_others_go(server: Broker, publisher: JetStream) -> None:
    large = Publication("large", "cvan.decision.released", {}, b" " * (1024 * 1024))
    with pytest.raises(Unpublishable, match="max_payload") as refused:
        publisher.publish([*some(2), large])
    assert refused.value.id == "large"
    publisher.publish(some(2))
    assert len(server.ids()) == 2


def test_one_that_the_stream_does_not_take_is_named(server: Broker) -> None:
    server.ask(lambda js: js.delete_stream("CVAN"))
    server.add_stream(max_msg_size=2_000)
    made = of(server)
    large = Publication("large", "cvan.decision.released", {}, b" " * 4_000)
    with pytest.raises(Unpublishable, match="max-msg-size") as refused:
        made.publish([*some(2), large])
    made.close()
    assert refused.value.id == "large"


def test_a_full_stream_makes_all_wait(server: Broker, publisher: JetStream) -> None:
    server.ask(lambda js: js.delete_stream("CVAN"))
    server.add_stream(max_msgs=3, discard=api.DiscardPolicy.NEW)
    with pytest.raises(BackendUnavailable, match="maximum messages"):
        publisher.publish(some(5))
    assert server.ids() == [p.id for p in some(3)]
    server.ask(lambda js: js.purge_stream("CVAN"))
    publisher.publish(some(5))
    assert server.ids() == [p.id for p in some(5)][3:]


# -- the stream -----------------------------------------------------------------------------------------


def test_nothing_is_made_unless_it_is_told(server: Broker) -> None:
    server.ask(lambda js: js.delete_stream("CVAN"))
    made = of(server)
    with pytest.raises(BackendUnavailable, match=r"nats stream add CVAN --subjects 'cvan.>'"):
        made.publish(some(1))
    made.close()
    assert server.ask(lambda js: js.streams_info()) == []


def test_told_to_it_makes_the_stream(server: Broker) -> None:
    made = of(server, name="OTHER", root="port", create=True)
    made.publish([Publication("a", "port.decision.red", {}, b"{}")])
    made.close()
    (stored,) = server.stored("OTHER")
    assert stored.subject == "port.decision.red"
    config = server.ask(lambda js: js.stream_info("OTHER")).config
    assert (config.storage, config.subjects, config.discard) == ("file", ["port.>"], "new")
    assert config.duplicate_window == 7200


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"subjects": ["else.>"]}, "does not take cvan.>"),
        ({"storage": api.StorageType.MEMORY}, "kept in memory"),
        ({"no_ack": True}, "confirms nothing"),
        ({"duplicate_window": 1.0}, "for 1 s only"),
    ],
)
def test_a_stream_that_is_not_fit_is_told(server: Broker, settings: dict[str, object], told: str) -> None:
    server.ask(lambda js: js.delete_stream("CVAN"))
    server.add_stream(**settings)
    made = of(server)
    with pytest.raises(BackendUnavailable, match=told):
        made.publish(some(1))
    made.close()


def test_a_server_without_jetstream_is_told() -> None:
    with broker() as plain:
        plain.kill()
        (plain.folder / "nats.conf").write_text(f"listen: 127.0.0.1:{plain.port}\n", "utf-8")
        plain.start()
        made = of(plain)
        with pytest.raises(BackendUnavailable):
            made.publish(some(1))
        made.close()
