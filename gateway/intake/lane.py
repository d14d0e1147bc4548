"""A large submission in its worker's process: judged and settled there, so that nobody else holds what is known of
its messages; only the answer leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

import msgspec
from twisted.internet.defer import Deferred

from gateway import security
from gateway.handbook import Handbook
from gateway.intake.effects import settlement
from gateway.intake.journey import Worked, work
from gateway.intake.kept import without_room
from gateway.intake.settled import TRIES, Settled, settled, used
from gateway.model import Answer, Channel, Finding, Submission
from gateway.storage import Clash, Ledger, Overloaded, Settlement, Staging, Writing

LARGE = "large"
"""What such a one is held for, in its timeline; so its receipt is pushed, too: who waited for it may be gone, or was
told at another door that it is kept."""


class Lane(Protocol):
    """Where large submissions are settled, away from the reactor's thread."""

    def settle(
        self, submission: Submission, sunk: Finding | None, at: datetime | None = None
    ) -> Deferred[Settled]:
        """As Settling.settle."""
        ...


class Settling(msgspec.Struct, frozen=True):
    """What a worker settles with.

    ``owner``: who works on the submission; ``handbook``: as it is now; ``signing``: the key at a time;
    ``writing``: makes a transaction, and waits for it; ``backend``, ``publish``: as of effects.settlement.
    """

    ledger: Ledger
    owner: str
    handbook: Callable[[], Handbook]
    signing: Callable[[datetime], security.SigningKey]
    numbers: Callable[[int], Sequence[str]]
    clock: Callable[[], datetime]
    writing: Writing
    backend: str
    publish: str = ""

    def settle(self, submission: Submission, sunk: Finding | None, at: datetime | None) -> Settled:
        """Judge, put declarations away as they are judged, and settle in one commit; judge again where the
        reference is another's, or where a partner or mandate changed between the two.

        ``sunk``, ``at``: as of journey.drafting.  Raises what journey.work and Ledger.settle do, and Overloaded where
        the disk takes no more of what is put by.
        """
        with without_room("work on it"):
            return self._settle(submission, sunk, at)

    def _settle(self, submission: Submission, sunk: Finding | None, at: datetime | None) -> Settled:
        for _ in range(TRIES):
            book = self.handbook()
            worked = self._worked(submission, book, sunk, at)
            whole = self._settlement(submission, worked, book, sunk is None)
            (answer,) = self.writing(partial(self.ledger.settle, [whole]))
            if isinstance(answer, Answer):
                return settled(whole, answer)
            if isinstance(answer, Clash):
                sunk = used(answer)
        raise Overloaded("the register changes faster than this can be settled")

    def _worked(
        self, submission: Submission, book: Handbook, sunk: Finding | None, at: datetime | None
    ) -> Worked:
        staging = Staging(self.ledger, submission.id, self.owner, writing=self.writing)
        staging.begin()
        now = self.clock()
        worked = work(submission, book, self.signing(now), self.numbers, now, sunk, at, staging.take)
        accepted = {m.ordinal for m in worked.verdict.messages if m.declaration is not None}
        return msgspec.structs.replace(worked, staged=staging.end(accepted), owner=self.owner)

    def _settlement(self, submission: Submission, worked: Worked, book: Handbook, claim: bool) -> Settlement:
        filer = book.register.partners[worked.verdict.route.partner]
        return settlement(
            msgspec.structs.replace(submission, file=""),
            worked,
            self.backend,
            self.clock(),
            claim=claim,
            pushed=filer.channel is Channel.PUSH,
            held=LARGE,
            publish=self.publish,
        )
