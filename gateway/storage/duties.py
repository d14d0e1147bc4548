"""Duties: what one node of many does for all, each a row with its owner and an end.

Whoever finds one ended takes it.  Times are the database's own where it is a server, so that no node's clock
decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, or_, select, text
from sqlalchemy.dialects import postgresql, sqlite

from gateway.storage import tables
from gateway.storage.codec import micros

_t = tables.duty.c


def serve(
    connection: Connection, names: Sequence[str], owner: str, now: datetime, lease: timedelta
) -> set[str]:
    """Take or keep, for as long as the lease, those of these that nobody else has; their names."""
    at = _time(connection, now)
    until = at + lease // timedelta(microseconds=1)
    # In one order for all nodes, so that no two wait for each other.
    rows = [{"name": name, "owner": owner, "until": until} for name in sorted(names)]
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    taken = insert(tables.duty).values(rows)
    taken = taken.on_conflict_do_update(
        index_elements=[_t.name],
        set_={"owner": taken.excluded.owner, "until": taken.excluded.until},
        where=or_(_t.owner == owner, _t.until <= at),
    )
    return set(connection.scalars(taken.returning(_t.name)))


def lay_down(connection: Connection, owner: str) -> None:
    """Let others have at once what this owner has."""
    connection.execute(delete(tables.duty).where(_t.owner == owner))


def owners(connection: Connection) -> dict[str, str]:
    """Who had each duty last."""
    return {
        row.name: row.owner for row in connection.execute(select(_t.name, _t.owner).where(_t.owner != ""))
    }


def _time(connection: Connection, now: datetime) -> int:
    if connection.dialect.name == "sqlite":
        return micros(now)
    asked = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
    return int(connection.scalar(asked) or 0)
