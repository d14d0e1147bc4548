"""A process begins beside others that are at work: it waits for none of them, and none waits for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from gateway.storage import Ledger
from gateway.storage.admitting import LOCK as SETTLING
from gateway.storage.database import Database
from gateway.storage.migrations import LOCK as MIGRATING

SECONDS = 30.0


@contextmanager
def at_work(url: str) -> Iterator[None]:
    """Another process has a transaction open that writes, as one that settles does."""
    database = Database(url)
    with database.engine.execution_options(ledger_write=True).connect() as connection, connection.begin():
        if database.dialect == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock_shared(:lock)"), {"lock": SETTLING})
        yield
    database.close()


def test_a_ledger_of_our_schema_is_opened_while_another_process_settles(database_url: str) -> None:
    opened: list[Ledger] = []
    with at_work(database_url):
        beginning = threading.Thread(target=lambda: opened.append(Ledger.open(database_url, create=True)))
        beginning.start()
        beginning.join(SECONDS)
        assert opened, "it waits for who settles"
    opened[0].close()


def test_who_migrates_and_who_settles_do_not_share_a_lock() -> None:
    assert MIGRATING != SETTLING
