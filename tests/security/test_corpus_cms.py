"""CMS signatures made by others, judged one by one and compared with OpenSSL: see report_cms."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from .report_cms import Judged, judged
from .signing_kit import judge

# Old vectors have serial numbers that are not positive, which the library warns of.
pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")

GENUINE = {
    "CAdESDoubleLTA.p7m": "T",
    "Signature-15-CBp-LT-2.p7m": "B",
    "Signature-C-A-XL-1.p7m": "T",
    "Signature-C-B-B-8.p7m": "B",
    "Signature-C-B-LTA-10.p7m": "T",
    "Signature-C-BES-4.p7m": "B",
    "Signature-C-HU_MIC-1.p7m": "B",
    "Signature-C-X-1.p7m": "B",
    "Signature-CBp-B-1.p7m": "B",
    "Signature-CBp-LT-2.p7m": "T",
    "cades-ats-v3-wrong-cert.p7m": "T",
    "cades-e-lt.p7m": "T",
    "cades-lta-copied-atst.p7m": "T",
    "cades-lta-duplicated-atst.p7m": "T",
    "cades-t-copied-sigtst.p7m": "B",
    "cades-t-duplicated-sigtst.p7m": "T",
    "cades_signeddata_extended_after_lta.p7m": "T",
    "counterSig.p7m": "",
    "dss2059.p7s": "T",
    "wrongContentHints.p7m": "B",
    "mecas2_signed.mdn": "",
}
"""Files that verify, and the level that they prove.  All certificates are pinned here, so that no revocation is
asked for, and none reaches LT."""

REFUSED = {
    "Signature-C-DE_CRY-3.p7m": "SIG026",
    "Signature-C-HU_POL-3.p7m": "SIG026",
    "cades-b-copied-cnttst.p7m": "SIG045",
    "cades-bes-signeddata-detached.p7s": "SIG044",
    "cades-bes-signeddata-enveloping.p7m": "SIG044",
    "cades-broken-sig-tst.p7m": "SIG012",
    "cades-double-signing-certificate.p7m": "SIG040",
    "cades-duplicated-signed-attrs.p7m": "SIG040",
    "cades-two-sig-copied-tst.p7m": "SIG042",
    "cms-no-sign-cert.p7m": "SIG020",
    "malformed-cades.p7m": "SIG040",
    "signedFile.pdf.p7s": "SIG042",
    "mecas2_encrypted.as2": "SIG041",
    "sb2bi_signed.mdn": "SIG043",
}
"""Files that are refused, for the reason that they are in the corpus for."""

OLD = ("Signature-C-X-1.p7m", "Signature-CBp-B-1.p7m", "counterSig.p7m", "mecas2_signed.mdn")


@cache
def rows() -> dict[str, Judged]:
    return {row.path.name: row for row in judged()}


@pytest.fixture
def told() -> dict[str, Judged]:
    judge("openssl")
    if not rows():
        pytest.skip("the corpus of signatures is not here")
    return rows()


def test_genuine_signatures_verify(told: dict[str, Judged]) -> None:
    for name, level in GENUINE.items():
        row = told[name]
        assert row.best == "verified", (name, row.best, row.place)
        assert row.signed is not None
        assert row.signed.signer.level == level, name
        assert bool(row.legacy) == (name in OLD), name
        assert (row.signed.signer.profile == "corpus") == (name in OLD), name


def test_others_are_refused_for_what_they_are(told: dict[str, Judged]) -> None:
    assert {name: told[name].best for name in REFUSED} == REFUSED


def test_stamps_that_are_not_ones_are_not_believed(told: dict[str, Judged]) -> None:
    for name, code in (
        ("cades-ats-v3-wrong-cert.p7m", "SIG213"),
        ("cades-dss1997.p7m", "SIG213"),
        ("cades-lta-copied-atst.p7m", "SIG213"),
        ("cades-t-copied-sigtst.p7m", "SIG201"),
        ("Signature-15-CBp-LT-2.p7m", "SIG007"),
    ):
        signed = told[name].signed
        assert signed is not None
        stamps = [f for f in signed.findings if f.code == "SIG219"]
        assert [f.found.partition(" ")[0] for f in stamps] == [code], name


def test_every_difference_from_openssl_is_explained(told: dict[str, Judged]) -> None:
    unexplained = [row.path.name for row in told.values() if row.differs and not row.why]
    assert not unexplained
    assert sum(row.best == "verified" and row.theirs == "verified" for row in told.values()) >= 25


def test_nothing_is_verified_that_openssl_refuses(told: dict[str, Judged]) -> None:
    assert [r.path.name for r in told.values() if r.best == "verified" and r.theirs != "verified"] == []


def test_the_report_is_printed(told: dict[str, Judged]) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.security.report_cms"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ files, \d+ judged alike, \d+ otherwise, 0 unexplained", done.stdout)
