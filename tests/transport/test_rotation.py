"""Keys and anchors that are replaced while connections come and go."""

from __future__ import annotations

import shutil

import pytest

from gateway.transport import ClientTls, Unreachable, Unusable
from gateway.transport.exchange import Exchange

from .test_farewell import Mute


@pytest.fixture
def files(authority, tmp_path):
    """Anchors that trust nobody who matters, and a key pair."""
    authority.issue("pusher", "/CN=gateway-push")
    for name in ("pusher.pem", "pusher.key.pem"):
        shutil.copy(authority.folder / name, tmp_path / name)
    shutil.copy(authority.folder / "strangers.pem", tmp_path / "anchors.pem")
    return tmp_path


def test_new_anchors_count_for_the_next_connection(loop, authority, files):
    tls = ClientTls(files / "anchors.pem", files / "pusher.key.pem", files / "pusher.pem")
    exchange = loop(Exchange, loop.reactor, tls, seconds=5, max_bytes=9)
    shutil.copy(authority.folder / "ca.pem", files / "anchors.pem")
    strange, known = Mute(authority), Mute(authority)
    with pytest.raises(Unreachable, match="tls"):
        loop(exchange.request, "GET", strange.url, ())
    tls.reload()
    assert loop(exchange.request, "GET", known.url, ()).status == 204
    loop(exchange.close)
    for mute in (strange, known):
        mute.socket.close()


def test_what_is_broken_keeps_the_old(loop, authority, files):
    shutil.copy(authority.folder / "ca.pem", files / "anchors.pem")
    tls = ClientTls(files / "anchors.pem", files / "pusher.key.pem", files / "pusher.pem")
    shutil.copy(authority.folder / "server.key.pem", files / "pusher.key.pem")
    with pytest.raises(Unusable, match="is not the key of"):
        tls.reload()
    (files / "anchors.pem").write_text("none")
    with pytest.raises(Unusable, match="no readable certificate"):
        tls.reload()
    mute = Mute(authority)
    exchange = loop(Exchange, loop.reactor, tls, seconds=5, max_bytes=9)
    assert loop(exchange.request, "GET", mute.url, ()).status == 204
    loop(exchange.close)
    mute.socket.close()
