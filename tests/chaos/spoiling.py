"""The preloaded disk and clock (shim.c): compiled where there is a compiler, and turned on and off."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
NONE, FULL, READ_ONLY = 0, 1, 2


class Spoiler:
    """One control file for all processes that it was given to.  ``ready``: False without a compiler."""

    def __init__(self, folder: Path, durable: str = "", *, wanted: bool = True) -> None:
        self._mode, self._ahead = NONE, 0
        self._control, self._library = folder / "control", folder / "shim.so"
        self._durable = durable
        compiler = shutil.which("cc") if wanted else None
        self.ready = compiler is not None
        if compiler is not None:
            command = [compiler, "-O2", "-shared", "-fPIC", "-o", self._library, SOURCE, "-ldl", "-lpthread"]
            subprocess.run([str(word) for word in command], check=True, capture_output=True)
            self._library.chmod(0o755)
        self._control.write_bytes(self._words())
        self._control.chmod(0o644)

    def environment(self) -> dict[str, str]:
        """What a process is to be begun with."""
        if not self.ready:
            return {}
        found = {"LD_PRELOAD": str(self._library), "CVAN_CHAOS_CONTROL": str(self._control)}
        return found | ({"CVAN_CHAOS_DURABLE": self._durable} if self._durable else {})

    def disk(self, mode: int) -> None:
        """NONE, FULL or READ_ONLY, from now on."""
        self._mode = mode
        self._write()

    def clock(self, ahead: int) -> None:
        """So many seconds ahead, from now on."""
        self._ahead = ahead
        self._write()

    def _words(self) -> bytes:
        return struct.pack("=qq", self._mode, self._ahead)

    def _write(self) -> None:
        with self._control.open("r+b") as control:
            control.write(self._words())  # in place: it is mapped


def power_on(home: Path) -> None:
    """Begin to keep what is synchronised: what is on the disk by now is."""
    os.sync()
    for path in [*home.glob("*.db"), *home.glob("*.db-wal")]:
        shutil.copyfile(path, f"{path}.durable")


def power_cut(home: Path) -> None:
    """The files as the disk has them after a power cut: only what was synchronised, and no shared memory."""
    for path in [*home.glob("*.db"), *home.glob("*.db-wal"), *home.glob("*.db-shm")]:
        kept = Path(f"{path}.durable")
        if kept.exists():
            shutil.copyfile(kept, path)
        else:
            path.unlink()
    for path in home.glob("*.dirty"):
        path.unlink()
