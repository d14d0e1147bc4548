"""Who plays the year: partners' systems that keep what is due until it is acknowledged, and the stage for them."""

from __future__ import annotations

import queue
import threading
from collections import Counter, deque
from collections.abc import Callable
from datetime import date

from tests.chaos.clients import Mailbox, Partners, Record, Sender
from tests.chaos.databases import AWAY, Books
from tests.chaos.papers import Desk, Paper
from tests.chaos.receiver import PushedTo
from tests.chaos.stage import Stage
from tests.journeys.plain import Answer

LOOK_SECONDS = 0.5
"""Between two looks at how much waits."""


class YearStage(Stage):
    """The stage of the chaos with nothing to spoil it by, and one node."""

    doors = 1
    spoilt = False
    second = False


class Slips(Record):
    """What the clients know, without the octets: a year's would not fit into memory."""

    def take(self, paper: Paper, answer: Answer, receipt: str) -> None:
        super().take(paper.slip(), answer, receipt)
        self.settled(set(paper.references))


class Outbox:
    """Declarations that are due at partners' systems and not acknowledged, by the day on which they were due."""

    def __init__(self) -> None:
        self.kept = 0
        self.arrived: Counter[date] = Counter()
        self.acknowledged: Counter[date] = Counter()
        self.today = date.min
        self._lock = threading.Lock()
        # Not a SimpleQueue: of those that wait there with a limit some wait for ever (CPython 3.11), where others
        # take what they were woken for.
        self._queue: queue.Queue[bool] = queue.Queue()

    def put(self, count: int) -> None:
        """So many more are due today."""
        with self._lock:
            self.kept += count
            self.arrived[self.today] += count
        for _ in range(count):
            self._queue.put(True)

    def next(self, seconds: float) -> bool:
        """True where one is to be sent; waits so long for it."""
        try:
            return self._queue.get(timeout=seconds)
        except queue.Empty:
            return False

    def done(self) -> None:
        """One is acknowledged."""
        with self._lock:
            self.kept -= 1
            self.acknowledged[self.today] += 1


class Clerk(Sender):
    """A connection for each partner; sends what is in the outbox, each until it is acknowledged."""

    def __init__(
        self, number: int, seed: int, desk: Desk, partners: Partners, record: Record, outbox: Outbox
    ):
        super().__init__(number, seed, desk, partners, record, deque())
        self._outbox = outbox

    def run(self) -> None:
        while True:
            if self._outbox.next(0.1):
                self.send(self._desk.any(self._chance))
                self._outbox.done()
            elif self.over.is_set():
                return


class Backlog(threading.Thread):
    """Looks how much waits: at the partners', for the back end and in it, and for who is pushed to."""

    def __init__(self, outbox: Outbox, books: Books, told: Callable[[], int]) -> None:
        """``told``: decisions that reached whom they are for, until now."""
        super().__init__(name="backlog", daemon=True)
        self.waiting = 0
        self.most: Counter[date] = Counter()
        self.told: dict[date, int] = {}
        self.series: list[tuple[date, int]] = []
        self._outbox, self._books, self._told = outbox, books, told
        self._over = threading.Event()
        self._looked = threading.Condition()

    def run(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """Once; where a database does not answer, what the partners keep counts alone."""
        try:
            carried = sum(self._books.unfinished())
        except AWAY:
            carried = 0
        today = self._outbox.today
        self.told[today] = self._told()
        with self._looked:
            self.waiting = self._outbox.kept + carried
            self.most[today] = max(self.most[today], self.waiting)
            self.series.append((today, self.waiting))
            self._looked.notify_all()

    def next(self) -> int:
        """How much waits by a look that is begun after now."""
        with self._looked:
            self._looked.wait(10)
            self._looked.wait(10)
            return self.waiting

    def close(self) -> None:
        """The last look."""
        self._over.set()
        self.join()
        self.look()


def told_counter(boxes: list[Mailbox], receiver: PushedTo) -> Callable[[], int]:
    """Counts what mailboxes gave and receivers took."""
    return lambda: sum(len(box.entries) for box in boxes) + len(receiver.taken)
