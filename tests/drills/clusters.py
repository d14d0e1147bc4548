"""PostgreSQL servers that archive their log, and servers made of another one's base backup."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.postgres import PostgresServer, _unprivileged

ARCHIVING = (
    "archive_mode = on",
    "archive_command = 'test ! -f {archive}/%f && cp %p {archive}/%f.part && sync {archive}/%f.part "
    "&& mv {archive}/%f.part {archive}/%f'",
    "archive_timeout = 60s",
)
"""As docs/backup.md has them."""
RECOVERING = (
    "restore_command = 'cp {archive}/%f %p'",
    "recovery_target_time = '{moment}'",
    "recovery_target_action = 'promote'",
)


class Primary(PostgresServer):
    """A server with an archive of its log beside its data."""

    def __init__(self, binaries: Path) -> None:
        self.binaries = binaries
        super().__init__(binaries)
        self.archive = self.folder / "archive"
        self._run(["mkdir", self.archive])
        self.configure(*ARCHIVING)
        self.crash()
        self.start()

    def configure(self, *lines: str, **named: str) -> None:
        """Add lines to its settings."""
        with (self.folder / "data" / "postgresql.conf").open("a") as file:
            for line in lines:
                file.write(line.format(archive=self.archive, **named) + "\n")

    def ask(self, query: str) -> Any:
        """The first value of the answer, by the superuser."""
        row = self._admin.execute(query.encode()).fetchone()
        return row[0] if row is not None else None

    def base_backup(self, target: Path, *more: str, name: str = "drill") -> None:
        """As docs/backup.md has it."""
        source = f"host={self.folder} user=cvan application_name={name}"
        tool = self.binaries / "pg_basebackup"
        self._run([tool, "--pgdata", target, "--dbname", source, "--checkpoint=fast", *more])
        if "--write-recovery-conf" not in more:
            self._run([self.binaries / "pg_verifybackup", target])

    def set(self, name: str, value: str) -> None:
        """A setting that needs no restart."""
        self._admin.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
        self._admin.execute("SELECT pg_reload_conf()")

    def archived(self, seconds: float = 30.0) -> None:
        """What was written until now is in the archive when this returns."""
        name, end = self.ask("SELECT pg_walfile_name(pg_switch_wal())"), time.monotonic() + seconds
        while not (self.archive / name).exists():
            assert time.monotonic() < end, f"{name} was not archived"
            time.sleep(0.1)


class Clone(PostgresServer):
    """A server on a base backup, not begun yet."""

    def __init__(self, binaries: Path) -> None:
        self.binaries = binaries
        self.folder = Path(tempfile.mkdtemp(prefix="cvan-pg-", dir="/tmp"))
        self._user = _unprivileged()
        self._names = (f"clone_{n}" for n in itertools.count())
        if self._user is not None:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        self.data = self.folder / "data"
        self._log = (self.folder / "log").open("wb")
        postgres = [binaries / "postgres", "-D", self.data, "-k", self.folder, "-c", "listen_addresses="]
        self._command = [str(word) for word in postgres]

    def recover(self, archive: Path, moment: str) -> None:
        """Begin, and take from the archive what was written until a moment; returns when it takes writes."""
        with (self.data / "postgresql.conf").open("a") as file:
            for line in RECOVERING:
                file.write(line.format(archive=archive, moment=moment) + "\n")
        self._run(["touch", self.data / "recovery.signal"])
        self.start()
        self.awaited("NOT pg_is_in_recovery()")

    def follow(self) -> None:
        """Begin as a standby that may be read for long."""
        with (self.data / "postgresql.conf").open("a") as file:
            file.write("hot_standby_feedback = on\n")
        self.start()

    def promote(self) -> None:
        """A standby becomes a primary."""
        self._admin.execute("SELECT pg_promote()")
        self.awaited("NOT pg_is_in_recovery()")

    def awaited(self, condition: str, seconds: float = 30.0) -> None:
        """Returns when it holds here."""
        end = time.monotonic() + seconds
        while self._admin.execute(f"SELECT {condition}".encode()).fetchone() != (True,):
            assert time.monotonic() < end, condition
            time.sleep(0.05)

    def discard(self) -> None:
        """End it, where it was begun, and remove what it wrote."""
        if hasattr(self, "_server"):
            self.close()
        else:
            self._log.close()
            shutil.rmtree(self.folder, ignore_errors=True)
