"""What processes hold while they run: memory, open files, threads and processor time, by what each of them is.

All from Linux's /proc.  A role (``supervisor``, ``door 1``, ``worker``) outlives its process: where one is begun
anew its figures go on.  Workers are one role, of which the largest counts.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from bench import cpu

SUPERVISOR, WORKER, DATABASE = "supervisor", "worker", "database"


class Sample(msgspec.Struct, frozen=True):
    """One process at one moment.  ``at``: seconds on the watch's clock; ``rss`` and ``pss``: octets, the latter
    with its share of what it shares with others; ``spent``: seconds of processor time since it began."""

    at: float
    role: str
    pid: int
    rss: int
    pss: int
    files: int
    threads: int
    spent: float


def below(pid: int) -> list[int]:
    """A process and all that it and those below it began."""
    found = [pid]
    with suppress(OSError):
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in path.read_text().split():
                found += below(int(child))
    return found


def role_of(pid: int) -> str:
    """What a process of a gateway is by its command line, "" where it is a helper of Python's or has ended."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    if b"--door" in words:
        return f"door {words[words.index(b'--door') + 1].decode()}"
    if any(b"multiprocessing.spawn" in word for word in words):
        return WORKER
    if any(b"resource_tracker" in word for word in words) or not words[0]:
        return ""
    return DATABASE if words[0].startswith((b"postgres", b"/usr/lib/postgresql")) else SUPERVISOR


def sample(pid: int, role: str, at: float) -> Sample | None:
    """The process now; None where it has ended or is not ours to look at."""
    try:
        status = _fields(Path(f"/proc/{pid}/status").read_text())
        rollup = _fields(Path(f"/proc/{pid}/smaps_rollup").read_text())
        files = len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return None
    if "VmRSS" not in status:
        return None
    kib = 1024
    return Sample(
        at,
        role,
        pid,
        int(status["VmRSS"].split()[0]) * kib,
        int(rollup["Pss"].split()[0]) * kib,
        files,
        int(status["Threads"]),
        cpu.of(pid),
    )


class Watch(threading.Thread):
    """Samples every process that ``roots`` and those below them are, until it is told to end."""

    def __init__(self, roots: Callable[[], Iterable[int]], seconds: float) -> None:
        super().__init__(name="watch", daemon=True)
        self.samples: list[Sample] = []
        self._roots = roots
        self._seconds = seconds
        self._over = threading.Event()
        self._began = time.monotonic()

    def run(self) -> None:
        while not self._over.wait(self._seconds):
            self.look()

    def look(self) -> None:
        """One sample of each."""
        at = time.monotonic() - self._began
        for pid in [p for root in self._roots() for p in below(root)]:
            role = role_of(pid)
            taken = sample(pid, role, at) if role else None
            if taken is not None:
                self.samples.append(taken)

    def spent(self) -> dict[str, float]:
        """Seconds of processor time by role now, of the processes that live."""
        now: dict[str, float] = {}
        for pid in [p for root in self._roots() for p in below(root)]:
            role = role_of(pid)
            if role:
                now[role] = now.get(role, 0.0) + cpu.of(pid)
        return now

    def close(self) -> None:
        """The last sample of each."""
        self._over.set()
        self.join()
        self.look()


class Held(msgspec.Struct, frozen=True):
    """A role over a run: octets of memory at its beginning, at most, at its end; the most files and threads;
    seconds of processor time of all processes that it was."""

    begin: int
    largest: int
    end: int
    pss: int
    files: int
    threads: int
    spent: float


def held(samples: Iterable[Sample]) -> dict[str, Held]:
    """By role."""
    by_role: dict[str, list[Sample]] = {}
    for one in samples:
        by_role.setdefault(one.role, []).append(one)
    return {role: _held(taken) for role, taken in sorted(by_role.items())}


def _held(taken: list[Sample]) -> Held:
    first = {one.pid: one.spent for one in reversed(taken)}
    last = {one.pid: one.spent for one in taken}
    ends = [one.rss for one in taken if one.at == taken[-1].at]
    begins = [one.rss for one in taken if one.at == taken[0].at]
    return Held(
        max(begins),
        max(one.rss for one in taken),
        max(ends),
        max(one.pss for one in taken),
        max(one.files for one in taken),
        max(one.threads for one in taken),
        sum(spent - first[pid] for pid, spent in last.items()),
    )


def _fields(text: str) -> dict[str, str]:
    return {k: v.strip() for k, _, v in (line.partition(":") for line in text.splitlines())}
