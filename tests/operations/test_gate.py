"""Callers of a node without a door are refused at once, and can ask another node; they are not kept waiting."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.operations.gate import Gate, open_gate
from tests.ports import free_ports

SECONDS = 60.0


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    return False


def test_a_gate_is_shut_until_a_door_opens_it_and_when_the_last_has_gone() -> None:
    gate = Gate("127.0.0.1", 0)
    port = gate.address[1]
    assert refused(port)
    for _ in range(2):
        open_gate(gate.fileno())
        with socket.create_connection(("127.0.0.1", port), 2) as waiting:
            gate.shut()
            with pytest.raises(ConnectionResetError):
                waiting.recv(1)
        assert refused(port)
    assert gate.address[1] == port
    gate.close()


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        Gate("127.0.0.1", taken.getsockname()[1])


def test_who_comes_while_no_door_stands_is_refused_and_does_not_wait(home: Path) -> None:
    port = free_ports()
    path = home / "conf" / "gateway.toml"
    text = re.sub(r"(?m)^operations_port = \d+", "operations_port = 0", path.read_text("utf-8"))
    path.write_text(re.sub(r"(?m)^port = \d+", f"port = {port}", text), "utf-8")
    command = [sys.executable, "-P", "-m", "gateway.operations.cli", "--home", str(home), "run"]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as gateway:
        try:
            began = time.monotonic()
            while refused(port):
                assert time.monotonic() < began + SECONDS
                time.sleep(0.01)
            opened = time.monotonic()
            assert ssl.get_server_certificate(("127.0.0.1", port), timeout=SECONDS)
            assert time.monotonic() - opened < (opened - began) / 2, "it was open before there was a door"
            for door in doors_of(gateway.pid):
                os.kill(door, signal.SIGKILL)
            until = time.monotonic() + SECONDS
            while not refused(port):
                assert time.monotonic() < until, "callers wait for a door that is not there"
                time.sleep(0.05)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(gateway.pid, signal.SIGKILL)


def doors_of(supervisor: int) -> list[int]:
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return [int(c) for c in children if b"--door" in Path(f"/proc/{c}/cmdline").read_bytes()]
