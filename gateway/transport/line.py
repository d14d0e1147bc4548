"""The line: whose turn it is to be worked on; no clock, no socket.

Between classes and, within a class, between partners, who has had least so far goes first; one partner's own
of one class keep their order.  A line is for bursts only: where it does not end, nobody may wait in it for long.
Times are seconds on any clock that never runs backwards, given by the caller.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Iterable
from enum import IntEnum
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

WINDOW = 0.5  # seconds over which a drain is measured: some hundred submissions
SPARE = 64  # more than wait may be remembered: to look through all of them has its price
OCTETS = 16_384  # that cost as much again as a submission does by itself


class Rank(IntEnum):
    """The class of a submission: what cannot wait, declarations, what can wait."""

    A = 0
    B = 1
    C = 2


_LAST_FIRST = tuple(reversed(Rank))

WEIGHTS = {Rank.A: 16, Rank.B: 8, Rank.C: 1}
"""Shares of the work where all of them wait: the urgent is little, and bulk is to be done at some time."""


class Waiting(msgspec.Struct, Generic[T]):
    """``what`` waits since then; ``cost``: of its work, in submissions of the smallest kind."""

    what: T
    partner: str
    rank: Rank
    since: float
    cost: float = 1.0


def cost_of(octets: int) -> float:
    """What a submission costs to work on."""
    return 1 + octets / OCTETS


class Shares(Generic[K]):
    """Who has had how much (start-time fair queueing): whoever was away has saved nothing up and owes nothing
    but its last turn."""

    def __init__(self) -> None:
        self._now = 0.0
        self._had: dict[K, float] = {}

    def least(self, keys: Iterable[K]) -> K:
        """Who has had least; of several, the first.  Raises ValueError where there is nobody."""
        return min(keys, key=lambda key: max(self._now, self._had.get(key, 0.0)))

    def charge(self, key: K, cost: float) -> None:
        """It has its turn."""
        start = max(self._now, self._had.get(key, 0.0))
        self._now = start
        self._had[key] = start + cost

    def forget(self, but: int) -> None:
        """So many wait: where nobody does nobody owes anything, and seldom enough else, who owes nothing goes."""
        if not but:
            self._had.clear()
        elif len(self._had) > 2 * but + SPARE:
            self._had = {key: had for key, had in self._had.items() if had > self._now}

    def __len__(self) -> int:
        return len(self._had)


class Drain:
    """How many a second are done while others wait: 0.0 until that is known."""

    def __init__(self) -> None:
        self.rate = 0.0
        self._since = -1.0
        self._count = 0

    def done(self, now: float, *, busy: bool) -> None:
        """One more is done; ``busy``: others wait, so that it says how fast it can go."""
        if not busy or self._since < 0:
            self._since, self._count = (now if busy else -1.0), 0
            return
        self._count += 1
        spent = now - self._since
        if spent >= WINDOW:
            newest = self._count / spent
            self.rate = (self.rate + newest) / 2 if self.rate else newest
            self._since, self._count = now, 0


class Line(Generic[T]):
    """Those that wait, and how many are at work.

    ``at_work``: places; all are for class A, most for B and A, a few for C, so that what takes long never
    has them all.  ``target``: seconds that B and C may wait where the line does not end; A, and all where it
    was empty within the last ``patience``, may wait so long.
    """

    def __init__(self, at_work: int, target: float, patience: float) -> None:
        self.at_work: Counter[Rank] = Counter(dict.fromkeys(Rank, 0))
        self.waiting: Counter[Rank] = Counter(dict.fromkeys(Rank, 0))
        self._count = 0  # of all that wait
        self.drain = Drain()
        self._places = {
            Rank.A: at_work,
            Rank.B: max(1, at_work - at_work // 8),
            Rank.C: max(1, at_work // 4),
        }
        self._target = target
        self._patience = patience
        self._emptied = 0.0
        self._lines: dict[Rank, dict[str, deque[Waiting[T]]]] = {rank: {} for rank in Rank}
        self._classes: Shares[Rank] = Shares()
        self._partners: dict[Rank, Shares[str]] = {rank: Shares() for rank in Rank}

    def join(self, waiting: Waiting[T], now: float) -> None:
        """Behind its partner's own of its class."""
        if not self._count:
            self._emptied = now
        self._count += 1
        self._lines[waiting.rank].setdefault(waiting.partner, deque()).append(waiting)
        self.waiting[waiting.rank] += 1

    def next(self, now: float) -> Waiting[T] | None:
        """Who begins now, or None: nobody waits, or there is no place."""
        if not self._count:
            return None
        open_ = [rank for rank, waiting in self.waiting.items() if waiting and self._has_place(rank)]
        if not open_:
            return None
        rank = self._classes.least(open_)
        partner = self._partners[rank].least(self._lines[rank])
        waiting = self._take(rank, partner, now)
        self._classes.charge(rank, waiting.cost / WEIGHTS[rank])
        self._partners[rank].charge(partner, waiting.cost)
        self._partners[rank].forget(but=len(self._lines[rank]))
        self.at_work[rank] += 1
        return waiting

    def done(self, rank: Rank, now: float) -> None:
        """One that had begun is done."""
        self.at_work[rank] -= 1
        self.drain.done(now, busy=self._count > 0)

    def overdue(self, now: float) -> list[Waiting[T]]:
        """Those that have waited too long: they wait no more."""
        if not self._count:
            return []
        burst = now - self._emptied < self._patience
        late: list[Waiting[T]] = []
        for rank, lines in self._lines.items():
            bound = self._patience if burst or rank is Rank.A else self._target
            for partner in [p for p, line in lines.items() if now - line[0].since > bound]:
                while partner in lines and now - lines[partner][0].since > bound:
                    late.append(self._take(rank, partner, now))
        return late

    def __len__(self) -> int:
        return self._count

    def _has_place(self, rank: Rank) -> bool:
        """One more of the class leaves each class that it yields to what is kept for that."""
        at_work, yielding = self.at_work, 0
        for other in _LAST_FIRST:
            yielding += at_work[other]
            if other <= rank and yielding >= self._places[other]:
                return False
        return True

    def _take(self, rank: Rank, partner: str, now: float) -> Waiting[T]:
        line = self._lines[rank][partner]
        waiting = line.popleft()
        if not line:
            del self._lines[rank][partner]
        self.waiting[rank] -= 1
        self._count -= 1
        if not self._count:
            self._emptied = now
        return waiting
