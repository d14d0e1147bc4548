"""How fast signatures are verified and made, beside the costs that nobody avoids and beside peers, in the same run.

    python -m bench.trust [--quick] [--json] [NAME...]

Raw is parse, canonicalise, hash and one public-key operation with the plainest code for each (for CMS: read
the DER, hash, one operation).  Each round runs everything in turn; a ratio is taken within a round and the
median over rounds counts, because the machine's speed drifts.  Peers are held to the same certificate.

The halves are :mod:`bench.trust_xml` and, where it is there, ``bench.trust_cms``: each has ``cases(folder,
quick)``, made of ``raw_*`` and ``ours_*`` functions, and may have ``memory(quick)``.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

ROUNDS = 5
BUDGET = 0.25
"""Seconds that one function runs in a round, at least once."""
HALVES = ("bench.trust_xml", "bench.trust_cms")

Work = Callable[[], object]


class Case(msgspec.Struct, frozen=True):
    """Something to do, by us, by the plainest code and by peers.  ``most``: what ours may cost of raw.
    ``least``: how many times a named peer's time ours must be quicker."""

    name: str
    size: int
    key: str
    raw: Work
    ours: Work
    peers: Mapping[str, Work]
    most: float
    least: Mapping[str, float] = {}


class Peak(msgspec.Struct, frozen=True):
    """Memory at its highest, as a multiple of the message's size; ``most``: what it may be."""

    name: str
    size: int
    ratios: Mapping[str, float]
    most: float


def seconds(work: Work, runs: int) -> float:
    """Processor seconds of one call, the median: what else the machine does meanwhile does not count."""
    times = []
    for _ in range(runs):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return statistics.median(times)


def measure(case: Case, rounds: int) -> dict[str, object]:
    """One row: microseconds of raw, and every other as a ratio to it."""
    workers: dict[str, Work] = {"raw": case.raw, "ours": case.ours, **case.peers}
    runs = {}
    for name, work in workers.items():
        work()
        began = time.perf_counter()
        work()
        runs[name] = max(1, min(2_000, int(BUDGET / (time.perf_counter() - began))))
    taken: list[dict[str, float]] = []
    for _ in range(rounds):
        taken.append({name: seconds(work, runs[name]) for name, work in workers.items()})
    ratios = {name: statistics.median(t[name] / t["raw"] for t in taken) for name in workers if name != "raw"}
    kept = ratios["ours"] <= case.most and all(
        ratios[peer] / ratios["ours"] >= times for peer, times in case.least.items() if peer in ratios
    )
    micros = statistics.median(t["raw"] for t in taken) * 1e6
    return {
        "name": case.name,
        "size": case.size,
        "key": case.key,
        "raw_us": micros,
        **ratios,
        "most": case.most,
        "kept": kept,
    }


def _half(name: str) -> object | None:
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


def _shown(row: Mapping[str, object], peers: Sequence[str]) -> str:
    cells = [f"{row['name']:<34}", f"{row['size']:>11,}", f"{row['key']:<8}", f"{row['raw_us']:>10,.0f}"]
    for name in ("ours", *peers):
        value = row.get(name)
        cells.append(f"{value:>7.2f}x" if isinstance(value, float) else f"{'-':>8}")
    cells.append(f"  <= {row['most']:.2f}  {'kept' if row['kept'] else 'MISSED'}")
    return " ".join(cells)


def main() -> None:
    """Measure and print; exits with 1 where a goal is missed."""
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    reader.add_argument("names", nargs="*", help="only cases whose name contains one of these")
    reader.add_argument("--quick", action="store_true")
    reader.add_argument("--json", action="store_true")
    asked = reader.parse_args()
    rows: list[dict[str, object]] = []
    peaks: list[Peak] = []
    with tempfile.TemporaryDirectory() as folder:
        for half in filter(None, map(_half, HALVES)):
            cases: Sequence[Case] = half.cases(Path(folder), asked.quick)  # type: ignore[attr-defined]
            wanted = [c for c in cases if not asked.names or any(n in c.name for n in asked.names)]
            rows += [measure(case, 3 if asked.quick else ROUNDS) for case in wanted]
            if hasattr(half, "memory") and not asked.names:
                peaks += half.memory(asked.quick)
    if asked.json:
        print(json.dumps({"rows": rows, "memory": [msgspec.to_builtins(p) for p in peaks]}))
    else:
        _print(rows, peaks)
    kept = all(row["kept"] for row in rows) and all(p.ratios["ours"] <= p.most for p in peaks)
    sys.exit(0 if kept else 1)


def _print(rows: Sequence[Mapping[str, object]], peaks: Sequence[Peak]) -> None:
    fixed = {"name", "size", "key", "raw_us", "ours", "most", "kept"}
    peers = sorted({name for row in rows for name in row if name not in fixed})
    head = [f"{'':<34}", f"{'octets':>11}", f"{'key':<8}", f"{'raw us':>10}"]
    print(*head, *(f"{name:>8}" for name in ("ours", *peers)), "  goal")
    for row in rows:
        print(_shown(row, peers))
    for peak in peaks:
        told = ", ".join(f"{name} {ratio:.1f}x" for name, ratio in peak.ratios.items())
        kept = "kept" if peak.ratios["ours"] <= peak.most else "MISSED"
        print(f"{peak.name:<34} {peak.size:>11,} memory over idle: {told}  <= {peak.most:.0f}x  {kept}")


if __name__ == "__main__":
    main()
