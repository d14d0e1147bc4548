"""A supervisor that stands still: systemd hears nothing more of it, and its doors go on."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.operations import watchdog
from tests.journeys.conftest import Found
from tests.journeys.town import AN_PHAT, BOOKS, until

SECONDS = 30.0


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Listens as systemd does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(SECONDS)
        monkeypatch.setenv(watchdog.NOTIFY_SOCKET, listening.getsockname())
        yield listening


def test_a_gateway_says_that_it_is_ready_that_it_goes_on_and_that_it_stops(
    found: Found, systemd: socket.socket
) -> None:
    town = found("sqlite")
    town.gateway.start()
    words = [systemd.recv(99) for _ in range(3)]
    while b"READY=1" not in words:
        words.append(systemd.recv(99))
    assert words.count(b"READY=1") == 1
    assert systemd.recv(99) == b"WATCHDOG=1"
    os.kill(town.gateway.pid, signal.SIGSTOP)
    systemd.settimeout(2 * watchdog.BEAT_SECONDS)
    with contextlib.suppress(TimeoutError):
        for _ in range(99):
            systemd.recv(99)
        pytest.fail("one who stands still says that he goes on")
    os.kill(town.gateway.pid, signal.SIGCONT)
    systemd.settimeout(SECONDS)
    assert systemd.recv(99) == b"WATCHDOG=1"
    town.gateway.stop()
    while (word := systemd.recv(99)) != b"STOPPING=1":
        assert word == b"WATCHDOG=1"


def test_while_the_supervisor_stands_still_a_door_goes_on(found: Found) -> None:
    """And is not ended when he goes on, though he did not hear it."""
    town = found("sqlite")
    conf = town.home / "conf" / "gateway.toml"
    conf.write_text(conf.read_text("utf-8").replace("hung_seconds = 30", "hung_seconds = 1"), "utf-8")
    town.gateway.start()
    doors = town.gateway.doors()
    os.kill(town.gateway.pid, signal.SIGSTOP)
    client = town.client(AN_PHAT)
    try:
        for _ in range(40):
            assert client.submit(town.signed(AN_PHAT, BOOKS)).outcome == "accepted"
    finally:
        os.kill(town.gateway.pid, signal.SIGCONT)
    until(lambda: bool(town.ledger.mailbox(AN_PHAT.id, "", 9)))
    assert town.gateway.doors() == doors
    assert town.gateway.stop() == 0
