"""What another one committed is only answered with once it is where an acknowledged commit has to be.

The server waits for a standby that does not exist: whatever writes hangs, and what only looks does not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
from sqlalchemy import text

from gateway.model import Finding
from gateway.storage import Ledger
from gateway.storage.database import Database
from tests.postgres import PostgresServer

from .making import NOW, SECOND, settlement

ONE = settlement("s1")
HELD = settlement("s2").submission
AGAIN = msgspec.structs.replace(HELD, id="s4", received_at=NOW + SECOND)
WAITS = (Finding("SIG301"),), (b"\x30\x00",), NOW, ()
SECONDS = 0.5
"""In which what does not wait is over, many times."""

REPEATED: dict[str, Callable[[Ledger], object]] = {
    "known": lambda ledger: ledger.known("VAN1", ONE.submission.digest),
    "settled": lambda ledger: ledger.settle([settlement("s3", body=ONE.submission.body)]),
    "held": lambda ledger: ledger.held_as("VAN1", HELD.digest),
    "hold": lambda ledger: ledger.hold(AGAIN, *WAITS),
}


@pytest.fixture
def ledger(postgres_url: str) -> Iterator[Ledger]:
    opened = Ledger.open(postgres_url)
    opened.settle([ONE])
    opened.hold(HELD, *WAITS)
    yield opened
    opened.close()


@pytest.fixture
def standby(postgres_server: PostgresServer) -> Iterator[Callable[[str], None]]:
    """Names the standby that commits wait for."""
    database = Database(postgres_server.url("postgres"))

    def named(name: str) -> None:
        database.apart(lambda c: c.execute(text(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")))
        database.apart(lambda c: c.execute(text("SELECT pg_reload_conf()")))
        shown = text("SELECT current_setting('synchronous_standby_names')")
        while database.apart(lambda c: c.scalar(shown)) != name:
            database.engine.dispose()  # a new connection has what the server has read by now
            time.sleep(0.02)

    yield named
    named("")
    database.close()


@pytest.mark.parametrize("what", REPEATED)
def test_a_repetition_waits_for_the_standby(
    ledger: Ledger, standby: Callable[[str], None], what: str
) -> None:
    answered: list[object] = []
    asking = threading.Thread(target=lambda: answered.append(REPEATED[what](ledger)))
    standby("nobody")
    ledger._database.engine.dispose()
    try:
        asking.start()
        asking.join(SECONDS)
        waited = asking.is_alive()
    finally:
        standby("")
        asking.join()
    assert waited
    assert len(answered) == 1
