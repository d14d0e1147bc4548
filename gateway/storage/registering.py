"""Partners and mandates, and the counters that number what the gateway sends.

Who changes the register holds its counter from the first row to the commit, so that versions become visible
in their order; before it commits, it lets those finish who settle by what was (`admitting`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Table, delete, insert, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.model import Mandate, Partner
from gateway.model.grants import MandateRow, mandate_of, row_of
from gateway.model.register import TOKEN, body_of, keys_of
from gateway.storage import admitting, tables
from gateway.storage.codec import micros, unpacked
from gateway.storage.faults import LedgerError

T = TypeVar("T")

REGISTER = "register"
"""The counter that rises with every change of a partner or mandate."""

NUMBERS = "numbers:"
"""Before the name of a counter of references, so that none can be the register's."""

NEVER = (1 << 63) - 1
"""The end of what has none, in microseconds."""

_p, _k, _c, _m = (t.c for t in (tables.partner, tables.partner_key, tables.credential, tables.mandate))
MANDATE = (_m.id, _m.agent, _m.principal, _m.valid_from, _m.valid_to, _m.revoked_at, _m.terms)


class Taken(LedgerError):
    """A subject, identifier, token or certificate that proves a partner belongs to another one already."""

    def __init__(self, kind: str, value: str, partner: str) -> None:
        super().__init__(f"{kind} {value if kind != TOKEN else ''} belongs to partner {partner}")
        self.kind = kind
        self.value = value
        self.partner = partner


def put_partners(connection: Connection, partners: Sequence[Partner]) -> None:
    """Add the partners or replace them whole.  Raises Taken: what proves one partner proves no other."""
    _change(connection, lambda version: write_partners(connection, partners, version))


def put_mandates(connection: Connection, mandates: Sequence[Mandate]) -> None:
    """Add the mandates or replace them whole."""
    _change(connection, lambda version: write_mandates(connection, mandates, version))


def revoke_mandate(connection: Connection, mandate_id: str, at: datetime) -> bool:
    """The mandate ends at this time; an earlier revocation stands.  False where it is unknown."""
    _raise_counter(connection, REGISTER, 0)  # holds it: nobody else changes the mandate meanwhile
    found = connection.execute(select(_m.revoked_at).where(_m.id == mandate_id)).first()
    if found is None:
        return False
    if found.revoked_at is None or micros(at) < found.revoked_at:
        ended = update(tables.mandate).where(_m.id == mandate_id)
        _change(
            connection,
            lambda version: connection.execute(ended.values(revoked_at=micros(at), changed=version)),
        )
    return True


def put_all(connection: Connection, batches: Iterable[Sequence[Partner | Mandate]]) -> int:
    """Put batches of partners or of mandates in one transaction; how many there were.  Raises Taken."""

    def write(version: int) -> int:
        count = 0
        for batch in batches:
            write_partners(connection, [one for one in batch if isinstance(one, Partner)], version)
            write_mandates(connection, [one for one in batch if isinstance(one, Mandate)], version)
            count += len(batch)
        return count

    return _change(connection, write)


def write_partners(connection: Connection, partners: Sequence[Partner], version: int) -> None:
    """As put_partners, within a change that has begun."""
    if not partners:
        return
    ids = [p.id for p in partners]
    certificates = certificates_of(connection, ids)
    rows = [
        {"id": p.id, "body": body_of(p).decode(), "search": search_of(p), "changed": version}
        for p in partners
    ]
    _put(connection, tables.partner, rows)
    connection.execute(delete(tables.partner_key).where(_k.partner.in_(ids)))
    connection.execute(delete(tables.credential).where(_c.partner.in_(ids)))
    keys = _keys(connection, partners)
    if keys:
        connection.execute(insert(tables.partner_key), keys)
    credentials = [row for p in partners for row in _credentials(p, certificates)]
    if credentials:
        connection.execute(insert(tables.credential), credentials)


def write_mandates(connection: Connection, mandates: Sequence[Mandate], version: int) -> None:
    """As put_mandates, within a change that has begun."""
    if mandates:
        rows = [{**row_of(mandate)._asdict(), "changed": version} for mandate in mandates]
        _put(connection, tables.mandate, rows)


def partner(connection: Connection, identity: str) -> Partner | None:
    """One partner with its certificates, or None."""
    body = connection.scalar(select(_p.body).where(_p.id == identity))
    if body is None:
        return None
    found = unpacked(body, Partner)
    if not found.credentials:
        return found
    return with_certificates(found, certificates_of(connection, [identity]))


def with_certificates(partner: Partner, ders: dict[str, bytes]) -> Partner:
    """The partner with the certificates (DER, by fingerprint) of its credentials that it comes without."""
    whole = (
        c if c.certificate else msgspec.structs.replace(c, certificate=ders.get(c.fingerprint, b""))
        for c in partner.credentials
    )
    return msgspec.structs.replace(partner, credentials=tuple(whole))


def certificates_of(connection: Connection, ids: Sequence[str]) -> dict[str, bytes]:
    """The certificates (DER) of these partners' credentials, by fingerprint."""
    rows = connection.execute(select(_c.fingerprint, _c.certificate).where(_c.partner.in_(ids)))
    return {row.fingerprint: row.certificate for row in rows}


def mandate(connection: Connection, identity: str) -> Mandate | None:
    """One mandate, or None."""
    row = connection.execute(select(*MANDATE).where(_m.id == identity)).first()
    return None if row is None else mandate_of(MandateRow._make(row))


def search_of(partner: Partner) -> str:
    """What a partner is searched by: id, name and keys, but not the token."""
    return fold(" ".join((partner.id, partner.name, *sorted(v for k, v in keys_of(partner) if k != TOKEN))))


def fold(text: str) -> str:
    """Text without case and diacritics, so that ``an phat`` finds ``An Phát``."""
    bare = (c for c in unicodedata.normalize("NFD", text.casefold()) if not unicodedata.combining(c))
    return "".join(bare).replace("đ", "d")


def references(connection: Connection, name: str, count: int) -> range:
    """The next ``count`` numbers of a named counter, from 1; no number is handed out twice."""
    if count < 1:
        raise ValueError(f"a block of {count} numbers")
    last = _raise_counter(connection, NUMBERS + name, count)
    return range(last - count + 1, last + 1)


def _change(connection: Connection, work: Callable[[int], T]) -> T:
    """Do the work as the register's next version."""
    done = work(_raise_counter(connection, REGISTER, 1))
    admitting.let_finish(connection)
    return done


def _keys(connection: Connection, partners: Sequence[Partner]) -> list[dict[str, str]]:
    """The rows of all keys.  Raises Taken where one is another partner's, here or in the table."""
    mine: dict[tuple[str, str], str] = {}
    for one in partners:
        for key in keys_of(one):
            if mine.setdefault(key, one.id) != one.id:
                raise Taken(*key, mine[key])
    wanted = sorted(mine)
    for key, owner in owners(connection, wanted).items():
        raise Taken(*key, owner)
    return [{"kind": kind, "value": value, "partner": mine[kind, value]} for kind, value in wanted]


def owners(connection: Connection, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Whose these keys are (kind, text), of those that are somebody's."""
    found: dict[tuple[str, str], str] = {}
    for start in range(0, len(keys), KEYS_AT_ONCE):
        some = list(keys[start : start + KEYS_AT_ONCE])
        columns = select(_k.kind, _k.value, _k.partner)
        for row in connection.execute(columns.where(tuple_(_k.kind, _k.value).in_(some))):
            found[row.kind, row.value] = row.partner
    return found


KEYS_AT_ONCE = 400
"""In one question: each is two parameters, and SQLite bounds them."""


def _credentials(one: Partner, known: dict[str, bytes]) -> Iterable[dict[str, Any]]:
    """Rows of a partner's credentials; ``known``: certificates that need not be given again."""
    for credential in one.credentials:
        ends = [micros(t) for t in (credential.expires_at, credential.active_to) if t is not None]
        yield {
            "fingerprint": credential.fingerprint,
            "partner": one.id,
            "certificate": credential.certificate or known.get(credential.fingerprint, b""),
            "expires_at": min(ends, default=NEVER),
        }


def _raise_counter(connection: Connection, name: str, by: int) -> int:
    counter = tables.counter
    first = insert_into(connection, counter).values(name=name, value=by)
    raised = first.on_conflict_do_update(
        index_elements=[counter.c.name], set_={"value": counter.c.value + first.excluded.value}
    )
    value: int = connection.execute(raised.returning(counter.c.value)).scalar_one()
    return value


def insert_into(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert of the database's own, which knows what to do about conflicts."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def _put(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Add rows, or replace those of the same id."""
    first = insert_into(connection, table)
    new = {column.name: first.excluded[column.name] for column in table.columns if column.name != "id"}
    connection.execute(first.on_conflict_do_update(index_elements=[table.c.id], set_=new), rows)
