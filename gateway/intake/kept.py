"""The octets of a large submission on their way into the ledger, and out of it again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from gateway import security
from gateway.model import Submission
from gateway.model.shelf import NO_ROOM
from gateway.storage import BODY, SLICE, Ledger, LedgerError, LedgerUnavailable, Overloaded, Staging, later


class Copy(Protocol):
    """A file of octets that grows."""

    def write(self, octets: bytes) -> None:
        """More of it.  Raises OSError."""
        ...

    def hand_over(self) -> str:
        """Its path, from now on whoever's who asks for it."""
        ...

    def drop(self) -> None:
        """It is wanted no more, unless it was handed over."""
        ...


class Spool(Protocol):
    """Where large submissions lie in files while they are worked on."""

    def open(self, name: str, length: int) -> Copy:
        """A new file for about so many octets.  Raises OSError."""
        ...


@contextmanager
def another_s() -> Iterator[None]:
    """What another process works on is its business: who sends it again is told how far that is."""
    try:
        yield
    except LedgerUnavailable:
        raise
    except LedgerError as error:
        raise Overloaded(str(error)) from error


def put_away(ledger: Ledger, submission: Submission) -> int:
    """Put the octets of a submission's file into the ledger; in how many rows.  Raises LedgerError, OSError."""
    # What a door that was killed left of the same bytes, where they were refused before.
    dropped(ledger, submission)
    return Staging(ledger, submission.id, "").keep_body(
        security.Stretch.of_file(Path(submission.file)).pieces()
    )


def dropped(ledger: Ledger, submission: Submission) -> None:
    """Nothing of it is in the ledger any more, where it is neither stored nor worked on.  Raises LedgerError."""
    while ledger.drop_slices(submission.id):
        pass


def written(ledger: Ledger, submission: Submission, spool: Spool) -> str:
    """Write the octets that were put away into a file; its path, "" where they are not all there.  Raises Overloaded
    where there is no room for them."""
    rows = ledger.slice_count(submission.id, BODY)
    with without_room("go on with what was kept"):
        file = spool.open(f"{submission.id}-{os.urandom(4).hex()}", rows * SLICE)
        try:
            made = hashlib.sha256()
            for octets in later(ledger.sliced, submission.id, BODY):
                file.write(octets)
                made.update(octets)
            return file.hand_over() if made.hexdigest() == submission.digest else ""
        finally:
            file.drop()


@contextmanager
def without_room(to: str) -> Iterator[None]:
    """A disk that takes no more is no fault of the submission's, which comes again.  Raises Overloaded."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise Overloaded(f"no room to {to}: {error}") from error


def remove(submission: Submission) -> None:
    """Its file is wanted no more."""
    Path(submission.file).unlink(missing_ok=True)
