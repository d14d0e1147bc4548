"""Messages that ended one worker after another: set aside in files, and given to no further worker."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from gateway.inbound import SET_ASIDE, Unreadable
from gateway.model import Finding, Submission

log = logging.getLogger("gateway.aside")

FOLDER = "aside"
"""In the home: one file for each message, its name the SHA-256 of its octets.  Who removes it lets the
message be tried again."""
ENDED = 3
"""Workers that may end over one message: the first may have been chance (memory ran out, somebody killed it)."""
MAX_COUNTED = 1_000
"""Messages of which it is remembered that a worker ended over them."""
MAX_FILES = 100
"""A partner must not be able to fill the disk; what comes beyond is refused without a copy."""


class SetAside:
    """What one process knows of them; the files are shared by all processes of a home, and outlive them."""

    def __init__(self, home: Path) -> None:
        self._folder = home / FOLDER
        self._ended: dict[str, int] = {}

    def check(self, submission: Submission) -> None:
        """Raises inbound.Unreadable for what was set aside."""
        if self._ended.get(submission.digest, 0) >= ENDED or (self._folder / submission.digest).exists():
            raise Unreadable((Finding(SET_ASIDE, expected=str(ENDED), found=submission.digest),))

    def ended_over(self, submission: Submission) -> None:
        """A worker ended while it was at this; after the third it is set aside."""
        digest = submission.digest
        if len(self._ended) >= MAX_COUNTED:
            self._ended.clear()
        self._ended[digest] = self._ended.get(digest, 0) + 1
        told = {"submission": submission.id, "partner": submission.partner, "digest": digest}
        if self._ended[digest] < ENDED:
            log.error("a worker ended over a message", extra=told)
            return
        log.error("%d workers ended over the message %s: set aside", ENDED, digest, extra=told)
        try:
            kept = self._keep(submission)
        except OSError as error:
            log.error("no copy of %s could be kept: %s", digest, error)
            return
        if kept:
            del self._ended[digest]  # the file says it from now on: who removes it lets it be tried again

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
