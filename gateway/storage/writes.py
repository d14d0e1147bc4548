"""What became of this process's writes: whether work can be committed is told by the work itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class Writes:
    """Counts nothing, keeps the last outcome.  Threads may share it; times are monotonic seconds."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._begun: dict[object, float] = {}
        self._done_at = float("-inf")
        self._error = ""

    @property
    def error(self) -> str:
        """Why the last write could not be committed, "" where it was."""
        return self._error

    def idle(self) -> float:
        """Seconds since something was committed."""
        return time.monotonic() - self._done_at

    def longest(self) -> float:
        """Seconds for which the oldest write that is under way has been."""
        with self._lock:
            first = min(self._begun.values(), default=None)
        return 0.0 if first is None else time.monotonic() - first

    @contextmanager
    def one(self) -> Iterator[None]:
        """Around one write; `failed` is called inside it where the database was away."""
        key = object()
        with self._lock:
            self._begun[key] = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                del self._begun[key]

    def committed(self) -> None:
        """A write was."""
        self._done_at, self._error = time.monotonic(), ""

    def failed(self, why: str) -> None:
        """The database could not be reached or written."""
        self._error = why
