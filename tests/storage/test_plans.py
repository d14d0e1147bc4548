"""No question that grows with the ledger is answered by reading a whole table."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from sqlalchemy import event

from gateway.model import Delivery
from gateway.storage import Ledger
from gateway.storage.database import Database

from .making import BACKEND, LEASE, NOW, settlement

LARGE = "submission|message|outgoing|delivery|decision|event"

QUESTIONS: dict[str, Callable[[Ledger], object]] = {
    "known": lambda ledger: ledger.known("VAN1", "00"),
    "claimed": lambda ledger: ledger.claimed("TRADER1", "R"),
    "status": lambda ledger: ledger.status("VAN1", "a"),
    "find": lambda ledger: ledger.find("VAN1", "R"),
    "mailbox": lambda ledger: ledger.mailbox("VAN1", "a.r", 5),
    "whole mailbox": lambda ledger: ledger.mailbox("VAN1", "", 5, include_acknowledged=True),
    "fetch": lambda ledger: ledger.fetch("VAN1", "a.r"),
    "acknowledge": lambda ledger: ledger.acknowledge("VAN1", ["a.r"], NOW),
    "claim_due": lambda ledger: ledger.claim_due(BACKEND, "me", NOW, LEASE, 5),
    "claim_in_order": lambda ledger: ledger.claim_in_order(BACKEND, "me", NOW, LEASE, 5),
    "handovers": lambda ledger: ledger.handovers([Delivery("a.1", BACKEND, "a.1", NOW)] * 3),
    "outgoings": lambda ledger: ledger.outgoings([Delivery("x", "push:VAN1", "a.r", NOW)]),
    "done": lambda ledger: ledger.done(["a.1"], NOW),
    "resend": lambda ledger: ledger.resend("a.r", NOW),
    "revive": lambda ledger: ledger.revive(["a.1"], NOW),
    "dead_letters": lambda ledger: ledger.dead_letters(BACKEND, 5),
    "routes": lambda ledger: ledger.routes(["a.1", "a.2", "b.1"]),
    "raw": lambda ledger: ledger.raw("a"),
    "counts": lambda ledger: ledger.counts(),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_question_has_its_index(sqlite_url: str, name: str) -> None:
    database = Database(sqlite_url)
    ledger = Ledger(database)
    ledger.settle([settlement("a")])
    asked: list[tuple[str, object]] = []
    event.listen(database.engine, "before_cursor_execute", lambda *call: asked.append((call[2], call[3])))
    QUESTIONS[name](ledger)
    questions = [(sql, values) for sql, values in asked if sql.startswith(("SELECT", "UPDATE"))]
    assert questions
    for sql, values in questions:
        plan = database.read(
            lambda c, sql=sql, values=values: c.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all()
        )
        steps = [row[3] for row in plan]
        assert not [s for s in steps if re.fullmatch(rf"SCAN ({LARGE})", s)], (sql, steps)
    ledger.close()
