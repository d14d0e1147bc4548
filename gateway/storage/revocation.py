"""Certificates that were met and what is known of their revocation, with a version that rises."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, and_, case, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.storage import tables
from gateway.storage.codec import micros, moment

REVOCATION = "revocation"
"""The counter that rises with everything that is learned."""

SINGLE = "ocsp:"
"""How subjects begin that are one certificate's."""

MAX_ERROR = 500
"""Characters of a failed attempt that are kept."""

MET_DAILY = timedelta(days=1)
"""How often a certificate counts as met because it is registered."""

LONGEST_LEASE = timedelta(hours=1)
"""What a lease of a certificate may last; one that seems to last longer was taken by a clock that was ahead."""

_c = tables.certificate.c
_l = tables.learned.c
_r = tables.credential.c


class Sighting(msgspec.Struct, frozen=True):
    """A certificate in a proven chain.  ``issuer``: the DER above it; ``use``: own, push, sign, stamp or
    tls."""

    fingerprint: str
    der: bytes
    issuer: bytes
    subject: str
    not_after: datetime
    use: str


class Known(msgspec.Struct, frozen=True):
    """A certificate as the ledger knows it.  ``attempts``: failed ones since one did not; ``asked_at``: when
    it was last learned, None for never."""

    fingerprint: str
    der: bytes
    issuer: bytes
    subject: str
    uses: tuple[str, ...]
    not_after: datetime
    first_seen: datetime
    last_seen: datetime
    due_at: datetime
    attempts: int
    asked_at: datetime | None
    error: str


class Learned(msgspec.Struct, frozen=True):
    """An OCSP response or a CRL (``der``) and what it says (``told``, security's words in JSON).

    ``subject``: of what; the newest of a subject is kept, ``final``: a revocation that nothing takes back.
    """

    subject: str
    der: bytes
    told: bytes
    this_update: datetime
    until: datetime
    learned_at: datetime
    source: str
    final: bool = False


def sight(connection: Connection, sightings: Sequence[Sighting], now: datetime) -> None:
    """Note certificates; a new one's revocation is asked after at once."""
    at = micros(now)
    for seen in {s.fingerprint: s for s in sightings}.values():
        uses = set(connection.scalars(select(_c.uses).where(_c.fingerprint == seen.fingerprint)))
        words = " ".join(sorted({seen.use, *(word for line in uses for word in line.split())}))
        row = {
            "fingerprint": seen.fingerprint,
            "der": seen.der,
            "issuer": seen.issuer,
            "subject": seen.subject,
            "uses": words,
            "not_after": micros(seen.not_after),
            "first_seen": at,
            "last_seen": at,
            "due_at": at,
            "attempts": 0,
            "asked_at": 0,
            "lease_until": 0,
            "lease_owner": "",
            "error": "",
        }
        first = _insert(connection, tables.certificate).values(row)
        again = {"last_seen": at, "uses": words}
        connection.execute(first.on_conflict_do_update(index_elements=[_c.fingerprint], set_=again))


def unmet(connection: Connection, now: datetime, limit: int) -> list[bytes]:
    """Registered certificates (DER) that are in force and were not met yet; those that were met stay met."""
    registered = select(_r.fingerprint)
    still = update(tables.certificate).where(
        _c.fingerprint.in_(registered), _c.last_seen < micros(now - MET_DAILY)
    )
    connection.execute(still.values(last_seen=micros(now)))
    new = select(_r.certificate).where(
        _r.expires_at > micros(now), _r.fingerprint.not_in(select(_c.fingerprint))
    )
    return list(connection.scalars(new.order_by(_r.fingerprint).limit(limit)))


def claim_certificates(
    connection: Connection, owner: str, now: datetime, lease: timedelta, idle: timedelta, limit: int
) -> list[Known]:
    """Lease certificates that are due to be asked after, the longest due first.

    Those that expired, and those not seen for ``idle``, are asked after no more.
    """
    at = micros(now)
    free = or_(_c.lease_until <= at, _c.lease_until > micros(now + LONGEST_LEASE))
    ready = (
        select(tables.certificate)
        .where(_c.due_at <= at, free, _c.not_after >= at, _c.last_seen >= micros(now - idle))
        .order_by(_c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = [_known(row) for row in connection.execute(ready)]
    leased = update(tables.certificate).where(_c.fingerprint.in_([k.fingerprint for k in found]))
    connection.execute(leased.values(lease_until=micros(now + lease), lease_owner=owner))
    return found


def renew_certificates(
    connection: Connection, owner: str, fingerprints: Sequence[str], until: datetime
) -> set[str]:
    """Hold on to those that the owner still has; which these are."""
    held = update(tables.certificate).where(_c.fingerprint.in_(fingerprints), _c.lease_owner == owner)
    return set(connection.scalars(held.values(lease_until=micros(until)).returning(_c.fingerprint)))


def asked(connection: Connection, known: Known, due_at: datetime, at: datetime | None, error: str) -> None:
    """A certificate was asked after; due again later, or at once where it was hurried since it was claimed as
    ``known``.  ``at``: when it was learned, None where it failed."""
    hurried = _c.due_at > micros(known.due_at)
    due = case((hurried, _c.due_at), else_=micros(due_at))
    values: dict[str, Any] = {"due_at": due, "lease_until": 0, "error": error[:MAX_ERROR]}
    if at is None:
        values["attempts"] = _c.attempts + 1
    else:
        values |= {"attempts": 0, "asked_at": micros(at)}
    asked_after = update(tables.certificate).where(_c.fingerprint == known.fingerprint)
    connection.execute(asked_after.values(values))


def hurry(connection: Connection, fingerprints: Sequence[str], now: datetime) -> int:
    """Ask after these now, or after all where none is named; how many."""
    late = update(tables.certificate).where(_c.not_after >= micros(now))
    if fingerprints:
        late = late.where(_c.fingerprint.in_(fingerprints))
    return connection.execute(late.values(due_at=micros(now), attempts=0, lease_until=0)).rowcount


def certificates(connection: Connection, limit: int, now: datetime) -> list[Known]:
    """Those that expire first, at most ``limit``; behind them those that have ended, the latest first."""
    ended = _c.not_after < micros(now)
    in_order = (ended, case((ended, -_c.not_after), else_=_c.not_after))
    rows = connection.execute(select(tables.certificate).order_by(*in_order).limit(limit))
    return [_known(row) for row in rows]


def forget(connection: Connection, before: datetime) -> int:
    """Forget certificates that ended before a time, and what was learned of single ones until then, but for
    revocations, which are for ever; how many rows that was."""
    at = micros(before)
    ended = connection.execute(delete(tables.certificate).where(_c.not_after < at)).rowcount
    single = (_l.subject.like(f"{SINGLE}%"), _l.final.is_(False), _l.until < at)
    return ended + connection.execute(delete(tables.learned).where(*single)).rowcount


def learn(connection: Connection, items: Sequence[Learned]) -> int:
    """Keep what is newer than what is kept of its subject; the version thereafter."""
    if not items:
        return version(connection)
    raised = _raise(connection)
    for item in items:
        row = {
            "subject": item.subject,
            "der": item.der,
            "told": item.told,
            "final": item.final,
            "this_update": micros(item.this_update),
            "until": micros(item.until),
            "learned_at": micros(item.learned_at),
            "source": item.source,
            "version": raised,
        }
        first = _insert(connection, tables.learned).values(row)
        same_age = and_(_l.this_update == first.excluded.this_update, _l.der != first.excluded.der)
        newer = or_(_l.this_update < first.excluded.this_update, same_age)
        better = or_(
            and_(_l.final.is_(False), first.excluded.final), and_(newer, _l.final == first.excluded.final)
        )
        connection.execute(first.on_conflict_do_update(index_elements=[_l.subject], set_=row, where=better))
    return raised


def learned(connection: Connection, after: int, limit: int) -> tuple[list[Learned], int]:
    """What was learned after a version, at most about ``limit``, and the version that it brings one to."""
    versions = select(_l.version).where(_l.version > after).order_by(_l.version).limit(limit)
    upto = connection.scalar(select(func.max(versions.subquery().c.version)))
    if upto is None:
        return [], max(after, version(connection))
    rows = connection.execute(
        select(tables.learned).where(_l.version > after, _l.version <= upto).order_by(_l.version)
    )
    return [_learned(row) for row in rows], upto


def version(connection: Connection) -> int:
    """A number that rises with everything learned, in whatever process; cheap to ask."""
    counter = tables.counter.c
    return connection.scalar(select(counter.value).where(counter.name == REVOCATION)) or 0


def _raise(connection: Connection) -> int:
    counter = tables.counter
    first = _insert(connection, counter).values(name=REVOCATION, value=1)
    raised = first.on_conflict_do_update(index_elements=[counter.c.name], set_={"value": counter.c.value + 1})
    value: int = connection.execute(raised.returning(counter.c.value)).scalar_one()
    return value


def _insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def _known(row: Any) -> Known:
    return Known(
        fingerprint=row.fingerprint,
        der=row.der,
        issuer=row.issuer,
        subject=row.subject,
        uses=tuple(row.uses.split()),
        not_after=moment(row.not_after),
        first_seen=moment(row.first_seen),
        last_seen=moment(row.last_seen),
        due_at=moment(row.due_at),
        attempts=row.attempts,
        asked_at=moment(row.asked_at) if row.asked_at else None,
        error=row.error,
    )


def _learned(row: Any) -> Learned:
    return Learned(
        subject=row.subject,
        der=row.der,
        told=row.told,
        this_update=moment(row.this_update),
        until=moment(row.until),
        learned_at=moment(row.learned_at),
        source=row.source,
        final=row.final,
    )
