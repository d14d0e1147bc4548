"""One run: begin, load, spoil, let settle, count."""

from __future__ import annotations

import random
import sys
import threading
import time
import traceback
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos import kinds
from tests.chaos.clients import AWAY, Mailbox, Partners, Record, Sender, mailboxes
from tests.chaos.count import Count, count
from tests.chaos.databases import AWAY as BOOKS_AWAY
from tests.chaos.harm import Harm
from tests.chaos.kinds import Kind, Plan
from tests.chaos.papers import Desk
from tests.chaos.stage import Stage, journal_verified
from tests.journeys.town import VAN

SENDERS = 10
SETTLE_SECONDS = 120.0
"""For everything to be carried once nothing is spoilt any more."""


@dataclass(frozen=True)
class Order:
    """What to run.  ``pause``: seconds that a client rests between two papers, on average."""

    database: str = "sqlite"
    faults: int = 2_000
    seconds: float = 1_000.0
    seed: int = 0
    plants: str = "poison"
    durable: str = "yes"
    pause: float = 0.8
    only: tuple[str, ...] = ()
    bounded: bool = True
    patience: float = 90.0


@dataclass
class Found:
    """What came of it.  ``recoveries``: by kind, the slowest (next receipt, last registration)."""

    order: Order
    count: Count = field(default_factory=Count)
    faults: dict[str, int] = field(default_factory=dict)
    recoveries: dict[str, tuple[float, float]] = field(default_factory=dict)
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    waits: list[tuple[float, str, str]] = field(default_factory=list)
    pushed: float = 0.0
    journal: str = ""
    took: float = 0.0

    @property
    def good(self) -> bool:
        """Nothing lost, nothing doubled, nobody unanswered, nothing wrong, no recovery too slow."""
        counted = self.count
        ill = counted.lost or counted.doubled or counted.unanswered or self.wrong or self.journal
        return not ill and not self.late and counted.acknowledged > 0


class Run:
    """One run on a stage of its own."""

    record: type[Record] = Record

    def __init__(self, order: Order, root: Path, stage: type[Stage] = Stage) -> None:
        self.order = order
        self.found = Found(order)
        self._stage = stage(root, order.database, order.plants, order.durable)
        nodes = len(self._stage.nodes)
        self.found.bounds = {kind.name: kinds.bounds(kind, nodes) for kind in kinds.SLOW}
        self._plan = self._planned()
        self._record = self.record()
        self._partners = Partners(self._stage.town, [node.port for node in self._stage.nodes])
        self._desk = Desk(self._stage.town)
        self._cheap: deque[str] = deque()
        self._boxes: list[Mailbox] = mailboxes(order.seed, self._partners, self._record)

    def go(self) -> Found:
        """All of it."""
        began = time.monotonic()
        with ExitStack() as leaving:
            leaving.callback(self._stage.close)
            self._stage.start()
            senders = self._begin()
            self._spoil()
            self._quiet(senders)
            self._settle()
            self._count()
        self.found.took = time.monotonic() - began
        return self.found

    def _planned(self) -> Plan:
        order, usable = self.order, []
        for kind in kinds.SLOW:
            if order.database not in kind.databases or (order.only and kind.name not in order.only):
                continue
            if kind.preloaded and not self._stage.spoiler.ready:
                self.found.skipped[kind.name] = "no C compiler"
                continue
            usable.append(kind)
        return kinds.plan(order.seed, order.faults, order.seconds, tuple(usable))

    def _begin(self) -> list[Sender]:
        senders = [
            Sender(n, self.order.seed, self._desk, self._partners, self._record, self._cheap)
            for n in range(SENDERS)
        ]
        for sender in senders:
            sender.pause = self.order.pause
            sender.start()
        for box in self._boxes:
            box.start()
        return senders

    def _spoil(self) -> None:
        """The slow faults one after the other, the cheap ones spread between them."""
        chance = random.Random(self.order.seed + 1)
        harm = Harm(self._stage, self._desk, self._partners, self._record, chance, self.order.patience)
        share = len(self._plan.cheap) / (len(self._plan.slow) or 1)
        given = 0
        for number, kind in enumerate(self._plan.slow, 1):
            upto = round(number * share)
            self._give(self._plan.cheap[given:upto])
            given = upto
            time.sleep(chance.uniform(0, 0.6))
            self._record.fault = kind.name
            recovery = harm.do(kind)
            self._took(kind, recovery, harm)
            told = (
                f"{recovery[0]:.1f} s to the next receipt, {recovery[1]:.1f} s more to carry; {harm.beside}"
            )
            print(f"{number}/{len(self._plan.slow)} {kind.name}: {told}", file=sys.stderr, flush=True)
        while self._cheap or self._stage.receiver.harm:
            time.sleep(0.1)

    def _give(self, faults: tuple[str, ...]) -> None:
        for fault in faults:
            if fault == "push cut":
                self._stage.receiver.harm.append(random.Random(len(self._cheap)).choice(("before", "after")))
                self._record.done(fault, 0.0)
            else:
                self._cheap.append(fault)

    def _took(self, kind: Kind, recovery: tuple[float, float], harm: Harm) -> None:
        worst = self.found.recoveries.get(kind.name, (0.0, 0.0))
        self.found.recoveries[kind.name] = (max(worst[0], recovery[0]), max(worst[1], recovery[1]))
        self.found.faults[kind.name] = self.found.faults.get(kind.name, 0) + 1
        if not self.order.bounded:
            return
        answers, carried = self.found.bounds[kind.name]
        carried += kinds.EACH * (harm.under_way or 0)
        beside = harm.beside
        if recovery[0] > answers:
            late = f"{kind.name}: {recovery[0]:.1f} s to a receipt, over {answers:.0f}; {beside}"
            self.found.late.append(late)
        if recovery[1] > carried:
            late = f"{kind.name}: carried after {recovery[1]:.1f} s, over {carried:.0f}; {beside}"
            self.found.late.append(late)

    def _quiet(self, senders: list[Sender]) -> None:
        """No more papers; those under way are sent until they are acknowledged."""
        for sender in senders:
            sender.over.set()
        for sender in senders:
            sender.join(SETTLE_SECONDS)
            if sender.is_alive():
                self._record.problem(f"{sender.name} cannot get rid of its paper: {_where(sender)}")

    def _settle(self) -> None:
        """Until the couriers have nothing more to carry and the mailboxes are empty."""
        end, books = time.monotonic() + SETTLE_SECONDS, self._stage.books
        while time.monotonic() < end:
            try:
                if books.unfinished() == (0, 0):
                    break
            except BOOKS_AWAY:
                pass
            time.sleep(0.2)
        for box in self._boxes:
            box.over.set()
            box.join(SETTLE_SECONDS)
            while time.monotonic() < end + SETTLE_SECONDS and self._emptied(box):
                pass

    def _emptied(self, box: Mailbox) -> bool:
        """Fetch once more; False where nothing was left."""
        try:
            return box.round() > 0
        except AWAY:
            time.sleep(0.2)
            return True

    def _count(self) -> None:
        found, record = self.found, self._record
        fetched: dict[str, dict[str, Any]] = {}
        for box in self._boxes:
            fetched |= box.entries
        with record.lock:
            held = list(record.held.values())
        found.count = count(held, self._stage.books, fetched, self._stage.receiver.taken)
        came = self._stage.receiver.came("registered")
        filed = [(h.at, r) for h in held if h.paper.sender is VAN for r in h.paper.references]
        found.pushed = max((came[r] - at for at, r in filed if r in came), default=0.0)
        found.journal = journal_verified(self._stage.town)
        found.wrong = record.wrong
        found.waits = sorted(record.waits, reverse=True)
        found.refused = dict(record.refused)
        found.faults |= dict(record.faults)
        found.recoveries |= {name: (slowest, 0.0) for name, slowest in record.slowest.items()}


def _where(thread: threading.Thread) -> str:
    """What a thread is at."""
    frame = sys._current_frames().get(thread.ident or 0)
    return "" if frame is None else "".join(traceback.format_stack(frame)[-4:])
