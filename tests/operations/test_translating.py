"""Translation of customs' answers, and what is said where there is no translation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.operations.conftest import SAMPLES
from tests.operations.shell import cvan

CUSRES = SAMPLES / "cusres" / "duty-notice-99b.edi"
RES = SAMPLES / "wco" / "response.xml"


@pytest.mark.parametrize("path", [CUSRES, RES], ids=["CUSRES", "RES"])
def test_an_answer_of_customs_is_read_in_every_syntax(path: Path, tmp_path: Path) -> None:
    plain = cvan("translate", path, "--to", "json").json()
    assert plain["name"] == "Response"
    for target in ("xml", "edifact"):
        said = cvan("translate", path, "--to", target, "-o", tmp_path / target)
        assert said.code == 0, said.err
    assert b"CUSRES:D:99B:UN" in (tmp_path / "edifact").read_bytes()
    again = cvan("translate", tmp_path / "xml", "--to", "json").json()
    assert again["name"] == "Response"


@pytest.mark.parametrize(
    ("name", "extra", "named"),
    [
        ("wco/conveyance.xml", (), "CONV"),
        ("wco/import.xml", ("--directory", "X"), "CUSDEC X"),
        ("wco/import.xml", ("--directory", "D.21B"), "CUSDEC D.21B"),
    ],
)
def test_what_edifact_has_no_message_for_is_named(name: str, extra: tuple[str, ...], named: str) -> None:
    said = cvan("translate", SAMPLES / name, "--to", "edifact", *extra)
    assert (said.code, said.out) == (1, b"")
    assert "PAR011" in said.err
    assert f"no translation for {named}" in said.err
    assert "CUSDEC D.96B" in said.err
