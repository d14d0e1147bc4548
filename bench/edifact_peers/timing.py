"""What every driver in Python does alike: repeats a reading and tells seconds and memory.

Standard library only: drivers run in the peers' own environments.
"""

from __future__ import annotations

import gc
import json
import resource
import time
from collections.abc import Callable, Sequence


def rounds(read: Callable[[], object], count: int) -> list[float]:
    """Seconds of each of ``count`` readings; what a reading gives is let go before the next."""
    times = []
    for _ in range(count):
        gc.collect()
        began = time.perf_counter()
        kept = read()
        times.append(time.perf_counter() - began)
        del kept
    return times


def peak() -> int:
    """The most memory that this process has had, in KB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def drive(
    arguments: Sequence[str],
    judge: Callable[[str, str], dict[str, object]],
    readings: dict[str, Callable[[list[bytes]], object]],
    warm: Callable[[], object],
) -> None:
    """``judge FILE TEXT`` or ``time WHAT ROUNDS FILE``; one JSON value on one line.

    ``readings``: what is timed, by name.  Each takes interchanges: the file, or each line of a ``.pile``.
    """
    if arguments[0] == "judge":
        print(json.dumps(judge(arguments[1], arguments[2])))
        return
    _, what, count, name = arguments
    with open(name, "rb") as file:
        octets = file.read()
    contents = octets.splitlines() if name.endswith(".pile") else [octets]
    warm()
    idle = peak()
    times = rounds(lambda: readings[what](contents), int(count))
    print(json.dumps({"seconds": times, "memory_kb": peak() - idle}))
