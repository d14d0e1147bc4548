"""``cvan sign --timestamp``: signatures with a time stamp of an authority that is asked over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.model import Partner, Role
from gateway.operations import home as homes
from gateway.security import Policy, Trust, verify
from tests.operations.conftest import SAMPLES
from tests.operations.shell import cvan
from tests.security.signing_kit import NOW
from tests.security.tsa import TimeStampAuthority

CARRIER = Partner("stampline", "Stamped Ocean Line", (Role.CARRIER,))
INTERCHANGE = SAMPLES / "cuscar" / "arrival-95b.edi"


@pytest.fixture(scope="module")
def folder(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("carrier") / "stampline"
    homes.issue_partner(made_home, CARRIER, folder)
    return folder


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TimeStampAuthority:
    return TimeStampAuthority.create(tmp_path_factory.mktemp("tsa"))


@pytest.mark.parametrize("kind", ["cms", "xml"])
def test_a_file_is_signed_and_stamped(
    folder: Path, authority: TimeStampAuthority, tmp_path: Path, kind: str
) -> None:
    source, media_type = INTERCHANGE, "application/pkcs7-mime"
    if kind == "xml":
        source, media_type = tmp_path / "d.xml", "application/xml"
        source.write_bytes(b"<md:MetaData xmlns:md='urn:wco:datamodel:WCO:DocumentMetaData:3'/>")
    out, root = tmp_path / "signed", authority.folder / "root.pem"
    with authority.serving() as url:
        said = cvan("sign", source, "--as", folder, "--timestamp", url, "--timestamp-trust", root, "-o", out)
    assert said.code == 0, said
    trust = Trust(Trust.load(folder / "authority.pem").anchors, stampers=authority.trust)
    assert verify(out.read_bytes(), media_type, trust, Policy(level="T"), NOW).signer.level == "T"


def test_without_anchors_or_authority_nothing_is_signed(
    folder: Path, authority: TimeStampAuthority, tmp_path: Path
) -> None:
    out, root = tmp_path / "signed", authority.folder / "root.pem"
    start = ("sign", INTERCHANGE, "--as", folder, "-o", out)
    assert cvan(*start, "--timestamp", "http://127.0.0.1:1/").code != 0
    assert cvan(*start, "--timestamp", "http://127.0.0.1:1/", "--timestamp-trust", root).code != 0
    with authority.serving() as url:
        assert cvan(*start, "--timestamp", url, "--timestamp-trust", folder / "authority.pem").code != 0
        own = (*start, "--envelope", "edifact", "--timestamp", url, "--timestamp-trust", root)
        assert cvan(*own).code != 0
    assert not out.exists()
