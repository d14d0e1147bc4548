"""Ours, in a process of its own as the peers are, so that times and memory compare."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import timing  # of this folder: the peers' environments have nothing else of ours

from gateway import syntax
from gateway.model.finding import worst

ROOT = Path(__file__).parents[2]
PIECE = 1_048_576  # octets, as a file is read
LIMITS = syntax.EdifactLimits(interchange=1 << 40)
DIRECTORIES = syntax.Directories.load(ROOT / "xsd" / "edifact")


def judge(path: str, text: str) -> dict[str, object]:
    """Refused where a finding is an error; what is told beside is told."""
    events = list(syntax.stream([Path(path).read_bytes()], DIRECTORIES, detail=syntax.Detail(segments=True)))
    found = [event.finding for event in events if isinstance(event, syntax.Found)]
    values = {
        v for e in events if isinstance(e, syntax.SegmentRead) for part in _parts(e.segment) for v in part
    }
    values |= {e.interchange.reference for e in events if isinstance(e, syntax.InterchangeRead)}
    return {
        "verdict": "refused" if worst(found) else "accepted",
        "said": ", ".join(dict.fromkeys(finding.code for finding in found)),
        "misread": bool(text) and text not in values,
    }


def _parts(segment: syntax.Segment) -> list[tuple[str, ...]]:
    return [*segment.elements, *(part for _, parts in segment.repeats for part in parts)]


def _tokenise(contents: list[bytes]) -> object:
    return sum(1 for octets in contents for _ in syntax.segments(_pieces(octets), LIMITS))


def _check(contents: list[bytes]) -> object:
    count = 0
    for octets in contents:
        for event in syntax.stream(_pieces(octets), DIRECTORIES, limits=LIMITS):
            if isinstance(event, syntax.Found):
                raise ValueError(f"we refuse the bench's own interchange: {event.finding}")
            count += isinstance(event, syntax.MessageRead)
    return count


def _pieces(octets: bytes) -> Iterator[bytes]:
    for start in range(0, len(octets), PIECE):
        yield octets[start : start + PIECE]


def _warm() -> None:
    for kind in ("CUSCAR:D:95B", "CUSDEC:D:96B", "PAXLST:D:02B"):
        octets = f"UNB+UNOC:3+A+B+260101:1200+1'UNH+1+{kind}:UN'BGM+785'UNT+3+1'UNZ+1+1'".encode()
        list(syntax.stream([octets], DIRECTORIES))


if __name__ == "__main__":
    timing.drive(sys.argv[1:], judge, {"tokenise": _tokenise, "check": _check}, _warm)
