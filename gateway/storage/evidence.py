"""Checkpoints over the journal, and all that is stored about one submission."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from cryptography import x509
from sqlalchemy import Connection, exists, func, insert, select, text, update

from gateway.evidence import checkpoints, entries, merkle
from gateway.evidence.checkpoints import Checkpoint, Span, previous_of, read_checkpoint
from gateway.evidence.entries import Attested, Entry, read_entry, sha256
from gateway.evidence.gathered import Carried, Gathered, Line, Read, Sealed, Told
from gateway.evidence.records import written
from gateway.evidence.sealing import is_signed
from gateway.model import Event, Signer
from gateway.security import SigningKey
from gateway.storage import attesting, past, sending, slices, tables
from gateway.storage.codec import micros, moment, packed, submission_of, unpacked
from gateway.storage.database import LedgerError
from gateway.storage.journal import Page
from gateway.storage.reading import raw

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


def cover(
    connection: Connection,
    key: SigningKey,
    now: datetime,
    page: Page,
    limit: int = MAX_ENTRIES,
    known: Known | None = None,
) -> Sealed | None:
    """Sign a checkpoint over the entries that none holds, at most ``limit``; None where there is none.

    Raises Unsound where the last one is not of a signer that is ``known``, ValueError where the key cannot
    sign at ``now``.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE checkpoint IN EXCLUSIVE MODE"))
    last = connection.execute(select(tables.checkpoint).order_by(_p.number.desc()).limit(1)).first()
    if last is not None and known is not None:
        for why in unsound(connection, sealed_of(last), read_checkpoint(last.text), known):
            raise Unsound(f"checkpoint {last.number}: {why}")
    rows, before = _uncovered(connection, limit), None if last is None else read_checkpoint(last.text).key
    turned = before != sha256(key.der[0])
    if not rows and (before is None or not turned):
        return None
    if turned:
        # Under the first checkpoint of the new key, which there is thereby even where nothing else was done.
        page.add(entries.KEY, "", Attested(record=sha256(key.der[0]), note=key.signer.subject))
        page.write()
        rows = _uncovered(connection, limit)
    made = Checkpoint(
        number=1 if last is None else last.number + 1,
        at=moment(micros(now)),
        previous=previous_of(None if last is None else last.text),
        root=merkle.Tree([row.hash for row in rows]).root,
        key=sha256(key.der[0]),
        spans=_spans(rows),
    )
    sealed = Sealed(made.number, made.text(), key.sign(made.text().encode(), now), page.keep(key.der), None)
    _store(connection, made, sealed)
    return sealed


def _uncovered(connection: Connection, limit: int) -> Sequence[Any]:
    return connection.execute(
        select(_j.chain, _j.seq, _j.hash)
        .join(tables.chain, _c.id == _j.chain)
        .where(_j.seq > _c.covered)
        .order_by(_j.chain, _j.seq)
        .limit(limit)
    ).all()


def covered_at(connection: Connection) -> datetime | None:
    """When the last checkpoint was signed, while entries wait for the next one; None where all are covered."""
    behind = select(_c.id).where(exists().where(_j.chain == _c.id, _j.seq > _c.covered))
    if connection.scalar(behind.limit(1)) is None:
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


def submission_named(connection: Connection, identity: str) -> list[str]:
    """The submissions that an id or a reference means: a submission's, a message's, an outgoing's or a
    decision's id; a partner's reference, an LRN or a registration.  Every month is asked."""
    s, m, d = (t.c for t in (tables.submission, tables.message, tables.decision))
    own = connection.scalar(select(s.id).where(s.id == identity.partition(".")[0]))
    if own is not None:
        return [own]
    by_reference = select(s.id).where(s.reference == identity)
    by_number = select(m.submission).where(m.lrn == identity)
    by_decision = select(d.submission).where((d.id == identity) | (d.registration == identity))
    found = (scalar for of in (by_reference, by_number, by_decision) for scalar in connection.scalars(of))
    return sorted(set(found))


def gather(connection: Connection, submission: str) -> Gathered | None:
    """Everything about a submission; None where it is not here."""
    s = tables.submission
    row = connection.execute(select(s).where(s.c.id == submission)).first()
    received = raw(connection, submission)
    if row is None or received is None:
        return None
    proofs = _Proofs(connection)
    lines = _lines(connection, _j.about == submission, proofs)
    told = [read_entry(line.text) for line in lines]
    register = _register(connection, row, told, proofs)
    newest = connection.scalar(select(func.max(_p.number)))  # names the key that seals now
    held = sorted({n for n in (*(line.checkpoint for line in (*lines, *register)), newest or 0) if n})
    sealed = tuple(
        sealed_of(r)
        for r in connection.execute(select(tables.checkpoint).where(_p.number.in_(held)).order_by(_p.number))
    )
    wanted = {digest for one in sealed for digest in (*one.certificates, *one.stampers)}
    wanted.update(d for entry in told for d in exhibits_of(entry.of))
    return Gathered(
        submission=received,
        record=written(attesting.submission_record(tuple(row))),
        signer=None if row.certificate is None else unpacked(row.certificate, Signer),
        messages=_messages(connection, submission),
        sent=_sent(connection, told),
        decisions=_decisions(connection, submission),
        events=_events(connection, submission),
        deliveries=_deliveries(connection, told),
        register=register,
        lines=lines,
        checkpoints=sealed,
        exhibits=exhibits(connection, wanted),
    )


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


def hashes(connection: Connection, spans: Sequence[Span]) -> list[str]:
    """The entry hashes under a checkpoint, in its order."""
    found: list[str] = []
    for span in spans:
        entry = select(_j.hash).where(_j.chain == span.chain, _j.seq.between(span.first, span.last))
        found += connection.scalars(entry.order_by(_j.seq))
    return found


def _spans(rows: Sequence[Any]) -> tuple[Span, ...]:
    spans = []
    for chain, group in groupby(rows, key=lambda row: row.chain):
        of_chain = list(group)
        spans.append(Span(chain, of_chain[0].seq, of_chain[-1].seq, of_chain[-1].hash))
    return tuple(spans)


def _store(connection: Connection, made: Checkpoint, sealed: Sealed) -> None:
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


def _lines(connection: Connection, which: Any, proofs: _Proofs) -> tuple[Line, ...]:
    """Entries in order of time, each with its proof."""
    span, before = tables.span, tables.journal.alias("before")
    rows = connection.execute(
        select(_j.chain, _j.seq, _j.entry, _j.hash, before.c.hash.label("previous"), span.c.checkpoint)
        .outerjoin(before, (before.c.chain == _j.chain) & (before.c.seq == _j.seq - 1))
        .outerjoin(span, (span.c.chain == _j.chain) & (span.c.first <= _j.seq) & (span.c.last >= _j.seq))
        .where(which)
    ).all()
    found = [
        (
            read_entry(row.entry),
            Line(
                row.previous or entries.FIRST,
                row.entry,
                row.hash,
                row.checkpoint or 0,
                proofs.path(row.checkpoint, row.chain, row.seq),
            ),
        )
        for row in rows
    ]
    return tuple(line for _, line in sorted(found, key=lambda f: (f[0].at, f[0].chain, f[0].seq)))


class _Proofs:
    """Paths under checkpoints, whose hashes are read once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[int, tuple[Checkpoint, merkle.Tree]] = {}

    def path(self, number: int | None, chain: str, seq: int) -> tuple[tuple[str, str], ...]:
        """From an entry's leaf to the root; nothing where no checkpoint holds it."""
        if number is None:
            return ()
        if number not in self._known:
            told = self._connection.scalar(select(_p.text).where(_p.number == number))
            checkpoint = read_checkpoint(told or "")
            self._known[number] = checkpoint, merkle.Tree(hashes(self._connection, checkpoint.spans))
        checkpoint, tree = self._known[number]
        return tree.path(checkpoints.position(checkpoint.spans, chain, seq))


def _register(connection: Connection, row: Any, told: Sequence[Entry], proofs: _Proofs) -> tuple[Line, ...]:
    """Of each party and mandate of the submission, the last entry before it was judged."""
    received = next((e for e in told if e.kind == entries.RECEIVED), None)
    if received is None:
        return ()
    partners = dict.fromkeys((row.partner, row.signer, row.filer, row.principal))
    abouts = [f"{entries.PARTNER}:{p}" for p in partners if p]
    abouts += [f"{entries.MANDATE}:{m}" for m in received.of.mandates]
    found = []
    for about in abouts:
        versions = _lines(connection, _j.about == about, proofs)
        as_then = [line for line in versions if read_entry(line.text).at <= received.at]
        found += as_then[-1:]
    return tuple(found)


def _messages(connection: Connection, submission: str) -> tuple[Read, ...]:
    m = tables.message
    rows = connection.execute(select(m).where(m.c.submission == submission).order_by(m.c.ordinal))
    return tuple(_read(connection, row) for row in rows)


def _read(connection: Connection, row: Any) -> Read:
    declaration = row.declaration
    if declaration == b"":
        declaration = slices.whole(connection, row.submission, row.ordinal)
    record = attesting.message_record(tuple(row), sha256(declaration) if declaration else "")
    return Read(row.ordinal, written(record), declaration)


def _sent(connection: Connection, told: Sequence[Entry]) -> tuple[Told, ...]:
    named = {identity for entry in told for identity in entry.of.sent}
    of = sorted({submission_of(identity) for identity in named})
    found = sorted(sending.of_submissions(connection, of), key=lambda one: one[1])
    mine = (one for one, _ in found if one.id in named)
    return tuple(Told(written(attesting.outgoing_record(one)), one) for one in mine)


def _decisions(connection: Connection, submission: str) -> tuple[bytes, ...]:
    d = tables.decision
    rows = connection.execute(select(d).where(d.c.submission == submission).order_by(d.c.at, d.c.position))
    return tuple(written(attesting.decision_record(row)) for row in rows)


def _events(connection: Connection, submission: str) -> tuple[bytes, ...]:
    e = tables.event
    rows = connection.execute(select(e).where(e.c.submission == submission).order_by(e.c.at, e.c.position))
    found = (Event(submission + row.about, moment(row.at), row.what, row.detail) for row in rows)
    return tuple(written(attesting.event_record(one)) for one in found)


def _deliveries(connection: Connection, told: Sequence[Entry]) -> tuple[Carried, ...]:
    """Those that are still to be made as they stand, the others as the journal leaves them."""
    d = tables.delivery
    over = past.deliveries(told)
    rows = {r.id: r for r in connection.execute(select(d).where(d.c.id.in_(list(over))))}
    return tuple(
        Carried(one.id, one.destination, one.payload, rows[i].state if i in rows else one.state)
        for i, one in over.items()
    )
