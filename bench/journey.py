"""The whole journey: a signed message in, durable commit, signed acknowledgement out.

    python -m bench.journey [--only NAME ...] [--seconds 10] [--rounds 3] [--json]

Everything is on this machine: load generator, gateway, database; TLS is on.  Beside each case, in the same
round, are taken: the limit, which is the sum of the unavoidable costs of one message on one core; and, for XML
and one door, a naive assembly of the same libraries.  NAME is a case or how names of cases begin (``all``,
``xml5``, ``cuscar10-p256-postgresql-2``; bench/cases.py).  ``--seconds 120`` gives the official figures.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench import cpu, limit
from bench.cases import Case, chosen, configure, document, pile, rekey, unavoidable
from gateway import handbook as handbooks
from gateway import safexml, security
from gateway.operations import settings
from gateway.operations.demo.town import AN_PHAT, Gateway, Town, found
from gateway.storage import Ledger
from tests.postgres import PostgresServer, postgres_binaries

CONNECTIONS = 16
ROUNDS = 3
"""Of each case; the machine's speed drifts, so the median of ratios counts."""
PER_SECOND = 1_000
"""Messages signed beforehand for each second and door: more than a door takes."""
MOST = 100_000
"""Messages signed beforehand for one measurement; it ends sooner where they do not last."""
WARM_SECONDS = 4.0
"""Before anything is measured: a door's worker process begins behind it, with more than a second of processor time."""
SHARE = 0.7
"""Of its best rate: the load at which the times of single messages are taken."""
OPEN_CONNECTIONS = 64
OPEN_SECONDS = 30.0
"""At most: some thousand messages are enough for a p99."""


class Load(msgspec.Struct):
    """What the load generator says."""

    count: int
    seconds: float
    rate: float
    p50_ms: float
    p99_ms: float
    wrong: list[str]


class Figures(msgspec.Struct):
    """One round of a case.

    ``spent``: seconds of processor time of the gateway's processes for one message, 0 where the system does not
    tell.  ``steady``: at SHARE of the rate, messages due at times of their own.  ``naive``: the naive assembly's
    load, None where it cannot read the message.
    """

    load: Load
    steady: Load
    limit: limit.Costs
    spent: float
    naive: Load | None

    @property
    def ratio(self) -> float:
        """Of the limit on one core."""
        return self.load.rate * sum(self.limit.values())

    @property
    def spent_ratio(self) -> float:
        """The same by processor time: what one core to itself would give."""
        return sum(self.limit.values()) / self.spent if self.spent else 0.0


def measure(root: Path, case: Case, postgres: PostgresServer | None, seconds: float) -> Figures:
    """One round: the limit before and after, the gateway under load between, and the naive assembly."""
    town = found(root, "https://localhost:1/none")
    rekey(town, case)
    urls = ("", "")
    if postgres is not None:
        urls = (postgres.url(postgres.create()), postgres.url(postgres.create()))
    configure(town, case, urls)
    key, some = town.key(case.partner), min(seconds / 2, OPEN_SECONDS)
    media_type = pile(root / "warm", key, int(WARM_SECONDS * PER_SECOND * case.doors / 2), case, "W")
    pile(root / "pile", key, min(MOST, int(seconds * PER_SECOND * case.doors)), case)
    pile(root / "more", key, min(MOST, int(some * SHARE * PER_SECOND * case.doors)), case, "C")
    before = unavoidable(town, case, urls[0])
    folder = town.folder(case.partner)
    gateway = Gateway(town.home)
    try:
        port = gateway.wait().rpartition(":")[2]
        _load(port, folder, root / "warm", WARM_SECONDS, media_type)
        before_load = cpu.spent(gateway.pid)
        load = _load(port, folder, root / "pile", seconds, media_type)
        spent = (cpu.spent(gateway.pid) - before_load) / load.count
        steady = _load(port, folder, root / "more", some, media_type, load.rate * SHARE)
    finally:
        gateway.stop()
    naive = None
    if case == case.single and case.message.startswith("xml"):
        database = postgres.url(postgres.create()) if postgres is not None else f"sqlite:///{root}/naive.db"
        with _naive(town, folder / "authority.pem", database) as port:
            naive = _load(port, folder, root / "pile", some, media_type)
    after = unavoidable(town, case, urls[0])
    costs = {name: (before[name] + after[name]) / 2 for name in before}
    return Figures(load, steady, costs, spent, naive)


def _load(
    port: str, partner: Path, messages: Path, seconds: float, media_type: str, rate: float = 0.0
) -> Load:
    connections = OPEN_CONNECTIONS if rate else CONNECTIONS
    command = [sys.executable, "-m", "bench.load", port, str(partner), str(messages)]
    command += [str(connections), str(seconds), "--type", media_type, "--rate", str(rate)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return msgspec.json.decode(done.stdout, type=Load)


@contextmanager
def _naive(town: Town, authority: Path, database: str) -> Iterator[str]:
    """The naive assembly in a process of its own; its port."""
    command = [sys.executable, "-m", "bench.naive", str(town.home), str(authority), database]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def _round(case: Case, postgres: PostgresServer | None, seconds: float) -> Figures:
    root = Path(tempfile.mkdtemp(prefix="cvan-bench-"))
    try:
        return measure(root, case, postgres if case.database == "postgresql" else None, seconds)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _stages(root: Path) -> tuple[limit.Costs, int]:
    town = found(root, "https://localhost:1/none")
    ledger = Ledger.open(settings.database_url(town.home, "sqlite:///ledger.db"))
    book = handbooks.load(town.home, ledger.register())
    ledger.close()
    key = settings.signing_key(town.home, settings.load(town.home))
    signed = security.sign_xml(safexml.parse(document("S")), town.key(AN_PHAT), datetime.now(UTC))
    return limit.stages(signed, book, AN_PHAT.id, key), len(signed)


def rounds_of(
    cases: Sequence[Case], postgres: PostgresServer | None, seconds: float, rounds: int
) -> dict[Case, list[Figures]]:
    """The figures of each case, round by round: the cases of a round are taken one after another, so that what is
    compared was measured at the same time."""
    taken: dict[Case, list[Figures]] = {case: [] for case in cases}
    for number in range(1, rounds + 1):
        for case in cases:
            print(f"round {number} of {rounds}: {case.name}", file=sys.stderr)
            taken[case].append(_round(case, postgres, seconds))
    return taken


def row_of(case: Case, taken: dict[Case, list[Figures]]) -> dict[str, object]:
    """What is told of a case: medians of the rounds, and of ratios taken within a round."""
    figures = taken[case]
    middle = sorted(figures, key=lambda f: f.ratio)[len(figures) // 2]
    row: dict[str, object] = {
        "case": case.name,
        "rate": statistics.median(f.load.rate for f in figures),
        "ratio": statistics.median(f.ratio for f in figures),
        "ratios": [f.ratio for f in figures],
        "limit": middle.limit,
        "spent_us": statistics.median(f.spent for f in figures) * 1e6,
        "spent_ratio": statistics.median(f.spent_ratio for f in figures),
        "p50_ms": middle.load.p50_ms,
        "p99_ms": middle.load.p99_ms,
        "steady_p50_ms": statistics.median(f.steady.p50_ms for f in figures),
        "steady_p99_ms": statistics.median(f.steady.p99_ms for f in figures),
        "wrong": [w for f in figures for w in (*f.load.wrong, *f.steady.wrong)],
    }
    singles = taken.get(case.single, [])  # the naive assembly is one process, and taken beside one door
    naive = [(f, s.naive) for f, s in zip(figures, singles, strict=False) if s.naive is not None]
    if naive:
        row["times_naive"] = statistics.median(f.load.rate / n.rate for f, n in naive)
        row["naive_rate"] = statistics.median(n.rate for _, n in naive)
    if case != case.single and singles:
        pairs = zip(figures, singles, strict=True)
        row["times_one_door"] = statistics.median(f.load.rate / s.load.rate for f, s in pairs)
    return row


def main() -> None:
    """Run and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--only", action="append", default=[], metavar="NAME")
    arguments.add_argument("--seconds", type=float, default=10)
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    arguments.add_argument("--json", action="store_true")
    asked = arguments.parse_args()
    cases = chosen(asked.only)
    if not cases:
        arguments.error("there is no such case")
    binaries = postgres_binaries() if any(c.database == "postgresql" for c in cases) else None
    postgres = PostgresServer(binaries) if binaries else None
    if postgres is None and any(c.database == "postgresql" for c in cases):
        print("PostgreSQL: not installed, not measured", file=sys.stderr)
        cases = tuple(case for case in cases if case.database != "postgresql")
    try:
        taken = rounds_of(cases, postgres, asked.seconds, asked.rounds)
    finally:
        if postgres is not None:
            postgres.close()
    rows = [row_of(case, taken) for case in cases]
    root = Path(tempfile.mkdtemp(prefix="cvan-bench-"))
    costs, size = _stages(root)
    shutil.rmtree(root, ignore_errors=True)
    if asked.json:
        print(json.dumps({"rows": rows, "stages_us": {k: v * 1e6 for k, v in costs.items()}}, indent=2))
        return
    for row in rows:
        _print(row)
    total = sum(costs.values())
    print(f"\nstages of the journey in one process, {size:,} octets, RSA-2048 (microseconds, share)")
    for name, cost in costs.items():
        print(f"  {cost * 1e6:8.0f}  {cost / total:5.0%}  {name}")
    print(f"  {total * 1e6:8.0f}         together")


def _print(row: dict[str, object]) -> None:
    costs, ratios = row["limit"], row["ratios"]
    if not (isinstance(costs, dict) and isinstance(ratios, list)):
        raise TypeError("the limit is a table, the ratios are a list")
    ceiling = 1 / sum(costs.values())
    parts = ", ".join(f"{name} {cost * 1e6:.0f}" for name, cost in costs.items())
    print(
        f"{row['case']}: {row['rate']:.0f} msg/s, {row['ratio']:.2f} of the limit "
        f"(rounds {', '.join(f'{r:.2f}' for r in ratios)}; {ceiling:.0f}/s: {parts} us)"
    )
    print(
        f"    {row['spent_us']:.0f} us of processor time a message, by which it would be "
        f"{row['spent_ratio']:.2f} of the limit on a core of its own"
    )
    print(
        f"    p50 {row['p50_ms']:.1f} ms, p99 {row['p99_ms']:.1f} ms with {CONNECTIONS} connections; "
        f"at {SHARE:.0%} of that rate p50 {row['steady_p50_ms']:.1f} ms, p99 {row['steady_p99_ms']:.1f} ms"
    )
    if "times_naive" in row:
        print(f"    {row['times_naive']:.1f} times the naive assembly ({row['naive_rate']:.0f} msg/s)")
    if "times_one_door" in row:
        print(f"    {row['times_one_door']:.2f} times one door alone")
    if row["wrong"]:
        print(f"    WRONG: {row['wrong']}")


if __name__ == "__main__":
    main()
