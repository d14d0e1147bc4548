"""Patience: for how long who was refused for lack of room, and does not wait, is not read."""

from __future__ import annotations

from collections.abc import Callable

FORGOTTEN_SECONDS = 10.0  # after which a partner, of whom nobody came too soon meanwhile, begins anew


class Patience:
    """Of one door; its clock is the caller's.  Memory grows with the number of registered partners only.

    ``most``: seconds for which anybody is held back, whatever Retry-After said.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        self._unheeded: dict[str, tuple[int, float]] = {}
        self._held_back: dict[str, dict[Callable[[], None], None]] = {}

    def pause(self, partner: str, wait: float, now: float, *, too_soon: bool) -> float:
        """One of the partner's connections was refused: seconds for which it is not read, 0.0 where it may be.

        ``wait``: until it is to come again, as it was told; ``too_soon``: it was told so before, and did not wait.
        Twice as long for each time that any of the partner's did not: what one of them gives up, the next one asks for.
        """
        times, forgotten = self._unheeded.get(partner, (0, now))
        if now >= forgotten:
            times = 0
        if not too_soon and not times:
            return 0.0
        pause = min(wait * 2.0 ** (times - (not too_soon)), self._most)
        if too_soon:
            more = times + (pause < self._most)
            self._unheeded[partner] = (max(more, 1), now + pause + FORGOTTEN_SECONDS)
        return pause

    def hold_back(self, partner: str, read_on: Callable[[], None]) -> None:
        """One of the partner's connections is not read; ``read_on``: has it read again."""
        self._held_back.setdefault(partner, {})[read_on] = None

    def forget(self, partner: str, read_on: Callable[[], None]) -> None:
        """It is read again, or has ended."""
        mine = self._held_back.get(partner, {})
        mine.pop(read_on, None)
        if not mine:
            self._held_back.pop(partner, None)

    def room(self, places: int) -> None:
        """So many places are free and nobody waits for them: as many connections are read again before their time,
        of one partner after the other, who was held back first before others of his."""
        for _ in range(places):
            partner, mine = next(iter(self._held_back.items()), ("", {}))
            if not mine:
                return
            first = next(iter(mine))
            self.forget(partner, first)
            if mine:
                self._held_back[partner] = self._held_back.pop(partner)
            first()
