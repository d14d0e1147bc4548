"""Checkpoints over the journal, and the exhibits that they and proofs name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from cryptography import x509
from sqlalchemy import ColumnElement, Connection, exists, func, insert, select, text, update

from gateway.evidence import entries, merkle
from gateway.evidence.checkpoints import Checkpoint, Span, previous_of, read_checkpoint
from gateway.evidence.entries import Attested, sha256
from gateway.evidence.gathered import Sealed
from gateway.evidence.sealing import is_signed
from gateway.security import SigningKey
from gateway.storage import tables
from gateway.storage.codec import micros, moment, packed, unpacked
from gateway.storage.faults import LedgerError
from gateway.storage.journal import Page

MAX_ENTRIES = 10_000
"""Entries under one checkpoint: proofs need all their hashes, and a busy hour makes several."""

_j = tables.journal.c
_c = tables.chain.c
_p = tables.checkpoint.c
_x = tables.exhibit.c


Known = Callable[[tuple[x509.Certificate, ...], Checkpoint], str]
"""Says why a checkpoint's signer is not the gateway, or "" where it is."""


class Unsound(LedgerError):
    """The last checkpoint is not one that the gateway signed; nothing is signed over it."""


class Due(NamedTuple):
    """The entries (``rows``) that no checkpoint is over, and the row of the ``last`` checkpoint, None before the
    first."""

    last: Any
    rows: list[Any]

    def turned(self, key: SigningKey) -> bool:
        """Whether the last checkpoint is not of this key."""
        return self.last is None or read_checkpoint(self.last.text).key != sha256(key.der[0])

    def checkpoint(self, key: SigningKey, now: datetime) -> Checkpoint:
        """The next one, over these entries."""
        return Checkpoint(
            number=1 if self.last is None else self.last.number + 1,
            at=moment(micros(now)),
            previous=previous_of(None if self.last is None else self.last.text),
            root=merkle.Tree([row.hash for row in self.rows]).root,
            key=sha256(key.der[0]),
            spans=_spans(self.rows),
        )


def due(connection: Connection, limit: int = MAX_ENTRIES, known: Known | None = None) -> Due:
    """What the next checkpoint is to be over, at most ``limit`` entries.

    Raises Unsound where the last one is not of a signer that is ``known``.
    """
    last = connection.execute(select(tables.checkpoint).order_by(_p.number.desc()).limit(1)).first()
    if last is not None and known is not None:
        for why in unsound(connection, sealed_of(last), read_checkpoint(last.text), known):
            raise Unsound(f"checkpoint {last.number}: {why}")
    return Due(last, _uncovered(connection, limit))


def store(
    connection: Connection, over: Due, made: Checkpoint, signature: bytes, page: Page, key: SigningKey
) -> Sealed | None:
    """Keep a checkpoint that was made before; None where somebody else's came meanwhile."""
    _lock(connection)
    if connection.scalar(select(func.max(_p.number))) != (over.last and over.last.number):
        return None
    return _store(connection, made, Sealed(made.number, made.text(), signature, page.keep(key.der), None))


def turn(
    connection: Connection, key: SigningKey, now: datetime, page: Page, limit: int, known: Known | None
) -> Sealed | None:
    """The first checkpoint of another key, with an entry that says so; None where nothing is to be covered, or
    another process was first.  Raises Unsound, and ValueError where the key cannot sign at ``now``."""
    _lock(connection)
    over = due(connection, limit, known)
    if over.turned(key):
        # Under the first checkpoint of the new key, which there is thereby even where nothing else was done.
        page.add(entries.KEY, "", Attested(record=sha256(key.der[0]), note=key.signer.subject))
        page.write()
        over = over._replace(rows=_uncovered(connection, limit))
    if not over.rows:
        return None
    made = over.checkpoint(key, now)
    signature = key.sign(made.text().encode(), now)
    return _store(connection, made, Sealed(made.number, made.text(), signature, page.keep(key.der), None))


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE checkpoint IN EXCLUSIVE MODE"))


def _uncovered(connection: Connection, limit: int) -> list[Any]:
    """Chain by chain: joined, SQLite would read the whole journal, while nobody else can write."""
    behind = select(_c.id, _c.covered).where(_is_behind()).order_by(_c.id)
    found: list[Any] = []
    for chain, covered in connection.execute(behind).all():
        of_chain = select(_j.chain, _j.seq, _j.hash).where(_j.chain == chain, _j.seq > covered)
        found += connection.execute(of_chain.order_by(_j.seq).limit(limit - len(found)))
        if len(found) == limit:
            break
    return found


def _is_behind() -> ColumnElement[bool]:
    """Whether a chain has entries that no checkpoint is over."""
    return exists().where(_j.chain == _c.id, _j.seq > _c.covered)


def covered_at(connection: Connection) -> datetime | None:
    """When the last checkpoint was signed, while entries wait for the next one; None where all are covered."""
    if connection.scalar(select(_c.id).where(_is_behind()).limit(1)) is None:
        return None
    last = connection.execute(select(_p.text).order_by(_p.number.desc()).limit(1)).first()
    return moment(0) if last is None else read_checkpoint(last.text).at


def unsound(connection: Connection, sealed: Sealed, checkpoint: Checkpoint, known: Known) -> Iterator[str]:
    """Why a checkpoint's signature is not the gateway's."""
    kept = exhibits(connection, sealed.certificates)
    if set(sealed.certificates) != set(kept) or sealed.certificates[:1] != (checkpoint.key,):
        yield "its certificates are not those that it names"
        return
    try:
        chain = tuple(x509.load_der_x509_certificate(kept[d]) for d in sealed.certificates)
    except (ValueError, TypeError):
        yield "its certificates cannot be read"
        return
    if sha256(kept[checkpoint.key]) != checkpoint.key:
        yield "its certificate is not the one that it names"
    if not is_signed(chain[0], sealed.signature, sealed.text.encode()):
        yield "its signature is not that of its certificate's key"
    stranger = known(chain, checkpoint)
    if stranger:
        yield stranger


def stamp(
    connection: Connection, number: int, token: bytes, at: datetime, chain: Sequence[bytes], page: Page
) -> bool:
    """Keep a verified time stamp over a checkpoint's signature; the first one stands."""
    stamped = {"stamp": token, "stamped_at": micros(at), "stampers": packed(page.keep(chain))}
    changed = update(tables.checkpoint).where(_p.number == number, _p.stamp.is_(None))
    return connection.execute(changed.values(**stamped)).rowcount > 0


def unstamped(connection: Connection) -> Sealed | None:
    """The newest checkpoint where it has no time stamp: one stamp there is over all before it."""
    row = connection.execute(select(tables.checkpoint).order_by(_p.number.desc()).limit(1)).first()
    return None if row is None or row.stamp is not None else sealed_of(row)


def checkpoint(connection: Connection, number: int) -> Sealed | None:
    """A checkpoint by its number."""
    row = connection.execute(select(tables.checkpoint).where(_p.number == number)).first()
    return None if row is None else sealed_of(row)


def exhibits(connection: Connection, digests: Iterable[str]) -> dict[str, bytes]:
    """Exhibits by digest; those that are not here are left out."""
    rows = connection.execute(select(tables.exhibit).where(_x.digest.in_(sorted(digests))))
    return {row.digest: row.body for row in rows}


def exhibits_of(of: Attested) -> tuple[str, ...]:
    """The digests that an entry's proofs name."""
    return tuple(d for proof in (of.proof, of.carrier_proof) if proof is not None for d in proof.all())


def sealed_of(row: Any) -> Sealed:
    """The checkpoint of a whole row."""
    return Sealed(
        number=row.number,
        text=row.text,
        signature=row.signature,
        certificates=unpacked(row.certificates, tuple[str, ...]),
        stamp=row.stamp,
        stamped_at=None if row.stamped_at is None else moment(row.stamped_at),
        stampers=() if row.stampers is None else unpacked(row.stampers, tuple[str, ...]),
    )


def _spans(rows: Sequence[Any]) -> tuple[Span, ...]:
    spans = []
    for chain, group in groupby(rows, key=lambda row: row.chain):
        of_chain = list(group)
        spans.append(Span(chain, of_chain[0].seq, of_chain[-1].seq, of_chain[-1].hash))
    return tuple(spans)


def _store(connection: Connection, made: Checkpoint, sealed: Sealed) -> Sealed:
    row = {
        "number": made.number,
        "at": micros(made.at),
        "text": sealed.text,
        "signature": sealed.signature,
        "certificates": packed(sealed.certificates),
    }
    connection.execute(insert(tables.checkpoint), row)
    connection.execute(
        insert(tables.span),
        [{"chain": s.chain, "first": s.first, "last": s.last, "checkpoint": made.number} for s in made.spans],
    )
    for span in made.spans:
        connection.execute(update(tables.chain).where(_c.id == span.chain).values(covered=span.last))
    return sealed
