"""The databases as the count reads them: plain SQL through the driver, none of the gateway's own code."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg

from tests.sqlite import sqlite3

AWAY = (sqlite3.Error, psycopg.Error)
PORTION = 400
"""Values of one IN list."""


class Books:
    """Reads a ledger and an office by their URLs; a new connection for each question, none is kept open."""

    def __init__(self, ledger: str, office: str) -> None:
        self.ledger = ledger
        self.office = office

    def ask(self, url: str, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows.  Raises one of AWAY."""
        if url.startswith("sqlite"):
            path = url.removeprefix("sqlite:///")
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as lite:
                return lite.execute(query, values).fetchall()
        with psycopg.connect(self._conninfo(url)) as connection:
            return connection.execute(query.replace("?", "%s").encode(), values).fetchall()

    def each(self, url: str, query: str, seconds: float = 30.0) -> Iterator[tuple[Any, ...]]:
        """One row after the other, of a database that may be away for a while before the first: bodies of a whole
        run need not fit into memory."""
        end = time.monotonic() + seconds
        while True:
            rows = self._each(url, query)
            try:
                first = next(rows)
            except StopIteration:
                return
            except AWAY:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)
            else:
                break
        yield first
        yield from rows

    def _each(self, url: str, query: str) -> Iterator[tuple[Any, ...]]:
        if url.startswith("sqlite"):
            path = url.removeprefix("sqlite:///")
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as lite:
                yield from lite.execute(query)
            return
        with psycopg.connect(self._conninfo(url)) as connection, connection.cursor("each") as rows:
            yield from rows.execute(query.encode())

    def among(self, url: str, query: str, values: Iterable[str]) -> list[tuple[Any, ...]]:
        """The query for values in portions; ``{}`` stands for the list."""
        every, found = list(values), []
        for at in range(0, len(every), PORTION):
            some = every[at : at + PORTION]
            found += self.ask(url, query.format(",".join("?" * len(some))), some)
        return found

    def registered(self, references: Iterable[str]) -> set[str]:
        """Those of the declarants' references that have a case at the office and whose sender was told."""
        cases = self.among(self.office, "select lrn from clearance_case where lrn in ({})", references)
        told = "select reference from outgoing where kind = 'registered' and reference in ({})"
        return {row[0] for row in self.among(self.ledger, told, [lrn for (lrn,) in cases])}

    def unfinished(self) -> tuple[int, int]:
        """(deliveries that are due, decisions that the gateway has not confirmed)."""
        due = self.ask(self.ledger, "select count(*) from delivery where state = 'due'")
        untold = self.ask(self.office, "select count(*) from clearance_decision where confirmed_at is null")
        return int(due[0][0]), int(untold[0][0])

    @staticmethod
    def _conninfo(url: str) -> str:
        parts = urlsplit(url)
        host = parse_qs(parts.query)["host"][0]
        return f"host={host} user=cvan dbname={parts.path[1:]} connect_timeout=3"
