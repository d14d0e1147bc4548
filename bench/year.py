"""A year in a night: the year's declarations, its peaks and its outages, played to a running gateway.

    python -m bench.year [--scale 1000] [--database sqlite|postgresql] [--json] [--quick]

Real: the processes of a node with their doors, TLS, workers, couriers and office; the ledger with its durable
commits; every signature, and every receipt proven by xmlsec or OpenSSL; clients that keep what is due and send it
until it is acknowledged; the outages (the office's database held by another, kill -9 and a new beginning).
Scaled: one declaration stands for ``--scale`` of the year's 11 million, on the days of an incident for a
``--closer``th of that.  Accelerated: an ordinary day's fullest hour lasts as long as the machine needs at 70 % of
the rate that it was measured to have, fuller ones no longer; hours with less to do are shorter, down to 35 %, those
in which nothing is due and nothing waits are skipped, and so is the time for which the gateway is away, but for five
seconds.  What goes by the clock itself (leases, pauses
between attempts, checkpoints) is not accelerated: after an outage it weighs more here than it would.
The default takes about ten minutes on two cores that do 60 a second, ``--scale 10`` a night, ``--scale 1`` five days.
"""

from __future__ import annotations

import argparse
import math
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import msgspec

from bench import pattern, year_report
from bench.pattern import GATEWAY, OFFICE, Hour, Incident
from bench.watch import Held, Watch, held
from bench.year_report import Figures, Recovery, Year
from bench.year_stage import Backlog, Clerk, Outbox, Slips, YearStage, told_counter
from tests.chaos.clients import until_held
from tests.chaos.harm import locked
from tests.chaos.papers import TRADERS, Desk
from tests.chaos.run import Order, Run
from tests.chaos.stage import kill

QUICK_SCALE = 20_000.0
CLERKS = 24
SHARE = 0.7
"""Of the machine's rate: an ordinary day's fullest hour."""
CALIBRATION = 240
"""Declarations by which the machine's rate is taken, after WARMING of them."""
WARMING = 40
LARGE = 0.002
"""The share of large declarations: a hundred kilobytes are rare."""
AWAY_SECONDS = 5.0
"""For which the gateway is away, as its clients meet it; the rest of the outage is skipped."""
LEAST = 0.5
"""Of SHARE: an hour with little to do is as much shorter as keeps the machine at that."""
CALM = 20
"""So much may wait on an ordinary day: what was due a moment ago."""
STUCK_SECONDS = 120.0
"""Without any progress: then it is not waited for any longer."""


class YearRun(Run):
    """One run.  ``chosen``: its days, () for all."""

    _stage: YearStage
    record = Slips
    costs: Figures

    def __init__(
        self,
        order: Order,
        root: Path,
        scale: float,
        closer: float,
        chosen: Sequence[date] = (),
        share: float = 1.0,
        longest: float = math.inf,
    ) -> None:
        """``share``: of CALIBRATION and WARMING, and ``longest``: seconds of an hour, for what is to be quick."""
        super().__init__(order, root, YearStage)
        self.hours = list(pattern.scaled(scale, closer, chosen))
        self.recoveries: list[Recovery] = []
        self.rate = 0.0
        self.outbox = Outbox()
        self._longest = longest
        self._warming = max(4, int(WARMING * share))
        self._measured = max(10, int(CALIBRATION * share))
        self._desk = Desk(self._stage.town, LARGE)
        told = told_counter(self._boxes, self._stage.receiver)
        self.backlog = Backlog(self.outbox, self._stage.books, told)
        self.watch = Watch(self._roots, 1.0)
        self.processes: dict[str, Held] = {}
        self._log = 0.0
        self._busy: dict[str, float] = {}
        self._going_on: ExitStack | None = None
        self._began = 0.0

    def play(self) -> Year:
        """All of it."""
        self.go()
        return year_report.year(self)

    # -- what a run of the chaos asks for -------------------------------------------------------------

    def _begin(self) -> list[Clerk]:  # type: ignore[override]
        clerks = [
            Clerk(n, self.order.seed, self._desk, self._partners, self._record, self.outbox)
            for n in range(CLERKS)
        ]
        for thread in (*clerks, *self._boxes, self.backlog, self.watch):
            thread.start()
        return clerks

    def _spoil(self) -> None:
        """The year."""
        self._log = year_report.log_written(self._stage.books)
        self.rate = self._calibrated()
        seconds = sum(self._seconds(hour) for hour in self.hours if hour.count)
        said = f"{sum(h.count for h in self.hours)} declarations at {self.rate:.0f}/s: about {seconds / 60:.0f} minutes"
        print(said, file=sys.stderr, flush=True)
        for hour in self.hours:
            self._turn(hour)
            self._pass(hour)
        self._end()
        self._until_calm(0)
        self.watch.close()
        self.backlog.close()

    def _calibrated(self) -> float:
        """Declarations a second, from the client to the last decision told; and what each of them costs."""
        self._workers_begun()
        self.outbox.put(self._warming)
        self._until_calm(0)
        began, spent = time.monotonic(), self.watch.spent()
        self.outbox.put(self._measured)
        self._until_calm(0)
        took, now = time.monotonic() - began, self.watch.spent()
        self._busy = {role: (now[role] - spent.get(role, 0.0)) / self._measured for role in now}
        return self._measured / took

    def _workers_begun(self) -> None:
        """A large declaration has been judged: what a worker reads as it begins is no message's."""
        chance = random.Random(self.order.seed)
        client = self._partners.client(TRADERS[0], chance)
        until_held(client, self._desk.large(TRADERS[0]), self._partners, self._record, chance)
        client.close()

    def _until_calm(self, waiting: int) -> None:
        """Return when no more than so many wait, or nothing moves any more."""
        left, moved = self.backlog.next(), time.monotonic()
        while left > waiting:
            now = self.backlog.next()
            if now != left:
                left, moved = now, time.monotonic()
            elif time.monotonic() > moved + STUCK_SECONDS:
                self._record.problem(f"{left} wait, and nothing moves")
                return

    # -- the hours ------------------------------------------------------------------------------------

    def _seconds(self, hour: Hour) -> float:
        """What an hour lasts."""
        whole = pattern.peak_hour() / hour.scale
        busy = min(1.0, max(LEAST, (hour.count - hour.extra) / whole))
        count = min(whole, max(1, hour.count - hour.extra))
        return min(self._longest, count / (busy * SHARE * self.rate))

    def _pass(self, hour: Hour) -> None:
        if hour.day != self.outbox.today:
            self.outbox.today = hour.day
        away = hour.incident is not None and hour.incident.kind == GATEWAY
        if away or not hour.count:
            self.outbox.put(hour.count)
            if not away and self.backlog.waiting > CALM:
                time.sleep(self._seconds(hour))
            return
        step = self._seconds(hour) / (hour.count - hour.extra or 1)
        self.outbox.put(hour.extra)
        due = time.monotonic()
        for _ in range(hour.count - hour.extra):
            self.outbox.put(1)
            due += step
            time.sleep(max(0.0, due - time.monotonic()))

    def _turn(self, hour: Hour) -> None:
        """Begin and end what goes on."""
        before = self.recoveries[-1] if self._going_on is not None else None
        if hour.incident is not None and before is None:
            self._bring_about(hour.incident, hour.scale)
        elif before is not None and (hour.incident is None or hour.incident.day != before.day):
            self._end()

    def _bring_about(self, incident: Incident, scale: float) -> None:
        print(f"{incident.day}: {incident.kind}", file=sys.stderr, flush=True)
        self.recoveries.append(Recovery(incident.kind, incident.day, scale))
        self._began, self._going_on = time.monotonic(), ExitStack()
        if incident.kind == OFFICE:
            self._going_on.enter_context(locked(self._stage, "office"))
        elif incident.kind == GATEWAY:
            for node in self._stage.nodes:
                kill(node.group())
                node.kill()
        self._record.fault = incident.kind

    def _end(self) -> None:
        """What went on is over; nothing more is due until what waited is carried."""
        if self._going_on is None:
            return
        found = self.recoveries[-1]
        if found.kind == GATEWAY:
            time.sleep(max(0.0, self._began + AWAY_SECONDS - time.monotonic()))
        found.waiting = self.backlog.next()
        found.carried_before = len(self._record.held)
        ended = time.monotonic()
        self._going_on.close()
        if found.kind == GATEWAY:
            for node in self._stage.nodes:
                node.start()
            found.beginning = time.monotonic() - ended
        self._until_calm(CALM)
        found.seconds = time.monotonic() - ended
        found.carried = len(self._record.held) - found.carried_before
        self._going_on, self._record.fault = None, ""

    def _roots(self) -> list[int]:
        server = self._stage.server
        database = [server.pid] if server is not None and server.runs() else []
        return [node.pid for node in self._stage.nodes if node.pid] + database

    def _count(self) -> None:
        super()._count()
        self.processes = held(self.watch.samples)
        log = year_report.log_written(self._stage.books) - self._log
        self.costs = year_report.figures(self._stage, self._busy, log)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play, and say how it went; 1 where anything was lost, doubled or unanswered."""
    parser = argparse.ArgumentParser(
        prog="year", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1_000)
    parser.add_argument("--closer", type=float, default=20)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="at a scale of 20,000: a minute or two")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=Path, help="leave databases and logs in this folder")
    parser.add_argument("--plant", default="", help="what tests/chaos/launch plants, to see it fail")
    given = parser.parse_args(arguments)
    scale, share, longest = (QUICK_SCALE, 0.25, 1.0) if given.quick else (given.scale, 1.0, math.inf)
    folder = given.keep or Path(tempfile.mkdtemp(prefix="cvan-year-"))
    order = Order(given.database, faults=0, seconds=0, seed=given.seed, plants=given.plant, bounded=False)
    try:
        year = YearRun(order, folder, scale, given.closer, share=share, longest=longest).play()
    finally:
        if given.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(msgspec.json.encode(year).decode() if given.json else year_report.text(year))
    return 0 if year.good else 1


if __name__ == "__main__":
    sys.exit(main())
