"""What is put away of a large submission before it is stored: its octets, and its declarations as they are judged."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from itertools import groupby
from typing import Protocol, TypeVar

import msgspec

from gateway.model import Declaration
from gateway.model.shelf import octets_of
from gateway.model.tree import Entity
from gateway.storage import slices
from gateway.storage.ledger import Ledger
from gateway.storage.slices import Row

T = TypeVar("T")

BATCH_OCTETS = 524_288
"""Octets written in one transaction: some milliseconds, in which nobody else writes."""
BATCH_ROWS = 200
"""Likewise, of small ones."""


class Writing(Protocol):
    """Makes a transaction, and waits for it."""

    def __call__(self, transaction: Callable[[], T], /) -> T: ...


def _here(transaction: Callable[[], T], /) -> T:
    return transaction()


class Staging:
    """Puts parts of one submission away, batch by batch; between two it leaves the database to others for as long
    as it took itself.

    ``owner``: who works on the submission.  ``pause``: sleeps so many seconds.  ``writing``: where transactions
    are made.
    """

    def __init__(
        self,
        ledger: Ledger,
        submission: str,
        owner: str,
        pause: Callable[[float], None] = time.sleep,
        writing: Writing = _here,
    ) -> None:
        self._ledger = ledger
        self._submission = submission
        self._owner = owner
        self._pause = pause
        self._writing = writing
        self._rows: list[Row] = []
        self._held = 0
        self._digests: dict[int, str] = {}

    def keep_body(self, pieces: Iterable[bytes]) -> int:
        """Put the submission's own octets away; in how many rows.  Raises LedgerError."""
        _, count = self._put(slices.BODY, pieces)
        self._write()
        return count

    def _put(self, part: int, pieces: Iterable[bytes]) -> tuple[str, int]:
        """Hex SHA-256 of the part, and its rows."""
        number, held, made = 0, bytearray(), hashlib.sha256()
        for piece in pieces:
            made.update(piece)
            held += piece
            while len(held) > slices.SLICE:
                self._add(part, number, bytes(held[: slices.SLICE]))
                number += 1
                del held[: slices.SLICE]
        self._add(part, number, bytes(held))
        return made.hexdigest(), number + 1

    def begin(self) -> None:
        """Forget what an earlier attempt put away.  Raises LedgerError where another one works on it now."""
        self._drop(slices.BODY + 1, slices.LAST)
        self._digests.clear()

    def take(self, ordinal: int, declaration: Declaration) -> Declaration:
        """Put a message's declaration away; what stands for it: its own values without what is below them."""
        self._digests[ordinal], _ = self._put(ordinal, octets_of(declaration))
        root = declaration.root
        return msgspec.structs.replace(declaration, root=Entity(root.name, root.values))

    def end(self, accepted: Collection[int]) -> dict[int, str]:
        """The digests of the declarations of accepted messages; those of others are dropped."""
        self._write()
        kept = set(accepted)
        for wanted, ordinals in groupby(sorted(self._digests), kept.__contains__):
            first, *more = ordinals
            if not wanted:
                self._drop(first, more[-1] if more else first)
        return {ordinal: self._digests[ordinal] for ordinal in sorted(accepted)}

    def _add(self, part: int, number: int, some: bytes) -> None:
        self._rows.append((self._submission, part, number, some))
        self._held += len(some)
        if self._held >= BATCH_OCTETS or len(self._rows) >= BATCH_ROWS:
            self._write()

    def _drop(self, first: int, last: int) -> None:
        dropping = partial(self._ledger.drop_slices, self._submission, self._owner, first, last)
        while self._write_and_pause(dropping) == slices.AT_ONCE:
            pass

    def _keep(self, rows: Sequence[Row]) -> int:
        self._ledger.keep_slices(rows, self._owner)
        return len(rows)

    def _write(self) -> None:
        rows, self._rows, self._held = self._rows, [], 0
        if not rows:
            return
        self._write_and_pause(partial(self._keep, rows))

    def _write_and_pause(self, transaction: Callable[[], int]) -> int:
        began = time.monotonic()
        rows = self._writing(transaction)
        self._pause(time.monotonic() - began)
        return rows
