"""A gateway that has something to tell: submissions, refusals, pushes that fail, inquiries that nobody answers."""

from __future__ import annotations

import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.operations import home as homes
from gateway.operations.demo import papers
from tests.journeys.process import Process
from tests.operations.knowledge import LAPTOPS
from tests.operations.shell import Said, cvan, cvan_alone
from tests.ports import free_ports

UNTIL = 30.0


def heard(url: str) -> tuple[int, str]:
    """The status and the text of an address; status 0 where nobody answers."""
    context = ssl._create_unverified_context()
    try:
        with urllib.request.urlopen(url, timeout=5, context=context) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()
    except OSError:
        return 0, ""


def until(ask: Callable[[], bool], what: str, seconds: float = UNTIL) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not ask():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def settle(home: Path, **values: str) -> None:
    """Write settings over those of the home; a value is TOML."""
    path = home / "conf" / "gateway.toml"
    text = path.read_text("utf-8")
    for name, value in values.items():
        text, count = re.subn(rf"(?m)^{name} = .*", lambda m, n=name, v=value: f"{n} = {v}", text)
        assert count == 1, name
    path.write_text(text, "utf-8")


def declare(folder: Path, reference: str, *options: str) -> Said:
    """Sign a declaration as the partner of the folder, and send it."""
    plain, signed = folder / f"{reference}.xml", folder / f"{reference}.signed.xml"
    plain.write_bytes(papers.declaration(reference, ("An Phat", "0100109106"), LAPTOPS, datetime.now(UTC)))
    assert cvan("sign", plain, "--as", folder, "-o", signed).code == 0
    return cvan_alone("send", signed, "--as", folder, *options)


def register(home: Path, folder: Path, *more: str) -> None:
    """A trader with keys of the development authority."""
    add = ("partner", "add", "anphat", "--name", "An Phat", "--role", "trader", "--identifier", "0100109106")
    done = cvan(*add, "--issue", folder, *more, home=home)
    assert done.code == 0, done.err


class Watched:
    """A gateway and its figures.  ``operations``: the supervisor's port; its one door's is the next."""

    def __init__(self, process: Process, operations: int, partner: Path) -> None:
        self.process = process
        self.operations = operations
        self.partner = partner

    def figures(self) -> dict[str, str]:
        """What each process tells, by its name in the scrape configuration."""
        ports = {"supervisor": self.operations, "door": self.operations + 1}
        return {name: heard(f"http://127.0.0.1:{port}/metrics")[1] for name, port in ports.items()}


@pytest.fixture(scope="package")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A gateway that was used: every kind of figure has something in it."""
    folder = tmp_path_factory.mktemp("watched")
    home, partner, ports = folder / "home", folder / "anphat", free_ports(2)
    homes.create(home)
    silent = free_ports(1)
    settle(home, port="0", operations_port=str(ports), revocation='"accept"', seconds="1")
    process = Process(home)
    try:
        process.start()
        register(home, partner, "--push-url", f"https://127.0.0.1:{silent}/")
        watched = Watched(process, ports, partner)
        until(lambda: declare(partner, f"LRN-{time.monotonic_ns()}").code in (0, 1), "a receipt")
        assert heard(f"https://127.0.0.1:{process.port}/v1/mailbox")[0] == 401
        assert cvan_alone("mailbox", "--as", partner).code == 0
        until(lambda: "cvan_pushes_total{result=" in watched.figures()["supervisor"], "an attempt to push")
        until(lambda: "cvan_revocation_asked_total{" in watched.figures()["supervisor"], "an inquiry")
        until(
            lambda: 'cvan_deliveries{kind="push",state="due"}' in watched.figures()["supervisor"], "a tally"
        )
        yield watched
    finally:
        process.sweep()
