"""Patience: for how long who comes again too soon is not read."""

from __future__ import annotations

IMPATIENT_SECONDS = 5.0  # at most, for who sends more before Retry-After: until it is read at all
FORGOTTEN_SECONDS = 10.0  # after which a partner, of whom nobody came too soon meanwhile, begins anew


class Patience:
    """Of one door; its clock is the caller's.  Memory grows with the number of registered partners only."""

    def __init__(self) -> None:
        self._unheeded: dict[str, tuple[int, float]] = {}

    def too_soon(self, partner: str, wait: float, now: float) -> float:
        """On some connection of the partner's somebody came before he was to, and was refused again: seconds for
        which that one is not read.

        ``wait``: as he was told.  Twice as long for each further time on any connection of the partner's: what one of
        them gives up, the next one asks for.
        """
        times, forgotten = self._unheeded.get(partner, (0, now))
        if now >= forgotten:
            times = 0
        pause = min(wait * 2.0**times, IMPATIENT_SECONDS)
        more = times + 1 if pause < IMPATIENT_SECONDS else times
        self._unheeded[partner] = (more, now + pause + FORGOTTEN_SECONDS)
        return pause
