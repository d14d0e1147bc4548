"""Processes with bounds of time and memory: a peer that hangs or grows ends, and that is its result."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[2]
SAID = 300  # characters kept of what a process says as it fails


class Bounds(msgspec.Struct, frozen=True):
    """``seconds`` of wall time; ``megabytes`` of data segment and private mappings, 0 for none.

    Node reserves gigabytes that it never touches: it is bounded by its own option instead.
    """

    seconds: float = 20
    megabytes: int = 1_024


class Failed(Exception):
    """The process ended otherwise than with its result; the text says how."""


def run(command: Sequence[str], bounds: Bounds) -> Any:
    """The JSON value of the last line that the command prints.  Raises Failed."""

    def bound() -> None:
        if bounds.megabytes:
            size = bounds.megabytes * 1024 * 1024
            resource.setrlimit(resource.RLIMIT_DATA, (size, size))

    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=bounds.seconds,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
            preexec_fn=bound,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"no result within {bounds.seconds:.0f} s") from None
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    if done.returncode or not lines:
        tail = done.stderr.decode("utf-8", "replace").strip()[-SAID:]
        raise Failed(f"ended with {done.returncode}: {tail}")
    return json.loads(lines[-1])
