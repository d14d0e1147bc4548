"""HTTP's own dangers over real sockets: smuggling, slow and endless senders, pipelines, early refusals."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.model import Limits
from gateway.transport import Bounds
from gateway.transport.http import HEADER_BYTES

from .conftest import TOKEN, eventually, hear

HOST = b"Host: localhost\r\n"
XML = b"Content-Type: application/xml\r\n"
LIVE = b"GET /health/live HTTP/1.1\r\n" + HOST + b"\r\n"


def post(*headers: bytes, body: bytes = b"") -> bytes:
    return b"POST /v1/messages HTTP/1.1\r\n" + HOST + XML + b"".join(headers) + b"\r\n" + body


def length(size: int) -> bytes:
    return b"Content-Length: %d\r\n" % size


CUT = (ConnectionError, ssl.SSLError)
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def codes(heard: bytes) -> list[str]:
    """The finding codes of the last reply."""
    return [f["code"] for f in json.loads(heard[heard.rindex(b"\r\n\r\n") :])["findings"]]


@pytest.mark.parametrize(
    "octets",
    [
        post(length(5), CHUNKED, body=b"0\r\n\r\n" + LIVE),
        post(CHUNKED, length(5), body=b"0\r\n\r\n" + LIVE),
        post(length(4), length(5), body=b"<x/>" + LIVE),
        post(length(4), length(4), body=b"<x/>" + LIVE),
        post(b"Content-Length: 4, 4\r\n", body=b"<x/>" + LIVE),
        post(b"Content-Length: +4\r\n", body=b"<x/>" + LIVE),
        post(b"Content-Length: 0x4\r\n", body=b"<x/>" + LIVE),
        post(b"Content-Length : 4\r\n", body=b"<x/>" + LIVE),
        post(CHUNKED, CHUNKED, body=b"0\r\n\r\n" + LIVE),
        post(b"Transfer-Encoding: xchunked\r\n", body=b"0\r\n\r\n" + LIVE),
        post(b"Transfer-Encoding: gzip, chunked\r\n", body=b"0\r\n\r\n" + LIVE),
        post(b"Transfer-Encoding: identity\r\n", body=LIVE),
        post(CHUNKED, body=b"5;x=\x00\r\nhello\r\n0\r\n\r\n" + LIVE),
        post(CHUNKED, body=b"-1\r\n" + LIVE),
        post(CHUNKED, body=b"4\r\n<x/>XX0\r\n\r\n" + LIVE),
        post(CHUNKED).replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n" + LIVE,
        b"GET /health/live HTTP/1.1\r\n\r\n" + LIVE,
        b"GET /health/live HTTP/1.1\r\n" + HOST + HOST + b"\r\n" + LIVE,
        b"GET /health/live HTTP/9.9\r\n" + HOST + b"\r\n" + LIVE,
        b"GET  /health/live HTTP/1.1\r\n" + HOST + b"\r\n" + LIVE,
        b"GET /health/live HTTP/1.1\r\n" + HOST + b"X\x00: y\r\n\r\n" + LIVE,
        b"GET /health/live HTTP/1.1\r\n" + HOST + b"no colon\r\n\r\n" + LIVE,
        b"\x16\x03\x01 not http at all\r\n\r\n",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused_and_ends_the_connection(gateway, octets):
    heard = gateway.say(octets, "van")
    assert heard.startswith(b"HTTP/1.1 400 ")
    assert heard.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close" in heard
    assert codes(heard) == ["API400"]
    assert gateway.office.submissions == {}


def test_pipelined_requests_are_answered_in_order(gateway):
    gateway.office.slow = 0.2
    first = post(length(8), body=b"SLOW one")
    second = post(length(8), body=b"fast two")
    last = LIVE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    heard = gateway.say(first + second + last, "van")
    places = [heard.index(s) for s in (b"receipt for", b'"live":true')]
    assert heard.count(b"HTTP/1.1 200 ") == 3
    assert places == sorted(places)
    bodies = [s.body for s in gateway.office.submissions.values()]
    assert sorted(bodies) == [b"SLOW one", b"fast two"]
    assert heard.index(
        gateway.office.answers["VAN1", _digest(b"SLOW one")].submission.encode()
    ) < heard.index(gateway.office.answers["VAN1", _digest(b"fast two")].submission.encode())


def _digest(body: bytes) -> str:
    import hashlib

    return hashlib.sha256(body).hexdigest()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_cut_of_the_octets_gives_the_same_submission(gateway, data):
    body = data.draw(st.binary(min_size=1, max_size=200))
    sizes = data.draw(st.lists(st.integers(1, 60), min_size=1, max_size=8))
    rest, framed = body, b""
    for size in sizes:
        if piece := rest[:size]:
            framed += b"%x\r\n%b\r\n" % (len(piece), piece)
        rest = rest[size:]
    framed += (b"%x\r\n%b\r\n" % (len(rest), rest) if rest else b"") + b"0\r\n\r\n"
    octets = post(CHUNKED, b"Connection: close\r\n", body=framed)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(octets) - 1), max_size=6)))
    with gateway.connect("carrier") as wire:
        for start, end in zip([0, *cuts], [*cuts, len(octets)], strict=True):
            wire.sendall(octets[start:end])
        heard = hear(wire)
    known = gateway.office.answers.get(("CARRIER1", _digest(body)))
    if body.split(b" ")[0] not in (b"UNPROVEN", b"FULL", b"CRASH"):
        assert heard.startswith(b"HTTP/1.1 200 ")
        assert known is not None
        assert known.submission.encode() in heard


def drip(wire):
    for octet in LIVE * 20:
        wire.sendall(bytes([octet]))
        time.sleep(0.05)


def test_a_header_dripping_in_is_cut_off(open_gateway):
    gateway = open_gateway(Bounds(header_seconds=0.6))
    began = time.monotonic()
    with gateway.connect("van") as wire, pytest.raises(CUT):
        drip(wire)
    assert 0.5 < time.monotonic() - began < 15  # dripping takes a minute
    assert eventually(lambda: gateway.metrics.connections._value.get() == 0)


def test_a_late_header_is_told_so(open_gateway):
    gateway = open_gateway(Bounds(header_seconds=0.4))
    heard = gateway.say(b"POST /v1/messages HTTP/1.1\r\nHost: loc", "van")
    assert heard.startswith(b"HTTP/1.1 408 ")
    assert codes(heard) == ["API4081"]


def test_a_header_begun_behind_a_whole_request_has_its_time_too(open_gateway):
    gateway = open_gateway(Bounds(header_seconds=0.4))
    gateway.office.slow = 0.2
    whole, begun = post(length(8), body=b"SLOW one"), b"POST /v1/messages HTTP/1.1\r\nHost: loc"
    for first in (LIVE, whole):
        heard = gateway.say(first + begun, "van")
        assert heard.startswith(b"HTTP/1.1 200 ")
        assert heard.count(b"HTTP/1.1 408 ") == 1


def test_a_body_begun_behind_a_whole_request_has_its_time_too(open_gateway):
    gateway = open_gateway(Bounds(body_grace=0.3, body_rate=1_000_000))
    heard = gateway.say(LIVE + post(length(8), body=b"half"), "van")
    assert heard.startswith(b"HTTP/1.1 200 ")
    assert heard.count(b"HTTP/1.1 408 ") == 1


@pytest.mark.parametrize("hello", [b"", b"\x16\x03\x01\x02\x00"])
def test_a_handshake_that_never_ends_is_cut_off(open_gateway, hello):
    gateway = open_gateway(Bounds(header_seconds=0.4))
    with socket.create_connection(("127.0.0.1", gateway.listener.port)) as raw:
        raw.sendall(hello)
        began = time.monotonic()
        assert hear(raw, 30) == b""
        assert time.monotonic() - began < 15


def test_an_idle_connection_is_closed(open_gateway):
    gateway = open_gateway(Bounds(idle_seconds=0.4, header_seconds=60))
    with gateway.connect("van") as wire:
        wire.sendall(LIVE)
        began = time.monotonic()
        assert hear(wire, 30).count(b"200 OK") == 1
        assert time.monotonic() - began < 15


def test_a_body_slower_than_the_bound_is_refused(open_gateway):
    gateway = open_gateway(Bounds(body_grace=0.4, body_rate=1000))
    with gateway.connect("van") as wire:
        wire.sendall(post(length(100_000)))
        began = time.monotonic()
        heard = b""
        while time.monotonic() - began < 20 and not heard:
            wire.sendall(b"x" * 20)
            heard = hear(wire, 0.05)
        heard += hear(wire)
    assert 0.3 < time.monotonic() - began < 19
    assert heard.startswith(b"HTTP/1.1 408 ")
    assert codes(heard) == ["API408"]
    assert gateway.door.admission.bytes_held == 0


def test_a_slow_body_above_the_bound_is_taken(open_gateway):
    gateway = open_gateway(Bounds(body_grace=0.3, body_rate=100))
    with gateway.connect("van") as wire:
        wire.sendall(post(length(400), b"Connection: close\r\n"))
        for _ in range(8):
            wire.sendall(b"x" * 50)
            time.sleep(0.1)
        assert hear(wire).startswith(b"HTTP/1.1 200 ")


def test_a_header_too_large_is_refused(gateway):
    for lot in (
        b"X: " + b"y" * HEADER_BYTES + b"\r\n",
        b"X: y\r\n" * 100,
        b"X-%d: yyyyyyyyyyyyyyyy\r\n" * 2000,
    ):
        heard = gateway.say(b"GET /health/live HTTP/1.1\r\n" + HOST + lot + b"\r\n", "van")
        assert heard.startswith(b"HTTP/1.1 431 ")
        assert codes(heard) == ["API431"]


def test_a_header_line_without_end_is_refused(gateway):
    assert gateway.say(b"GET /" + b"a" * 3 * HEADER_BYTES, "van").startswith(b"HTTP/1.1 431 ")


def test_an_announced_size_beyond_the_bound_is_refused_before_the_body(open_gateway):
    gateway = open_gateway(limits=Limits(max_bytes=1000))
    heard = gateway.say(post(length(1001), b"Expect: 100-continue\r\n"), "van")
    assert heard.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in heard
    assert codes(heard) == ["API413"]


def test_chunks_beyond_the_bound_are_refused_as_they_come(open_gateway):
    gateway = open_gateway(limits=Limits(max_bytes=1000))
    with gateway.connect("van") as wire:
        wire.sendall(post(CHUNKED))
        for _ in range(11):
            wire.sendall(b"64\r\n" + b"x" * 100 + b"\r\n")
        heard = hear(wire, 1.5)
    assert heard.startswith(b"HTTP/1.1 413 ")
    assert gateway.door.admission.bytes_held == 0
    assert gateway.office.submissions == {}


def test_a_refused_sender_that_goes_on_is_cut_off(open_gateway):
    gateway = open_gateway(limits=Limits(max_bytes=1000))
    with gateway.connect("van") as wire:
        wire.sendall(post(length(10**9)))
        with pytest.raises(CUT):
            wire.sendall(b"x" * 2_000 * 65_536)
    assert gateway.door.admission.bytes_held == 0


def test_a_client_that_waits_for_leave_gets_it(gateway):
    with gateway.connect("van") as wire:
        wire.sendall(post(length(4), b"Expect: 100-continue\r\n", b"Connection: close\r\n"))
        assert wire.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.sendall(b"<x/>")
        assert hear(wire).startswith(b"HTTP/1.1 200 ")


def test_a_client_lost_in_the_middle_gives_its_place_back(gateway):
    with gateway.connect("van") as wire:
        wire.sendall(post(length(5000), body=b"x" * 100))
        assert eventually(lambda: gateway.door.admission.bytes_held == 5000)
    assert eventually(lambda: gateway.door.admission.bytes_held == 0)
    assert eventually(lambda: [e["status"] for e in gateway.lines.events] == [0])


def test_a_client_lost_before_the_answer_is_judged_all_the_same(gateway):
    gateway.office.slow = 0.3
    with gateway.connect("van") as wire:
        wire.sendall(post(length(8), body=b"SLOW one"))
        assert eventually(lambda: gateway.door.admission.total_inside == 1)
    assert eventually(lambda: len(gateway.office.submissions) == 1)
    assert eventually(lambda: gateway.door.admission.total_inside == 0)


def test_connections_from_one_address_are_bounded(open_gateway):
    gateway = open_gateway(Bounds(connections_per_address=2))
    with gateway.connect(), gateway.connect(), pytest.raises(CUT):
        gateway.connect()
    assert eventually(lambda: gateway.metrics.connections._value.get() == 0)
    with gateway.connect() as wire:
        wire.sendall(LIVE)
        assert b"200 OK" in wire.recv(1000)


def test_connections_of_one_partner_are_bounded(open_gateway):
    gateway = open_gateway(Bounds(connections_per_partner=1))
    ask = b"GET /v1/mailbox HTTP/1.1\r\n" + HOST + b"\r\n"
    with gateway.connect("van") as first:
        first.sendall(ask)
        assert b"200 OK" in first.recv(1000)
        heard = gateway.say(ask, "van")
        assert heard.startswith(b"HTTP/1.1 429 ")
        assert codes(heard) == ["API4292"]
        assert b"Retry-After: " in heard
        token = f"Authorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n".encode()
        assert gateway.say(ask[:-2] + token).startswith(b"HTTP/1.1 200 ")
    assert gateway.say(ask[:-2] + b"Connection: close\r\n\r\n", "van").startswith(b"HTTP/1.1 200 ")


def test_the_door_closes_in_order(gateway):
    gateway.office.slow = 0.5
    with gateway.connect("van") as busy, gateway.connect("carrier") as idle:
        idle.sendall(LIVE)
        assert b"200 OK" in idle.recv(1000)
        busy.sendall(post(length(8), body=b"SLOW one"))
        assert eventually(lambda: gateway.door.admission.total_inside == 1)
        stopped = threading.Thread(target=gateway.loop, args=(gateway.listener.stop,))
        stopped.start()
        assert hear(idle) == b""
        idle.unwrap()
        assert gateway.door.admission.total_inside == 1
        assert hear(busy).startswith(b"HTTP/1.1 200 ")
        busy.unwrap()
        stopped.join(2)
        assert not stopped.is_alive()
    with pytest.raises(CUT):
        gateway.connect()
