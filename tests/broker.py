"""A throw-away nats-server with JetStream, for tests; ended by its process id."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import nats
import pytest
from nats.js import JetStreamContext, api

from tests.ports import free_ports

T = TypeVar("T")
START_SECONDS = 20.0


class Stored(NamedTuple):
    """A message as a reader of the stream gets it."""

    sequence: int
    subject: str
    headers: dict[str, str]
    payload: bytes


def nats_server() -> str | None:
    """The program, or None where it is not installed."""
    return shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin")


class Broker:
    """``nats-server -js`` on a port of its own; what it stored stays when it is killed.

    ``more``: further lines of its configuration.  ``login``: how this class itself connects.
    """

    def __init__(self, program: str, more: str = "", **login: Any) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cvan-nats-", dir="/tmp"))
        self.port = free_ports()
        self._login = login
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self.configure(more)

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def configure(self, more: str) -> None:
        """Configuration for the next start."""
        own = f"listen: 127.0.0.1:{self.port}\njetstream: {{ store_dir: {self.folder}/js }}\n"
        (self.folder / "nats.conf").write_text(own + more, "utf-8")

    def start(self) -> None:
        """Begin it; returns once it listens."""
        with (self.folder / "log").open("ab") as log:
            command = [self._program, "-c", str(self.folder / "nats.conf")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.02)
        raise AssertionError(f"nats-server did not start:\n{self.log()}")

    def kill(self) -> None:
        """SIGKILL, as a power cut of its processes."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """SIGSTOP: it is there, and says nothing. Waits until every thread of it stands still."""
        self._signal(signal.SIGSTOP)
        while not self._stands():
            time.sleep(0.001)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _stands(self) -> bool:
        """Whether proc(5) calls every thread stopped: the signal reaches one after the other."""
        assert self._process is not None
        tasks = Path(f"/proc/{self._process.pid}/task").glob("*/stat")
        return all(each.read_text().rpartition(")")[2].split()[0] == "T" for each in tasks)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    def ask(self, work: Callable[[JetStreamContext], Awaitable[T]]) -> T:
        """What ``work`` gives of a connection of its own."""

        async def asked() -> T:
            client = await nats.connect(self.url, allow_reconnect=False, connect_timeout=5, **self._login)
            try:
                return await work(client.jetstream())
            finally:
                await client.close()

        return asyncio.run(asked())

    def add_stream(self, **settings: Any) -> None:
        """A stream as an operator would make it."""
        full = {"name": "CVAN", "subjects": ["cvan.>"], "duplicate_window": 7200.0, **settings}
        self.ask(lambda js: js.add_stream(api.StreamConfig(**full)))

    def stored(self, stream: str = "CVAN") -> list[Stored]:
        """All that is in a stream, in its order."""

        async def read(js: JetStreamContext) -> list[Stored]:
            state = (await js.stream_info(stream)).state
            found = []
            for number in range(max(state.first_seq, 1), state.last_seq + 1):
                message = await js.get_msg(stream, seq=number)
                headers = dict(message.headers or {})
                found.append(Stored(number, str(message.subject), headers, message.data or b""))
            return found

        return self.ask(read)

    def ids(self, stream: str = "CVAN") -> list[str]:
        """The ids of all that is in a stream."""
        return [message.headers["Nats-Msg-Id"] for message in self.stored(stream)]


@contextlib.contextmanager
def broker(more: str = "", **login: Any) -> Iterator[Broker]:
    """One that runs, without a stream; the test is skipped where nats-server is not installed."""
    program = nats_server()
    if program is None:
        pytest.skip("nats-server is not installed")
    made = Broker(program, more, **login)
    try:
        made.start()
        yield made
    finally:
        made.close()
