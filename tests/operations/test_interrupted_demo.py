"""A demonstration that was stopped has proven nothing, and says so without a traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.operations.demo.telling import Teller
from tests.operations.shell import cvan_alone

SECONDS = 120


@pytest.mark.parametrize("chapter", ["the gateway opens", "A shipping line files"])
def test_an_interrupted_day_does_not_pass(tmp_path: Path, chapter: str) -> None:
    command = [sys.executable, "-P", "-m", "gateway.operations.cli", "demo", "--home", str(tmp_path / "demo")]
    demo = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert demo.stdout is not None
    for line in demo.stdout:
        if chapter in line:
            break
    demo.send_signal(signal.SIGINT)
    out, err = demo.communicate(timeout=SECONDS)
    assert (demo.returncode, err) == (130, "")
    assert "did not reach its end" in out
    assert not _alive(tmp_path)


def _alive(folder: Path) -> list[str]:
    """Processes whose command names the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        if str(folder).encode() in command:
            found.append(path.parent.name)
    return found


def test_half_a_day_without_a_fault_is_no_whole_day() -> None:
    teller = Teller(quiet=True)
    assert teller.expect("one thing", 1, 1)
    assert (teller.passed, teller.value()["ok"]) == (False, False)
    teller.ended = True
    assert (teller.passed, teller.value()["ok"]) == (True, True)
    teller.expect("another", 1, 2)
    assert not teller.passed


def test_a_day_in_a_folder_that_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "file").write_text("")
    said = cvan_alone("demo", "--home", tmp_path)
    assert (said.code, said.err) == (2, f"cvan: {tmp_path / 'home'} is not empty\n")
