"""Two PostgreSQL servers, a primary and its standby by streaming replication, each killed and rebuilt in turn."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

import psycopg

from tests.postgres import START_SECONDS, PostgresServer, _unprivileged

PATIENCE = 30.0
"""Seconds for a standby to catch up, or to be promoted."""


RETRY = "wal_retrieve_retry_interval=200ms"
"""A standby that has lost its primary waits so long before it looks again, and for that before it is promoted:
five seconds by default."""


class Machine(PostgresServer):
    """A server that stays at its place (its folder) whatever it is: nothing yet, primary or standby."""

    def __init__(self, binaries: Path, name: str) -> None:
        self.name = name
        self.binaries = binaries
        self.folder = Path(tempfile.mkdtemp(prefix=f"cvan-{name}-", dir="/tmp"))
        self._data = self.folder / "data"
        self._user = _unprivileged()
        self._names = iter(f"test_{n}" for n in range(1_000))
        self._log = (self.folder / "log").open("wb")
        postgres = [binaries / "postgres", "-D", self._data, "-k", self.folder]
        words = [*postgres, "-c", "listen_addresses=", "-c", f"cluster_name={name}", "-c", RETRY]
        self._command = [str(word) for word in words]
        if self._user is not None:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)

    def initialise(self) -> None:
        """Begin as a primary with nothing in it."""
        initdb = [self.binaries / "initdb", "-D", self._data, "-A", "trust", "-U", "cvan", "-E", "UTF8"]
        self._run([*initdb, "--no-sync", "--locale=C"])
        self.start()

    def copy(self, primary: Machine) -> None:
        """Begin as the primary's standby, whatever there was here before; returns once it streams."""
        shutil.rmtree(self._data, ignore_errors=True)
        slot = f"for_{self.name}"
        primary.ask(
            f"SELECT pg_drop_replication_slot('{slot}') FROM pg_replication_slots WHERE slot_name = '{slot}'"
        )
        command = [self.binaries / "pg_basebackup", "-h", primary.folder, "-U", "cvan", "-D", self._data]
        self._run([*command, "-R", "-X", "stream", "-C", "-S", slot, "--checkpoint=fast", "--no-sync"])
        # A setting that says for whom the old primary waited comes along with the copy.
        auto = self._data / "postgresql.auto.conf"
        lines = auto.read_text("utf-8").splitlines(keepends=True)
        auto.write_text("".join(line for line in lines if "synchronous_standby_names" not in line), "utf-8")
        self.start()
        primary.until(
            f"SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND application_name = '{self.name}'"
        )

    def wait_for(self, standby: str) -> None:
        """From now on commits wait for this standby; "": for none."""
        self.ask(f"ALTER SYSTEM SET synchronous_standby_names = '{standby}'")
        self.ask("SELECT pg_reload_conf()")
        if standby:
            self.until("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")

    def promote(self) -> float:
        """Become the primary; the seconds that it took."""
        began = time.monotonic()
        self.ask("SELECT pg_promote(true, 60)")
        return time.monotonic() - began

    def ask(self, *queries: str) -> list[tuple[object, ...]]:
        """One after the other over a connection of their own; all rows of the last."""
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            for query in queries:
                cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def until(self, query: str) -> None:
        """Return once the query's first value is not 0.  Raises TimeoutError."""
        end = time.monotonic() + PATIENCE
        while not self.ask(query)[0][0]:
            if time.monotonic() > end:
                raise TimeoutError(query)
            time.sleep(0.02)

    def kill(self) -> None:
        """The machine is gone: SIGKILL to the server and to each of its processes."""
        children = self.children()
        self._server.kill()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self._server.wait()
        self._admin.close()

    def stop_fast(self) -> None:
        """As ``pg_ctl stop -m fast``: every connection is told to go, what is committed is kept."""
        self._server.send_signal(signal.SIGINT)
        self._server.wait(START_SECONDS)
        self._admin.close()

    def runs(self) -> bool:
        """True while it serves."""
        return hasattr(self, "_server") and self._server.poll() is None

    def receiver(self) -> int:
        """The process of a standby that takes what the primary sends."""
        (found,) = [pid for pid in self.children() if b"walreceiver" in _command(pid)]
        return found

    def children(self) -> list[int]:
        """The processes that the server began."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                if int(stat.read_text().rpartition(")")[2].split()[1]) == self._server.pid:
                    found.append(int(stat.parent.name))
        return found


class Pair:
    """A primary and its standby.  ``synchronous``: whether commits wait for the standby."""

    def __init__(self, binaries: Path, *, synchronous: bool = True) -> None:
        self.synchronous = synchronous
        self.primary, self.standby = Machine(binaries, "a"), Machine(binaries, "b")
        self.machines = (self.primary, self.standby)
        self._written = "0/0"
        try:
            self.primary.initialise()
            self._follow()
        except BaseException:
            self.close()
            raise

    def url(self, database: str) -> str:
        """Both hosts; whoever connects gets the one that takes writes."""
        hosts = ",".join(str(machine.folder) for machine in self.machines)
        return f"postgresql+psycopg://cvan@/{database}?host={hosts}&target_session_attrs=read-write"

    def lag(self, seconds: float) -> None:
        """The line to the standby stands still for so long, up to the primary's end; then the standby is
        promoted.  What was on its way is lost with the primary."""
        receiver = self.standby.receiver()
        os.kill(receiver, signal.SIGSTOP)
        try:
            time.sleep(seconds)
            self._written = str(self.primary.ask("SELECT pg_current_wal_flush_lsn()")[0][0])
            self.primary.kill()
        finally:
            os.kill(receiver, signal.SIGCONT)

    def died(self) -> int:
        """Octets of the log that the primary had on its disk at its end and the new one never received."""
        behind = f"SELECT greatest(0, '{self._written}'::pg_lsn - pg_last_wal_receive_lsn())::int8"
        octets = self.primary.ask(behind)[0][0]
        assert isinstance(octets, int)
        return octets

    def fail_over(self) -> float:
        """The standby becomes the primary; the seconds that its promotion took."""
        took = self.standby.promote()
        self.primary, self.standby = self.standby, self.primary
        return took

    def rebuild(self) -> float:
        """The one that was killed begins anew as the standby of the other; the seconds that it took."""
        began = time.monotonic()
        self._follow()
        return time.monotonic() - began

    def close(self) -> None:
        """End both."""
        for machine in (self.standby, self.primary):
            machine.close()

    def _follow(self) -> None:
        self.standby.copy(self.primary)
        self.primary.wait_for(self.standby.name if self.synchronous else "")


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
