"""Destinations that fail as a whole: how often in a row, and when one is tried again.

Every node sees the same rows, so that one of them probes for all.  A destination that works has none.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection, delete, exists, func, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.storage import claiming, tables
from gateway.storage.codec import micros, moment

MAX_ERROR = 500
"""Characters of the last failure that are kept."""

_b, _d = tables.breaker.c, tables.delivery.c


class Breaker(msgspec.Struct, frozen=True):
    """``failures`` in a row ``since`` the first; ``probe_at``: when it is tried again, or, of a probe that is
    under way, until when nobody asks about it."""

    destination: str
    failures: int
    since: datetime
    probe_at: datetime
    error: str


def breakers(connection: Connection, kind: str) -> dict[str, Breaker]:
    """Those of a kind (``push:``), of one destination, or all (""), by destination."""
    rows = connection.execute(
        select(tables.breaker)
        .where(func.substr(_b.destination, 1, len(kind)) == kind)
        .order_by(_b.destination)
    )
    return {
        row.destination: Breaker(
            row.destination, row.failures, moment(row.since), moment(row.probe_at), row.error
        )
        for row in rows
    }


def broke(
    connection: Connection, destination: str, now: datetime, error: str, pause: Callable[[int], timedelta]
) -> Breaker:
    """It failed once more; as it stands now.  ``pause``: how long it is left alone after so many in a row.

    Counted here, where every node's failures and successes meet: one that began before another node's success
    is the first of a new run.
    """
    error = error[:MAX_ERROR]
    row = {"destination": destination, "since": micros(now), "failures": 1, "probe_at": 0, "error": error}
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    counted = insert(tables.breaker).values(row)
    more = {"failures": _b.failures + 1, "error": error}
    counted = counted.on_conflict_do_update(index_elements=[_b.destination], set_=more)
    stored = connection.execute(counted.returning(_b.failures, _b.since)).one()
    probe_at = now + pause(stored.failures)
    put_off = update(tables.breaker).where(_b.destination == destination)
    connection.execute(put_off.values(probe_at=micros(probe_at)))
    return Breaker(destination, stored.failures, moment(stored.since), probe_at, error)


def probe(connection: Connection, destination: str, seen: datetime, now: datetime, until: datetime) -> bool:
    """Take the probe that was seen to be due at that moment.  False where somebody else has, or is still at one
    that he sent, to probe or before: what becomes of it will tell."""
    if claiming.under_way(connection, destination, now):
        return False
    free = update(tables.breaker).where(_b.destination == destination, _b.probe_at == micros(seen))
    return connection.execute(free.values(probe_at=micros(until))).rowcount > 0


def mended(connection: Connection, destination: str) -> bool:
    """It works; False where that was known."""
    gone = delete(tables.breaker).where(_b.destination == destination)
    return connection.execute(gone).rowcount > 0


def forget_idle(connection: Connection) -> tuple[str, ...]:
    """Destinations that failed and for which nothing waits any more, forgotten: nothing would find out that they
    work.  The next failure is the first of a new run."""
    waits = exists().where(_d.destination == _b.destination, _d.state == text(f"'{tables.DUE}'"))
    gone = delete(tables.breaker).where(~waits).returning(_b.destination)
    return tuple(connection.scalars(gone))
