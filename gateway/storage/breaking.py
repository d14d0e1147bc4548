"""Destinations that fail as a whole: how often in a row, and when one is tried again.

Every node sees the same rows, so that one of them probes for all.  A destination that works has none.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.storage import tables
from gateway.storage.codec import micros, moment

MAX_ERROR = 500
"""Characters of the last failure that are kept."""

_b = tables.breaker.c


class Breaker(msgspec.Struct, frozen=True):
    """``failures`` in a row ``since`` the first; ``probe_at``: when it is tried again, or, of a probe that is
    under way, when that is given up."""

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


def broke(connection: Connection, breaker: Breaker) -> None:
    """It failed once more.  Of nodes that say so together one is kept."""
    values = {
        "failures": breaker.failures,
        "probe_at": micros(breaker.probe_at),
        "error": breaker.error[:MAX_ERROR],
    }
    row = {"destination": breaker.destination, "since": micros(breaker.since), **values}
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    stored = insert(tables.breaker).values(row)
    connection.execute(stored.on_conflict_do_update(index_elements=[_b.destination], set_=values))


def probe(connection: Connection, destination: str, seen: datetime, until: datetime) -> bool:
    """Take the probe that was seen to be due at that moment; False where somebody else has."""
    free = update(tables.breaker).where(_b.destination == destination, _b.probe_at == micros(seen))
    return connection.execute(free.values(probe_at=micros(until))).rowcount > 0


def mended(connection: Connection, destination: str) -> bool:
    """It works; False where that was known."""
    gone = delete(tables.breaker).where(_b.destination == destination)
    return connection.execute(gone).rowcount > 0
