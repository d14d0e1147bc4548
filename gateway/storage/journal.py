"""The journal's writing side: what a transaction did becomes entries of a chain, in that transaction.

A chain belongs to one transaction at a time, so no writer waits for another's: each open ledger keeps as
many chains as it ever had transactions at once, and processes share none.  A chain whose commit had an
unknown end is left as it is, and a new one begun; a transaction that was undone wrote nothing, and its
chain goes on where it was.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Iterable, Set
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

from sqlalchemy import Connection

from gateway.evidence import entries
from gateway.evidence.entries import Attested, Entry, Exhibits, entry_hash, sha256
from gateway.model import Proof
from gateway.storage import tables
from gateway.storage.codec import micros
from gateway.storage.database import Database
from gateway.storage.rows import Rows

T = TypeVar("T")

REMEMBERED = 20_000
"""Digests of exhibits known to be stored (some 2 MB): a known signer's chain is not written again."""

AT_ONCE = 1_000
"""Entries that wait to be written together: a whole register may come in one transaction."""

_chains = Rows(tables.chain)
_journal = Rows(tables.journal)
_exhibits = Rows(tables.exhibit, on_conflict_do_nothing=True)


class Chain:
    """Where one writer's chain stands after its last commit."""

    __slots__ = ("head", "id", "seq")

    def __init__(self) -> None:
        self.id = secrets.token_hex(8)
        self.seq = 0
        self.head = entries.FIRST


LARGE = 64 * 1024
"""Octets of an exhibit from which on its digest is remembered: the CRL that every proof of a signer rests
on is the same object again and again."""


_large = lru_cache(4)(sha256)
_small = lru_cache(64)(sha256)
"""Of the certificates of who sends most: each message rests on the same."""


class Page:
    """What one transaction attests, in the chain that is its own until it ends."""

    def __init__(
        self, connection: Connection, chain: Chain, at: datetime, stored: Set[str] = frozenset()
    ) -> None:
        self.at = at
        self.exhibits: dict[str, bytes] = {}
        self._connection = connection
        self._chain = chain.id
        self._seq, self._head = chain.seq, chain.head
        self._stored = stored
        self._waiting: list[tuple[str, str, Attested]] = []
        self._unkept: dict[str, bytes] = {}

    def add(self, kind: str, about: str, of: Attested) -> None:
        """One entry; entries are written when the transaction has done all else, or are many."""
        self._waiting.append((kind, about, of))
        if len(self._waiting) >= AT_ONCE:
            self.write()

    def keep(self, octets: Iterable[bytes]) -> tuple[str, ...]:
        """Exhibits, stored once each; their digests."""
        named = tuple(((_small if len(one) < LARGE else _large)(one), one) for one in octets)
        self._unkept.update((d, one) for d, one in named if d not in self._stored)
        return tuple(d for d, _ in named)

    def kept(self, proof: Proof) -> Exhibits | None:
        """A proof's material as exhibits; None where nothing was kept."""
        if not proof.certificates:
            return None
        return Exhibits(
            certificates=self.keep(proof.certificates),
            revocation=proof.revocation.value,
            responses=self.keep(proof.responses),
            stamps=self.keep(proof.stamps),
            stampers=self.keep(proof.stampers),
        )

    def write(self) -> None:
        """Insert what waits."""
        if self._unkept:
            # In one order for all writers, so that no two wait for each other.
            _exhibits.insert(self._connection, sorted(self._unkept.items()))
            self.exhibits.update(self._unkept)
            self._unkept = {}
        if not self._waiting:
            return
        if not self._seq:
            _chains.insert(self._connection, [(self._chain, micros(self.at), 0)])
            opened = Attested(note=f"{socket.gethostname()}:{os.getpid()}")
            self._waiting.insert(0, (entries.OPENED, "", opened))
        rows = []
        for kind, about, of in self._waiting:
            self._seq += 1
            text = Entry(self._chain, self._seq, self.at, kind, about, of).text()
            self._head = entry_hash(self._head, text)
            rows.append((self._chain, self._seq, about, text, self._head))
        _journal.insert(self._connection, rows)
        self._waiting = []

    @property
    def stands(self) -> tuple[int, str]:
        """Where the chain stands if the transaction is committed."""
        return self._seq, self._head


class Journal:
    """Runs writing transactions, each with a page that goes into a chain.  Threads may share it."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._free: list[Chain] = []
        self._stored: set[str] = set()

    def write(self, work: Callable[[Connection, Page], T]) -> T:
        """As Database.write; what the work adds to its page is committed with what it did."""
        chain = self._taken()
        doubtful = False

        def whole(connection: Connection) -> tuple[T, Page]:
            nonlocal chain, doubtful
            if doubtful:
                # The commit before was not heard of; what it wrote may be there.
                chain, doubtful = Chain(), False
            page = Page(connection, chain, self._clock(), self._stored)
            result = work(connection, page)
            page.write()
            doubtful = page.stands != (chain.seq, chain.head)
            return result, page

        try:
            result, page = self._database.write(whole)
        except BaseException:
            if not doubtful:
                self._free.append(chain)
            raise
        chain.seq, chain.head = page.stands
        self._remember(page)
        self._free.append(chain)
        return result

    def _taken(self) -> Chain:
        try:
            return self._free.pop()
        except IndexError:  # not looked before: another thread may take the last one in between
            return Chain()

    def _remember(self, page: Page) -> None:
        if len(self._stored) + len(page.exhibits) > REMEMBERED:
            self._stored = set()
        self._stored.update(page.exhibits)
