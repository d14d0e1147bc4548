"""The stage: homes, partners, databases, nodes, the address that is pushed to."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg

from tests.chaos.databases import Books
from tests.chaos.node import Node
from tests.chaos.receiver import PushedTo
from tests.chaos.spoiling import Spoiler, power_on
from tests.journeys.town import VAN, Town
from tests.postgres import PostgresServer, postgres_required

DOORS = 2


class Server(PostgresServer):
    """PostgreSQL on a disk and a clock that can be spoilt, killed as the kernel would."""

    def __init__(self, binaries: Path, environment: Mapping[str, str]) -> None:
        self._environment = environment
        super().__init__(binaries)

    def kill(self) -> None:
        """SIGKILL to the postmaster; its children end when they notice."""
        self._server.kill()
        self._server.wait()
        self._admin.close()

    def again(self) -> None:
        """Begin, as often as it takes: children of the one before may hold its shared memory for a while."""
        if self._server.poll() is None:
            self._server.kill()
            self._server.wait()
        end = time.monotonic() + 60
        while True:
            try:
                self.start()
            except RuntimeError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)
            else:
                return

    def runs(self) -> bool:
        """True while it serves."""
        return self._server.poll() is None

    def read_only(self, on: bool) -> None:
        """Every transaction from now on, as on a server that became somebody's standby."""
        self._set("on" if on else "off")

    def _set(self, word: str) -> None:
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as admin:
            admin.execute("SET default_transaction_read_only = off")
            admin.execute(f"ALTER SYSTEM SET default_transaction_read_only = {word}".encode())
            admin.execute("SELECT pg_reload_conf()")

    def _as_user(self) -> dict[str, object]:
        options = super()._as_user()
        given = options.get("env", dict(os.environ))
        assert isinstance(given, dict)
        return {**options, "env": {**given, **self._environment}}


CONNECTIONS = 2_000
"""As many from one address as in all."""


class Stage:
    """Everything there is.  ``durable``: as with Spoiler; for a power cut, on SQLite.

    ``doors``: of each node; ``spoilt``: disk and clock can be; ``second``: on PostgreSQL there is another node.
    """

    doors = DOORS
    spoilt = True
    second = True

    def __init__(self, root: Path, database: str, plants: str = "poison", durable: str = "yes") -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.database = database
        self.server: Server | None = None
        spoils = root / "spoils"
        if database == "postgresql":
            # Where the server's own user can read it.
            spoils = Path(f"/tmp/cvan-chaos-{os.getpid()}-{time.monotonic_ns()}")
        spoils.mkdir(mode=0o755)
        self._spoils = spoils
        self.spoiler = Spoiler(spoils, durable if database == "sqlite" else "", wanted=self.spoilt)
        self.town = Town(root, *self._databases())
        self.town.receiver.close()
        self.receiver = PushedTo(root / "receiver.key.pem", root / "receiver.crt.pem")
        self.town.enrol(VAN, self.receiver.url("/vanlink"))
        self.town.ledger.close()  # nobody but the nodes writes from here on
        self.books = Books(self.town.ledger_url, self.town.clearance_url)
        _set_line(self.town.home, "processes", str(self.doors))
        _set_line(self.town.home, "seconds", "5", "[journal]")
        # All partners have one address here.
        _set_line(self.town.home, "connections_per_address", str(CONNECTIONS))
        homes = [self.town.home]
        if database == "postgresql" and self.second:
            homes.append(root / "second")
            shutil.copytree(self.town.home, homes[1], ignore=shutil.ignore_patterns("run", "*.log"))
        self.nodes = [Node(home, self.spoiler.environment(), plants) for home in homes]
        if self.spoiler.ready and database == "sqlite":
            power_on(self.town.home)

    def start(self) -> None:
        """Begin every node."""
        for node in self.nodes:
            node.start()

    def close(self) -> None:
        """End all of it."""
        for node in self.nodes:
            node.sweep()
        with contextlib.suppress(OSError):
            self.receiver.close()
        if self.server is not None:
            if not self.server.runs():
                self.server.again()
            self.server.close()
        if self.database == "postgresql":
            shutil.rmtree(self._spoils, ignore_errors=True)

    def _databases(self) -> tuple[str, str]:
        if self.database == "sqlite":
            return "sqlite:///ledger.db", "sqlite:///clearance.db"
        self.server = Server(postgres_required(), self.spoiler.environment())
        name = self.server.create()
        return self.server.url(name), self.server.url(name)


def _set_line(home: Path, name: str, value: str, section: str = "") -> None:
    path = home / "conf" / "gateway.toml"
    before, mark, text = (
        path.read_text("utf-8").rpartition(section) if section else ("", "", path.read_text("utf-8"))
    )
    lines = text.splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if line.startswith(f"{name} = "))
    lines[at] = f"{name} = {value}\n"
    path.write_text(before + mark + "".join(lines), "utf-8")


def kill(pids: list[int], number: signal.Signals = signal.SIGKILL) -> None:
    """Each of them that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def journal_verified(town: Town) -> str:
    """ "" where `cvan journal verify` finds the journal whole, else what it says."""
    import sys

    command = [sys.executable, "-m", "gateway.operations.cli", "--home", str(town.home), "journal", "verify"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=600)
    return "" if done.returncode == 0 else (done.stdout + done.stderr).decode()[-500:]
