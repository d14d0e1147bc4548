"""What a running server leaves in its home: a lock, so that there is one, and the address it serves at."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

ADDRESS_FILE = "run/address"
"""Where a running server writes ``host:port``, for tools on the same machine; removed when it stops."""
LOCK_FILE = "run/lock"
"""Locked as long as the server lives, whatever ends it: the kernel lets go.  Holds its process id."""


class InUse(OSError):
    """Another server serves this home."""


class Presence:
    """A server's claim on its home, for as long as its process lives.  Raises InUse, OSError."""

    def __init__(self, home: Path) -> None:
        self._address = home / ADDRESS_FILE
        lock = home / LOCK_FILE
        lock.parent.mkdir(exist_ok=True)
        # Not inherited by the doors: they may outlive the supervisor by a moment, and hold nothing up.
        self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            other = os.read(self._lock, 32).decode("ascii", "replace").strip()
            os.close(self._lock)
            raise InUse(f"{home} is served already, by process {other or '?'}") from error
        os.ftruncate(self._lock, 0)
        os.write(self._lock, f"{os.getpid()}\n".encode("ascii"))
        self._address.unlink(missing_ok=True)

    def announce(self, host: str, port: int) -> None:
        """Say where partners are answered."""
        self._address.write_text(f"{host}:{port}\n", encoding="ascii")

    def withdraw(self) -> None:
        """Partners are answered no longer."""
        self._address.unlink(missing_ok=True)

    def end(self) -> None:
        """Let another server have the home before this process ends."""
        self.withdraw()
        os.close(self._lock)
