"""No question that grows with the ledger is answered by reading a whole table."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, event

from gateway.model import Delivery
from gateway.storage import Ledger, Settlement
from gateway.storage.database import Database
from gateway.storage.settling import insert_deliveries

from .making import BACKEND, LEASE, NOW, settlement

LARGE = "submission|octets|slice|taken|claim|message|outgoing|waiting|delivery|decision|event|journal"
MONTH = r"(_early|_late|_[0-9]{4}_[0-9]{2})?"

QUESTIONS: dict[str, Callable[[Ledger], object]] = {
    "known": lambda ledger: ledger.known("VAN1", "00"),
    "claimed": lambda ledger: ledger.claimed("TRADER1", "R"),
    "status": lambda ledger: ledger.status("VAN1", "a"),
    "status of a stranger": lambda ledger: ledger.status("VAN2", "a"),
    "fetch of a stranger": lambda ledger: ledger.fetch("VAN2", "a.r"),
    "settle again": lambda ledger: ledger.settle([settlement("b", body=b"<MetaData>a</MetaData>")]),
    "settle another's": lambda ledger: ledger.settle([_again()]),
    "find": lambda ledger: ledger.find("VAN1", "R"),
    "mailbox": lambda ledger: ledger.mailbox("VAN1", "a.r", 5),
    "whole mailbox": lambda ledger: ledger.mailbox("VAN1", "", 5, include_acknowledged=True),
    "fetch": lambda ledger: ledger.fetch("VAN1", "a.r"),
    "acknowledge": lambda ledger: ledger.acknowledge("VAN1", ["a.r"]),
    "claim_due": lambda ledger: ledger.claim_due(BACKEND, "me", NOW, LEASE, 5),
    "claim_due of a kind": lambda ledger: ledger.claim_due("push:", "me", NOW, LEASE, 5),
    "claim_in_order": lambda ledger: ledger.claim_in_order(BACKEND, "me", NOW, LEASE, 5),
    "handovers": lambda ledger: ledger.handovers([Delivery("a.1", BACKEND, "a.1", NOW)] * 3),
    "outgoings": lambda ledger: ledger.outgoings([Delivery("x", "push:VAN1", "a.r", NOW)]),
    "done": lambda ledger: ledger.done(["a.1"], NOW),
    "resend": lambda ledger: ledger.resend("a.r", NOW),
    "revive": lambda ledger: ledger.revive(["a.1"], NOW),
    "destinations": lambda ledger: ledger.destinations("push:", NOW),
    "one destination": lambda ledger: ledger.destinations(BACKEND, NOW),
    "claim_in_order of a kind": lambda ledger: ledger.claim_in_order("backend:", "me", NOW, LEASE, 5),
    "claim_least_tried": lambda ledger: ledger.claim_least_tried(BACKEND, "me", NOW, LEASE, 5),
    "bring_forward": lambda ledger: ledger.bring_forward(BACKEND, NOW - LEASE, NOW, True),
    "forget_idle": lambda ledger: (
        ledger.broke(BACKEND, NOW, "", lambda failures: LEASE),
        ledger.forget_idle(),
    ),
    "due": lambda ledger: ledger.due(BACKEND, 5),
    "due of a kind": lambda ledger: ledger.due("push:", 5),
    "dead_letters": lambda ledger: ledger.dead_letters(BACKEND, 5),
    "dead_letters of a kind": lambda ledger: ledger.dead_letters("push:", 5),
    "routes": lambda ledger: ledger.routes(["a.1", "a.2", "b.1"]),
    "raw": lambda ledger: ledger.raw("a"),
    "counts": lambda ledger: ledger.counts(),
}


def _again() -> Settlement:
    return settlement("b", body=b"<MetaData>a</MetaData>", reference="REF-a", partner="VAN2", entitled=(1,))


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_question_has_its_index(sqlite_url: str, name: str) -> None:
    database = Database(sqlite_url)
    ledger = Ledger(database)
    ledger.settle([settlement("a")])
    questions = _asked(ledger, database, name)
    for sql, values in questions:
        plan = database.read(
            lambda c, sql=sql, values=values: c.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all()
        )
        steps = [row[3] for row in plan]
        assert not [s for s in steps if re.fullmatch(rf"SCAN ({LARGE})", s)], (sql, steps)
    ledger.close()


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_question_has_its_index_on_postgresql(postgres_url: str, name: str) -> None:
    """The planner reads a table of one row from end to end: so it is told that this costs much.  Then it
    does so only where no index serves."""
    database = Database(postgres_url)
    ledger = Ledger(database)
    ledger.settle([settlement("a")])

    def plan(connection: Connection, sql: str, values: Any) -> list[str]:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        return [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {sql}", values)]

    for sql, values in _asked(ledger, database, name):
        steps = database.write(lambda c, sql=sql, values=values: plan(c, sql, values))  # type: ignore[misc]
        whole = rf"Seq Scan on ({LARGE}){MONTH}\b|Scan using (pk_({LARGE})|({LARGE}){MONTH}_pkey)\b(?!.*\n *Index Cond)"
        assert not re.search(whole, "\n".join(steps)), (sql, steps)
    ledger.close()


ONE_MONTH = (
    "known",
    "claimed",
    "status",
    "fetch",
    "acknowledge",
    "handovers",
    "outgoings",
    "routes",
    "raw",
    "done",
)


@pytest.mark.parametrize("name", ONE_MONTH)
def test_what_is_known_by_its_id_is_looked_for_in_its_month(postgres_url: str, name: str) -> None:
    """However many months there are; these ids are of none, and kept behind all."""
    database = Database(postgres_url)
    ledger = Ledger(database)
    ledger.settle([settlement("a")])
    for sql, values in _asked(ledger, database, name):
        plan = database.read(
            lambda c, sql=sql, values=values: c.exec_driver_sql(f"EXPLAIN {sql}", values).all()
        )  # type: ignore[misc]
        months = re.findall(r"_(early|late|[0-9]{4}_[0-9]{2})\b", "\n".join(row[0] for row in plan))
        assert set(months) <= {"late"}, sql
    ledger.close()


def _asked(ledger: Ledger, database: Database, name: str) -> list[tuple[str, object]]:
    """The statements, with their values, by which the ledger answers a question."""
    asked: list[tuple[str, object]] = []
    event.listen(database.engine, "before_cursor_execute", lambda *call: asked.append((call[2], call[3])))
    QUESTIONS[name](ledger)
    questions = [
        (sql, values) for sql, values in asked if sql.startswith(("SELECT", "UPDATE", "DELETE", "WITH"))
    ]
    assert questions
    # What is waiting is counted by looking at it; it is a small table.
    return [one for one in questions if one[0] != "SELECT count(*) AS count_1 \nFROM waiting"]


EACH_ROUND: dict[str, Callable[[Ledger], object]] = {
    "destinations": lambda ledger: ledger.destinations("push:", NOW),
    "one destination": lambda ledger: ledger.destinations(BACKEND, NOW),
    "claim_in_order": lambda ledger: ledger.claim_in_order("publish:paper", "me", NOW, LEASE, 5),
    "claim_due": lambda ledger: ledger.claim_due(BACKEND, "me", NOW, LEASE, 5),
}


@pytest.mark.parametrize("name", EACH_ROUND)
def test_what_couriers_ask_each_round_costs_the_same_however_much_waits(sqlite_url: str, name: str) -> None:
    """Counted in steps of SQLite's machine, which no other load on this one changes."""
    database = Database(sqlite_url)
    ledger = Ledger(database)
    ask = functools.partial(EACH_ROUND[name], ledger)
    steps = []
    for more in (10, 3_000):
        due = [
            Delivery(f"{more}.{n}.{to}.{of}", f"{to}:{of}", f"{n}.1", NOW)
            for to, of in (
                ("backend", "clearance"),
                ("push", "VAN1"),
                ("push", "VAN2"),
                ("publish", "paper"),
            )
            for n in range(more)
        ]
        database.write(lambda c, due=due: insert_deliveries(c, due))
        steps.append(_steps(database, ask))
    assert ledger.destinations("push:", NOW) == ("push:VAN1", "push:VAN2")
    assert steps[1] < 2 * steps[0] + 100
    ledger.close()


def _steps(database: Database, work: Callable[[], object]) -> int:
    """About how many steps the work takes, in tens."""
    counted = []
    connections = []

    def begun(connection: Any, *_: object) -> None:
        connections.append(connection)
        connection.set_progress_handler(lambda: counted.append(10), 10)

    event.listen(database.engine, "checkout", begun)
    work()
    event.remove(database.engine, "checkout", begun)
    for connection in connections:
        connection.set_progress_handler(None, 0)
    return len(counted)
