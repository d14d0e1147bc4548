"""A partner's developer at the command line: sign, send, look, fetch, acknowledge."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.journeys.town import AN_PHAT, BOOKS, LAPTOPS, Town, text_of
from tests.operations.shell import Said, cvan_alone

pytestmark = pytest.mark.parametrize("town", ["sqlite"], indirect=True)


@pytest.fixture
def folder(town: Town, tmp_path: Path) -> Path:
    """An Phat's folder as ``cvan partner add --issue`` would have made it for this gateway."""
    folder = Path(shutil.copytree(town.folder(AN_PHAT), tmp_path / "anphat"))
    shutil.copy(town.anchor, folder / "authority.pem")
    url = f"https://localhost:{town.gateway.port}"
    (folder / "partner.toml").write_text(f'id = "anphat"\nurl = "{url}"\n', "utf-8")
    return folder


def complaint(said: Said) -> str:
    assert said.code == 2
    assert said.out == b""
    assert said.err.startswith("cvan: ")
    assert "Traceback" not in said.err
    return said.err


def test_from_a_file_to_the_decision(town: Town, folder: Path, tmp_path: Path) -> None:
    reference = town.reference()
    plain, signed, receipt = (tmp_path / name for name in ("plain.xml", "signed.xml", "receipt.xml"))
    plain.write_bytes(town.declaration(AN_PHAT, BOOKS, reference))
    assert town.cvan("sign", plain, "--as", folder, "-o", signed).code == 0
    sent = cvan_alone("send", signed, "--as", folder, "-o", receipt, "--json")
    assert (sent.code, sent.json()["outcome"], sent.json()["repeated"]) == (0, "accepted", False)
    assert town.cvan("verify", receipt).code == 0
    submission = sent.json()["submission"]
    again = cvan_alone("send", signed, "--as", folder)
    assert (again.code, again.text.strip()) == (0, f"{submission}: accepted (as before)")

    town.await_entries(AN_PHAT, submission, "cleared")
    told = cvan_alone("status", submission, "--as", folder).text
    assert f"reference {reference}" in told
    assert "cleared" in told
    waiting = cvan_alone("mailbox", "--as", folder, "--limit", "1000", "--json").json()["entries"]
    mine = [e for e in waiting if e["about"].startswith(submission)]
    assert [e["kind"] for e in mine] == ["receipt", "registered", "green", "released", "cleared"]
    decision = cvan_alone("mailbox", "--as", folder, "fetch", mine[1]["id"])
    assert text_of(decision.out, "Declaration/FunctionalReferenceID") == reference
    acknowledged = cvan_alone("mailbox", "--as", folder, "ack", *(e["id"] for e in mine))
    assert acknowledged.text == f"acknowledged: {len(mine)}\n"


def test_what_is_rejected_and_what_is_not_taken(town: Town, folder: Path, tmp_path: Path) -> None:
    wrong = town.declaration(AN_PHAT, LAPTOPS).replace(
        b"<TotalPackageQuantity>60<", b"<TotalPackageQuantity>61<"
    )
    (tmp_path / "wrong.xml").write_bytes(town.sign(wrong, AN_PHAT))
    rejected = cvan_alone("send", tmp_path / "wrong.xml", "--as", folder)
    assert (rejected.code, "rejected" in rejected.text) == (1, True)
    (tmp_path / "unsigned.xml").write_bytes(wrong)
    refused = complaint(cvan_alone("send", tmp_path / "unsigned.xml", "--as", folder))
    assert "403" in refused
    assert "SIG001" in refused
    nowhere = cvan_alone("mailbox", "--as", folder, "--url", "https://localhost:1")
    assert "is the gateway running?" in complaint(nowhere)
    for address in ("http://localhost:1", "localhost:1"):
        said = town.cvan("send", tmp_path / "wrong.xml", "--as", folder, "--url", address)
        assert "https://" in complaint(said)
