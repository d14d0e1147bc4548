"""Large submissions: their octets in slices, and who works on them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from gateway.model import Finding, Submission
from gateway.storage import attesting, holding, slices
from gateway.storage.holding import Holding
from gateway.storage.journal import Page
from gateway.storage.ledger.opened import Opened


class Slices(Opened):
    """What lies in slices before a submission is stored, and stays there."""

    def keep_slices(self, rows: Sequence[slices.Row], owner: str) -> None:
        """Put rows of one submission away.  Raises LedgerError where it is not its owner's (any more)."""
        self._write(lambda c: slices.add(c, rows, owner))

    def drop_slices(
        self, submission: str, owner: str = "", first: int = slices.BODY, last: int = slices.LAST
    ) -> int:
        """Drop some rows of parts; how many.  Raises LedgerError likewise."""

        def drop(connection: Connection) -> int:
            slices.check_owned(connection, submission, owner)
            return slices.drop(connection, submission, first, last)

        return self._write(drop)

    def sliced(self, submission: str, part: int, number: int) -> bytes | None:
        """One row of a part; None behind the last."""
        return self._read(lambda c: slices.one(c, submission, part, number))

    def slice_count(self, submission: str, part: int) -> int:
        """The rows of a part."""
        return self._read(lambda c: slices.rows(c, [(submission, part)])).get((submission, part), 0)

    def sweep_slices(self, before: str, after: str = "") -> int:
        """Drop some slices of submissions of ids from ``after`` to below ``before`` that are neither stored nor
        waited for; how many.  Nobody waits while they are looked for: that goes through all slices between."""
        found = self._read(lambda c: slices.stray(c, after, before))

        def sweep(connection: Connection) -> int:
            still = slices.stray(connection, found, found + slices.BEHIND)
            return slices.drop(connection, found) if still == found else 0

        return self._write(sweep) if found else 0

    def large_waiting(self) -> tuple[int, datetime | None]:
        """How many large submissions are kept and not judged yet, and when the first of them was received."""
        return self._read(holding.large_waiting)

    def held_as(self, partner: str, digest: str) -> Holding | None:
        """What was kept of these bytes from this partner, or what became of it."""
        held = self._read(lambda c: holding.held_as(c, partner, digest))
        if held is not None:
            self._database.confirm()  # its sender is told that it is kept
        return held

    def renew_held(self, submission: str, owner: str, until: datetime) -> bool:
        """Go on working on a large submission; False where another one does."""
        return self._write(lambda c: holding.renew(c, submission, owner, until))

    def take_over(self, owner: str, now: datetime, until: datetime) -> Submission | None:
        """Work on a large submission on which nobody does any more; without its octets."""
        return self._write(lambda c: holding.take_over(c, owner, now, until))

    def refuse_held(self, submission: str, owner: str, findings: Sequence[Finding]) -> bool:
        """A large submission was refused: nobody can be answered, and its octets are dropped.  False where
        another one works on it."""

        def refuse(connection: Connection, page: Page) -> bool:
            if not holding.refuse(connection, submission, owner, findings):
                return False
            attesting.let_go(page, submission, submission, (), ())
            return True

        return self._attest(refuse)
