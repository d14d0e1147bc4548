"""Steady work for long: does memory grow, do files stay open, do times drift?

    python -m bench.soak [--minutes 12] [--large] [--quick] [--json]

A whole node over SQLite on this machine, and one trader's load beside it, signed as it goes, at 80 % of the rate
that is measured first (from the client to the last decision told).  Each half minute: memory (RSS and PSS), open
files, threads of every process, and p50 and p99.  Behind WARM_UP of the time the slope of each process's memory is
taken with its error.  ``--large``: in the middle a manifest of 50 MB and an interchange of 500 MB are sent, and the
others' p99 before, during and after are compared; it takes some minutes and 3 GB of memory to make them.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench import slope, soak_large
from bench.cases import Case, configure
from bench.load import percentile
from bench.slope import FEWEST, GROWS, Slope
from bench.soak_large import Sent
from bench.watch import Held, Sample, Watch, held
from gateway.operations import settings
from gateway.operations.demo.town import AN_PHAT, Gateway, Town, found
from tests.chaos.databases import AWAY, Books

BEGIN_SECONDS = 90.0
"""For the gateway to begin, on a machine that does much else."""
SHARE = 0.8
"""Of the measured rate."""
LARGE_PART = 8
"""So much of the time passes before the large ones are sent: of 12 minutes they take some nine."""
STEP = 30.0
"""Seconds of one line of figures."""
WARM_UP = 0.5
"""Of the time, in which caches and pools fill: not looked at for the slope.  SQLite keeps up to 32 MiB of pages for
each of a process's connections (CACHE_KIB), and those that seldom read fill last: some 200 MB of ledger later."""
LEAK = 512
"""Octets a message that are left behind by the smallest leak that is looked for: a Deferred with a callback takes as
much, and no message is answered without several.  The ledger's own growth is on the disk and is no leak."""
CALIBRATION = 15.0
"""Seconds of load by which the rate is taken."""
WATCH_SECONDS = 1.0
LATER = ("429", "503")
FEW = 0.01
"""Of all answers: those that may say "later" at 80 % of what a machine does that other programs use too."""
CASE = Case("xml5", "rsa", "sqlite", 1, delivering=True)
WORSE = 2.0
"""Times that the others' p99 may be while large ones are judged."""
MIB = 1024 * 1024


class Line(msgspec.Struct, frozen=True):
    """One step: answers, p50 and p99 in milliseconds."""

    at: float
    count: int
    p50_ms: float
    p99_ms: float


class Growth(msgspec.Struct, frozen=True):
    """Of one process: octets and per cent an hour with the standard error, the bound in the same, the verdict."""

    octets: float
    error: float
    percent: float
    bound_percent: float
    verdict: str


class Soak(msgspec.Struct):
    """What it came to.  ``large``: what was sent in the middle; ``beside``: the others' p99 before, during and
    after, in milliseconds."""

    good: bool
    capacity: float
    rate: float
    minutes: float
    lines: list[Line]
    processes: dict[str, Held]
    growth: dict[str, Growth]
    samples: dict[str, list[tuple[float, int, int, int, int]]]
    later: int
    wrong: list[str]
    large: list[Sent]
    beside: tuple[float, float, float] | None


class Load(msgspec.Struct):
    """What the generator says."""

    began: float
    times: list[tuple[float, float]]
    wrong: list[str]


def load(town: Town, port: int, seconds: float, rate: float = 0.0, first: int = 0) -> Load:
    """One load in a process of its own."""
    folder = town.folder(AN_PHAT)
    command = [sys.executable, "-m", "bench.soak_load", str(port), str(folder), str(folder / "authority.pem")]
    command += [str(seconds), "--rate", str(rate), "--first", str(first)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout, type=Load)


def capacity(town: Town, port: int, books: Books, seconds: float) -> float:
    """Messages a second, until the last decision on them is told."""
    began = time.perf_counter()
    told = load(town, port, seconds)
    while unfinished(books):
        time.sleep(0.2)
    return len(told.times) / (time.perf_counter() - began)


def unfinished(books: Books) -> bool:
    """True while anything is still to be carried."""
    try:
        return books.unfinished() != (0, 0)
    except AWAY:
        return True


def lines(times: Sequence[tuple[float, float]], step: float) -> list[Line]:
    """Figures of each step."""
    by: dict[int, list[float]] = {}
    for at, took in times:
        by.setdefault(int(at / step), []).append(took * 1000)
    return [
        Line(n * step, len(taken), percentile(sorted(taken), 50), percentile(sorted(taken), 99))
        for n, taken in sorted(by.items())
    ]


def growth(samples: Sequence[Sample], rate: float, step: float, since: float) -> dict[str, Growth]:
    """Of each process behind the warm-up; ``rate``: messages a second; ``since``: seconds on the watch's clock."""
    found_: dict[str, Growth] = {}
    by: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for one in samples:
        if one.at >= since:
            by.setdefault((one.role, one.pid), []).append((one.at, one.rss))
    for (role, _), measures in sorted(by.items()):
        steps = slope.floors(measures, step)
        if len(steps) >= FEWEST:
            found_[role] = _growth(slope.slope(steps), LEAK * rate)
    return found_


def _growth(line: Slope, bound: float) -> Growth:
    hour = 3_600
    percent = hour * 100 / line.mean
    return Growth(
        line.each * hour, line.error * hour, line.each * percent, bound * percent, line.verdict(bound)
    )


def beside(times: Sequence[tuple[float, float]], begin: float, end: float) -> tuple[float, float, float]:
    """p99 of what was due before, during and after, in milliseconds; 0.0 where there was nothing."""
    parts: tuple[list[float], list[float], list[float]] = ([], [], [])
    for at, took in times:
        parts[0 if at < begin else 1 if at < end else 2].append(took * 1000)
    before, during, after = (percentile(sorted(p), 99) if p else 0.0 for p in parts)
    return before, during, after


def soak(root: Path, minutes: float, step: float, *, large: bool, calibration: float = CALIBRATION) -> Soak:
    """All of it.  ``calibration``: seconds of load by which the rate is taken."""
    town = found(root, "https://localhost:1/none")
    configure(town, CASE, ("", ""))
    if large:
        soak_large.configure(town)
    papers = soak_large.papers(town) if large else []
    database = settings.load(town.home).database
    books = Books(*(settings.database_url(town.home, url) for url in (database.ledger, database.clearance)))
    gateway, seconds = Gateway(town.home), minutes * 60
    try:
        port = int(gateway.wait(BEGIN_SECONDS).rpartition(":")[2])
        able = capacity(town, port, books, calibration)
        rate = able * SHARE
        watch = Watch(lambda: [gateway.pid], min(WATCH_SECONDS, step / 4))
        watch.start()
        sender = soak_large.Sender(town, port, papers, seconds / LARGE_PART)
        sender.start()
        told = load(town, port, seconds, rate, 500_000_000)
        sender.join()
        watch.close()
    finally:
        gateway.stop()
    grown = growth(watch.samples, rate, step, WARM_UP * seconds)
    compared = None
    if sender.sent:
        compared = beside(told.times, sender.sent[0].began - told.began, sender.sent[-1].ended - told.began)
    slower = compared is not None and compared[1] > WORSE * compared[0]
    wrong = [answer for answer in told.wrong if not answer.startswith(LATER)]
    later = len(told.wrong) - len(wrong)
    refused = [one for one in sender.sent if not one.good]
    grew = any(one.verdict == GROWS for one in grown.values())
    return Soak(
        good=not (wrong or grew or slower or refused or later > FEW * len(told.times)),
        capacity=able,
        rate=rate,
        minutes=minutes,
        lines=lines(told.times, step),
        processes=held(watch.samples),
        growth=grown,
        samples=_kept(watch.samples, step),
        later=later,
        wrong=wrong[:10],
        large=sender.sent,
        beside=compared,
    )


def _kept(samples: Sequence[Sample], step: float) -> dict[str, list[tuple[float, int, int, int, int]]]:
    """By role, one of each step: seconds, RSS, PSS, files, threads."""
    kept: dict[str, dict[int, tuple[float, int, int, int, int]]] = {}
    for one in samples:
        row = (one.at, one.rss, one.pss, one.files, one.threads)
        kept.setdefault(one.role, {}).setdefault(int(one.at / step), row)
    return {role: list(rows.values()) for role, rows in sorted(kept.items())}


def text(said: Soak) -> str:
    """As people read it."""
    told = [
        f"{said.capacity:.0f} messages/s to the last decision; {said.rate:.0f}/s for {said.minutes:g} minutes",
        *(f"{n.at:6.0f} s  {n.count:6d}  p50 {n.p50_ms:6.1f}  p99 {n.p99_ms:7.1f} ms" for n in said.lines),
        *(
            f"{role:<10} {h.begin / MIB:.0f} -> {h.largest / MIB:.0f} -> {h.end / MIB:.0f} MiB, PSS {h.pss / MIB:.0f}; "
            f"{h.files} files, {h.threads} threads"
            for role, h in said.processes.items()
        ),
        *(_grown(role, one) for role, one in said.growth.items()),
        *(
            f"{one.name}: {one.octets / 1e6:.0f} MB, {one.status} {one.outcome} after {one.seconds:.1f} s"
            for one in said.large
        ),
    ]
    if said.beside is not None:
        before, during, after = said.beside
        limit = f"(at most {WORSE:g} times)"
        told.append(
            f"the others' p99: {before:.1f} ms before, {during:.1f} during {limit}, {after:.1f} after"
        )
    if said.later:
        told.append(f"told to come later: {said.later} (at most {FEW:.0%})")
    told += [f"wrong: {wrong}" for wrong in said.wrong]
    return "\n".join([*told, "GOOD" if said.good else "NOT GOOD"])


def _grown(role: str, one: Growth) -> str:
    return (
        f"{role:<10} {one.verdict}: {one.octets / MIB:+.1f} MiB an hour, +- {one.error / MIB:.1f} "
        f"({one.percent:+.1f} %; {LEAK} octets a message would be {one.bound_percent:.1f} %)"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, and say how it went; 1 where something grows, an answer was wrong, or the others waited."""
    parser = argparse.ArgumentParser(
        prog="soak", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--quick", action="store_true", help="one minute")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    minutes = 1.0 if given.quick else given.minutes
    more = " and some for the large ones" if given.large else ""
    print(f"about {minutes + 1:.0f} minutes{more}", file=sys.stderr)
    root = Path(tempfile.mkdtemp(prefix="cvan-soak-"))
    try:
        said = soak(root, minutes, min(STEP, minutes * 60 / 20), large=given.large)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(msgspec.json.encode(said).decode() if given.json else text(said))
    return 0 if said.good else 1


if __name__ == "__main__":
    sys.exit(main())
