"""The commands of docs/partner.md, run as they stand there against a running gateway."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, Block, blocks
from tests.journeys.process import Process

PAGE = DOCS / "partner.md"
TOOLS = ("bash", "curl", "openssl", "xmlsec1")
SECONDS = 120
FREE_PORTS = r"sed -i.bak -E 's/^(port|operations_port) = .*/\1 = 0/' home/conf/gateway.toml"
"""Put behind the page's ``cvan init``: the test takes whatever port is free."""


@dataclass(frozen=True)
class Tried:
    """What the whole page did: the folder it worked in, and what each block printed, by its line."""

    folder: Path
    printed: dict[int, str]

    def said(self, command: str) -> str:
        """What the block printed that holds this command."""
        found = [b.line for b in blocks(PAGE, "sh") if command in b.text]
        assert len(found) == 1, f"{command} stands in {len(found)} blocks"
        return self.printed[found[0]]

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tried]:
    """Every block of the page, in order, in one shell."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("partner")
    first, *others = blocks(PAGE, "sh")
    made = first.text.replace("cvan init home\n", f"cvan init home\n{FREE_PORTS}\n")
    assert made != first.text
    printed = _run(folder, [Block("sh", made, first.line)])
    gateway = Process(folder / "home")
    try:
        gateway.start()
        yield Tried(folder, printed | _run(folder, others, gateway.port))
    finally:
        gateway.sweep()


def _run(folder: Path, some: list[Block], port: int = 8443) -> dict[int, str]:
    """Run blocks in one shell that stops at the first failure; what each printed."""
    script = ["set -euo pipefail", "exec 2>&1"]
    for block in some:
        text = block.text.replace("path/to/checkout", str(ROOT)).replace(
            "localhost:8443", f"localhost:{port}"
        )
        script += [f"printf '\\n=== {block.line}\\n'", text]  # curl ends no line
    address = {"CVAN_URL": f"https://localhost:{port}", "PATH": f"{_shim(folder)}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=folder,
        env={**os.environ, **address},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"the page fails in the block of the last line named:\n{done.stdout}"
    parts = re.split(r"^=== (\d+)\n", done.stdout, flags=re.MULTILINE)
    return {int(line): text for line, text in zip(parts[1::2], parts[2::2], strict=True)}


def _shim(folder: Path) -> Path:
    """A folder with the ``cvan`` of this checkout, whatever is installed."""
    binaries = folder.parent / "bin"
    binaries.mkdir(exist_ok=True)
    command = binaries / "cvan"
    command.write_text(
        f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -P -m gateway.operations.cli "$@"\n'
    )
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    return binaries


def test_the_manifest_is_checked_with_the_warning_that_the_page_announces(tried: Tried) -> None:
    said = tried.said("cvan check manifest.edi")
    assert "manifest.edi: accepted" in said
    assert "warning RUL043" in said
    assert "error" not in said


def test_the_attached_manifest_is_accepted_and_its_receipt_proven(tried: Tried) -> None:
    said = tried.said("--output receipt.p7m")
    assert "Cvan-Outcome: accepted" in said
    assert "Cvan-Repeated: false" in said
    proven = tried.said("-in receipt.p7m")
    assert "CMS Verification successful" in proven
    assert "Gateway signing" in proven
    contrl = tried.read("contrl.edi").decode("latin-1")
    assert "+CONTRL:D:3:UN'UCI+M0001+OCEANLINE:ZZ+VNCUSTOMS:ZZ+7'" in contrl


def test_the_detached_manifest_is_accepted_and_its_receipt_proven(tried: Tried) -> None:
    assert "CMS Verification successful" in tried.said("-in receipt.mime")
    assert b"UCI+M0002+OCEANLINE:ZZ+VNCUSTOMS:ZZ+7'" in tried.read("contrl.mime")
    assert tried.read("receipt.mime").lower().startswith(b"content-type: multipart/signed")


def test_the_carrier_s_mailbox_holds_both_receipts(tried: Tried) -> None:
    entries = json.loads(tried.said("/v1/mailbox?limit=10"))["entries"]
    assert [e["reference"] for e in entries if e["kind"] == "receipt"] == ["M0001", "M0002"]


def test_the_declaration_is_accepted_and_its_receipt_proven(tried: Tried) -> None:
    said = tried.said("xmlsec1 --verify")
    assert "Cvan-Outcome: accepted" in said
    assert re.search(r"^(Verification status: )?OK$", said, re.MULTILINE)
    assert b"FunctionCode>02<" in tried.read("receipt.xml")


def test_the_submission_is_followed_and_its_receipt_acknowledged(tried: Tried) -> None:
    said = tried.said("/receipt\n")
    assert '"reference":"FIRST-0001"' in said
    assert said.rstrip().endswith('{"acknowledged":1}')


def test_cvan_does_the_same(tried: Tried) -> None:
    said = tried.said("cvan send second.signed.xml")
    assert re.search(r"^[0-9a-z]{26}: accepted", said, re.MULTILINE)
    assert re.search(r"\breceipt +SECOND-0001\b", said)
    assert "second.receipt.xml: proven" in tried.said("cvan verify second.receipt.xml")
