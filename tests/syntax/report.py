"""What becomes of every interchange of the corpus: a line for each file, and totals.

    python -m tests.syntax.report [--json] [FOLDER]

FOLDER: the corpus's edifact folder where not given.  A file is "accepted" where every message is, "partly"
where some are, "rejected" where none is, and "refused" where the envelope is at fault or nothing can be read.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from gateway.model.finding import Finding, Severity
from gateway.syntax import Directories, EdifactLimits, Found, InterchangeRead, MessageRead, stream

ROOT = Path(__file__).parents[2]
NOT_INTERCHANGES = frozenset({".md", ".csv"})  # what a collection says about itself
PIECE = 65_536


class Line(msgspec.Struct, frozen=True):
    """One file.  ``first``: the first error of what made the outcome, or else the first warning."""

    file: str
    octets: int
    outcome: str
    interchanges: int
    messages: int
    rejected: int
    findings: int
    codes: dict[str, int]
    first: str
    milliseconds: float
    escaped: str = ""


def corpus() -> Path | None:
    """The corpus's edifact folder, or None where there is none."""
    folder = Path(os.environ.get("CVAN_CORPUS", ROOT.parent / "shared" / "corpus")) / "edifact"
    return folder if folder.is_dir() else None


def files(folder: Path) -> list[Path]:
    """Every file of a folder that may be an interchange."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix not in NOT_INTERCHANGES)


def line(path: Path, folder: Path, directories: Directories) -> Line:
    """One file read as a stream; an exception that escapes is told, not raised."""
    octets = path.read_bytes()
    found: list[Finding] = []
    around: list[Finding] = []  # of these, those that refuse the whole
    messages: list[bool] = []
    whole: list[bool] = []
    began, escaped = time.perf_counter(), ""
    limits = EdifactLimits()
    try:
        for event in stream(_pieces(octets), directories, limits=limits):
            if isinstance(event, Found):
                found.append(event.finding)
                around += [event.finding] if event.ordinal == 0 else []
            elif isinstance(event, MessageRead):
                messages.append(event.message.rejected)
            elif isinstance(event, InterchangeRead):
                whole.append(event.interchange.rejected)
    except Exception:  # noqa: BLE001 - that none escapes is what is asked
        escaped = traceback.format_exc()
    return Line(
        file=str(path.relative_to(folder)),
        octets=len(octets),
        outcome="escaped" if escaped else _outcome(messages, whole, found),
        interchanges=len(whole),
        messages=len(messages),
        rejected=sum(messages),
        findings=len(found),
        codes=dict(Counter(finding.code for finding in found)),
        first=_first(around if any(whole) else found),
        milliseconds=round((time.perf_counter() - began) * 1000, 1),
        escaped=escaped,
    )


def _pieces(octets: bytes) -> Iterator[bytes]:
    for start in range(0, len(octets), PIECE):
        yield octets[start : start + PIECE]


def _outcome(messages: list[bool], whole: list[bool], found: list[Finding]) -> str:
    if not whole or any(whole) or not messages:
        return "refused"
    if all(messages):
        return "rejected"
    return "partly" if any(finding.severity is Severity.ERROR for finding in found) else "accepted"


def _first(found: list[Finding]) -> str:
    order = sorted(found, key=lambda finding: finding.severity is not Severity.ERROR)
    if not order:
        return ""
    finding, place = order[0], order[0].place
    at = f"{place.tag or '-'}@{place.offset}"
    if place.line:
        at += f" line {place.line} column {place.column}"
    inside = f" element {place.element}.{place.component}" if place.element else ""
    return f"{finding.code} {at}{inside} found {finding.found!r}"[:110]


def report(folder: Path) -> list[Line]:
    """A line for each file of a folder."""
    directories = Directories.load(ROOT / "xsd" / "edifact")
    return [line(path, folder, directories) for path in files(folder)]


def main() -> None:
    """Read and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("folder", nargs="?", type=Path, default=corpus())
    arguments.add_argument("--json", action="store_true")
    asked = arguments.parse_args()
    if asked.folder is None:
        arguments.error("there is no corpus here: name a folder, or set CVAN_CORPUS")
    lines = report(asked.folder)
    if asked.json:
        print(json.dumps([msgspec.to_builtins(each) for each in lines], indent=2))
        return
    for each in lines:
        counts = f"{each.rejected}/{each.messages}"
        print(f"{each.outcome:9}{counts:>9} {each.file[-70:]:71}{each.first}")
    outcomes = Counter(each.outcome for each in lines)
    codes: Counter[str] = sum((Counter(each.codes) for each in lines), Counter())
    print(f"\n{len(lines)} files, {sum(each.octets for each in lines):,} octets: ", end="")
    print(", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()))
    print(f"{sum(e.messages for e in lines):,} messages, {sum(e.rejected for e in lines):,} rejected")
    print("findings: " + ", ".join(f"{code} {count}" for code, count in codes.most_common()))
    escaped = [each for each in lines if each.escaped]
    print("no exception escaped" if not escaped else f"{len(escaped)} exceptions escaped")
    for each in escaped:
        print(f"{each.file}\n{each.escaped}")


if __name__ == "__main__":
    main()
