"""A PostgreSQL database put away and brought back by its own tools, pg_dump and pg_restore."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from gateway.operations.backup.position import Ask
from gateway.storage.engines import parse_url

DEBIAN = Path("/usr/lib/postgresql")
"""Where Debian keeps each version's tools."""
CONNECT_SECONDS = 10
COMPRESSION = 1
"""Of 9: declarations are text, and the first step saves nearly all that can be saved."""

_TABLES = """
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
"""


_PATIENT = """
SELECT set_config(name, '0', true) FROM pg_settings
WHERE name IN ('idle_in_transaction_session_timeout', 'statement_timeout', 'transaction_timeout')
"""
"""What a server may end a transaction by, off for this one: it idles for as long as pg_dump (which does the same
for its own) reads.  Not each version knows each of them."""


class Unable(Exception):
    """The server, or a tool of it, is not there or refuses; the text says why."""


class Server:
    """A database on a server, by the URL that the settings have.  Raises Unable for one that is none."""

    def __init__(self, url: str) -> None:
        try:
            parsed = parse_url(url)
        except ValueError as error:
            raise Unable(str(error)) from error
        if parsed.get_backend_name() != "postgresql":
            raise Unable(f"{parsed.render_as_string()} is no PostgreSQL database")
        _, options = parsed.get_dialect()().create_connect_args(parsed)
        # A command line can be read by everybody on the machine.
        self._password = str(options.pop("password", ""))
        self.name = make_conninfo(**{"connect_timeout": CONNECT_SECONDS, **options})

    @contextmanager
    def snapshot(self) -> Iterator[tuple[str, Ask]]:
        """One moment of the database: its name, by which pg_dump sees the same one, and what asks it.

        Raises Unable, also for what the server does inside the block."""
        try:
            with self._connect() as connection:
                connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                connection.execute(_PATIENT.encode())
                found = connection.execute("SELECT pg_export_snapshot()").fetchone()
                assert found is not None
                yield str(found[0]), lambda query: connection.execute(query.encode()).fetchall()
        except psycopg.Error as error:
            raise Unable(_one_line(str(error))) from error

    def dump(self, snapshot: str, target: Path) -> None:
        """Write the whole database into a file of mode 0600, and read its list back.  Raises Unable, OSError."""
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        told = ["--format=custom", f"--compress={COMPRESSION}", "--no-owner", "--no-privileges"]
        self._run("pg_dump", [*told, f"--snapshot={snapshot}", f"--file={target}", f"--dbname={self.name}"])
        self._run("pg_restore", ["--list", str(target)], login=False)

    def restore(self, dump: Path) -> None:
        """Bring a dump into the database, all or nothing.  Raises Unable."""
        told = ["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]
        self._run("pg_restore", [*told, f"--dbname={self.name}", str(dump)])

    def empty(self) -> bool:
        """True where there is no table in it.  Raises Unable."""
        try:
            with self._connect() as connection:
                return connection.execute(_TABLES.encode()).fetchone() == (0,)
        except psycopg.Error as error:
            raise Unable(_one_line(str(error))) from error

    def _connect(self) -> psycopg.Connection[Any]:
        password = {"password": self._password} if self._password else {}
        return psycopg.connect(make_conninfo(self.name, **password), autocommit=True)

    def _run(self, tool: str, arguments: Sequence[str], *, login: bool = True) -> None:
        command = [str(_tool(tool)), *(["--no-password"] if login else []), *arguments]
        environment = dict(os.environ, **({"PGPASSWORD": self._password} if self._password else {}))
        done = subprocess.run(command, capture_output=True, check=False, env=environment)  # noqa: S603 -- our own words
        if done.returncode:
            raise Unable(f"{tool}: {_one_line(done.stderr.decode(errors='replace'))}")


def _tool(name: str) -> Path:
    """The newest that is installed: an older one does not read a newer server.  Raises Unable."""
    versions = [folder for folder in DEBIAN.glob("*/bin") if (folder / name).exists()]
    if versions:
        return max(versions, key=lambda folder: float(folder.parent.name)) / name
    found = shutil.which(name)
    if found is None:
        raise Unable(
            f"{name} is not installed; it comes with PostgreSQL's client (Debian: postgresql-client)"
        )
    return Path(found)


def _one_line(said: str) -> str:
    return " ".join(said.split()) or "no reason given"
