"""Messages that ended one worker after another: set aside in files, and given to no further worker."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from gateway.inbound import SET_ASIDE, Unreadable
from gateway.model import Finding, Submission
from gateway.operations.suspects import BEGUN, JUDGING, Suspects, listed

log = logging.getLogger("gateway.aside")

FOLDER = "aside"
"""In the home: one file for each message, its name the SHA-256 of its octets.  Who removes it lets the
message be tried again."""
ENDED = 3
"""Workers that may end over one message: the first may have been chance (memory ran out, somebody killed it)."""
MAX_COUNTED = 1_000
"""Messages of which it is remembered that a worker ended over them where the disk takes nothing."""
MAX_FILES = 100
"""A partner must not be able to fill the disk; what comes beyond is refused without a copy."""


class SetAside:
    """What one process knows of them; files and counts are shared by all processes of a home, and outlive them."""

    def __init__(self, home: Path) -> None:
        self._folder = home / FOLDER
        self._suspects = Suspects(home)
        self._ended: dict[str, int] = {}

    def check(self, submission: Submission) -> None:
        """Raises inbound.Unreadable for what was set aside."""
        digest = submission.digest
        if self._ended.get(digest, 0) < ENDED <= self._suspects.count(digest):
            self._set_aside(submission)  # whoever gave it to the last worker ended with that
        if self._ended.get(digest, 0) >= ENDED or (self._folder / digest).exists():
            raise Unreadable((Finding(SET_ASIDE, expected=str(ENDED), found=digest),))

    def ended_over(self, submission: Submission, by: str = "") -> None:
        """A worker ended while it was at this, by a signal where that is known; after the third it is set aside."""
        if self._count(submission.digest) < ENDED:
            log.error("a worker ended over a message", extra={**_told(submission), "by": by})
        else:
            self._set_aside(submission)

    def judged(self, submission: Submission) -> None:
        """A worker came to its end: whatever ended before was no fault of this message."""
        self._ended.pop(submission.digest, None)
        self._suspects.clear(submission.digest)

    def _count(self, digest: str) -> int:
        try:
            return self._suspects.ended(digest)
        except OSError as error:
            log.error("counted in memory alone: %s", error)
        if len(self._ended) >= MAX_COUNTED:
            self._ended.clear()
        self._ended[digest] = max(self._ended.get(digest, 0), self._suspects.count(digest)) + 1
        return self._ended[digest]

    def _set_aside(self, submission: Submission) -> None:
        digest = submission.digest
        told = _told(submission)
        log.error("%d workers ended over the message %s: set aside", ENDED, digest, extra=told)
        try:
            kept = self._keep(submission)
        except OSError as error:
            log.error("no copy of %s could be kept: %s", digest, error)
            kept = False
        if kept:
            # The file says it from now on: who removes it lets it be tried again, in a worker.
            self._ended.pop(digest, None)
            self._suspects.spare(digest)
        else:
            self._ended[digest] = ENDED

    def _keep(self, submission: Submission) -> bool:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        if len(list(self._folder.iterdir())) >= MAX_FILES:
            log.error("%s is full: no copy of %s was kept", self._folder, submission.digest)
            return False
        mode = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with os.fdopen(os.open(self._folder / submission.digest, mode, 0o600), "wb") as file:
            file.write(submission.body)
        if submission.file:
            shutil.copyfile(submission.file, self._folder / submission.digest)
        return True


def take_up(home: Path) -> None:
    """Before a home's first process begins others: what all those of before left that ended together."""
    suspects = Suspects(home)
    for note in listed(home / JUDGING):
        suspects.left_by(note.name)
    for note in listed(home / BEGUN):
        digest = note.name.partition(".")[0]
        try:
            suspects.ended(digest)
            note.unlink(missing_ok=True)
        except OSError as error:
            log.error("not counted: %s", error)
        else:
            log.error("a worker ended over a message, and all others with it", extra={"digest": digest})
    try:
        suspects.add(kept.name for kept in listed(home / FOLDER))  # small ones are told apart by that
    except OSError as error:
        log.error("not known what was set aside: %s", error)


def _told(submission: Submission) -> dict[str, str]:
    return {"submission": submission.id, "partner": submission.partner, "digest": submission.digest}
