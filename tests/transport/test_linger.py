"""A client that sends more than it may, and reads only afterwards, still reads why it was refused."""

from __future__ import annotations

import socket
import ssl
import time

import pytest

from gateway.model import Limits
from gateway.transport import http

from .conftest import eventually, hear
from .test_http import CHUNKED, CUT, codes, length, post

PIECE = b"x" * 65_536
LIMIT = 1_000_000


@pytest.fixture
def small(open_gateway):
    return open_gateway(limits=Limits(max_bytes=LIMIT))


def write_on(wire: ssl.SSLSocket, octets: int, piece: bytes = PIECE) -> None:
    """Send so many octets, not looking at what comes back."""
    for _ in range(octets // len(PIECE)):
        wire.sendall(piece)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("chunked", [False, True])
def test_who_reads_after_writing_reads_the_answer(small, chunked, version):
    size = 24 * 1024 * 1024
    context = small.context("van")
    context.minimum_version = context.maximum_version = version
    raw = socket.create_connection(("127.0.0.1", small.listener.port), timeout=10)
    with context.wrap_socket(raw, server_hostname="localhost") as wire:
        wire.sendall(post(CHUNKED if chunked else length(size)))
        write_on(wire, size, b"10000\r\n" + PIECE + b"\r\n" if chunked else PIECE)
        heard = hear(wire)
    assert heard.startswith(b"HTTP/1.1 413 ")
    assert codes(heard) == ["API413"]
    assert b"Connection: close" in heard
    assert small.door.admission.bytes_held == 0


def test_a_client_that_sends_for_ever_is_cut_off_at_the_bound(small, monkeypatch):
    monkeypatch.setattr(http, "LINGER_BYTES", 3_000_000)
    with small.connect("van") as wire:
        wire.sendall(post(length(10**9)))
        with pytest.raises(CUT):
            write_on(wire, 64 * 1024 * 1024)


def test_a_stranger_is_drained_less_than_a_partner(small, monkeypatch):
    monkeypatch.setattr(http, "STRANGER_BYTES", 3_000_000)
    with small.connect() as wire:
        wire.sendall(post(length(10**9)))
        with pytest.raises(CUT):
            write_on(wire, 64 * 1024 * 1024)


@pytest.mark.parametrize("lingering", [0.5, 60.0])
def test_a_client_that_neither_ends_nor_closes_is_cut_off_in_time(small, monkeypatch, lingering):
    """By the clock; and where the door closes meanwhile, sooner."""
    monkeypatch.setattr(http, "LINGER_SECONDS", lingering)
    with small.connect("van") as wire:
        wire.sendall(post(length(10**9), body=b"x" * 100))
        assert wire.recv(65_536).startswith(b"HTTP/1.1 413 ")
        assert small.listener._channels.open
        began = time.monotonic()
        if lingering > 1:
            small.loop(small.listener.stop)
        assert eventually(lambda: not small.listener._channels.open, 30)
        assert time.monotonic() - began < 15


def test_a_refused_client_that_has_sent_all_may_go_at_once(small):
    """What lingers is a client that goes on, not one that waits for the end of the connection."""
    with small.connect("van") as wire:
        wire.sendall(post(length(LIMIT + 1)))
        write_on(wire, LIMIT)
        wire.sendall(b"x" * (LIMIT + 1 - LIMIT // len(PIECE) * len(PIECE)))
        began = time.monotonic()
        assert codes(hear(wire, 60.0)) == ["API413"]  # the gateway's goodbye comes with the answer
        assert time.monotonic() - began < http.LINGER_SECONDS / 2
