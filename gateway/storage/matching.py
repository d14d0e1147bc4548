"""What stands beside submissions, compared with the journal: register, refusals, held submissions, exhibits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection, func, select

from gateway.evidence import entries
from gateway.evidence.entries import Entry, read_entry, sha256
from gateway.evidence.records import RefusalRecord, digest
from gateway.model import Partner
from gateway.model.grants import MandateRow
from gateway.model.register import keys_of
from gateway.storage import attesting, slices, tables
from gateway.storage.auditing import Breach
from gateway.storage.checkpoints import exhibits_of
from gateway.storage.codec import moment, unpacked
from gateway.storage.registering import MANDATE, REGISTER
from gateway.storage.settling import MAX_REFUSALS

UNREADABLE = (TypeError, ValueError, AttributeError, OverflowError, msgspec.MsgspecError)
"""What columns can do to who reads them into which somebody else wrote."""

CLOCKS = timedelta(minutes=2)
"""By how much clocks of nodes, or one that was set back, may differ: entries of several chains have no other
order than their times."""

_j = tables.journal.c


def readable(texts: Iterable[str]) -> Iterator[Entry]:
    """The entries; one that cannot be read was told by the walk over its chain."""
    for text in texts:
        try:
            yield read_entry(text)
        except UNREADABLE:
            continue


def register(connection: Connection) -> Iterator[Breach]:
    """Partners and mandates are as their last entry says, and keys and certificates are theirs."""
    last = _last(connection)
    partners = connection.execute(select(tables.partner.c.id, tables.partner.c.body)).all()
    mandates = connection.execute(select(*MANDATE))
    here = {f"{entries.PARTNER}:{r.id}": attesting.partner_text(r.body.encode()) for r in partners}
    here |= {f"{entries.MANDATE}:{r.id}": attesting.mandate_text(MandateRow._make(r)) for r in mandates}
    for about in sorted(here.keys() | last.keys()):
        place = about.replace(":", " ", 1)
        if about not in here:
            yield Breach(place, "it is not here")
        elif about not in last:
            yield Breach(place, "no entry speaks of it")
        elif sha256(here[about].encode()) not in last[about]:
            yield Breach(place, "not as it was registered")
    yield from _keys({r.id: unpacked(r.body, Partner) for r in partners}, connection)
    changed = max(connection.scalar(select(func.max(t.c.changed))) or 0 for t in _VERSIONED)
    version = connection.scalar(select(tables.counter.c.value).where(tables.counter.c.name == REGISTER)) or 0
    if version < changed:
        yield Breach(f"counter {REGISTER}", f"{version}, and something is of version {changed}")


_VERSIONED = (tables.partner, tables.mandate)


def _last(connection: Connection) -> dict[str, set[str]]:
    """The digests of the texts that may be the newest of each partner and mandate: of each chain the last
    one, but none that is older by more than clocks differ."""
    found: dict[str, dict[str, tuple[int, datetime, str]]] = {}
    wanted = select(_j.entry).where(_j.about.contains(":")).execution_options(yield_per=1_000)
    for entry in readable(connection.scalars(wanted)):
        of_chains = found.setdefault(entry.about, {})
        if entry.chain not in of_chains or of_chains[entry.chain][0] < entry.seq:
            of_chains[entry.chain] = (entry.seq, entry.at, sha256(entry.of.text.encode()))
    return {
        about: {d for _, at, d in some.values() if at >= max(a for _, a, _ in some.values()) - CLOCKS}
        for about, some in found.items()
    }


def _keys(partners: Mapping[str, Partner], connection: Connection) -> Iterator[Breach]:
    wanted = {(*key, one.id) for one in partners.values() for key in keys_of(one)}
    k = tables.partner_key.c
    rows = {(r.kind, r.value, r.partner) for r in connection.execute(select(k.kind, k.value, k.partner))}
    for kind, value, partner in sorted(wanted ^ rows):
        why = "is not here" if (kind, value, partner) in wanted else "was registered by nobody"
        yield Breach(f"{kind} {value}", f"of {partner}: {why}")
    named = {(c.fingerprint, one.id) for one in partners.values() for c in one.credentials}
    for row in connection.execute(select(tables.credential)):
        if sha256(row.certificate) != row.fingerprint:
            yield Breach(f"credential {row.fingerprint}", "another certificate")
        if (row.fingerprint, row.partner) not in named:
            yield Breach(f"credential {row.fingerprint}", f"of {row.partner}: was registered by nobody")
        named.discard((row.fingerprint, row.partner))
    for fingerprint, partner in sorted(named):
        yield Breach(f"credential {fingerprint}", f"of {partner}: is not here")


def refusals(connection: Connection) -> Iterator[Breach]:
    """Each is told by an entry, and none is missing but the oldest, of which only so many are kept."""
    rows = connection.execute(select(tables.refusal).order_by(tables.refusal.c.position)).all()
    kept: Counter[str] = Counter()
    for row in rows:
        kept[digest(RefusalRecord(row.partner, row.channel, row.code, row.digest, moment(row.at)))] += 1
    told = readable(connection.scalars(select(_j.entry).where(_j.about == "")))
    refused = [e for e in told if e.kind == entries.REFUSED]
    speaks = Counter(e.of.record for e in refused)
    yield from (Breach(f"refusal {record[:16]}", "no entry speaks of it") for record in kept - speaks)
    dropped = bool(rows) and rows[-1].position > MAX_REFUSALS
    missing = speaks - kept
    oldest = min((moment(row.at) for row in rows), default=None)
    for entry in refused:
        old = dropped and oldest is not None and entry.at <= oldest + CLOCKS
        if entry.of.record in missing and not old:
            yield Breach(f"refusal {entry.of.record[:16]}", "it is not here")


def held(connection: Connection) -> Iterator[Breach]:
    """Submissions that wait, or waited, are those that entries speak of, octet for octet."""
    h = tables.held.c
    told: dict[str, set[str]] = {}
    gone: set[str] = set()
    speaks = _j.entry.contains(f'"{entries.HELD}"') | _j.entry.contains(f'"{entries.LET_GO}"')
    for entry in readable(connection.scalars(select(_j.entry).where(speaks))):
        if entry.kind == entries.HELD:
            told.setdefault(entry.about, set()).add(entry.of.body)
        elif entry.kind == entries.LET_GO:
            gone.update(entry.of.ids)
    for row in connection.execute(select(h.id, h.digest, h.body, h.became)):
        if row.digest not in told.pop(row.id, ()):
            yield Breach(f"held {row.id}", "no entry speaks of it")
        octets = sha256(row.body) if row.body else slices.digest(connection, row.id, slices.BODY)
        if not row.became and octets != row.digest:
            yield Breach(f"held {row.id}", "its octets are not as received")
        if row.became and row.id not in gone:
            yield Breach(f"held {row.id}", "it was let go, and no entry says so")
    yield from (Breach(f"held {identity}", "it is not here") for identity in sorted(told))


def exhibits(connection: Connection) -> Iterator[Breach]:
    """Every one that an entry or a checkpoint names is here, and is what its name says."""
    here = set()
    for row in connection.execute(select(tables.exhibit).execution_options(yield_per=500)):
        here.add(row.digest)
        if sha256(row.body) != row.digest:
            yield Breach(f"exhibit {row.digest}", "other octets than its name says")
    missed: dict[str, str] = {}
    wanted = select(_j.entry).where(_j.entry.contains('roof":{')).execution_options(yield_per=1_000)
    for entry in readable(connection.scalars(wanted)):
        missed |= {d: entry.about for d in exhibits_of(entry.of) if d not in here}
    for digest_, about in sorted(missed.items()):
        yield Breach(f"exhibit {digest_}", f"of submission {about}: it is not here")


REST: Mapping[str, Callable[[Connection], Iterator[Breach]]] = {
    "partner and mandate": register,
    "refusal": refusals,
    "held submission": held,
    "exhibit": exhibits,
}


def archives(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    """The digests of the archive files in which these submissions are said to be."""
    a = tables.archived.c
    rows = connection.execute(select(a.submission, a.digest).where(a.submission.in_(list(ids))))
    return {row.submission: row.digest for row in rows}
