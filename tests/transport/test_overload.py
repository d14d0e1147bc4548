"""A flood over real sockets: others are answered, the urgent first, and who is refused hears it soon."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest
from twisted.internet.defer import DeferredLock
from twisted.internet.task import deferLater

from bench.wire import ask
from gateway.model import Limits, Outcome, Role
from gateway.transport import Bounds
from gateway.transport.patience import Patience

from .conftest import TOKEN, Gateway, eventually, partners
from .test_http import LIVE, codes, length, post

WORK = 0.01
"""Seconds that the office below takes for each: a hundred a second."""
URGENT = b"Priority: u=0\r\n"
SMALL = post(length(4), body=b"<x/>")


@pytest.fixture
def busy(open_gateway) -> Gateway:
    """A gateway whose office judges one submission after the other."""
    bounds = Bounds(at_work=4, target=0.3, patience=0.6, per_minute=1_000_000, in_flight=64, held_back=0.25)
    return judging_one_by_one(open_gateway(bounds))


def judging_one_by_one(gateway: Gateway) -> Gateway:
    office, desk = gateway.office, DeferredLock()

    def submit(submission):
        def judge():
            return deferLater(office.reactor, WORK, office._take, submission, Outcome.ACCEPTED)

        return desk.run(judge)

    office.submit = submit
    gateway.loop(office.register.__init__, _with_a_port(), [])
    return gateway


def _with_a_port():
    van, trader, carrier, gone = partners(Limits())
    return [van, trader, _struct(carrier, roles=(Role.PORT,)), gone]


def _struct(partner, **fields):
    import msgspec

    return msgspec.structs.replace(partner, **fields)


def taken(gateway: Gateway) -> int:
    """Messages that the office has judged: time by the gateway's own clock, however fast the machine is."""
    return len(gateway.office.submissions)


class Flood:
    """Connections of a partner that send one message after the other and never wait.

    ``waits``: how many messages of anybody were judged while each of them waited for its answer.
    """

    def __init__(self, gateway: Gateway, name: str, connections: int) -> None:
        self.answers: Counter[int] = Counter()
        self.waits: list[int] = []
        self.retries: set[int] = set()
        self.connects = 0
        self._gateway, self._name = gateway, name
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(connections)]

    def __enter__(self) -> Flood:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        self.connects += 1
        with self._gateway.connect(self._name) as wire:
            sent = 0
            while not self._over.is_set():
                body = b"%d-%d " % (number, sent) + b"x" * 8_000
                before = taken(self._gateway)
                status, fields = ask(wire, post(length(len(body)), body=body))
                self.waits.append(taken(self._gateway) - before)
                self.answers[status] += 1
                sent += 1
                if status != 200:
                    self.retries.add(int(fields[b"retry-after"]))


def test_a_flood_hears_no_soon_and_others_are_served(busy):
    token = b"Authorization: Bearer " + TOKEN.encode() + b"\r\n"
    with Flood(busy, "van", 60) as flood, busy.connect() as wire, busy.connect("carrier") as gate:
        assert eventually(lambda: flood.answers[503] > 20)
        usual, urgent = [], []
        for number in range(20):
            before = taken(busy)
            body = b"mine %d" % number
            assert ask(wire, post(token, length(len(body)), body=body))[0] == 200
            usual.append(taken(busy) - before)
            before = taken(busy)
            assert ask(gate, post(URGENT, length(len(body)), body=body))[0] == 200
            urgent.append(taken(busy) - before)
    print(usual, urgent, sorted(flood.waits)[len(flood.waits) // 2])
    assert max(usual) < 1.5 / WORK
    assert sorted(urgent)[-2] < 0.5 / WORK
    assert set(flood.answers) == {200, 503}
    assert flood.connects == 60  # all on the connections they began with
    assert sorted(flood.waits)[len(flood.waits) // 2] < 1.0 / WORK
    assert min(flood.retries) >= 1
    assert busy.door.admission.total_inside == 0
    assert busy.door.turns.line.at_work.total() == busy.door.turns.line.waiting.total() == 0
    text = busy.metrics.exposition().decode()
    assert 'cvan_admission_total{class="A",outcome="admitted"} 20.0' in text
    assert 'cvan_admission_total{class="B",outcome="API503"}' in text
    assert 'cvan_line_seconds_count{class="A"} 20.0' in text


def test_what_waits_too_long_is_refused_and_nothing_of_it_kept(open_gateway):
    gateway = judging_one_by_one(open_gateway(Bounds(at_work=1, target=0.05, patience=0.05)))
    with Flood(gateway, "van", 20) as flood:
        assert eventually(lambda: flood.answers[503] > 20)
    assert 'outcome="late"' in gateway.metrics.exposition().decode()
    assert len(gateway.office.submissions) == flood.answers[200]


def test_a_refused_body_is_heard_and_its_connection_kept(open_gateway):
    gateway = open_gateway(limits=Limits(in_flight=1))
    gateway.office.slow = 1.5
    with gateway.connect("van") as first, gateway.connect("van") as second:
        first.sendall(post(length(8), body=b"SLOW one"))
        assert eventually(lambda: gateway.door.admission.total_inside == 1)
        assert ask(second, post(length(30_000), body=b"x" * 30_000))[0] == 429
        assert ask(second, LIVE)[0] == 200
        assert eventually(lambda: gateway.door.admission.total_inside == 0)
        assert ask(second, post(length(5), body=b"again"))[0] == 200


def test_a_refused_body_that_does_not_come_is_answered_all_the_same(open_gateway):
    gateway = open_gateway(Bounds(body_grace=0.3), limits=Limits(in_flight=1))
    gateway.office.slow = 1.0
    with gateway.connect("van") as first, gateway.connect("van") as second:
        first.sendall(post(length(8), body=b"SLOW one"))
        assert eventually(lambda: gateway.door.admission.total_inside == 1)
        second.sendall(post(length(30_000), body=b"x"))
        heard = second.recv(65_536)
        assert heard.startswith(b"HTTP/1.1 429 ")
        assert codes(heard) == ["API4291"]
        assert b"Connection: close" in heard


def test_who_comes_again_too_soon_is_read_later(open_gateway):
    gateway = open_gateway(Bounds(held_back=1.0), limits=Limits(per_minute=1))
    body = post(length(4), body=b"<x/>")
    with gateway.connect("van") as wire:
        assert ask(wire, body)[0] == 200
        assert ask(wire, body)[0] == 429
        began = time.monotonic()
        assert ask(wire, body)[0] == 429  # answered at once; what follows it is not read at once
        answered = time.monotonic()
        assert ask(wire, LIVE)[0] == 200
        assert answered - began < (time.monotonic() - began) / 2
        assert time.monotonic() - began > 0.9


def test_who_never_waits_is_read_ever_later(open_gateway):
    gateway = open_gateway(limits=Limits(in_flight=1))
    gateway.office.slow = 20.0
    with gateway.connect("van") as first, gateway.connect("van") as second:
        first.sendall(post(length(8), body=b"SLOW one"))
        assert eventually(lambda: gateway.door.admission.total_inside == 1)
        answered = []
        for _ in range(4):
            status, fields = ask(second, post(length(4), body=b"<x/>"))
            assert (status, fields[b"retry-after"]) == (429, b"1")
            answered.append(time.monotonic())
        waits = [later - sooner for sooner, later in itertools.pairwise(answered)]
        assert waits[1] > 0.9
        assert waits[2] > 1.9


def test_one_connection_after_the_other_gains_nothing():
    """What the first of them gives up, the second asks for: it is the partner that does not wait."""
    door = Patience(10.0)

    def too_soon(partner: str, wait: float, now: float) -> float:
        return door.pause(partner, wait, now, too_soon=True)

    def refused(partner: str, wait: float, now: float) -> float:
        return door.pause(partner, wait, now, too_soon=False)

    assert refused("van", 1.0, 0.0) == 0.0
    assert too_soon("van", 1.0, 0.0) == 1.0
    assert refused("van", 1.0, 0.1) == 1.0
    assert [too_soon("van", 1.0, now) for now in (0.1, 0.2, 0.3, 0.35)] == [2.0, 4.0, 8.0, 10.0]
    assert refused("van", 1.0, 0.4) == 8.0
    assert refused("carrier", 2.0, 0.3) == 0.0
    assert too_soon("carrier", 2.0, 0.3) == 2.0
    assert too_soon("van", 2.0, 20.3) == 10.0
    assert refused("van", 1.0, 40.4) == 0.0
    assert too_soon("van", 1.0, 40.4) == 1.0
    assert [too_soon("port", 120.0, now) for now in (0.0, 1.0)] == [10.0, 10.0]
    assert refused("port", 120.0, 1.0) == 10.0


def test_who_was_held_back_is_read_as_soon_as_there_is_nothing_else_to_do():
    """One partner after the other, whoever has how many connections."""
    door = Patience(10.0)
    read: list[str] = []
    connections = {
        name: partial(read.append, name) for name in ("van-1", "van-2", "van-3", "port-1", "bank-1")
    }
    for name, read_on in connections.items():
        door.hold_back(name.partition("-")[0], read_on)
    door.room(0)
    door.room(-3)
    assert read == []
    door.forget("bank", connections["bank-1"])  # it has ended, or its time was over
    door.room(2)
    assert read == ["van-1", "port-1"]
    door.room(9)
    assert read == ["van-1", "port-1", "van-2", "van-3"]
    assert door._held_back == {}


def test_a_door_does_not_stand_idle_while_others_wait(open_gateway):
    """All were told to come again in some seconds, and did not wait: they are not read for so long, or until what
    was inside is done."""
    bounds = Bounds(at_work=4, target=0.3, patience=0.6, in_flight=64, held_back=60.0)
    gateway = judging_one_by_one(open_gateway(bounds))
    with Flood(gateway, "van", 60) as flood:
        assert eventually(lambda: flood.answers[503] > 60)
        done = flood.answers[200]
        assert eventually(lambda: flood.answers[200] > done + 100, 10)
        gateway.loop(gateway.door.patience.room, 60)
        gateway.loop(setattr, gateway.door.patience, "_most", 0.01)


@pytest.fixture
def pressed(open_gateway) -> Iterator[tuple[Gateway, socket.socket]]:
    """A gateway that takes one at a time of each partner and has one, and a connection of the same partner, refused
    when another one of his had come too soon again and again: it is not read for two seconds, and was told one."""
    gateway = open_gateway(Bounds(held_back=2.5), limits=Limits(in_flight=1))
    gateway.office.slow = 20.0
    with gateway.connect("van") as first, gateway.connect("van") as pressing, gateway.connect("van") as other:
        first.sendall(post(length(8), body=b"SLOW one"))
        assert eventually(lambda: gateway.door.admission.total_inside == 1)
        for _ in range(4):
            assert ask(pressing, SMALL)[0] == 429
        assert ask(other, SMALL)[0] == 429
        yield gateway, other


def test_who_waits_is_read_then_whatever_his_other_connections_do(pressed):
    gateway, other = pressed
    times, began = gateway.door.patience._unheeded.copy(), time.monotonic()
    time.sleep(1.1)
    assert ask(other, SMALL)[0] == 429
    assert time.monotonic() - began < 2.0
    assert gateway.door.patience._unheeded == times


def test_who_does_not_wait_either_is_found_out(pressed):
    gateway, other = pressed
    times, began = gateway.door.patience._unheeded.copy(), time.monotonic()
    assert ask(other, SMALL)[0] == 429
    assert time.monotonic() - began > 1.8
    assert eventually(lambda: gateway.door.patience._unheeded != times)


def test_a_storm_of_handshakes_is_bounded(open_gateway):
    gateway = open_gateway(Bounds(handshakes=5, handshakes_per_address=5))
    known = gateway.connect("van")
    cut = 0
    for _ in range(12):
        try:
            gateway.connect("carrier").close()
        except OSError:
            cut += 1
    assert cut >= 1
    assert gateway.metrics.turned_away._value.get() == cut
    assert ask(known, LIVE)[0] == 200
    known.close()
    time.sleep(1.0)
    gateway.connect("carrier").close()
