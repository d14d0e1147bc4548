"""How fast EDIFACT is read and in how much memory, beside other parsers in the same run.

    python -m bench.edifact [--quick] [--full] [--cache FOLDER] [--json]

Contents are made up, each message different and valid under our directories, so that nothing is told and
everything is checked.  Each round runs every parser once, in a process of its own; a ratio is taken within a
round and the median over rounds counts, because the machine's speed drifts.  Peers get the first part of a
large content: their rate falls with size, so the ratio is a lower bound (``--full`` gives them all of it).

"tokenise" is octets to segments.  "check" is, for us, everything: characters, envelope, counts, structure,
elements and codes; for bots its structure and field check, for pydifact its plain parse into messages.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from bench import manifests
from bench.edifact_peers import Bounds, Failed, Peer, installed, run
from bench.edifact_peers.peers import OURS, PEERS

ROUNDS = 5
SINGLE = {"bills": 9_999, "items": 13, "words": 4}  # of one message of 50 MB; CNI repeats 9,999 times
MAX_OVER = 32.0  # MB over idle
PATIENCE = Bounds(seconds=900, megabytes=0)
READERS = ("tokenise", "check")


class Content(msgspec.Struct, frozen=True):
    """``path``: what we read.  ``part``: what peers read, with its size.  ``times``: readings in a process."""

    name: str
    path: Path
    part: Path
    times: int

    def size(self, ours: bool) -> int:
        return (self.path if ours else self.part).stat().st_size


class Goal(msgspec.Struct, frozen=True):
    """Our rate on a reading over a peer's on another is to be so many times."""

    reading: str
    peer: str
    least: float


GOALS = (Goal("tokenise", "pydifact", 20), Goal("check", "bots", 5), Goal("check", "pydifact", 8))


def contents(folder: Path, megabytes: int, small: int, full: bool) -> tuple[Content, ...]:
    """What is read: written into a folder."""
    one = _written(folder / "10-kb.edi", [manifests.interchange([manifests.cuscar("1", 1)])])
    large = _written(folder / "many.edi", manifests.pieces(manifests.manifests(megabytes * 1_000_000)))
    part = _written(folder / "many-part.edi", manifests.pieces(manifests.manifests(2_000_000)))
    items = max(1, SINGLE["items"] * megabytes // 50)
    message = manifests.cuscar("1", 1, SINGLE["bills"], items, SINGLE["words"])
    single = _written(folder / "single.edi", [manifests.interchange([message])])
    short = manifests.cuscar("1", 1, 400, SINGLE["items"], SINGLE["words"])
    short_part = _written(folder / "single-part.edi", [manifests.interchange([short])])
    pile = _written(folder / "small.pile", (line + b"\n" for line in manifests.small(small)))
    pile_part = _written(folder / "small-part.pile", (line + b"\n" for line in manifests.small(600)))
    heap = _written(folder / "heap.edi", manifests.pieces(manifests.mixed(small)))
    heap_part = _written(folder / "heap-part.edi", manifests.pieces(manifests.mixed(2_000)))
    return (
        Content("CUSCAR of 10 KB", one, one, 40),
        Content(f"{megabytes} MB, many messages", large, large if full else part, 1),
        Content(f"{megabytes} MB, one message", single, single if full else short_part, 1),
        Content(f"{small:,} small, together", heap, heap if full else heap_part, 3),
        Content(f"{small:,} small, each alone", pile, pile if full else pile_part, 3),
    )


def _written(path: Path, pieces: Iterable[bytes]) -> Path:
    with path.open("wb") as file:
        file.writelines(pieces)
    return path


def rates(content: Content, reading: str, folders: Mapping[str, Path], rounds: int) -> dict[str, list[float]]:
    """MB/s of each parser in each round; a parser that fails is told and left out of the rest."""
    found: dict[str, list[float]] = {}
    parsers: list[tuple[Peer, Path]] = [(OURS, Path(sys.prefix))]
    parsers += [(peer, folders[peer.name]) for peer in PEERS if peer.name in folders]
    parsers = [(peer, folder) for peer, folder in parsers if reading == "tokenise" or not peer.node]
    if reading == "tokenise":
        parsers = [(peer, folder) for peer, folder in parsers if peer.name != "bots"]  # it only checks
    for _ in range(rounds):
        for peer, folder in list(parsers):
            path = content.path if peer is OURS else content.part
            try:
                times = run(peer.command(folder, "time", reading, str(content.times), str(path)), PATIENCE)
            except Failed as error:
                print(f"{peer.name}, {reading}, {content.name}: {error}", file=sys.stderr)
                parsers.remove((peer, folder))
                continue
            size = content.size(ours=peer is OURS) / 1e6
            found.setdefault(peer.name, []).append(size / statistics.median(times["seconds"]))
    return found


def speed(
    all_contents: Sequence[Content], folders: Mapping[str, Path], rounds: int
) -> list[dict[str, object]]:
    """A row for each content and reading: rates, and ratios with their goals."""
    rows: list[dict[str, object]] = []
    for content in all_contents:
        for reading in READERS:
            found = rates(content, reading, folders, rounds)
            ours = found.get(OURS.name, [])
            ratios = {
                name: statistics.median(a / b for a, b in zip(ours, theirs, strict=False))
                for name, theirs in found.items()
                if name != OURS.name and ours
            }
            goals = {g.peer: g.least for g in GOALS if g.reading == reading and g.peer in ratios}
            rows.append(
                {
                    "content": content.name,
                    "reading": reading,
                    "megabytes_a_second": {name: statistics.median(each) for name, each in found.items()},
                    "ratios": ratios,
                    "goals": goals,
                    "met": bool(ours) and all(ratios[peer] >= least for peer, least in goals.items()),
                }
            )
            print(_speed_line(rows[-1]), file=sys.stderr)
    return rows


def memory(all_contents: Sequence[Content], megabytes: int) -> list[dict[str, object]]:
    """A row for each reading of something large: memory over idle, and whether it is within the goal."""
    many, single = all_contents[1], all_contents[2]
    cases = [
        ("tokenise", many.name, str(many.path)),
        ("check", many.name, str(many.path)),
        ("check", single.name, str(single.path)),
        ("check", f"{megabytes * 10} MB, many messages", str(megabytes * 10)),
        ("translate", many.name, str(many.path)),
    ]
    rows: list[dict[str, object]] = []
    for reading, name, where in cases:
        figures = run([sys.executable, "-m", "bench.edifact_memory", reading, where], PATIENCE)
        rows.append({"content": name, "reading": reading, **figures, "met": figures["over_mb"] <= MAX_OVER})
        print(_memory_line(rows[-1]), file=sys.stderr)
    return rows


def main() -> None:
    """Run and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    default = Path(tempfile.gettempdir()) / "cvan-edifact-peers"
    arguments.add_argument("--cache", type=Path, default=default, help="where peers are installed")
    arguments.add_argument("--quick", action="store_true", help="a tenth of the sizes, fewer rounds")
    arguments.add_argument("--full", action="store_true", help="peers read all that we read: takes an hour")
    arguments.add_argument("--json", action="store_true")
    asked = arguments.parse_args()
    megabytes, small, rounds = (5, 1_000, 3) if asked.quick else (50, 10_000, ROUNDS)
    folders, missing = installed(asked.cache, lambda text: print(text, file=sys.stderr))
    with tempfile.TemporaryDirectory(prefix="cvan-bench-") as folder:
        made = contents(Path(folder), megabytes, small, asked.full)
        fast = speed(made, folders, rounds)
        lean = memory(made, megabytes)
    if asked.json:
        print(json.dumps({"speed": fast, "memory": lean, "not installed": missing}, indent=2))
        return
    print("\nMB/s, each the median of rounds; in brackets ours over theirs in the same round, and the goal")
    print("\n".join(_speed_line(row) for row in fast))
    print(f"\nmemory over the idle process (goal: at most {MAX_OVER:.0f} MB)")
    print("\n".join(_memory_line(row) for row in lean))
    for name, reason in missing.items():
        print(f"{name}: not installed, not measured ({reason})")


def _speed_line(row: Mapping[str, object]) -> str:
    rates_, ratios, goals = row["megabytes_a_second"], row["ratios"], row["goals"]
    assert isinstance(rates_, dict)
    assert isinstance(ratios, dict)
    assert isinstance(goals, dict)
    if OURS.name not in rates_:
        return f"{row['content']:26}{row['reading']:10}ours FAILED"
    parts = [f"ours {rates_[OURS.name]:6.1f}"]
    for name, ratio in ratios.items():
        goal = f", goal {goals[name]:g}" if name in goals else ""
        parts.append(f"{name} {rates_[name]:6.2f} ({ratio:.1f} x{goal})")
    told = " met" if row["met"] else " MISSED"
    return f"{row['content']:26}{row['reading']:10}" + "   ".join(parts) + (told if goals else "")


def _memory_line(row: Mapping[str, object]) -> str:
    told = "met" if row["met"] else "MISSED"
    return (
        f"{row['content']:26}{row['reading']:10}{row['over_mb']:7.1f} MB {told:7}"
        f"{row['count']:12,} {COUNTED[str(row['reading'])]} in {row['seconds']:.1f} s"
    )


COUNTED = {"tokenise": "segments", "check": "messages", "translate": "declarations"}

if __name__ == "__main__":
    main()
