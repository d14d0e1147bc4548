"""Destinations that an operator paused: nothing is sent to them, by any node, until one says so."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from gateway.evidence import entries
from gateway.evidence.entries import Attested
from gateway.storage import tables
from gateway.storage.breaking import Breaker, breakers, mended
from gateway.storage.codec import micros, moment
from gateway.storage.journal import Page
from gateway.storage.skipping import reasoned

_p = tables.paused.c


class Paused(msgspec.Struct, frozen=True):
    """A destination to which nothing is sent, since when, by whose decision and why."""

    destination: str
    since: datetime
    who: str
    why: str


class Standing(msgspec.Struct, frozen=True):
    """What a courier must know of its destinations: those that fail, and those that are paused."""

    breakers: dict[str, Breaker]
    paused: dict[str, Paused]


def standing(connection: Connection, kind: str) -> Standing:
    """Of a kind (``push:``), of one destination, or of all ("")."""
    found = select(tables.paused).where(func.substr(_p.destination, 1, len(kind)) == kind)
    paused = [Paused(r.destination, moment(r.since), r.who, r.why) for r in connection.execute(found)]
    return Standing(breakers(connection, kind), {p.destination: p for p in paused})


def pause(connection: Connection, destination: str, now: datetime, who: str, why: str, page: Page) -> bool:
    """Send nothing there from now on; what is under way ends.  False where it is paused already.

    Raises ValueError for a reason that is empty or too long.
    """
    reasoned(why)
    row = {"destination": destination, "since": micros(now), "who": who, "why": why}
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    kept = insert(tables.paused).values(row).on_conflict_do_nothing().returning(_p.destination)
    if connection.execute(kept).first() is None:
        return False
    page.add(entries.PAUSED, "", Attested(ids=(destination,), note=f"{who}: {why}"))
    return True


def resume(connection: Connection, destination: str, who: str, why: str, page: Page) -> bool:
    """Send there again.  False where it is not paused.  Raises ValueError as `pause`."""
    reasoned(why)
    if not connection.execute(delete(tables.paused).where(_p.destination == destination)).rowcount:
        return False
    page.add(entries.RESUMED, "", Attested(ids=(destination,), note=f"{who}: {why}"))
    return True


def close(connection: Connection, destination: str, who: str, why: str, page: Page) -> bool:
    """Close its breaker: it is tried with all that is due, at once.  False where it does not fail.

    Raises ValueError as `pause`.
    """
    reasoned(why)
    if not mended(connection, destination):
        return False
    page.add(entries.CLOSED, "", Attested(ids=(destination,), note=f"{who}: {why}"))
    return True
