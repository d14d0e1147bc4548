"""Ctrl-C while the command still loads its own code: exit code 130, and not a word."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADING = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from gateway.operations.cli import main
print("loaded")
"""


def loaded(until: str, *prefix: str) -> tuple[int, str, str]:
    """What loading the command gives where SIGINT comes as it asks for a module."""
    command = [*prefix, sys.executable, "-c", LOADING, until]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={"PYTHONPATH": str(ROOT)}
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "module", ["gateway.operations.cli.main", "click", "lxml.etree", "twisted.internet.defer"]
)
def test_an_interrupt_while_loading_is_silent(module: str) -> None:
    assert loaded(module) == (130, "", "")


def test_who_ignores_interrupts_goes_on_ignoring_them() -> None:
    ignoring = ("sh", "-c", "trap '' INT; exec \"$@\"", "sh")
    assert loaded("click", *ignoring) == (0, "loaded\n", "")


def test_what_was_loaded_is_not_walked_at_the_end() -> None:
    seen = "import gc, gateway.operations.cli; print(gc.get_freeze_count() > 100_000, gc.isenabled())"
    command = [sys.executable, "-c", seen]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True, env={"PYTHONPATH": str(ROOT)}
    )
    assert done.stdout.split() == ["True", "True"]
