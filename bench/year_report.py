"""What a played year came to: figures for programs, and lines that people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec

from bench import pattern
from bench.watch import DATABASE, SUPERVISOR, WORKER, Held
from gateway.storage.compression import FRAME_HEAD, size_of
from tests.chaos.databases import Books
from tests.chaos.stage import Stage

if TYPE_CHECKING:
    from bench.year import YearRun

BARS = " ▁▂▃▄▅▆▇█"
MESSAGES = 5
"""That one declaration makes on the average, by facts of customs: it, its receipt, and what is decided."""
MIB = 1024 * 1024


class Recovery(msgspec.Struct):
    """From one incident.  ``waiting``: declarations and deliveries at its end; ``beginning``: seconds that the
    gateway took to begin; ``seconds``: from its end until hardly anything waited, that included; ``carried``:
    acknowledged meanwhile.  ``whole_waiting`` and ``whole_hours``: by the minute, of the whole year's traffic
    where the machine's rate carries it."""

    kind: str
    day: date
    scale: float
    waiting: int = 0
    carried_before: int = 0
    carried: int = 0
    beginning: float = 0.0
    seconds: float = 0.0
    whole_waiting: float = 0.0
    whole_hours: float = 0.0


class Figures(msgspec.Struct):
    """What one declaration costs, with all that belongs to it.  Octets: ``body`` of what came in, ``sent`` of what
    went out, ``ledger`` and ``office`` of the databases, ``wal`` of PostgreSQL's log (0 on SQLite).  Microseconds
    of processor time: ``door_us``, ``courier_us``, ``database_us``.  ``messages``: in and out."""

    messages: float
    body: float
    sent: float
    ledger: float
    office: float
    wal: float
    door_us: float
    courier_us: float
    database_us: float


class Day(msgspec.Struct):
    """One day: declarations due, acknowledged, messages told to partners by its end, the most that waited."""

    day: date
    due: int
    acknowledged: int
    told: int
    waited: int


class Year(msgspec.Struct):
    """All of it.  ``rate``: declarations a second that the machine had at its beginning; ``good``: nothing was
    lost, doubled or unanswered."""

    good: bool
    database: str
    rate: float
    seconds: float
    days: list[Day]
    recoveries: list[Recovery]
    processes: dict[str, Held]
    figures: Figures
    count: dict[str, Any]
    wrong: list[str]
    slow: list[tuple[float, str, str]]


def year(run: YearRun) -> Year:
    """What a run that is over came to."""
    found = run.found
    for recovery in run.recoveries:
        incident = next(i for i in pattern.INCIDENTS if i.day == recovery.day)
        recovery.whole_waiting, recovery.whole_hours = pattern.waiting_hours(run.rate, incident)
    return Year(
        found.good,
        found.order.database,
        run.rate,
        found.took,
        _days(run),
        run.recoveries,
        run.processes,
        run.costs,
        asdict(found.count),
        [*found.wrong, found.journal] if found.journal else found.wrong,
        found.waits,
    )


def _days(run: YearRun) -> list[Day]:
    box, log = run.outbox, run.backlog
    before = calibrated = log.told.get(date.min, 0)
    days = []
    for day in sorted({hour.day for hour in run.hours}):
        before = max(before, log.told.get(day, before))
        told = before - calibrated
        days.append(Day(day, box.arrived[day], box.acknowledged[day], told, log.most[day]))
    return days


def _octets(books: Books, heads: str) -> tuple[int, int]:
    """Of compressed columns: how many, and their octets before that, as the heads of frames tell."""
    sizes = [
        size_of(bytes(one)) for (one,) in books.ask(books.ledger, heads.replace(":head", str(FRAME_HEAD)))
    ]
    return len(sizes), sum(sizes)


def figures(stage: Stage, busy: Mapping[str, float], wal: float) -> Figures:
    """Of everything that was declared; ``wal``: octets of log since the beginning.  ``busy``: by role, seconds of
    processor time of one submission where nothing was idle: what a process does by the clock is not in it."""
    books = stage.books
    papers, bodies = _octets(books, "select substr(body, 1, :head) from octets")
    outgoing, sent = _octets(
        books,
        "select substr(body, 1, :head) from outgoing union all select substr(receipt, 1, :head) from submission",
    )
    ((declared,),) = books.ask(books.office, "select count(*) from clearance_case")
    ledger, office = size(books, books.ledger), size(books, books.office)
    if books.ledger == books.office:
        office = 0.0
    of = float(declared or 1)
    spent = {role: seconds * 1e6 * papers / of for role, seconds in busy.items()}
    doors = sum(us for role, us in spent.items() if role.startswith("door") or role == WORKER)
    return Figures(
        (papers + outgoing) / of,
        bodies / of,
        sent / of,
        ledger / of,
        office / of,
        wal / of,
        doors,
        spent.get(SUPERVISOR, 0.0),
        spent.get(DATABASE, 0.0),
    )


def size(books: Books, url: str) -> float:
    """Octets of a database."""
    if url.startswith("sqlite"):
        (pages,), (octets,) = books.ask(url, "pragma page_count") + books.ask(url, "pragma page_size")
        return float(pages * octets)
    ((octets,),) = books.ask(url, "select pg_database_size(current_database())")
    return float(octets)


def log_written(books: Books) -> float:
    """Octets of PostgreSQL's log until now; 0 on SQLite."""
    if books.ledger.startswith("sqlite"):
        return 0.0
    ((octets,),) = books.ask(books.ledger, "select (pg_current_wal_lsn() - '0/0'::pg_lsn)::float8")
    return float(octets)


def curve(values: Sequence[float]) -> str:
    """One character for each; the largest is full."""
    most = max(values, default=0) or 1
    return "".join(BARS[-(-int(v * (len(BARS) - 1)) // int(most)) if v else 0] for v in values)


def weekly(days: Sequence[Day], what: str, fold: Any = sum) -> list[float]:
    """A value of each seven days."""
    values = [getattr(day, what) for day in days]
    return [fold(values[n : n + 7]) for n in range(0, len(values), 7)]


def text(said: Year) -> str:
    """As people read it."""
    days, counted, cost = said.days, said.count, said.figures
    told = [b - a for a, b in pairwise([0, *(day.told for day in days)])]
    by_week = [sum(told[n : n + 7]) for n in range(0, len(told), 7)]
    lines = [
        f"{sum(d.due for d in days)} declarations of {len(days)} days over {said.database}, {said.seconds:.0f} s; "
        f"the machine had {said.rate:.0f}/s, clients included",
        f"due          |{curve(weekly(days, 'due'))}| most in a day {max(d.due for d in days)}",
        f"acknowledged |{curve(weekly(days, 'acknowledged'))}|",
        f"told         |{curve(by_week)}| {days[-1].told} messages",
        f"waiting      |{curve(weekly(days, 'waited', max))}| most {max(d.waited for d in days)}",
        *(_recovered(one) for one in said.recoveries),
        *(
            f"{role:<10} {h.begin / MIB:.0f} -> {h.largest / MIB:.0f} -> {h.end / MIB:.0f} MiB (begin, most, end)"
            f"; at most {h.files} files, {h.threads} threads"
            for role, h in said.processes.items()
        ),
        f"a declaration: {cost.messages:.1f} messages, {cost.body:.0f} octets in, {cost.sent:.0f} out; database "
        f"{cost.ledger + cost.office:.0f} octets ({(cost.ledger + cost.office) / 1000:.1f} GB a million)"
        + (f", log {cost.wal:.0f}" if cost.wal else ""),
        f"processor time of a declaration: doors {cost.door_us:.0f}, couriers {cost.courier_us:.0f}, database "
        f"{cost.database_us:.0f} us",
        f"acknowledged {counted['acknowledged']}, stored {counted['stored']}; declared {counted['declared']}, "
        f"registered {counted['registered']}; decisions {counted['decisions']}, answered {counted['answered']}",
        f"lost {counted['lost']}, doubled {counted['doubled']}, unanswered {counted['unanswered']}",
        *counted["examples"],
        *(f"wrong: {wrong}" for wrong in said.wrong[:10]),
        "GOOD" if said.good else "NOT GOOD",
    ]
    return "\n".join(lines)


def _recovered(one: Recovery) -> str:
    begun = f", {one.beginning:.1f} s of it the gateway's own beginning" if one.beginning else ""
    return (
        f"{one.kind:<12} {one.day}: {one.waiting} waited at its end (each stands for {one.scale:.0f}), carried in "
        f"{one.seconds:.1f} s{begun}; of the whole year's traffic {one.whole_waiting:.0f} would wait, and be carried "
        f"in {one.whole_hours:.1f} h at this machine's rate"
    )
