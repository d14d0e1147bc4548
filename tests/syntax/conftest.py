"""What every test of the room needs: the directories, the catalogue, and the corpus where there is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.model import Catalogue
from gateway.model.finding import load_catalogue
from gateway.syntax import Directories

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def directories() -> Directories:
    return Directories.load(ROOT / "xsd" / "edifact")


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load_catalogue(ROOT / "mappings" / "findings")


def corpus_folder(name: str) -> Path:
    """A folder of the corpus; the test that asks is skipped where there is none."""
    corpus = Path(os.environ.get("CVAN_CORPUS", ROOT.parent / "shared" / "corpus"))
    if not (corpus / name).is_dir():
        pytest.skip(f"no corpus: {corpus / name} (set CVAN_CORPUS)")
    return corpus / name
