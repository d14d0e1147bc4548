"""The keys allow a distributed PostgreSQL: read off the tables, and off what the hot path really asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Select, Table, UniqueConstraint, event
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import BinaryExpression
from sqlalchemy.sql.schema import Column

from gateway.model import Delivery
from gateway.storage import Ledger
from gateway.storage.database import Database
from gateway.storage.tables import metadata
from gateway.storage.tables.placing import DISTRIBUTED, LOCAL, REFERENCE

from .making import BACKEND, LEASE, NOW, recorded, settlement

TABLES = metadata.tables
HOT: dict[str, Callable[[Ledger], object]] = {
    "settle": lambda ledger: ledger.settle([settlement("b")]),
    "settle again": lambda ledger: ledger.settle([settlement("c", body=b"<MetaData>a</MetaData>")]),
    "known": lambda ledger: ledger.known("VAN1", settlement("a").submission.digest),
    "claimed": lambda ledger: ledger.claimed("TRADER1", "IM:REF-a"),
    "claim": lambda ledger: ledger.claim_due(BACKEND, "me", NOW, LEASE, 5),
    "handovers": lambda ledger: ledger.handovers([Delivery("a.1", BACKEND, "a.1", NOW)]),
    "done": lambda ledger: ledger.done(["a.1"], NOW),
    "routes": lambda ledger: ledger.routes(["a.1"]),
    "record": lambda ledger: ledger.record([recorded("D2", "a.1", push=True)]),
    "outgoings": lambda ledger: ledger.outgoings([Delivery("x", "push:VAN1", "a.1.D1.d", NOW)]),
    "mailbox": lambda ledger: ledger.mailbox("VAN1", "a.r", 5),
    "fetch": lambda ledger: ledger.fetch("VAN1", "a.1.D1.d"),
    "fetch a receipt": lambda ledger: ledger.fetch("VAN1", "a.r"),
    "acknowledge": lambda ledger: ledger.acknowledge("VAN1", ["a.r", "a.1.D1.d"]),
    "status": lambda ledger: ledger.status("VAN1", "a"),
}


def test_every_table_has_its_place() -> None:
    assert sorted([*DISTRIBUTED, *REFERENCE, *LOCAL]) == sorted(TABLES)


@pytest.mark.parametrize("name", DISTRIBUTED)
def test_what_is_unique_is_so_within_one_shard(name: str) -> None:
    table, (column, _) = TABLES[name], DISTRIBUTED[name]
    keys = [table.primary_key, *(c for c in table.constraints if isinstance(c, UniqueConstraint))]
    named = [{c.name for c in key.columns} for key in keys]
    named += [{c.name for c in index.columns} for index in table.indexes if index.unique]
    assert named
    assert all(column in key for key in named)


def test_what_is_cut_into_months_is_cut_by_what_it_is_spread_by() -> None:
    cut = {name: table.info["by_month"] for name, table in TABLES.items() if "by_month" in table.info}
    assert cut == {name: DISTRIBUTED[name][0] for name in cut}
    assert len(cut) == 8


def test_foreign_keys_stay_where_they_can_be_checked() -> None:
    for table in TABLES.values():
        for key in table.foreign_keys:
            there = key.column.table.name
            assert there in REFERENCE or (table.name in LOCAL and there in LOCAL), (table.name, there)


@pytest.mark.parametrize("name", HOT)
def test_the_hot_path_asks_one_shard_and_joins_within_it(sqlite_url: str, name: str) -> None:
    database = Database(sqlite_url)
    ledger = Ledger(database)
    ledger.settle([settlement("a")])
    ledger.record([recorded("D1", "a.1", push=True)])
    asked: list[Any] = []
    event.listen(database.engine, "before_execute", lambda *call: asked.append(call[1]))
    HOT[name](ledger)
    ledger.close()
    assert asked or name == "settle"  # which only inserts, as the driver does it
    for statement in asked:
        _check(statement)


def _check(statement: Any) -> None:
    tables = {t.name for t in visitors.iterate(statement) if isinstance(t, Table)}
    spread = tables & DISTRIBUTED.keys()
    compared = list(_comparisons(statement))
    if isinstance(statement, Select):
        for name in spread:
            column = TABLES[name].c[DISTRIBUTED[name][0]]
            assert any(column is one for pair in compared for one in pair), f"{statement} asks every shard"
    if len(tables) > 1 and spread:
        assert not tables & LOCAL, f"{statement} joins what is spread with what is local"
    for one in spread:
        for other in spread - {one}:
            keys = {TABLES[n].c[DISTRIBUTED[n][0]] for n in (one, other)}
            assert DISTRIBUTED[one][1] == DISTRIBUTED[other][1], f"{statement}: not together"
            assert any(set(pair) == keys for pair in compared), f"{statement}: not by the key"


def _comparisons(statement: Any) -> Iterator[tuple[Any, Any]]:
    for part in visitors.iterate(statement):
        if isinstance(part, BinaryExpression) and part.operator in (operators.eq, operators.in_op):
            yield part.left, part.right if isinstance(part.right, Column) else None
