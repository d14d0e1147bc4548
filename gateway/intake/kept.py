"""The octets of a large submission on their way into the ledger, and out of it again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway import security
from gateway.model import Submission
from gateway.storage import Ledger, LedgerError, LedgerUnavailable, Overloaded, Staging


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


def written(ledger: Ledger, submission: Submission, file: Path) -> bool:
    """Write the octets that were put away into a file; False where they are not all there."""
    made = hashlib.sha256()
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as into:
        number = 0
        while (octets := ledger.sliced(submission.id, 0, number)) is not None:
            into.write(octets)
            made.update(octets)
            number += 1
    return made.hexdigest() == submission.digest


def first_to_tell(submission: Submission) -> bool:
    """Whether nobody asked this before, in whatever process: who was first tells its sender, that it is kept or,
    since it is committed now, what the answer is.  Raises Overloaded where the disk takes no such file."""
    try:
        os.close(os.open(_told(submission), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    except OSError as error:
        raise Overloaded(f"not to be said who tells its sender: {error.strerror}") from error
    return True


def remove(submission: Submission) -> None:
    """Its file is wanted no more."""
    Path(submission.file).unlink(missing_ok=True)
    Path(_told(submission)).unlink(missing_ok=True)


def _told(submission: Submission) -> str:
    return f"{submission.file}.told"
