"""Which of the machine's cores a process runs on, where the system can say so (Linux)."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

log = logging.getLogger("gateway.cores")

_TASKS = Path("/proc/self/task")


def allowed() -> frozenset[int]:
    """Those that this thread may run on; none where the system does not tell."""
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()


def keep_to(cores: frozenset[int]) -> None:
    """Have all threads of this process, and those that they begin, run on these alone; nothing where there are none."""
    if cores:
        for task in _TASKS.iterdir():
            with suppress(ProcessLookupError):  # a thread that has ended
                os.sched_setaffinity(int(task.name), cores)


def keep_to_own(door: int) -> None:
    """Have a door, counted from 1, run on a core that no other door of its gateway keeps to, the last ones first."""
    cores = sorted(allowed(), reverse=True)
    if door > len(cores):
        log.warning("door %d has no core of its own: there are %d", door, len(cores))
        return
    keep_to(frozenset({cores[door - 1]}))
