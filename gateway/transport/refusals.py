"""The log of refusals: who was sent away and why, in lines that a flood of them cannot multiply."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

import msgspec

from gateway.transport.access import event
from gateway.transport.reactor import Clock

WINDOW_SECONDS = 1.0  # one line in this time for each partner and code


class Refused(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request that was refused, without anything of its content.

    ``partner``: "" where nobody is proven; then ``subject`` is that of the client certificate, which
    is trusted, but nobody's, and ``why`` says what was expected instead.  ``codes``: of all findings, each
    once, the first decides what this is.
    """

    request: str
    status: int
    codes: tuple[str, ...]
    partner: str = ""
    subject: str = ""
    peer: str = ""
    operation: str = ""
    received: int = 0
    why: str = ""


class RefusalLog:
    """Writes refusals to a standard logger (``cvan.refusals``) at INFO, one JSON object per line.

    The first of a partner and a code is written at once; those that follow within the window are
    one line at its end: the last of them, and as ``count`` how many they are.
    """

    def __init__(
        self, clock: Clock, now: Callable[[], datetime], logger: logging.Logger | None = None
    ) -> None:
        self._clock = clock
        self._now = now
        self._logger = logger or logging.getLogger("cvan.refusals")
        self._held: dict[tuple[str, str], tuple[int, Refused | None]] = {}

    def note(self, refused: Refused) -> None:
        """A request was refused."""
        key = (refused.partner, refused.codes[0])
        if key in self._held:
            self._held[key] = (self._held[key][0] + 1, refused)
            return
        self._write(refused, 1)
        self._open(key)

    def flush(self) -> None:
        """Write what is held; the end is near."""
        for key, (count, last) in self._held.items():
            if last is not None:
                self._write(last, count)
            self._held[key] = (0, None)

    def _open(self, key: tuple[str, str]) -> None:
        self._held[key] = (0, None)
        self._clock.callLater(WINDOW_SECONDS, self._close, key)

    def _close(self, key: tuple[str, str]) -> None:
        count, last = self._held.pop(key)
        if last is not None:
            self._write(last, count)
            self._open(key)

    def _write(self, refused: Refused, count: int) -> None:
        fields = {**msgspec.to_builtins(refused), "count": count}
        self._logger.info("%s", event("refused", self._now(), fields))
