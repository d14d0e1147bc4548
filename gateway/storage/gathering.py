"""All that is stored about one submission, as its bundle has it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import Connection, func, select

from gateway.evidence import checkpoints, entries, merkle
from gateway.evidence.checkpoints import Checkpoint, Span, read_checkpoint
from gateway.evidence.entries import Entry, read_entry
from gateway.evidence.gathered import Carried, Gathered, Instead, Line, Read, Told
from gateway.evidence.records import written
from gateway.evidence.verify import Octets, Streamed, digest_of
from gateway.model import Event, Signer
from gateway.storage import attesting, correcting, past, sending, slices, tables
from gateway.storage.checkpoints import exhibits, exhibits_of, sealed_of
from gateway.storage.codec import moment, submission_of, unpacked
from gateway.storage.reading import raw
from gateway.storage.slices import Reader

_j = tables.journal.c
_p = tables.checkpoint.c


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


def gather(connection: Connection, submission: str, again: Reader) -> Gathered | None:
    """Everything about a submission; None where it is not here.  ``again``: reads, then and later, of what is in
    slices."""
    s, b = tables.submission, tables.octets.c
    row = connection.execute(select(s).where(s.c.id == submission)).first()
    received = raw(connection, submission, whole=False)
    if row is None or received is None:
        return None
    body = connection.scalar(select(b.body).where(b.submission == submission))
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
        body=bytes(body or b"") or _sliced(again, submission, slices.BODY),
        record=written(attesting.submission_record(tuple(row))),
        signer=None if row.certificate is None else unpacked(row.certificate, Signer),
        messages=_messages(connection, submission, again),
        sent=_sent(connection, told),
        decisions=_decisions(connection, submission),
        corrections=_corrections(connection, submission),
        events=_events(connection, submission),
        deliveries=_deliveries(connection, told),
        register=register,
        lines=lines,
        checkpoints=sealed,
        exhibits=exhibits(connection, wanted),
    )


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
            self._known[number] = checkpoint, merkle.Tree(_hashes(self._connection, checkpoint.spans))
        checkpoint, tree = self._known[number]
        return tree.path(checkpoints.position(checkpoint.spans, chain, seq))


def _hashes(connection: Connection, spans: Sequence[Span]) -> list[str]:
    """The entry hashes under a checkpoint, in its order."""
    found: list[str] = []
    for span in spans:
        entry = select(_j.hash).where(_j.chain == span.chain, _j.seq.between(span.first, span.last))
        found += connection.scalars(entry.order_by(_j.seq))
    return found


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


def _sliced(again: Reader, submission: str, part: int) -> Octets:
    """A part's octets, held where they are one row."""
    pieces = partial(slices.later, again, submission, part)
    first = list(islice(pieces(), 2))
    return Streamed(pieces) if len(first) > 1 else b"".join(first)


def _messages(connection: Connection, submission: str, again: Reader) -> tuple[Read, ...]:
    m = tables.message
    rows = connection.execute(select(m).where(m.c.submission == submission).order_by(m.c.ordinal))
    return tuple(_read(row, again) for row in rows)


def _read(row: Any, again: Reader) -> Read:
    declaration: Octets | None = row.declaration
    if declaration == b"":
        declaration = _sliced(again, row.submission, row.ordinal)
    record = attesting.message_record(tuple(row), digest_of(declaration) if declaration else "")
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


def _corrections(connection: Connection, submission: str) -> tuple[Instead, ...]:
    c = tables.correction.c
    of = select(tables.correction).where(c.submission == submission).order_by(c.delivery, c.number)
    return tuple(
        Instead(written(correcting.record(row)), row["declaration"])
        for row in connection.execute(of).mappings()
    )


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
