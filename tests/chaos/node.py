"""Nodes: the gateway's processes on homes of their own, begun with what spoils them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.journeys.process import Process
from tests.ports import free_ports

LAUNCH = Path(__file__).with_name("launch")
ROOT = Path(__file__).resolve().parents[2]
BEGIN_SECONDS = 90.0


class NotBegun(Exception):
    """A node did not come up in time."""


class Node(Process):
    """One node.  Its port is its own for good, so that clients find it again."""

    def __init__(self, home: Path, environment: Mapping[str, str], plants: str = "") -> None:
        super().__init__(home)
        self._environment = {**os.environ, **environment, "PYTHONPATH": f"{LAUNCH}{os.pathsep}{ROOT}"}
        self._environment["CVAN_CHAOS_PLANT"] = plants
        self._port = free_ports()
        path = home / "conf" / "gateway.toml"
        text = re.sub(r"(?m)^port = .*$", f"port = {self._port}", path.read_text("utf-8"), count=1)
        path.write_text(text, "utf-8")

    @property
    def port(self) -> int:
        """Where it serves."""
        return self._port

    def start(self) -> None:
        """Begin it, again and again as systemd would; returns once it serves.  Raises NotBegun."""
        end = time.monotonic() + BEGIN_SECONDS
        self._begin()
        while not self._serves():
            if time.monotonic() > end:
                raise NotBegun(self.log()[-3000:])
            assert self._process is not None
            if self._process.poll() is not None:
                time.sleep(0.2)
                self._begin()
            time.sleep(0.02)

    def halt(self) -> None:
        """Everything of it stands still, as where the machine is starved or moved."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """It runs again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.group():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _serves(self) -> bool:
        with contextlib.suppress(OSError):
            return self._address.read_text("ascii").endswith("\n")
        return False

    def _begin(self) -> None:
        self._address.unlink(missing_ok=True)
        with (self.home / "gateway.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "gateway.operations.cli", "--home", str(self.home), "run"],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=self._environment,
            )
        self._groups.append(self._process.pid)
