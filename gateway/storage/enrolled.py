"""The register read: whole into memory, what changed since, and pages of it for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from gateway.model import Mandate, Partner, Register, Use
from gateway.model.grants import MandateRow, mandate_of
from gateway.model.register import SUBJECT, Filling
from gateway.storage import tables
from gateway.storage.admitting import register_version
from gateway.storage.codec import micros, moment, unpacked
from gateway.storage.engines import CACHE_KIB
from gateway.storage.records import Expiry
from gateway.storage.registering import MANDATE, certificates_of, fold, with_certificates

S = TypeVar("S", bound=Select[Any])

AT_ONCE = 5_000
"""Rows in memory while the register is read."""

STREAM_KIB = 1_024
"""SQLite's page cache while the register is read whole."""

MAX_LATER = 50_000
"""Changed mandates that are kept beside the others (some 15 MB); beyond, the register is read whole."""

_p, _k, _c, _m = (t.c for t in (tables.partner, tables.partner_key, tables.credential, tables.mandate))
_seen = tables.certificate.c


def register(connection: Connection) -> Register:
    """Partners and mandates as of one moment."""
    filling = Filling()
    if connection.dialect.name == "sqlite":
        # Every page is read once: none is worth keeping.
        connection.exec_driver_sql(f"PRAGMA cache_size=-{STREAM_KIB}")
    for body in connection.execute(_streamed(select(_p.body).order_by(_p.id))).scalars():
        filling.partner(body.encode())
    filling.mandates(connection.execute(_streamed(select(*MANDATE))))
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA cache_size=-{CACHE_KIB}")
    return filling.register(register_version(connection))


def refreshed(connection: Connection, known: Register) -> Register:
    """The register as of now: ``known`` where nothing changed, else with the changes since taken in."""
    version = register_version(connection)
    if known.version == version:
        return known
    if known.version is None:
        return register(connection)
    changed = _m.changed > known.version
    count = connection.scalar(select(func.count()).select_from(tables.mandate).where(changed)) or 0
    if count + known.changes > MAX_LATER:
        return register(connection)
    bodies = connection.scalars(select(_p.body).where(_p.changed > known.version)).all()
    rows = connection.execute(select(*MANDATE).where(changed)).all()
    return known.changed(version, (body.encode() for body in bodies), map(MandateRow._make, rows))


def partners(connection: Connection) -> Iterator[Partner]:
    """All partners by id, with their certificates, a page at a time."""
    after = ""
    while page := find_partners(connection, "", after, AT_ONCE):
        after = page[-1].id
        ders = certificates_of(connection, [p.id for p in page if p.credentials])
        yield from (with_certificates(p, ders) for p in page)


def mandates(connection: Connection) -> Iterator[Mandate]:
    """All mandates by id, those that ended too."""
    rows = connection.execute(_streamed(select(*MANDATE).order_by(_m.id)))
    yield from (mandate_of(MandateRow._make(row)) for row in rows)


def find_partners(connection: Connection, search: str, after: str, limit: int) -> list[Partner]:
    """Partners by id whose id, name or keys hold every word of the search, from behind ``after``."""
    found = select(_p.body).where(_p.id > after, *_holding(search)).order_by(_p.id).limit(limit)
    return [unpacked(body, Partner) for body in connection.scalars(found)]


def count_partners(connection: Connection, search: str = "") -> int:
    """How many partners a search finds."""
    return connection.scalar(select(func.count()).select_from(tables.partner).where(*_holding(search))) or 0


def find_mandates(
    connection: Connection, agent: str, principal: str, after: str, limit: int, at: datetime | None = None
) -> list[Mandate]:
    """Mandates by id of an agent and a principal ("": any), from behind ``after``; ``at``: only those that
    hold then."""
    found = select(*MANDATE).where(_m.id > after)
    found = found.where(_m.agent == agent) if agent else found
    found = found.where(_m.principal == principal) if principal else found
    if at is not None:
        bounds = ((_m.valid_from, False), (_m.valid_to, True), (_m.revoked_at, True))
        for column, end in bounds:
            found = found.where(or_(column.is_(None), column > micros(at) if end else column <= micros(at)))
    rows = connection.execute(found.order_by(_m.id).limit(limit))
    return [mandate_of(MandateRow._make(row)) for row in rows]


def mandates_of(connection: Connection, party: str, limit: int) -> list[Mandate]:
    """Mandates in which the party is agent or principal, by id."""
    found = select(*MANDATE).where(or_(_m.agent == party, _m.principal == party))
    rows = connection.execute(found.order_by(_m.id).limit(limit))
    return [mandate_of(MandateRow._make(row)) for row in rows]


def unregistered(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those of the ids that are no partner's."""
    return set(ids) - set(connection.scalars(select(_p.id).where(_p.id.in_(ids))))


def unknown_mandates(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those of the ids that are no mandate's."""
    return set(ids) - set(connection.scalars(select(_m.id).where(_m.id.in_(ids))))


def expiring(
    connection: Connection,
    since: datetime,
    until: datetime,
    limit: int,
    ids: Sequence[str] | None = None,
) -> list[Expiry]:
    """Credentials, and certificates seen at work, that end from ``since`` to ``until`` and that nothing is
    there to replace, the earliest first; those of suspended partners left out.  ``ids``: of these only."""
    only = () if ids is None else (_p.id.in_(ids),)
    found = [
        *_credentials(connection, since, until, limit, only),
        *_seen_ending(connection, since, until, limit, only),
    ]
    return sorted(found, key=lambda e: e.expires_at)[:limit]


Only = tuple[ColumnElement[bool], ...]


def _credentials(
    connection: Connection, since: datetime, until: datetime, limit: int, only: Only
) -> Iterator[Expiry]:
    ending = (
        select(_p.body, _c.fingerprint, _c.expires_at)
        .join(tables.partner, _p.id == _c.partner)
        .where(_c.expires_at.between(micros(since), micros(until)), *only)
        .order_by(_c.expires_at)
        .limit(limit)
    )
    for row in connection.execute(_streamed(ending)):
        partner = unpacked(row.body, Partner)
        if partner.active and not partner.replaced(row.fingerprint):
            yield Expiry(partner.id, row.fingerprint, "credential", moment(row.expires_at))


def _seen_ending(
    connection: Connection, since: datetime, until: datetime, limit: int, only: Only
) -> Iterator[Expiry]:
    """Certificates that prove a partner by their subject; the last of each subject and use."""
    last = func.max(_seen.not_after).label("last")
    by_subject = select(_seen.subject, _seen.uses, last).group_by(_seen.subject, _seen.uses).subquery()
    ending = (
        select(_p.body, _seen.fingerprint, _seen.uses, _seen.not_after)
        .join(by_subject, and_(by_subject.c.subject == _seen.subject, by_subject.c.last == _seen.not_after))
        .join(tables.partner_key, and_(_k.kind == SUBJECT, _k.value == _seen.subject))
        .join(tables.partner, _p.id == _k.partner)
        .where(_seen.uses == by_subject.c.uses, _seen.not_after.between(micros(since), micros(until)), *only)
        .order_by(_seen.not_after)
        .limit(limit)
    )
    for row in connection.execute(_streamed(ending)):
        partner = unpacked(row.body, Partner)
        uses = [use for use in (Use.TLS, Use.SIGN) if use.value in row.uses.split()]
        if partner.active and any(not partner.credentials_for(use) for use in uses):
            yield Expiry(partner.id, row.fingerprint, "seen", moment(row.not_after))


def _holding(search: str) -> list[ColumnElement[bool]]:
    return [_p.search.contains(word, autoescape=True) for word in fold(search).split()]


def _streamed(statement: S) -> S:
    return statement.execution_options(yield_per=AT_ONCE)
