"""How much memory a reading takes beyond the idle process: run in a process of its own.

    python -m bench.edifact_memory {tokenise|check|translate} {FILE|MB}

FILE is read in pieces; of MB a manifest is made as it is read, and never held.  Prints one JSON line.
Idle is the process with everything loaded and one small message read, after which the peak is set back.
"""

from __future__ import annotations

import gc
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from bench import manifests
from gateway import mapping, syntax
from gateway.model.edifact import Directory, MessageTable
from gateway.model.finding import worst

ROOT = Path(__file__).parents[1]
PIECE = 65_536  # octets
LIMITS = syntax.EdifactLimits(interchange=1 << 40)
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")

Reading = Callable[[Iterable[bytes]], int]


class Readings:
    """Ways of reading an interchange; each gives the number of things that it came across."""

    def __init__(self) -> None:
        directories = self._directories = syntax.Directories.load(ROOT / "xsd" / "edifact")

        def structure(kind: str, version: str, release: str) -> tuple[MessageTable, Directory] | None:
            message = directories.message(kind, version, release)
            directory = directories.directory(version, release)
            return None if message is None or directory is None else (message, directory)

        self._mappings = mapping.load(ROOT / "mappings", structure)

    def tokenise(self, source: Iterable[bytes]) -> int:
        """Segments, cut and judged no further."""
        return sum(1 for _ in syntax.segments(source, LIMITS))

    def check(self, source: Iterable[bytes]) -> int:
        """Messages, each checked against its directory; raises ValueError for a finding."""
        count = 0
        for event in syntax.stream(source, self._directories, limits=LIMITS):
            if isinstance(event, syntax.Found):
                raise ValueError(f"the bench's own interchange is not valid: {event.finding}")
            count += isinstance(event, syntax.MessageRead)
        return count

    def translate(self, source: Iterable[bytes]) -> int:
        """Declarations, each made from its message and let go."""
        count, detail = 0, syntax.Detail(trees=True)
        for event in syntax.stream(source, self._directories, limits=LIMITS, detail=detail):
            if isinstance(event, syntax.MessageRead):
                count += self._translated(event.message)
        return count

    def _translated(self, message: syntax.Message) -> int:
        table = self._mappings.edifact(message.type, message.version, message.release)
        if table is None or message.tree is None:
            raise ValueError(f"{message.identifier} has no table or no tree")
        reading = table.read(message.tree)
        if worst(reading.findings):
            raise ValueError(f"{message.identifier} is not translated: {reading.findings[0]}")
        return len(reading.declarations)


def measure(reading: Reading, source: Iterable[bytes]) -> dict[str, float]:
    """Memory over idle (MB), seconds and what was counted."""
    gc.collect()
    _CLEAR.write_text("5")  # sets the peak back to what is in memory now: proc(5)
    idle = _kilobytes("VmRSS")
    began = time.perf_counter()
    count = reading(source)
    seconds = time.perf_counter() - began
    return {"over_mb": (_kilobytes("VmHWM") - idle) / 1024, "seconds": seconds, "count": count}


def _kilobytes(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    if found is None:
        raise OSError(f"{_STATUS} has no {name}")
    return int(found[1])


def of_file(path: Path) -> Iterator[bytes]:
    """A file, piece by piece."""
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def main() -> None:
    """One measurement."""
    what, where = sys.argv[1:3]
    reading: Reading = getattr(Readings(), what)
    reading([manifests.interchange([manifests.cuscar("1", 0)])])
    octets = int(where) * 1_000_000 if where.isdigit() else 0
    source = manifests.pieces(manifests.manifests(octets)) if octets else of_file(Path(where))
    print(json.dumps(measure(reading, source)))


if __name__ == "__main__":
    main()
