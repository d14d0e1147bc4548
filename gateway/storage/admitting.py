"""Admitting: nothing is settled by a partner or mandate that was changed meanwhile.

A submission is judged by the register in memory.  Before it is stored, the transaction that stores it asks
whether what its verdict rests on is still as it was: a mandate whose revocation has been committed admits
nothing any more, in whatever process.  On SQLite there is one writer at a time.  On PostgreSQL those who
settle share a lock that who changes the register takes alone, for the moment of its commit: so none reads
the version before that commit and stores after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, select, text

from gateway.model import Outcome
from gateway.storage import tables
from gateway.storage.records import Settlement

LOCK = 0x6376616F
"""PostgreSQL advisory lock between those who settle and those who change the register."""

REGISTER = "register"

_p, _m = tables.partner.c, tables.mandate.c
_version = select(tables.counter.c.value).where(tables.counter.c.name == REGISTER)


def register_version(connection: Connection) -> int:
    """A number that rises with every change of a partner or mandate, in whatever process."""
    return connection.scalar(_version) or 0


def outdated(connection: Connection, batch: Sequence[Settlement]) -> frozenset[str]:
    """The ids of those submissions that are admitted by what is no longer so."""
    judged = [s for s in batch if s.register is not None and s.verdict.outcome is not Outcome.REJECTED]
    if not judged:
        return frozenset()
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock_shared(:lock)"), {"lock": LOCK})
    version = register_version(connection)
    late = [s for s in judged if s.register != version]
    return _changed(connection, late) if late else frozenset()


def let_finish(connection: Connection) -> None:
    """Wait for those who settle by the register as it was; until the commit nobody begins to."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def _changed(connection: Connection, late: Sequence[Settlement]) -> frozenset[str]:
    since = min(s.register or 0 for s in late)
    mandates = {m for s in late for m in _mandates(s)}
    rows = connection.execute(select(_m.id, _m.principal, _m.changed).where(_m.id.in_(mandates))).all()
    of_mandate = {row.id: row for row in rows}
    parties = {p for s in late for p in _parties(s)} | {row.principal for row in rows}
    changed = select(_p.id, _p.changed).where(_p.id.in_(parties), _p.changed > since)
    of_party = {row.id: row.changed for row in connection.execute(changed)}

    def stands(settlement: Settlement) -> bool:
        known = settlement.register or 0
        grounds = [of_mandate.get(m) for m in _mandates(settlement)]
        if any(row is None or row.changed > known for row in grounds):
            return False
        named = {*_parties(settlement), *(row.principal for row in grounds if row is not None)}
        return all(of_party.get(party, 0) <= known for party in named)

    return frozenset(s.submission.id for s in late if not stands(s))


def _mandates(settlement: Settlement) -> Iterable[str]:
    return {m for message in settlement.verdict.messages for m in message.mandates}


def _parties(settlement: Settlement) -> Iterable[str]:
    verdict = settlement.verdict
    return {settlement.submission.partner, verdict.partner, verdict.route.partner, verdict.route.principal}
