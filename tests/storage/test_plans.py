"""What a gateway asks again and again reads no table that grows for ever."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event

from gateway.security import SigningKey
from gateway.storage import Ledger

from .making import LEASE, NOW, settlement

GROWING = "submission message octets outgoing event journal decision slice correction span claim taken"
"""Tables that keep what came for years.  Others are as large as what is under way, or as the register; the last
checkpoint is found from the end."""
WHOLE = re.compile(rf"SCAN ({GROWING.replace(' ', '|')})\b")

LATER = NOW + timedelta(hours=1)
AGAIN_AND_AGAIN: dict[str, Callable[[Ledger], object]] = {
    "covered_at": lambda ledger: ledger.covered_at(),
    "counts": lambda ledger: ledger.counts(),
    "held_count": lambda ledger: ledger.held_count(),
    "holdings": lambda ledger: ledger.holdings("", 10),
    "large_waiting": lambda ledger: ledger.large_waiting(),
    "take_over": lambda ledger: ledger.take_over("me", LATER, LATER + LEASE),
    "destinations": lambda ledger: ledger.destinations("push:", LATER),
    "claim_due": lambda ledger: ledger.claim_due("push:", "me", LATER, LEASE, 10),
    "claim_least_tried": lambda ledger: ledger.claim_least_tried("push:", "me", LATER, LEASE, 10),
    "breakers": lambda ledger: ledger.breakers("push:"),
    "revocation_version": lambda ledger: ledger.revocation_version(),
    "register_version": lambda ledger: ledger.register_version(),
    "mailbox": lambda ledger: ledger.mailbox("van", "", 10),
    "status": lambda ledger: ledger.status("van", "s1"),
    "settle": lambda ledger: ledger.settle([settlement("more")]),
    "originals": lambda ledger: ledger.originals({("TRADER1", "26VN1"), ("TRADER1", "26VN2")}),
    "raw": lambda ledger: ledger.raw("s1"),
}


@pytest.fixture
def filled(sqlite_url: str) -> Ledger:
    ledger = Ledger.open(sqlite_url)
    for n in range(20):
        ledger.settle([settlement(f"s{n}")])
    return ledger


def whole(ledger: Ledger, work: Callable[[Ledger], object]) -> list[tuple[str, str]]:
    """Statements that read a growing table from end to end, with the table."""
    told: list[tuple[str, Any]] = []
    database: Any = ledger._database

    def note(
        connection: Connection, cursor: object, statement: str, values: Any, context: object, many: bool
    ) -> None:
        told.append((statement, values[0] if many else values))

    event.listen(database.engine, "before_cursor_execute", note)
    work(ledger)
    event.remove(database.engine, "before_cursor_execute", note)
    assert told
    found = []
    with database.engine.connect() as connection:
        for statement, values in told:
            if statement.split(None, 1)[0] in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
                found += [(row[3], statement) for row in plan if WHOLE.match(row[3])]
    return found


@pytest.mark.parametrize("name", AGAIN_AND_AGAIN)
def test_what_is_asked_again_and_again(filled: Ledger, name: str) -> None:
    assert whole(filled, AGAIN_AND_AGAIN[name]) == []
    filled.close()


def test_a_checkpoint(filled: Ledger, own: SigningKey) -> None:
    assert filled.cover(own, datetime.now(UTC)) is not None
    filled.settle([settlement("later")])
    assert whole(filled, lambda ledger: ledger.cover(own, datetime.now(UTC))) == []
    filled.close()


def test_a_query_that_reads_a_whole_table_is_found(filled: Ledger) -> None:
    database: Any = filled._database
    query = "SELECT count(*) FROM journal JOIN chain ON chain.id = chain WHERE seq > covered"
    (found,) = whole(filled, lambda _: database.read(lambda c: c.exec_driver_sql(query).all()))
    assert found[0].startswith("SCAN journal")
    filled.close()
