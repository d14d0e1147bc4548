"""Messages over which a process may have ended: from then on they are judged in workers alone.

All of it is in files of the home's ``run/``, which outlive every process.  They are not synchronised: what ends
with the machine was no message's doing.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from gateway.intake import ABREAST

log = logging.getLogger("gateway.suspects")

SUSPECTS = "run/suspects"
"""One file for each, its name the SHA-256 of its octets, its length the number of workers that ended over it."""
JUDGING = "run/judging"
"""One file for each process that judges on its reactor's thread: the digests of what it is at."""
BEGUN = "run/begun"
"""One file for each task that a worker is at, its name begun by the digest; gone when the task has ended."""
MAX_SUSPECTS = 1_000
"""The oldest make room: a partner must not be able to fill the disk."""
SETTLED_NS = 1_000_000_000
"""The kernel's clock for files ticks in milliseconds: what changed as lately may change again unseen."""

DIGEST_OCTETS = 32
NOTE_OCTETS = ABREAST * DIGEST_OCTETS


class Suspects:
    """Those of one home, for each of its processes."""

    def __init__(self, home: Path) -> None:
        self._folder = home / SUSPECTS
        self._judging = home / JUDGING
        self._looked_at = str(self._folder)
        self._changed: int | None = None
        self._names: frozenset[str] = frozenset()

    def __contains__(self, digest: str) -> bool:
        """A look at the folder's time, no more, where nothing changed, as this is asked of every message.  Not whether
        there is such a file: the kernel would remember of each message that there is none."""
        try:
            changed = os.stat(self._looked_at).st_mtime_ns
            if changed != self._changed:
                self._names = frozenset(os.listdir(self._looked_at))
                self._changed = changed if abs(time.time_ns() - changed) > SETTLED_NS else None
        except OSError:
            return False  # there is none, or the disk is away
        return digest in self._names

    def add(self, digests: Iterable[str]) -> None:
        """A process ended while it was at these, over one of them or none.  Raises OSError."""
        for digest in digests:
            os.close(self._open(digest))

    def ended(self, digest: str) -> int:
        """A worker ended over this; how many did by now.  Raises OSError."""
        file = self._open(digest)
        try:
            os.write(file, b"x")
            return os.fstat(file).st_size
        finally:
            os.close(file)

    def count(self, digest: str) -> int:
        """Workers that ended over it."""
        with suppress(OSError):
            return (self._folder / digest).stat().st_size if digest in self else 0
        return 0

    def spare(self, digest: str) -> None:
        """Count anew; it is one still."""
        with suppress(OSError):
            os.truncate(self._folder / digest, 0)

    def clear(self, digest: str) -> None:
        """It was judged, and did no harm."""
        if digest in self:
            with suppress(OSError):
                (self._folder / digest).unlink(missing_ok=True)

    def left_by(self, name: str) -> None:
        """A process has ended: what it was judging is suspect.  Nothing, where its end was orderly."""
        note = self._judging / name
        try:
            digests = read(note)
            self.add(digests)
            note.unlink(missing_ok=True)
        except OSError as error:
            log.error("not known what %s was judging when it ended: %s", name, error)
            return
        if digests:
            log.warning("%s ended while it judged: to workers from now on", name, extra={"digests": digests})

    def _open(self, digest: str) -> int:
        path = self._folder / digest
        if not path.exists():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_room()
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def _make_room(self) -> None:
        files = sorted(self._folder.iterdir(), key=_age)
        for file in files[: max(0, len(files) - MAX_SUSPECTS + 1)]:
            file.unlink(missing_ok=True)


def _age(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_mtime_ns
    return 0


class Judging:
    """What one process is judging on its reactor's thread, as the supervisor finds it when the process has ended.

    Written over in place, in room that was taken before, so that a full disk does not hinder it.  Not mapped: a
    disk that became read-only would end the process.
    """

    def __init__(self, home: Path, name: str) -> None:
        path = home / JUDGING / name
        self._file: int | None = None
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.unlink(missing_ok=True)  # another process of before may still write to that
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            os.write(self._file, bytes(NOTE_OCTETS))
        except OSError as error:
            log.error("what %s judges is not noted: %s", name, error)

    def __call__(self, digests: Sequence[str]) -> None:
        """These from now on; none: it is at nothing."""
        if self._file is None:
            return
        with suppress(OSError):
            os.pwrite(self._file, bytes.fromhex("".join(digests)).ljust(NOTE_OCTETS, b"\0"), 0)

    def close(self) -> None:
        """Orderly."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def read(note: Path) -> list[str]:
    """Digests that a process was at when it wrote last; one that is half written is nobody's."""
    try:
        octets = note.read_bytes()[:NOTE_OCTETS]
    except FileNotFoundError:
        return []
    parts = (octets[at : at + DIGEST_OCTETS] for at in range(0, len(octets), DIGEST_OCTETS))
    return [part.hex() for part in parts if len(part) == DIGEST_OCTETS and any(part)]


def begun(home: Path, digest: str) -> Path:
    """The file that is there while a worker is at a task over these octets."""
    return home / BEGUN / f"{digest}.{secrets.token_hex(8)}"


def listed(folder: Path) -> list[Path]:
    """What is in a folder that may not be there."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
