"""What ``cvan sign`` writes is a file that every other command reads, whatever the envelope."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway import security
from gateway.model import Partner, Role
from gateway.operations import home as homes
from gateway.operations import reading
from tests.operations.conftest import SAMPLES
from tests.operations.shell import cvan

CARRIER = Partner("oceanline", "Eastern Ocean Line", (Role.CARRIER,))
INTERCHANGE = SAMPLES / "cuscar" / "arrival-95b.edi"
A_MINUTE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d\+00:00")


@pytest.fixture(scope="module")
def folder(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("carrier") / "oceanline"
    homes.issue_partner(made_home, CARRIER, folder)
    return folder


@pytest.mark.parametrize("envelope", ["multipart/signed", "application/pkcs7-mime"])
def test_a_signed_interchange_is_proven_and_checked_from_its_file(
    folder: Path, made_home: Path, tmp_path: Path, envelope: str
) -> None:
    signed = tmp_path / "signed"
    said = cvan("sign", INTERCHANGE, "--as", folder, "--envelope", envelope, "-o", signed)
    assert said.code == 0
    proven = cvan("verify", signed, "--json", home=made_home)
    assert (proven.code, proven.json()["proven"]) == (0, True)
    found, plain = (A_MINUTE.sub("now", cvan("check", path, "--json").text) for path in (signed, INTERCHANGE))
    assert found == plain


def test_a_multipart_file_names_its_boundary_and_others_stay_as_they_are() -> None:
    body = reading.as_file('multipart/signed; boundary="b"', b"--b")
    assert body == b'MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary="b"\r\n\r\n--b'
    assert reading.media_type(body) == 'multipart/signed; boundary="b"'
    assert reading.as_file("application/xml", b"<a/>") == b"<a/>"


def test_anchors_are_a_file_or_a_folder_and_keys_are_none(folder: Path, tmp_path: Path) -> None:
    signed = tmp_path / "signed.p7m"
    cvan("sign", INTERCHANGE, "--as", folder, "-o", signed)
    for trust in (folder / "authority.pem", folder):
        assert cvan("verify", signed, "--trust", trust).code == 0
    (tmp_path / "none").mkdir()
    assert cvan("verify", signed, "--trust", tmp_path / "none").code == 1
    refused = cvan("verify", signed, "--trust", folder / "signing.key.pem")
    assert (refused.code, "signing.key.pem" in refused.err) == (2, True)


@pytest.mark.parametrize("algorithm", ["rsa-2048", "p256", "p521"])
def test_what_is_encrypted_to_the_gateway_is_opened_with_its_own_keys(
    folder: Path, home: Path, tmp_path: Path, algorithm: str
) -> None:
    signed, sealed = tmp_path / "signed", tmp_path / "sealed.p7m"
    assert cvan("sign", INTERCHANGE, "--as", folder, "-o", signed).code == 0
    said = cvan("verify", signed, "--decrypt", home=home)
    assert said.code != 0
    assert "cvan keys new --use decryption" in said.err
    made = cvan("keys", "new", "--use", "decryption", "--algorithm", algorithm, home=home)
    assert made.code == 0, made.err
    own = security.Keystore.load(home / "keystore" / "own").decrypting()[0].certificates[0]
    entity = b"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n\r\n" + signed.read_bytes()
    sealed.write_bytes(security.encrypt_cms(entity, [own])[1])
    trust = ("--trust", folder / "authority.pem")
    assert cvan("verify", sealed, *trust, home=home).code == 1
    opened = cvan("verify", sealed, *trust, "--decrypt", "--json", home=home)
    assert (opened.code, opened.json()["proven"]) == (0, True), opened.text
