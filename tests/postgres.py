"""A throw-away PostgreSQL server, for tests and benches."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

START_SECONDS = 30
NOT_INSTALLED = "PostgreSQL's initdb and postgres are not installed"
UNSAFE = ("-c", "fsync=off", "-c", "full_page_writes=off")
UNPRIVILEGED = ("postgres", "nobody")  # initdb refuses root; the first of these that exists serves


class PostgresServer:
    """A throw-away server on a Unix socket in a directory of its own; ended by its process id."""

    _unsafe = False

    def __init__(self, binaries: Path, *, fsync: bool = True) -> None:
        self._unsafe = not fsync
        # Not below pytest's own directories: those are closed to the unprivileged user.
        self.folder = Path(tempfile.mkdtemp(prefix="cvan-pg-", dir="/tmp"))
        self._user = _unprivileged()
        self._names = (f"test_{n}" for n in itertools.count())
        try:
            if self._user is not None:
                os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
            data = str(self.folder / "data")
            initdb = [binaries / "initdb", "-D", data, "-A", "trust", "-U", "cvan", "-E", "UTF8"]
            self._run([*initdb, "--no-sync", "--locale=C"]).check_returncode()
            self._log = (self.folder / "log").open("wb")
            postgres = [binaries / "postgres", "-D", data, "-k", self.folder, "-c", "listen_addresses="]
            self._command = [str(word) for word in (*postgres, *([] if fsync else UNSAFE))]
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Begin to serve; after :meth:`crash` it recovers what was committed."""
        self._server = subprocess.Popen(self._command, stdout=self._log, stderr=self._log, **self._as_user())
        self._await()
        self._admin = psycopg.connect(self._conninfo("postgres"), autocommit=True)

    @property
    def pid(self) -> int:
        """Of the server that began all its other processes."""
        return self._server.pid

    def crash(self) -> None:
        """Immediate shutdown: every connection is cut, nothing is written any more."""
        self._server.send_signal(signal.SIGQUIT)
        self._server.wait(START_SECONDS)
        self._admin.close()

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://cvan@/{database}?host={self.folder}"

    def create(self, template: str = "template0") -> str:
        """The name of a new database."""
        name = next(self._names)
        # Without fsync copying files costs a quarter of what writing all of them to the log costs.
        how = " STRATEGY file_copy" if self._unsafe and self._admin.info.server_version >= 150_000 else ""
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}{how}".encode())
        return name

    def drop(self, name: str) -> None:
        self._admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def close(self) -> None:
        """End the server (fast shutdown) and remove what it wrote."""
        server = getattr(self, "_server", None)
        if server is not None:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _conninfo(self, database: str) -> str:
        return f"host={self.folder} user=cvan dbname={database}"

    def _await(self) -> None:
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self._conninfo("postgres")).close()
            except psycopg.OperationalError:
                if self._server.poll() is not None or time.monotonic() > end:
                    log = (self.folder / "log").read_text(errors="replace")
                    raise RuntimeError(f"PostgreSQL did not start: {log}") from None
                time.sleep(0.05)
            else:
                return

    def _run(self, arguments: list[object]) -> subprocess.CompletedProcess[bytes]:
        command = [str(a) for a in arguments]
        return subprocess.run(command, capture_output=True, check=True, **self._as_user())

    def _as_user(self) -> dict[str, object]:
        options: dict[str, object] = {"cwd": "/", "env": {"PATH": os.environ["PATH"], "LC_ALL": "C"}}
        if self._user is not None:
            options |= {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": ()}
        return options


def _unprivileged() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError(f"none of the users {UNPRIVILEGED} exists to run PostgreSQL as")


def postgres_binaries() -> Path | None:
    """The folder of initdb and postgres: the newest installed, or the one on the PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    for name in ("postgres", "pg_config"):
        found = shutil.which(name)
        if found is not None and name == "postgres":
            folders.append(Path(found).resolve().parent)
        elif found is not None:
            asked = subprocess.run([found, "--bindir"], capture_output=True, text=True, check=False)
            folders.append(Path(asked.stdout.strip() or "/nonexistent"))
    return next((f for f in folders if (f / "postgres").exists() and (f / "initdb").exists()), None)


def postgres_required() -> Path:
    """As :func:`postgres_binaries`.  Raises FileNotFoundError where they are not installed."""
    found = postgres_binaries()
    if found is None:
        raise FileNotFoundError(NOT_INSTALLED)
    return found


def postgres_or_skip() -> Path:
    """As :func:`postgres_binaries`; the test is skipped where they are not installed."""
    import pytest  # benches and drills use this module, too, and need none

    found = postgres_binaries()
    return found if found is not None else pytest.skip(NOT_INSTALLED)


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in folder.parent.name.split(".") if part.isdigit())
