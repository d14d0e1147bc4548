"""What stands still is told from what goes on, and systemd hears what it is told."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.operations import watchdog


@given(st.integers(1, 50), st.lists(st.sampled_from(("turn", "heard", "gone"))))
def test_who_was_not_heard_for_so_many_turns_stands_still(seconds: int, what: list[str]) -> None:
    watch, since = watchdog.Watch(seconds), None
    for one in what:
        if one == "turn":
            since = None if since is None else since + 1
            assert watch.turn() == ([7] if since is not None and since > seconds else [])
        elif one == "heard":
            watch.heard(7)
            since = 0
        else:
            watch.gone(7)
            since = None


def test_without_systemd_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(watchdog.NOTIFY_SOCKET, raising=False)
    watchdog.tell_systemd(watchdog.READY)
    monkeypatch.setenv(watchdog.NOTIFY_SOCKET, "/nobody/listens")
    watchdog.tell_systemd(watchdog.READY)


def test_a_socket_without_a_file_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"cvan-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        monkeypatch.setenv(watchdog.NOTIFY_SOCKET, f"@{name}")
        watchdog.tell_systemd(watchdog.ALIVE)
        assert listening.recv(99) == b"WATCHDOG=1"


def test_one_who_does_not_read_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        monkeypatch.setenv(watchdog.NOTIFY_SOCKET, listening.getsockname())
        for _ in range(10_000):
            watchdog.tell_systemd(watchdog.ALIVE)
