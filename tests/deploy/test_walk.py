"""The way through docs/deployment.md: its blocks are run as they stand, in other folders and as nobody else."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gateway.operations import settings
from tests.deploy.conftest import heard, settle, until
from tests.deploy.files import DEPLOY, DOCS, document, program, said
from tests.docs.pages import blocks
from tests.journeys.process import Process
from tests.ports import free_ports

PAGE = DOCS / "deployment.md"


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder after every block was run; the home is ``home`` in it."""
    folder = tmp_path_factory.mktemp("walk")
    script = "\n".join(block.text for block in blocks(PAGE, "sh"))
    script = script.replace("runuser -u cvan -- ", "")
    script = script.replace("/opt/cvan/bin", str(Path(sys.executable).parent))
    script = script.replace("/var/lib/cvan", str(folder / "home"))
    for name in ("openssl", "tar"):
        program(name)
    done = subprocess.run(
        ["sh", "-eu", "-c", script], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_a_gateway_runs_from_what_was_made(walked: Path, tmp_path: Path) -> None:
    home = Path(shutil.copytree(walked / "home", tmp_path / "home"))
    chosen = settings.load(home).listen
    assert (chosen.host, chosen.operations_host) == ("0.0.0.0", "0.0.0.0")
    operations = free_ports(2)
    settle(home, port="0", operations_port=str(operations))
    process = Process(home)
    try:
        process.start()
        until(lambda: heard(f"http://127.0.0.1:{operations + 1}/health/ready")[0] == 200, "it is ready")
        (shown,) = (b.text for b in blocks(PAGE, "console") if "health/ready" in b.text)
        assert heard(f"http://127.0.0.1:{operations + 1}/health/ready")[1].strip() in shown
    finally:
        process.sweep()


def test_another_node_gets_all_but_what_is_the_first_one_s_own(walked: Path, tmp_path: Path) -> None:
    first = walked / "home"
    done = said(
        "tar", "--extract", "--preserve-permissions", "--file", walked / "home.tar", "--directory", tmp_path
    )
    assert done.returncode == 0, done.stderr
    there = {p.relative_to(first) for p in first.rglob("*")}
    assert {p.relative_to(tmp_path) for p in tmp_path.rglob("*")} == there
    for path in (tmp_path / "keystore" / "own").glob("*.key.pem"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_compose_finds_every_file(walked: Path) -> None:
    compose = document(DEPLOY / "compose" / "compose.yaml")
    named = [f["file"] for kind in ("secrets", "configs") for f in compose[kind].values()]
    wanted = {name.rpartition("/")[2] for name in named if "CVAN_FILES" in name}
    assert wanted == set(os.listdir(walked / "files"))
    host, port, database, user, password = (walked / "files" / "pgpass").read_text().strip().split(":")
    assert [host, port, database, user] == ["database", "5432", "cvan", "cvan"]
    assert password == (walked / "files" / "database_password").read_text()


def test_kubernetes_secrets_are_those_that_are_mounted(walked: Path) -> None:
    kubectl = program("kubectl")
    (shown,) = (b.text for b in blocks(PAGE, "console") if "create secret" in b.text)
    lines = shown.replace("\\\n", " ").splitlines()
    made = {}
    for line in lines:
        words = line.removeprefix("$ ").split()
        if "create" in words and "namespace" not in words:
            done = said(kubectl, *words[1:], "--dry-run=client", "--output=yaml", cwd=walked)
            assert done.returncode == 0, done.stderr
            one = yaml.safe_load(done.stdout)
            made[one["metadata"]["name"]] = set(one["data"])
    assert made == {
        "cvan-keys": {"signing.key.pem", "signing.crt.pem", "tls.key.pem", "tls.crt.pem", "pgpass"},
        "cvan-trust": {"partners.pem"},
        "cvan-push-trust": {"push.pem"},
    }
    text = (DEPLOY / "kubernetes" / "gateway.yaml").read_text("utf-8")
    assert all(name in text for name in made)
