"""The report's figures in small: ``python -m tests.evidence.report`` gives them in full."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .report import report


@pytest.mark.skipif(
    not (shutil.which("openssl") and shutil.which("xmlsec1")), reason="openssl and xmlsec1 are not installed"
)
def test_every_bundle_is_verified_and_every_mutation_found(tmp_path: Path) -> None:
    figures = report(tmp_path, 8, 30)
    assert (figures["bundles"], figures["unverified"], figures["missed"]) == (8, [], [])
    assert int(str(figures["mutations"])) >= 30
