"""A home's processes as a terminal, a service manager and an operator treat them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.operations import home as homes
from gateway.operations import settings
from gateway.operations.presence import Presence

SECONDS = 60.0
STOP_SECONDS = 15.0
"""On a quiet machine it is 2: what this finds is a client that is waited for, and that has no end."""
POISON = "raise SystemExit('a module from the working directory')\n"


class Running:
    """``cvan run`` in a process group of its own, as a terminal begins it."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home = home
        self.log = folder / f"log-{time.monotonic_ns()}"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "gateway.operations.cli", "--home", str(home), "run"],
                **{"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log},
                cwd=folder,
                start_new_session=True,
            )

    def said(self, text: str) -> bool:
        """Wait until the log has it."""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until and text not in self.log.read_text("utf-8"):
            time.sleep(0.02)
        return text in self.log.read_text("utf-8")

    @property
    def address(self) -> Path:
        return self.home / "run" / "address"

    @property
    def port(self) -> int:
        return int(self.address.read_text("ascii").rpartition(":")[2])

    def tell_all(self, number: signal.Signals) -> tuple[int, float]:
        """A signal to the whole group; the exit code, and the seconds until then."""
        began = time.monotonic()
        os.killpg(self.process.pid, number)
        return self.process.wait(SECONDS), time.monotonic() - began

    def alive(self) -> bool:
        """True where anything of the group is."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 0)
            return True
        return False


@pytest.fixture
def free(home: Path) -> Path:
    """A home that takes a free port."""
    path = home / "conf" / "gateway.toml"
    path.write_text(re.sub(r"(?m)^(port|operations_port) = \d+", r"\1 = 0", path.read_text("utf-8")), "utf-8")
    return home


@pytest.fixture
def run(free: Path, tmp_path: Path) -> Iterator[Callable[[], Running]]:
    """Begins servers in a folder full of traps."""
    folder = tmp_path / "cwd"
    folder.mkdir()
    for name in ("gateway", "multiprocessing", "msgspec"):
        (folder / f"{name}.py").write_text(POISON)
    begun: list[Running] = []

    def make() -> Running:
        begun.append(Running(free, folder))
        return begun[-1]

    yield make
    for running in begun:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.process.pid, signal.SIGKILL)
        running.process.wait()


def certificate(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=10)


def mute(port: int) -> ssl.SSLSocket:
    """A client that has shaken hands, and will neither read nor close."""
    context = ssl._create_unverified_context()
    wire = context.wrap_socket(socket.create_connection(("127.0.0.1", port)))
    wire.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert wire.recv(4_096).startswith(b"HTTP/1.1 200")
    return wire


def test_one_server_a_home_and_ctrl_c_ends_it(run: Callable[[], Running], free: Path) -> None:
    first = run()
    assert first.said("listening on"), first.log.read_text()
    second = run()
    assert second.process.wait(SECONDS) == 2
    assert f"{free} is served already, by process {first.process.pid}" in second.log.read_text()
    assert "Traceback" not in second.log.read_text()
    wires = [mute(first.port) for _ in range(3)]
    code, seconds = first.tell_all(signal.SIGINT)
    said = first.log.read_text()
    assert code == 0
    assert seconds < STOP_SECONDS
    assert said.splitlines()[-1].endswith("stopped")
    for fault in ("Traceback", "Interrupt", "resource_tracker", "Error", POISON):
        assert fault not in said
    assert not first.address.exists()
    for wire in wires:
        wire.close()


def test_a_server_that_was_killed_leaves_the_home_free(run: Callable[[], Running]) -> None:
    first = run()
    assert first.said("listening on")
    first.process.kill()
    first.process.wait()
    second = run()
    assert second.said("listening on"), second.log.read_text()
    second.process.terminate()
    assert second.process.wait(SECONDS) == 0
    assert second.log.read_text().splitlines()[-1].endswith("stopped")
    assert not second.address.exists()
    until = time.monotonic() + SECONDS
    while (first.alive() or second.alive()) and time.monotonic() < until:
        time.sleep(0.05)
    assert not first.alive()
    assert not second.alive()


@pytest.mark.parametrize("early", [0.4, 0.8, 1.2, 2.0])
def test_ctrl_c_while_it_begins_is_as_clean(run: Callable[[], Running], early: float) -> None:
    """In the first moments the interpreter itself reads what it needs, and says so; after that, we do."""
    running = run()
    until = time.monotonic() + SECONDS
    while not (running.home / "run" / "lock").exists() and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(early)
    code, _ = running.tell_all(signal.SIGINT)
    said = running.log.read_text()
    assert code == 0, said
    assert said.splitlines()[-1].endswith("stopped")
    assert "Traceback" not in said
    assert "resource_tracker" not in said


def test_a_hangup_takes_in_new_keys_and_the_broken_keep_the_old(
    run: Callable[[], Running], free: Path
) -> None:
    running = run()
    assert running.said("listening on")
    chosen = settings.load(free)
    key, shown = free / chosen.keys.own / "tls.key.pem", free / chosen.keys.own / "tls.crt.pem"
    before = certificate(running.port)
    key.write_text("broken")
    (free / "conf/clearance/office.toml").write_text("broken")
    os.kill(running.process.pid, signal.SIGHUP)
    assert running.said("own keys not all usable, those from before go on: tls 1: ")
    assert running.said("knowledge reloaded")
    assert running.said("conf/clearance not reloaded: office.toml")
    assert certificate(running.port) == before
    homes.authority(free).issue(
        homes.subject("localhost", "New", "VN"), key, shown, use="tls", server_names=("localhost",)
    )
    shutil.copy(homes.shipped() / "conf/clearance/office.toml", free / "conf/clearance")
    os.kill(running.process.pid, signal.SIGHUP)
    assert running.said("TLS reloaded")
    assert running.said("TLS to receivers reloaded")
    assert running.said("conf/clearance reloaded")
    assert (
        certificate(running.port)
        == shown.read_text().partition("-----END")[0] + before[before.index("-----END") :]
    )
    running.process.terminate()
    assert running.process.wait(SECONDS) == 0


def test_a_hangup_while_it_begins_counts_when_it_has_begun(run: Callable[[], Running]) -> None:
    running = run()
    until = time.monotonic() + SECONDS
    while not (running.home / "run" / "lock").exists() and time.monotonic() < until:
        time.sleep(0.01)
    for _ in range(15):
        os.killpg(running.process.pid, signal.SIGHUP)
        time.sleep(0.1)
    assert running.said("listening on"), running.log.read_text()
    assert running.said("TLS reloaded"), running.log.read_text()
    running.process.terminate()
    assert running.process.wait(SECONDS) == 0


def test_a_refusal_is_in_the_log(run: Callable[[], Running]) -> None:
    running = run()
    assert running.said("listening on")
    with mute(running.port) as wire:
        wire.sendall(b"GET /v1/mailbox HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert wire.recv(4_096).startswith(b"HTTP/1.1 401")
    assert running.said('"event": "refused"')
    (line,) = [x for x in running.log.read_text().splitlines() if "refused" in x]
    assert '"codes": ["API401"]' in line
    running.process.terminate()
    assert running.process.wait(SECONDS) == 0


def test_missing_anchors_are_the_last_word(run: Callable[[], Running], free: Path) -> None:
    for anchor in (free / settings.load(free).keys.trust).glob("*.pem"):
        anchor.unlink()
    running = run()
    assert running.process.wait(SECONDS) == 2
    said = running.log.read_text()
    assert "no trust anchor" in said
    assert "resource_tracker" not in said
    assert "Traceback" not in said


def test_what_cannot_begin_ends_with_a_word_and_all_that_was_begun(
    run: Callable[[], Running], free: Path
) -> None:
    """The couriers come late: threads, ledger and journal are there by then, and must go again."""
    (free / "clearance.db").write_bytes(b"no database " * 400)
    server = run()
    assert server.process.wait(SECONDS) == 2
    said = server.log.read_text()
    why = "cvan: the gateway cannot start: database.clearance: DatabaseError: file is not a database"
    assert said.splitlines()[-1].startswith(why)
    assert "Traceback" not in said
    assert not server.alive()
    assert not server.address.exists()
    Presence(free).end()  # nothing holds the home
