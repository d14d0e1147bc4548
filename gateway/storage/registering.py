"""Partners and mandates, and the counters that number what the gateway sends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec
from sqlalchemy import Connection, Table, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.model import Mandate, Partner, Register
from gateway.storage import tables
from gateway.storage.codec import unpacked
from gateway.storage.database import LedgerError

REGISTER = "register"
"""The counter that rises with every change of a partner or mandate."""

NUMBERS = "numbers:"
"""Before the name of a counter of references, so that none can be the register's."""

_k = tables.partner_key.c


class Taken(LedgerError):
    """A subject, identifier or token that proves a partner belongs to another one already."""

    def __init__(self, kind: str, value: str, partner: str) -> None:
        super().__init__(f"{kind} {value if kind != 'token' else ''} belongs to partner {partner}")
        self.kind = kind
        self.value = value
        self.partner = partner


def put_partner(connection: Connection, partner: Partner) -> None:
    """Add the partner or replace it whole.  Raises Taken: what proves one partner proves no other."""
    _put(connection, "partner", {"id": partner.id, "body": msgspec.json.encode(partner).decode()})
    connection.execute(delete(tables.partner_key).where(_k.partner == partner.id))
    for kind, value in sorted(set(_keys(partner))):
        owner = connection.scalar(select(_k.partner).where(_k.kind == kind, _k.value == value))
        if owner is not None:
            raise Taken(kind, value, owner)
        row = {"kind": kind, "value": value, "partner": partner.id}
        connection.execute(insert(tables.partner_key), row)
    _raise_counter(connection, REGISTER, 1)


def partners(connection: Connection) -> list[Partner]:
    """All partners by id."""
    bodies = connection.scalars(select(tables.partner.c.body))
    return sorted((unpacked(body, Partner) for body in bodies), key=lambda p: p.id)


def put_mandate(connection: Connection, mandate: Mandate) -> None:
    """Add the mandate or replace it whole."""
    body = msgspec.json.encode(mandate).decode()
    row = {"id": mandate.id, "agent": mandate.agent, "principal": mandate.principal, "body": body}
    _put(connection, "mandate", row)
    _raise_counter(connection, REGISTER, 1)


def revoke_mandate(connection: Connection, mandate_id: str, at: datetime) -> bool:
    """The mandate ends at this time; an earlier revocation stands.  False where it is unknown."""
    found = select(tables.mandate.c.body).where(tables.mandate.c.id == mandate_id)
    body = connection.scalar(found.with_for_update())
    if body is None:
        return False
    mandate = unpacked(body, Mandate)
    if mandate.revoked_at is None or at < mandate.revoked_at:
        changed = msgspec.json.encode(msgspec.structs.replace(mandate, revoked_at=at)).decode()
        connection.execute(
            update(tables.mandate).where(tables.mandate.c.id == mandate_id).values(body=changed)
        )
        _raise_counter(connection, REGISTER, 1)
    return True


def mandates(connection: Connection) -> list[Mandate]:
    """All mandates by id, those that ended too."""
    bodies = connection.scalars(select(tables.mandate.c.body))
    return sorted((unpacked(body, Mandate) for body in bodies), key=lambda m: m.id)


def register(connection: Connection) -> Register:
    """Partners and mandates as of one moment."""
    return Register(partners(connection), mandates(connection))


def register_version(connection: Connection) -> int:
    """A number that rises with every change of a partner or mandate, in whatever process."""
    value = connection.scalar(select(tables.counter.c.value).where(tables.counter.c.name == REGISTER))
    return value or 0


def references(connection: Connection, name: str, count: int) -> range:
    """The next ``count`` numbers of a named counter, from 1; no number is handed out twice."""
    if count < 1:
        raise ValueError(f"a block of {count} numbers")
    last = _raise_counter(connection, NUMBERS + name, count)
    return range(last - count + 1, last + 1)


def _raise_counter(connection: Connection, name: str, by: int) -> int:
    counter = tables.counter
    first = _insert(connection, counter).values(name=name, value=by)
    raised = first.on_conflict_do_update(
        index_elements=[counter.c.name], set_={"value": counter.c.value + first.excluded.value}
    )
    value: int = connection.execute(raised.returning(counter.c.value)).scalar_one()
    return value


def _insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def _put(connection: Connection, table_name: str, row: dict[str, str]) -> None:
    table = tables.metadata.tables[table_name]
    first = _insert(connection, table).values(row)
    connection.execute(first.on_conflict_do_update(index_elements=[table.c.id], set_=row))


def _keys(partner: Partner) -> Iterator[tuple[str, str]]:
    yield from (("subject", s) for s in partner.subjects)
    yield from (("identifier", i) for i in partner.identifiers)
    if partner.token_digest:
        yield "token", partner.token_digest
