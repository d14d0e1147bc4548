"""The image and its first process: nothing to build with, nobody's rights, and signals that are understood."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.operations import home as homes
from gateway.operations import settings
from tests.deploy.conftest import heard, settle, until
from tests.deploy.files import DEPLOY, ROOT, program, said
from tests.ports import free_ports

FOLDER = DEPLOY / "container"
FILE = FOLDER / "Containerfile"
ENTER = FOLDER / "enter"


def instructions(stage: int) -> list[tuple[str, str]]:
    """The instructions of a stage, continued lines joined, comments gone; stage 0 is what stands before."""
    lines = [line for line in FILE.read_text("utf-8").splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    stages: list[list[tuple[str, str]]] = [[]]
    for line in filter(None, joined.splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stages.append([])
        stages[-1].append((word.strip(), rest.strip()))
    return stages[stage]


def told(stage: int, word: str) -> list[str]:
    return [rest for name, rest in instructions(stage) if name == word]


def test_the_linter_has_nothing_to_say() -> None:
    hadolint = program("hadolint", beside=True)
    done = said(hadolint, "--failure-threshold", "style", FILE)
    assert (done.returncode, done.stdout) == (0, "")
    broken = FILE.read_text("utf-8").replace("ENTRYPOINT [", "ENTRYPOINT sh -c [").encode()
    assert subprocess.run([hadolint, "-"], input=broken, capture_output=True).returncode != 0


def test_the_base_has_a_tag_of_its_own() -> None:
    ((_, base),) = instructions(0)
    assert re.fullmatch(r"BASE=(?:[\w./-]+/)?python:\d+\.\d+\.\d+-slim-\w+", base)
    assert [told(1, "FROM"), told(2, "FROM")] == [["${BASE} AS build"], ["${BASE}"]]


def test_compilers_stay_in_the_first_stage() -> None:
    assert "gcc" in " ".join(told(1, "RUN"))
    last = " ".join(rest for _, rest in instructions(2))
    assert not re.search(r"gcc|-dev\b|pip|make\b", last)
    assert re.findall(r"install --yes --no-install-recommends (.+?) +&&", last) == ["postgresql-client"]
    assert told(2, "COPY")[0] == "--from=build /opt/cvan /opt/cvan"


def test_every_module_in_c_is_wanted() -> None:
    built = re.findall(
        r'^\s+(?:Extension\()?"(gateway[\w.]+)"', (ROOT / "setup.py").read_text("utf-8"), re.MULTILINE
    )
    assert len(built) >= 4
    assert all(name in " ".join(told(1, "RUN")) for name in built)


def test_it_is_nobody_and_says_how_it_is() -> None:
    (user,) = told(2, "USER")
    assert re.fullmatch(r"[1-9]\d{4}:[1-9]\d{4}", user)
    assert told(2, "STOPSIGNAL") == ["SIGTERM"]
    assert told(2, "ENTRYPOINT") == ['["enter"]']
    (check,) = told(2, "HEALTHCHECK")
    listen = settings.load(ROOT).listen
    assert f":{listen.operations_port}/health/live" in check
    assert set(told(2, "EXPOSE")[0].split()) == {
        str(listen.port),
        str(listen.operations_port),
        str(listen.operations_port + 1),
    }


def test_who_comes_in_by_exec_finds_the_database_s_password() -> None:
    """A variable that the first process sets for itself is nobody else's."""
    environment = dict(word.split("=", 1) for word in " ".join(told(2, "ENV")).split() if "=" in word)
    assert environment["PGPASSFILE"] == f"{environment['CVAN_HOME']}/keystore/own/pgpass"
    assert "PGPASSFILE=$home/keystore/own/pgpass" in ENTER.read_text("utf-8")


def test_whatever_is_copied_is_there_and_is_not_ignored() -> None:
    ignored = (FOLDER / "Containerfile.containerignore").read_text("utf-8").splitlines()
    assert ignored[0] == "*"
    for line in told(1, "COPY"):
        for name in line.split()[:-1]:
            assert (ROOT / name).exists()
            assert f"!{name}" in ignored
    assert {"**/*.key.pem", "**/*.p12", "keystore/own"} <= set(ignored)


# -- what the first process does ---------------------------------------------------------------------


class Mounted:
    """What a container would have mounted, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.operations = free_ports(2)
        self.port = free_ports(1)
        dev = folder / "dev"
        homes.create(dev)
        settle(dev, port=str(self.port), operations_port=str(self.operations), operations_host='"0.0.0.0"')
        for name in ("given/conf", "given/trust", "secrets", "memory", "state", "tmp"):
            (folder / name).mkdir(parents=True)
        shutil.copy(dev / "conf" / "gateway.toml", folder / "given" / "conf")
        shutil.copy(dev / "keystore" / "trust" / "development.pem", folder / "given" / "trust")
        (folder / "given" / "tsa").mkdir()
        shutil.copy(dev / "keystore" / "trust" / "development.pem", folder / "given" / "tsa")
        shutil.copy(dev / "keystore" / "push.pem", folder / "given")
        for pem in (dev / "keystore" / "own").glob("*.pem"):
            shutil.copy(pem, folder / "secrets")
            (folder / "secrets" / pem.name).chmod(0o440)  # as Kubernetes does with a group for its files
        (folder / "secrets" / "pgpass").write_text("*:*:*:cvan:secret\n")
        (folder / "given" / "conf" / "..data").mkdir()  # as in every mounted configuration map

    @property
    def home(self) -> Path:
        return self.folder / "state" / "home"

    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "CVAN_HOME": str(self.home),
            "CVAN_GIVEN": str(self.folder / "given"),
            "CVAN_SECRETS": str(self.folder / "secrets"),
            "CVAN_MEMORY": str(self.folder / "memory"),
            "TMPDIR": str(self.folder / "tmp"),
        }


@pytest.fixture
def mounted(tmp_path: Path) -> Mounted:
    return Mounted(tmp_path)


def test_a_home_is_made_of_what_is_mounted(mounted: Mounted) -> None:
    done = said(ENTER, "keys", "list", env=mounted.environment())
    assert done.returncode == 0, done.stderr
    assert "signing" in done.stdout
    own = mounted.home / "keystore" / "own"
    assert {stat.S_IMODE(p.stat().st_mode) for p in own.iterdir()} == {0o600}
    assert (mounted.home / "keystore").resolve() == mounted.folder / "memory"
    assert (mounted.home / "keystore" / "tsa" / "development.pem").is_file()
    assert settings.load(mounted.home).listen.operations_port == mounted.operations
    assert not (mounted.home / "conf" / "..data").exists()
    assert not (mounted.home / "conf" / "deploy").exists()


def test_what_is_kept_is_kept_and_all_else_is_made_anew(mounted: Mounted) -> None:
    assert said(ENTER, "keys", "list", env=mounted.environment()).returncode == 0
    (mounted.home / "journal.json").write_text("{}")
    (mounted.home / "mappings" / "stale.toml").write_text("")
    (mounted.folder / "given" / "mappings").mkdir()
    (mounted.folder / "given" / "mappings" / "extra.txt").write_text("of the operator")
    assert said(ENTER, "keys", "list", env=mounted.environment()).returncode == 0
    assert (mounted.home / "journal.json").read_text() == "{}"
    assert not (mounted.home / "mappings" / "stale.toml").exists()
    assert (mounted.home / "mappings" / "extra.txt").read_text() == "of the operator"


def test_a_key_that_is_missing_is_said(mounted: Mounted) -> None:
    (mounted.folder / "secrets" / "signing.key.pem").unlink()
    done = said(ENTER, "run", env=mounted.environment())
    assert done.returncode == 2
    assert "cannot start" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def alone(mounted: Mounted) -> Iterator[subprocess.Popen[bytes]]:
    """The gateway as the first process of a space of processes, as in a container."""
    space = [program("unshare"), "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*space, "true"], capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody make a space of processes")
    with (mounted.folder / "log").open("wb") as log:
        command = [*space, str(ENTER), "run"]
        running = subprocess.Popen(command, env=mounted.environment(), stdout=log, stderr=log)
    yield running
    running.kill()
    running.wait()


def first(of: subprocess.Popen[bytes]) -> int:
    """The process that is 1 inside."""
    children = Path(f"/proc/{of.pid}/task/{of.pid}/children").read_text().split()
    return int(children[0])


def test_signals_reach_it_as_the_first_process(mounted: Mounted, alone: subprocess.Popen[bytes]) -> None:
    def log() -> str:
        return (mounted.folder / "log").read_text("utf-8")

    ready = f"http://127.0.0.1:{mounted.operations + 1}/health/ready"
    until(lambda: heard(ready)[0] == 200, f"the gateway did not start: {log()}", 60)
    os.kill(first(alone), signal.SIGHUP)
    until(lambda: log().count("knowledge reloaded") == 2, f"supervisor and door did not reload: {log()}")
    began = time.monotonic()
    os.kill(first(alone), signal.SIGTERM)
    assert alone.wait(60) == 0, log()
    assert time.monotonic() - began < 30
    assert log().rstrip().endswith("stopped")
