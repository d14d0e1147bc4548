"""The gateway's own process, begun and ended as an operator or a power cut would."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

START_SECONDS = 60.0
END_SECONDS = 40.0


class Process:
    """``python -m gateway.operations.cli --home HOME run`` on a port of its choice."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._address = home / "run" / "address"
        self._process: subprocess.Popen[bytes] | None = None
        self._groups: list[int] = []

    def start(self) -> None:
        """Begin it; returns once it serves."""
        self._address.unlink(missing_ok=True)
        with (self.home / "gateway.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gateway.operations.cli", "--home", str(self.home), "run"],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # so that whatever it leaves behind can be ended with it
            )
        self._groups.append(self._process.pid)
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            if self._address.exists() and self._address.read_text("ascii").endswith("\n"):
                return
            time.sleep(0.02)
        raise AssertionError(f"the gateway did not start:\n{self.log()[-3000:]}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def port(self) -> int:
        """Where it serves, or served last."""
        return int(self._address.read_text("ascii").rpartition(":")[2])

    def kill(self) -> None:
        """SIGKILL, as a power cut or the kernel would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(END_SECONDS)

    def hang_up(self) -> None:
        """SIGHUP: read all knowledge again."""
        os.kill(self.pid, signal.SIGHUP)

    def log(self) -> str:
        return (self.home / "gateway.log").read_text("utf-8", "replace")

    def group(self) -> list[int]:
        """Processes of every gateway begun here that still live, workers and siblings included."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
                if int(group) in self._groups and state != "Z":
                    found.append(int(stat.parent.name))
        return found

    def doors(self) -> list[int]:
        """The processes that answer partners."""
        return [pid for pid in self.group() if b"\0--door\0" in _command(pid)]

    def workers(self) -> list[int]:
        """The processes that large messages are given to."""
        return [pid for pid in self.group() if b"multiprocessing.spawn" in _command(pid)]

    def sweep(self) -> None:
        """End all that is left of the processes that were begun here."""
        for pid in self.group():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait()


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
