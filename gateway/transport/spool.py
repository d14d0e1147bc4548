"""Bodies too large for memory, in files of a folder from the socket on until they are worked on.

Nothing is promised by a file here: who is answered has his octets in the ledger.  So files are not synchronised,
and those of a process that ended are worth nothing.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gateway.model.shelf import NO_ROOM

MEGABYTE = 1_048_576
OVER = MEGABYTE
"""Octets from which a body is large: some milliseconds of work are not worth a file."""
MOST = 4_096 * MEGABYTE
"""Octets of all bodies in the folder: eight of the largest."""
RESERVE = 1_024 * MEGABYTE
"""Octets of the disk that are left to others, the ledger before all."""
STEP = 16 * MEGABYTE
"""How often a body whose length was not announced is asked whether there is still room."""


class SpoolFull(OSError):
    """There is no room for the body now."""


class Spool:
    """The folder, which several processes share; each file's name begins with its process.

    ``over``: octets from which a body goes there; ``most``: of all together; ``reserve``: of the disk left free.
    ``free``: what of the folder's disk is free.
    """

    def __init__(
        self,
        folder: Path,
        *,
        over: int = OVER,
        most: int = MOST,
        reserve: int = RESERVE,
        free: Callable[[Path], int] | None = None,
    ) -> None:
        self.folder = folder
        self.over = over
        self.step = min(STEP, most // 4)
        self._most = most
        self._reserve = reserve
        self._free = free or _free

    def make(self) -> None:
        """Have the folder, and nothing in it of processes that ended.  For a process that begins: what is there
        under its own number is another's, as numbers come again.  Raises OSError."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        for path in self.folder.iterdir():
            pid = path.name.partition("-")[0]
            if path.is_file() and (pid == str(os.getpid()) or not _is_alive(pid)):
                path.unlink(missing_ok=True)

    def open(self, name: str, length: int) -> SpoolFile:
        """A file for a body of so many octets.  Raises SpoolFull."""
        self.check(length)
        path = self.folder / f"{os.getpid()}-{name}"
        try:
            return SpoolFile(self, path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), length)
        except OSError as error:
            raise _full(error) from error

    def used(self) -> int:
        """Octets in the folder.  Raises OSError."""
        return sum(_size(path) for path in self.folder.iterdir())

    def check(self, more: int) -> None:
        """Raises SpoolFull where so many octets more are too many."""
        try:
            used = self.used()
            free = self._free(self.folder)
        except OSError as error:
            raise _full(error) from error
        if used + more > self._most or free - more < self._reserve:
            raise SpoolFull(errno.ENOSPC, f"{used} octets in the spool, {free} free")


class SpoolFile:
    """One body on its way.  It is removed by who has it: the request, or who it was handed over to."""

    def __init__(self, spool: Spool, path: Path, descriptor: int, room: int) -> None:
        self.path = path
        self._spool = spool
        self._descriptor = descriptor
        self._room = room
        self._size = 0
        self._ours = True

    def write(self, octets: bytes) -> None:
        """More of the body.  Raises SpoolFull."""
        if self._size + len(octets) > self._room:
            step = max(self._spool.step, len(octets))
            self._spool.check(step)
            self._room = self._size + step
        try:
            view = memoryview(octets)
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise _full(error) from error
        self._size += len(octets)

    def hand_over(self) -> str:
        """The path of the whole body, which somebody else removes from now on."""
        self._close()
        self._ours = False
        return str(self.path)

    def drop(self) -> None:
        """It is wanted no more, unless somebody else has it."""
        self._close()
        if self._ours:
            self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _full(error: OSError) -> OSError:
    return SpoolFull(error.errno, error.strerror) if error.errno in NO_ROOM else error


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _is_alive(pid: str) -> bool:
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
