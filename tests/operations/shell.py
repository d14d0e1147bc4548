"""The ``cvan`` command as a shell would run it: its exit code, what it printed, what it complained of."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.operations.cli import main


@dataclass(frozen=True)
class Said:
    """What a command did."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    def json(self) -> Any:
        return json.loads(self.out)


def cvan(*arguments: object, home: Path | None = None) -> Said:
    """The command in this process: its own entry point, under the arguments given."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    before = sys.argv
    sys.argv = _command("cvan", home, arguments)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
        code: Any = 0
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.argv = before
    return Said(int(code or 0), out.buffer.getvalue(), err.buffer.getvalue().decode())


def cvan_alone(*arguments: object, home: Path | None = None) -> Said:
    """The command in a process of its own, as those need that run a reactor."""
    command = [sys.executable, "-m", *_command("gateway.operations.cli", home, arguments)]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    return Said(done.returncode, done.stdout, done.stderr.decode())


def _command(name: str, home: Path | None, arguments: tuple[object, ...]) -> list[str]:
    return [name, *(() if home is None else ("--home", str(home))), *(str(a) for a in arguments)]
