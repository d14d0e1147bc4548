"""Numbers by which what arrives is put in order, without asking the database for each.

A number is the microsecond, then ten bits of the process: so two processes hardly ever give the same, and where
they do no more than an order is undecided.  Clocks of nodes differ by less than anybody tells apart who reads a
mailbox; where order is a promise (lanes of deliveries) the database itself numbers.
"""

from __future__ import annotations

import os
import secrets
import threading
import time

PROCESSES = 10
"""Bits for the process: microseconds since 1970 and these are below 63 bits until 2262."""


class Arrivals:
    """Rising numbers of one process, whatever its clock does.  Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._own = secrets.randbits(PROCESSES)

    def take(self, count: int) -> range:
        """That many, one after the other."""
        step = 1 << PROCESSES
        with self._lock:
            first = max((time.time_ns() // 1_000) << PROCESSES | self._own, self._last + step)
            self._last = first + (count - 1) * step if count else self._last
        return range(first, first + count * step, step)

    def forked(self) -> None:
        """Another process now."""
        self._lock = threading.Lock()
        self._own = secrets.randbits(PROCESSES)


_arrivals = Arrivals()
os.register_at_fork(after_in_child=_arrivals.forked)
take = _arrivals.take
