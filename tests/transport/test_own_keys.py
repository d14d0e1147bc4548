"""Own TLS keys that change by themselves: the next handshake has the new one, what is open goes on."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.security import TlsKey
from gateway.transport import ClientTls
from gateway.transport.exchange import Exchange
from gateway.transport.tls import read_certificates

from .conftest import hear
from .test_farewell import Mute
from .test_tls import CLOSING, STATUS


def own(folder: Path, name: str) -> TlsKey:
    private = load_pem_private_key((folder / f"{name}.key.pem").read_bytes(), None)
    return TlsKey(private, tuple(read_certificates(folder / f"{name}.pem")))


@pytest.fixture
def both(authority) -> list[TlsKey]:
    authority.issue("renewed", "/CN=gateway-renewed", server=True)
    return [own(authority.folder, name) for name in ("server", "renewed")]


def test_the_next_handshake_has_the_key_that_is_active_then(gateway, both):
    active = [both[0]]
    gateway.tls._own = lambda: active[0]

    def served() -> str:
        with gateway.connect() as wire:
            return dict(pair[0] for pair in wire.getpeercert()["subject"])["commonName"]

    with gateway.connect("van") as standing:
        assert served() == "gateway"
        active[0] = both[1]
        assert served() == "gateway-renewed"
        standing.sendall(CLOSING)
        assert hear(standing).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_of_the_old_key_do_not_resume_and_lose_nobody(gateway, both, version):
    import socket

    active = [both[0]]
    gateway.tls._own = lambda: active[0]
    context = gateway.context("van")
    context.minimum_version = context.maximum_version = version

    def ask(session):
        raw = socket.create_connection(("127.0.0.1", gateway.listener.port), timeout=10)
        with context.wrap_socket(raw, server_hostname="localhost", session=session) as wire:
            wire.sendall(STATUS)
            return wire.recv(65_536), wire.session, wire.session_reused

    _, session, _ = ask(None)
    assert ask(session)[2]
    active[0] = both[1]
    heard, _, reused = ask(session)
    assert (b"200 OK" in heard, reused) == (True, False)


def test_the_same_key_read_again_keeps_sessions(gateway, authority, both):
    """A new look at the files is no change: the certificate says who we are."""
    gateway.tls._own = lambda: both[0]
    with gateway.connect():
        context = gateway.tls._options
    gateway.tls._own = lambda: own(authority.folder, "server")
    with gateway.connect():
        assert gateway.tls._options is context


def test_a_receiver_sees_the_key_that_is_active_then(loop, authority):
    for name in ("own-1", "own-2"):
        authority.issue(name, f"/CN={name}")
    keys = [own(authority.folder, name) for name in ("own-1", "own-2")]
    active = [keys[0]]
    tls = ClientTls(authority.folder / "ca.pem", own=lambda: active[0])
    exchange = loop(Exchange, loop.reactor, tls, seconds=5, max_bytes=9)
    first = tls.creatorForNetloc(b"localhost", 1)
    assert tls.creatorForNetloc(b"localhost", 2) is first
    active[0] = keys[1]
    second = tls.creatorForNetloc(b"localhost", 1)
    assert second is not first
    mute = Mute(authority)
    assert loop(exchange.request, "GET", mute.url, ()).status == 204
    loop(exchange.close)
    mute.socket.close()
