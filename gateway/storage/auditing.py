"""The journal verified whole: every chain, every checkpoint, and what lies beyond the last one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from cryptography import x509
from sqlalchemy import Connection, select

from gateway.evidence import entries, merkle
from gateway.evidence.checkpoints import Checkpoint, Span, previous_of, read_checkpoint
from gateway.evidence.entries import entry_hash, read_entry
from gateway.evidence.gathered import Sealed
from gateway.storage import tables
from gateway.storage.checkpoints import Known, sealed_of, unsound

AT_ONCE = 200
"""Checkpoints in memory together."""

_j = tables.journal.c
_p = tables.checkpoint.c


class Breach(msgspec.Struct, frozen=True):
    """Something is not as it was written.  ``place``: ``checkpoint 12``, ``entry CHAIN:7``, ``submission
    ID`` ...; ``why``: what is wrong with it."""

    place: str
    why: str


class Audited(msgspec.Struct):
    """What was looked at: counts, and what nobody can tell from the ledger alone.

    ``uncovered``: entries that no checkpoint holds yet.  ``head``: the digest of the last checkpoint's text,
    to be compared with what was noted elsewhere.  ``keys``: certificates (hex SHA-256) that signed.
    """

    entries: int = 0
    checkpoints: int = 0
    stamps: int = 0
    uncovered: int = 0
    records: int = 0
    head: str = ""
    keys: tuple[str, ...] = ()


Stamped = Callable[[Sealed], str]
"""Says why a checkpoint's time stamp is none, or "" where it is good."""
Progress = Callable[[int], None]
"""Told how many entries were verified."""


class Audit:
    """One walk over the journal; breaches come as they are found, those of a chain in its order."""

    def __init__(
        self,
        connection: Connection,
        known: Known,
        stamped: Stamped,
        progress: Progress = lambda count: None,
    ) -> None:
        self.audited = Audited()
        self._connection = connection
        self._known = known
        self._stamped = stamped
        self._progress = progress
        self._heads: dict[str, tuple[int, str]] = {}
        self._strangers: set[str] = set()

    def breaches(self) -> Iterator[Breach]:
        """Checkpoints with the entries under them, then what no checkpoint holds."""
        previous: str | None = None
        number = 0
        for sealed in self._checkpoints():
            number += 1
            if sealed.number != number:
                yield Breach(f"checkpoint {number}", "missing")
                number = sealed.number
            try:
                yield from self._checkpoint(sealed, previous)
            except (TypeError, ValueError) as error:
                yield Breach(f"checkpoint {number}", f"cannot be read: {type(error).__name__}")
            previous = sealed.text
            self.audited.checkpoints += 1
        self.audited.head = previous_of(previous)
        yield from self._tail()

    def _checkpoints(self) -> Iterator[Sealed]:
        after = -1
        while True:
            some = select(tables.checkpoint).where(_p.number > after).order_by(_p.number).limit(AT_ONCE)
            rows = self._connection.execute(some).all()
            yield from (sealed_of(row) for row in rows)
            if len(rows) < AT_ONCE:
                return
            after = rows[-1].number

    def _checkpoint(self, sealed: Sealed, previous: str | None) -> Iterator[Breach]:
        place = f"checkpoint {sealed.number}"
        try:
            checkpoint = read_checkpoint(sealed.text)
        except ValueError as error:
            yield Breach(place, str(error))
            return
        if checkpoint.number != sealed.number:
            yield Breach(place, f"says that it is {checkpoint.number}")
        if checkpoint.previous != previous_of(previous):
            yield Breach(place, "does not follow the one before")
        yield from self._signature(place, sealed, checkpoint)
        hashes: list[str] = []
        for span in checkpoint.spans:
            yield from self._span(place, span, hashes)
        if not hashes or merkle.Tree(hashes).root != checkpoint.root:
            yield Breach(place, "its root is not that of the entries")
        self._progress(self.audited.entries)

    def _signature(self, place: str, sealed: Sealed, checkpoint: Checkpoint) -> Iterator[Breach]:
        for why in unsound(self._connection, sealed, checkpoint, self._once):
            yield Breach(place, why)
        if sealed.stamp is not None:
            self.audited.stamps += 1
            wrong = self._stamped(sealed)
            if wrong:
                yield Breach(place, wrong)

    def _once(self, chain: tuple[x509.Certificate, ...], checkpoint: Checkpoint) -> str:
        """Why the signer is a stranger, told once of each key."""
        if checkpoint.key not in self.audited.keys:
            self.audited.keys += (checkpoint.key,)
        why = "" if checkpoint.key in self._strangers else self._known(chain, checkpoint)
        if why:
            self._strangers.add(checkpoint.key)
        return why

    def _span(self, place: str, span: Span, hashes: list[str]) -> Iterator[Breach]:
        before, _ = self._heads.get(span.chain, (0, entries.FIRST))
        if span.first != before + 1:
            yield Breach(place, f"chain {span.chain}: begins at {span.first}, {before + 1} is next")
        rows = self._entries(span.chain, span.first, span.last)
        yield from self._links(span.chain, span.first, rows)
        if len(rows) != len(span):
            yield Breach(place, f"chain {span.chain}: {len(span)} entries are under it, {len(rows)} are here")
        if rows and rows[-1].hash != span.head:
            yield Breach(f"entry {span.chain}:{rows[-1].seq}", f"not the one under {place}")
        hashes += [row.hash for row in rows]

    def _entries(self, chain: str, first: int, last: int) -> list[Any]:
        wanted = select(tables.journal).where(_j.chain == chain, _j.seq.between(first, last))
        return list(self._connection.execute(wanted.order_by(_j.seq)))

    def _links(self, chain: str, first: int, rows: list[Any]) -> Iterator[Breach]:
        """Each entry against the one before; a broken one is told, and the next is judged by it as it is."""
        _, head = self._heads.get(chain, (0, entries.FIRST))
        wanted = first
        for row in rows:
            place = f"entry {chain}:{row.seq}"
            if row.seq != wanted:
                yield Breach(f"entry {chain}:{wanted}", "missing")
            if entry_hash(head, row.entry) != row.hash:
                yield Breach(place, "its hash is not that of its text and the entry before")
            elif not _says_so(row):
                yield Breach(place, "stored under another name than its text says")
            head, wanted = row.hash, row.seq + 1
        self._heads[chain] = (wanted - 1, head)
        self.audited.entries += len(rows)

    def _tail(self) -> Iterator[Breach]:
        """What no checkpoint holds."""
        chains = set(self._connection.scalars(select(_j.chain).distinct()))
        told = self._connection.execute(select(tables.chain.c.id, tables.chain.c.covered))
        covered = {row.id: row.covered for row in told}
        for chain in sorted(chains | set(covered)):
            seq, _ = self._heads.get(chain, (0, entries.FIRST))
            if covered.get(chain) != seq:
                yield Breach(
                    f"chain {chain}", f"checkpoints hold {seq} entries of it, its row says otherwise"
                )
            rows = self._entries(chain, seq + 1, 2**31 - 1)
            yield from self._links(chain, seq + 1, rows)
            self.audited.uncovered += len(rows)


def _says_so(row: Any) -> bool:
    try:
        entry = read_entry(row.entry)
    except msgspec.MsgspecError:
        return False
    return (entry.chain, entry.seq, entry.about) == (row.chain, row.seq, row.about)
