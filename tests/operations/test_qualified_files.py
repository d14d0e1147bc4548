"""``cvan sign --xades``: XML signatures that carry what they are proven by, for years."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.model import Partner, Role
from gateway.operations import home as homes
from gateway.security import XADES_SHAPES, Policy, Trust, verify
from gateway.security.policy import SHAPES
from tests.operations.conftest import SAMPLES
from tests.operations.shell import cvan
from tests.security.cms_kit import revocation_list
from tests.security.tsa import TimeStampAuthority

BROKER = Partner("lasting", "Lasting Brokers", (Role.TRADER,))
XML = "application/xml"
DOCUMENT = b'<md:MetaData Id="d-1" xmlns:md="urn:wco:datamodel:WCO:DocumentMetaData:3"/>'


@pytest.fixture(scope="module")
def folder(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("broker") / "lasting"
    homes.issue_partner(made_home, BROKER, folder)
    return folder


@pytest.fixture(scope="module")
def stamper(tmp_path_factory: pytest.TempPathFactory) -> TimeStampAuthority:
    return TimeStampAuthority.create(tmp_path_factory.mktemp("tsa"))


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "declaration.xml"
    path.write_bytes(DOCUMENT)
    return path


@pytest.mark.parametrize("shape", XADES_SHAPES)
def test_level_b_in_each_shape(folder: Path, document: Path, tmp_path: Path, shape: str) -> None:
    out = tmp_path / "signed.xml"
    said = cvan("sign", document, "--as", folder, "--xades", shape, "-o", out)
    assert said.code == 0, said
    trust = Trust.load(folder / "authority.pem")
    found = verify(out.read_bytes(), XML, trust, Policy(shapes=SHAPES, level="B"), datetime.now(UTC))
    assert found.signer.level == "B"
    assert found.document is not None
    assert found.document.tag == "{urn:wco:datamodel:WCO:DocumentMetaData:3}MetaData"
    assert b'Id="d-1"' in found.content


@pytest.mark.parametrize("form", ["der", "pem", "folder"])
def test_level_lt_proves_the_signer_in_ten_years(
    folder: Path, stamper: TimeStampAuthority, document: Path, made_home: Path, tmp_path: Path, form: str
) -> None:
    out, root, files = tmp_path / "signed.xml", stamper.folder / "root.pem", tmp_path / "validation"
    files.mkdir()
    crl = revocation_list(homes.authority(made_home), at=datetime.now(UTC).replace(microsecond=0))
    if form == "pem":
        crl = x509.load_der_x509_crl(crl).public_bytes(Encoding.PEM)
    (files / "crl").write_bytes(crl)
    (files / "authority.pem").write_bytes((folder / "authority.pem").read_bytes())
    named = [files] if form == "folder" else [files / "crl", files / "authority.pem"]
    given = [part for path in named for part in ("--validation", path)]
    with stamper.serving() as url:
        stamp = ("--timestamp", url, "--timestamp-trust", root)
        said = cvan("sign", document, "--as", folder, "--xades", "enveloped", *stamp, *given, "-o", out)
    assert said.code == 0, said
    trust = Trust(Trust.load(folder / "authority.pem").anchors, stampers=stamper.trust)
    later = datetime.now(UTC) + timedelta(days=1_200)
    found = verify(out.read_bytes(), XML, trust, Policy(level="LT"), later)
    assert found.signer.level == "LT"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--xades", "enveloped", "--validation", "{authority}"), "LT needs a time stamp"),
        (("--validation", "{declaration}"), "no certificate, CRL or OCSP response"),
        (("--xades", "detached"), ""),
    ],
)
def test_what_cannot_be_is_told_and_nothing_written(
    folder: Path, document: Path, tmp_path: Path, given: tuple[str, ...], told: str
) -> None:
    out = tmp_path / "signed.xml"
    if not told:
        document.write_bytes(DOCUMENT.replace(b' Id="d-1"', b""))
        told = "needs one Id"
    names = {"authority": folder / "authority.pem", "declaration": document}
    said = cvan("sign", document, "--as", folder, *(g.format(**names) for g in given), "-o", out)
    assert (said.code, told in said.err, out.exists()) == (2, True, False), said


def test_an_interchange_has_no_xades(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "signed.p7m"
    interchange = SAMPLES / "cuscar" / "arrival-95b.edi"
    said = cvan("sign", interchange, "--as", folder, "--xades", "enveloped", "-o", out)
    assert (said.code, "XAdES is for XML" in said.err, out.exists()) == (2, True, False)
