"""The deployment files as the tests read them, and the programs that judge them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "conf" / "deploy"
DOCS = ROOT / "docs"
SECONDS = 60


def document(path: Path) -> Any:
    """A YAML file that holds one document."""
    return yaml.safe_load(path.read_text("utf-8"))


def program(name: str, beside: bool = False) -> str:
    """A program's path; the test is skipped, saying so, where it is not installed.  ``beside``: it comes
    with the interpreter's own packages."""
    here = Path(sys.executable).parent / name
    found = str(here) if beside and here.exists() else shutil.which(name, path=_path())
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def said(*command: object, **more: Any) -> subprocess.CompletedProcess[str]:
    """What a program says, whatever it thinks."""
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False, **more)


def _path() -> str:
    """Where system programs are is not on everybody's path."""
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
