"""Other sides that answer and then neither read nor close: they do not keep anybody from stopping."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from datetime import UTC, datetime

import pytest

from gateway.model import Outgoing, Partner
from gateway.transport import ClientTls, Metrics, Push, Unreachable
from gateway.transport.exchange import Exchange
from gateway.transport.farewell import GOODBYE_SECONDS

from .conftest import eventually

AT = datetime(2026, 3, 2, tzinfo=UTC)
SOON = 15.0
"""Half of what a connection that nobody cuts is kept for; GOODBYE_SECONDS, on a quiet machine."""


class Mute:
    """A receiver that says 204 to the first request of each connection, and then nothing for ever."""

    def __init__(self, authority):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(authority.folder / "server.pem", authority.folder / "server.key.pem")
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.wires: list[ssl.SSLSocket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self):
        return f"https://localhost:{self.socket.getsockname()[1]}/"

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                wire = self.context.wrap_socket(self.socket.accept()[0], server_side=True)
                wire.recv(65_536)
                wire.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                self.wires.append(wire)

    def cut_off(self) -> bool:
        """True where the other side has ended the connection under TLS too."""
        raw = self.wires[-1].detach()
        with socket.socket(fileno=raw) as plain:
            plain.settimeout(5)
            with contextlib.suppress(ConnectionResetError):
                while plain.recv(65_536):
                    pass
            return True


@pytest.fixture
def mute(authority):
    made = Mute(authority)
    yield made
    made.socket.close()
    for wire in made.wires:
        wire.close()


def test_a_mute_receiver_does_not_hold_up_the_end_of_pushing(loop, authority, mute):
    push = loop(Push, loop.reactor, ClientTls(authority.folder / "ca.pem"), Metrics())
    loop(
        push.send,
        Outgoing("o1", "P1", "green", "s1", "L", "text/xml", b"<a/>", AT),
        Partner("P1", "One", push_url=mute.url),
    )
    began = time.monotonic()
    loop(push.close)
    assert time.monotonic() - began < SOON
    assert mute.cut_off()


def test_a_connection_given_up_while_idle_is_cut_too(loop, authority, mute):
    exchange = loop(Exchange, loop.reactor, ClientTls(authority.folder / "ca.pem"), seconds=5, max_bytes=9)
    exchange._pool.cachedConnectionTimeout = 0.05
    assert loop(exchange.request, "GET", mute.url, ()).status == 204
    began = time.monotonic()
    assert mute.cut_off()
    assert time.monotonic() - began < SOON


def test_only_https_is_spoken(loop, authority):
    exchange = loop(Exchange, loop.reactor, ClientTls(authority.folder / "ca.pem"), seconds=5, max_bytes=9)
    with pytest.raises(Unreachable, match="SchemeNotSupported"):
        loop(exchange.request, "GET", "http://localhost:1/", ())


def test_mute_clients_do_not_hold_up_the_end_of_the_door(gateway):
    wires = [gateway.connect() for _ in range(3)]
    raw = socket.create_connection(("127.0.0.1", gateway.listener.port))  # not even a handshake
    for wire in wires:
        wire.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert wire.recv(65_536).startswith(b"HTTP/1.1 200")
    began = time.monotonic()
    gateway.loop(gateway.listener.stop)
    assert time.monotonic() - began < SOON
    for wire in (*wires, raw):
        wire.close()


def test_a_client_that_answers_is_not_cut(gateway):
    client = gateway.client("van")
    assert gateway.loop(client.ready).ready
    began = time.monotonic()
    gateway.loop(client.close)
    assert time.monotonic() - began < GOODBYE_SECONDS
    assert eventually(lambda: not gateway.listener._channels.open)
