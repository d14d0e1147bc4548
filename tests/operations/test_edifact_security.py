"""``cvan sign`` and ``cvan verify`` on EDIFACT's own security."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway import syntax
from gateway.operations.demo import papers
from gateway.security.certificates.authority import Authority
from tests.operations.knowledge import book
from tests.operations.shell import cvan

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A partner's folder, its authority, and the certificates of signers."""
    root = tmp_path_factory.mktemp("signing")
    own = Authority.create(root / "authority", "Test authority")
    (root / "line").mkdir()
    (root / "signers").mkdir()
    own.issue(
        "CN=Eastern Ocean Line,C=VN",
        root / "line" / "signing.key.pem",
        root / "line" / "signing.crt.pem",
        algorithm="p256",
    )
    (root / "signers" / "line.pem").write_bytes((root / "line" / "signing.crt.pem").read_bytes())
    (root / "anchor.pem").write_bytes(own.certificate_path.read_bytes())
    bills = [papers.Bill("EOLUSGN000001", "Furniture parts", 100, 5_000)]
    read = syntax.read(papers.manifest("M1", "OCEANLINE", "EOLU", bills, NOW), book().directories)
    octets = syntax.write(
        [syntax.forwarded(m) for m in read.messages],
        syntax=("UNOC", "4"),
        sender=read.sender,
        recipient=read.recipient,
        reference="M1",
        now=NOW,
    )
    (root / "plain.edi").write_bytes(octets)
    return root


def verified(folder: Path, name: str) -> tuple[int, dict[str, object]]:
    said = cvan(
        "verify", folder / name, "--trust", folder / "anchor.pem", "--signers", folder / "signers", "--json"
    )
    return said.code, json.loads(said.out)


@pytest.mark.parametrize("way", ["edifact", "autack"])
def test_signed_and_verified(folder: Path, way: str) -> None:
    target = folder / f"{way}.edi"
    said = cvan(
        "sign", folder / "plain.edi", "--as", folder / "line", "--envelope", way, "-o", target, "--json"
    )
    assert (said.code, json.loads(said.out)["media_type"]) == (0, "application/edifact")
    code, facts = verified(folder, target.name)
    assert (code, facts["proven"]) == (0, True)
    assert facts["subject"] == "CN=Eastern Ocean Line,C=VN"
    (folder / "spoilt.edi").write_bytes(target.read_bytes().replace(b"EOLUSGN", b"EOLUSGX"))
    code, facts = verified(folder, "spoilt.edi")
    assert (code, facts["proven"]) == (1, False)


def test_an_older_syntax_cannot_be_secured(folder: Path) -> None:
    bills = [papers.Bill("EOLUSGN000001", "Furniture parts", 100, 5_000)]
    (folder / "old.edi").write_bytes(papers.manifest("M1", "OCEANLINE", "EOLU", bills, NOW))
    said = cvan(
        "sign", folder / "old.edi", "--as", folder / "line", "--envelope", "edifact", "-o", folder / "x.edi"
    )
    assert said.code != 0
    assert "syntax 4" in said.err
