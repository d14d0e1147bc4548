"""Processor time of a process and all below it, from Linux's /proc: it counts no waiting for one's turn."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
UTIME, STIME = 11, 12
"""Fields of /proc/PID/stat behind the name (proc(5): 14 and 15)."""
IDLE, IOWAIT = 3, 4
"""Fields of a core's line in /proc/stat behind its name."""


def spent(pid: int) -> float:
    """Seconds, of the kernel for it too; 0.0 where there is no /proc.  A process that ended is not counted."""
    return sum(of(one) for one in _tree(pid))


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            yield from _tree(int(child))


def of(pid: int) -> float:
    """The same of one process alone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[UTIME]) + int(fields[STIME])) / TICK


def idle(cores: frozenset[int]) -> float:
    """Seconds in which these cores had nothing to do since the machine began (proc(5), /proc/stat)."""
    found = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cores:
            found += int(ticks[IDLE]) + int(ticks[IOWAIT])
    return found / TICK
