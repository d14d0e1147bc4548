"""HAProxy before two gateways of one PostgreSQL: what a partner notices when a node, or the database, is away."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.operations import home as homes
from gateway.operations import settings
from gateway.transport.bounds import Bounds
from tests.deploy.conftest import declare, heard, register, settle, until
from tests.deploy.files import DEPLOY, program, said
from tests.journeys.process import Process
from tests.ports import free_ports
from tests.postgres import PostgresServer, postgres_or_skip

CONFIGURATION = DEPLOY / "haproxy" / "haproxy.cfg"
NODES = ("127.0.0.1", "127.0.0.2")
TAKEN_OVER = 5.0
"""Seconds: as long as a node that died may be noticed."""


def line(name: str, word: str) -> list[str]:
    """What stands behind a word in a section of the configuration."""
    section = CONFIGURATION.read_text("utf-8").partition(f"\n{name}\n")[2].partition("\n\n")[0]
    return [found.strip().removeprefix(word).strip() for found in section.splitlines() if word in found]


def test_haproxy_takes_it(tmp_path: Path) -> None:
    haproxy = program("haproxy")
    environment = {**os.environ, "CVAN_NODE_A": NODES[0], "CVAN_NODE_B": NODES[1]}
    done = said(haproxy, "-c", "-f", CONFIGURATION, env=environment)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    wrong = tmp_path / "haproxy.cfg"
    wrong.write_text(CONFIGURATION.read_text("utf-8").replace("balance leastconn", "balance wisely"))
    assert said(haproxy, "-c", "-f", wrong, env=environment).returncode != 0


def test_the_service_is_never_root(tmp_path: Path) -> None:
    analyze, unit = program("systemd-analyze"), Path("/lib/systemd/system/haproxy.service")
    if not unit.exists():
        pytest.skip("HAProxy's unit is not installed")
    both = tmp_path / "haproxy.service"
    override = CONFIGURATION.with_name("override.conf").read_text("utf-8")
    both.write_text(unit.read_text("utf-8").partition("[Install]")[0] + override, "utf-8")
    done = said(analyze, "verify", both)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nUser=haproxy\n" in override


def test_partners_wait_here_rather_than_be_turned_away_there(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    shutil.copy(DEPLOY / "container" / "gateway.toml", tmp_path / "conf")
    limits = settings.load(tmp_path).limits
    (server,) = line("backend gateways", "default-server")
    words = server.split()
    assert int(words[words.index("maxconn") + 1]) < limits.connections_per_address <= limits.connections


def test_the_gateway_is_the_one_to_say_that_time_is_up() -> None:
    longest = max(Bounds().idle_seconds, Bounds().answer_seconds)
    for side in ("client", "server"):
        (told,) = line("defaults", f"timeout {side}")
        assert float(told.removesuffix("s")) > longest


class Site:
    """Two nodes, their database, HAProxy."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self.folder = folder
        self.partner = folder / "anphat"
        self.port, self.operations, self.bind = free_ports(1), free_ports(2), free_ports(1)
        self.database = PostgresServer(binaries)
        self.nodes: list[Process] = []
        self.balancer: subprocess.Popen[bytes] | None = None
        url = f'"{self.database.url(self.database.create())}"'
        first = folder / "a"
        homes.create(first)
        settle(first, ledger=url, clearance=url, port=str(self.port), operations_port=str(self.operations))
        for name, address in zip("ab", NODES, strict=True):
            home = folder / name
            if name != "a":
                shutil.copytree(first, home, ignore=shutil.ignore_patterns("run"))
            settle(home, host=f'"{address}"', operations_host=f'"{address}"', seconds="1")
            self.nodes.append(Process(home))

    def start(self, haproxy: str) -> None:
        """All of it; returns once HAProxy takes both nodes for ready."""
        for node in self.nodes:
            node.start()
        register(self.nodes[0].home, self.partner)
        environment = {
            **os.environ,
            "CVAN_BIND": f"127.0.0.1:{self.bind}",
            "CVAN_NODE_A": NODES[0],
            "CVAN_NODE_B": NODES[1],
            "CVAN_PORT": str(self.port),
            "CVAN_CHECK_PORT": str(self.operations + 1),
            "CVAN_SOCKET": str(self.folder / "s"),
            "CVAN_STATS_BIND": f"127.0.0.1:{free_ports(1)}",
        }
        with (self.folder / "haproxy.log").open("wb") as log:
            command = [haproxy, "-W", "-f", str(CONFIGURATION)]
            self.balancer = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        until(lambda: self.up() == {"a", "b"}, "both nodes")

    def tell(self, command: str) -> str:
        """A command on HAProxy's socket."""
        with socket.socket(socket.AF_UNIX) as wire:
            wire.connect(str(self.folder / "s"))
            wire.sendall(f"{command}\n".encode())
            heard = b""
            while more := wire.recv(65_536):
                heard += more
        return heard.decode()

    def up(self, backend: str = "gateways") -> set[str]:
        """The nodes that are given work."""
        if not (self.folder / "s").exists():
            return set()
        rows = [row.split(",") for row in self.tell("show stat").splitlines()]
        return {r[1] for r in rows if r[0] == backend and r[1] in "ab" and r[17].startswith("UP")}

    def declared(self, reference: str) -> bool:
        """Whether a declaration that is sent to HAProxy gets its receipt."""
        return declare(self.partner, reference, "--url", f"https://localhost:{self.bind}").code in (0, 1)

    def answered(self, node: int) -> int:
        """How many submissions a node has answered."""
        text = heard(f"http://{NODES[node]}:{self.operations + 1}/metrics")[1]
        counted = [row for row in text.splitlines() if row.startswith("cvan_submissions_total{")]
        return int(sum(float(row.rpartition(" ")[2]) for row in counted))

    def stop(self) -> None:
        if self.balancer is not None:
            self.balancer.terminate()
            self.balancer.wait()
        for node in self.nodes:
            node.sweep()
        self.database.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    haproxy, binaries = program("haproxy"), postgres_or_skip()
    # A socket's path is short.
    made = Site(tmp_path_factory.mktemp("site"), binaries)
    try:
        made.start(haproxy)
        yield made
    finally:
        made.stop()


def test_a_partner_speaks_to_the_gateway_itself(site: Site) -> None:
    until(lambda: site.declared("THROUGH"), "a receipt")
    assert site.answered(0) + site.answered(1) >= 1


def test_a_drained_node_gets_nothing_new(site: Site) -> None:
    before = site.answered(0)
    site.tell("set server gateways/a state drain")
    for number in range(2):
        assert site.declared(f"DRAINED-{number}")
    assert site.answered(0) == before
    site.tell("set server gateways/a state ready")
    until(lambda: site.up() == {"a", "b"}, "the node again")


def checkpoint_age(figures: str) -> float:
    """Seconds, from what a supervisor tells; below 0 where it tells nothing."""
    told = re.search(r"(?m)^cvan_checkpoint_age_seconds (\S+)$", heard(figures)[1])
    return float(told[1]) if told else -1.0


def test_while_the_database_is_away_partners_are_told_when_to_come_again(site: Site) -> None:
    site.database.crash()
    until(lambda: site.up() == set(), "no node is ready")
    assert site.up("living") == {"a", "b"}
    figures = f"http://{NODES[0]}:{site.operations}/metrics"
    until(lambda: "\ncvan_ledger_up 0.0" in heard(figures)[1], "the figure that says so")
    until(lambda: checkpoint_age(figures) > 4, "the checkpoint is late")
    status, text = heard(f"https://127.0.0.1:{site.bind}/health/ready")
    assert status == 503
    assert '"ledger":false' in text
    site.database.start()
    until(lambda: site.up() == {"a", "b"}, "both nodes again")
    until(lambda: site.declared("AGAIN"), "a receipt")
    assert "\ncvan_ledger_up 1.0" in heard(figures)[1]
    until(lambda: 0 <= checkpoint_age(figures) < 3, "a checkpoint is signed again")


def test_a_node_that_dies_is_given_nothing_more(site: Site) -> None:
    os.killpg(site.nodes[0].pid, signal.SIGKILL)
    until(lambda: site.up() == {"b"}, "the dead node was noticed", TAKEN_OVER)
    assert all(site.declared(f"AFTER-{number}") for number in range(2))
