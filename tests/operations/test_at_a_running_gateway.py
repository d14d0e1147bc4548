"""The partner's commands against a gateway that serves: why a message was rejected, and who is shut out."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.operations.demo import papers
from tests.journeys.process import Process
from tests.operations.knowledge import LAPTOPS
from tests.operations.shell import Said, cvan, cvan_alone


@pytest.fixture
def gateway(home: Path) -> Iterator[Process]:
    path = home / "conf" / "gateway.toml"
    text = re.sub(r"(?m)^(port|operations_port) = \d+", r"\1 = 0", path.read_text("utf-8"))
    path.write_text(text, "utf-8")
    process = Process(home)
    try:
        process.start()
        yield process
    finally:
        process.sweep()


def test_a_partner_learns_why_and_is_shut_out(gateway: Process, home: Path, tmp_path: Path) -> None:
    folder, plain, signed = tmp_path / "anphat", tmp_path / "plain.xml", tmp_path / "signed.xml"
    add = ("partner", "add", "anphat", "--name", "An Phat", "--role", "trader", "--identifier", "0100109106")
    assert cvan(*add, "--issue", folder, home=home).code == 0
    assert f"localhost:{gateway.port}" in (folder / "partner.toml").read_text("utf-8")
    text = papers.declaration("LRN-1", ("An Phat", "0100109106"), LAPTOPS, datetime.now(UTC))
    plain.write_bytes(text.replace(b"<TotalPackageQuantity>60<", b"<TotalPackageQuantity>61<"))
    cvan("sign", plain, "--as", folder, "-o", signed)

    sent = _until(lambda: cvan_alone("send", signed, "--as", folder), lambda said: said.code == 1)
    assert "RUL010" in sent.text
    assert "61" in sent.text.splitlines()[-1]
    submission = sent.text.partition(":")[0]
    status = cvan_alone("status", submission, "--as", folder)
    assert sent.text.splitlines()[-1] in status.text

    (entry,) = cvan_alone("mailbox", "--as", folder, "--json").json()["entries"]
    receipt = tmp_path / "receipt.xml"
    assert cvan_alone("mailbox", "fetch", entry["id"], "--as", folder, "-o", receipt).code == 0
    assert cvan("verify", receipt, home=home).code == 0
    assert cvan_alone("mailbox", "ack", entry["id"], "--as", folder).text == "acknowledged: 1\n"
    slip = cvan_alone("mailbox", "ack", entry["id"], "01m8", "--as", folder)
    assert (slip.code, slip.text) == (1, "acknowledged: 1; 1 are no messages of this mailbox\n")

    assert cvan("partner", "suspend", "anphat", home=home).code == 0
    out = _until(lambda: cvan_alone("mailbox", "--as", folder), lambda said: said.code == 2)
    assert "401" in out.err
    assert cvan("partner", "resume", "anphat", home=home).code == 0
    _until(lambda: cvan_alone("mailbox", "--as", folder), lambda said: said.code == 0)


def _until(ask, enough) -> Said:
    """What was said once it is as wanted; a running gateway knows of a change within a second or so."""
    end = time.monotonic() + 20
    while True:
        said = ask()
        if enough(said):
            return said
        assert time.monotonic() < end, said
        time.sleep(0.2)
