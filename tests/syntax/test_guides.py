"""Implementation guides: they narrow a directory's message, by data, and only narrow."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.model.edifact import Agreement
from gateway.model.finding import Finding
from gateway.syntax import Directories, read
from gateway.syntax.guides import Guides, faults
from tests.syntax.conftest import ROOT
from tests.syntax.samples import everything, one

GUIDE = """
[guide]
name = "harbour"
message = "CUSCAR:D:95B:UN"
association = "HARB01"

[[node]]
path = "FTX"
used = false

[[node]]
path = "DTM"
required = true
repeat = 1

[[node]]
path = "BGM"
elements = { "1.1" = { codes = ["85"] }, "2" = { required = true, format = "an..8" }, "3" = { codes = ["9", "1"] } }

[[node]]
path = "SG4/CNI"
repeat = 2

[[node]]
path = "SG4/SG5/SG7/NAD"
elements = { "1" = { codes = ["CN", "CZ", "NI"] }, "3" = { used = false }, "5.1" = { used = false } }

[[node.variant]]
when = "CN"
required = true
repeat = 1
elements = { "4" = { required = true }, "4.1" = { required = true } }

[[node.variant]]
when = "NI"
repeat = 2
"""
HEAD = ("BGM+85+MAN1+9", "DTM+137:20240131:102", "TDT+20+V001+1")
BILL = ("CNI+1+BL1", "RFF+BM:BL1", "NAD+CN+++IMPORTER", "GID+1+10:CT")


@pytest.fixture
def guided(tmp_path: Path) -> Directories:
    folder = tmp_path / "guides"
    folder.mkdir()
    (folder / "harbour.toml").write_text(GUIDE, encoding="utf-8")
    return Directories.load(ROOT / "xsd" / "edifact", tmp_path)


def manifest(*segments: str, association: str = ":HARB01") -> bytes:
    body = "".join(f"{segment}'" for segment in segments)
    return one(f"UNH+2+CUSCAR:D:95B:UN{association}'{body}UNT+{len(segments) + 2}+2'")


def told(findings: list[Finding]) -> list[tuple[str, int, str, str]]:
    place = [f.place for f in findings]
    where = [f"{p.element or ''}{'.' if p.component else ''}{p.component or ''}" for p in place]
    return [(f.code, p.segment, w, f.expected) for f, p, w in zip(findings, place, where, strict=True)]


def changed(index: int, text: str) -> tuple[str, ...]:
    segments = [*HEAD, *BILL]
    segments[index] = text
    return tuple(segments)


@pytest.mark.parametrize(
    ("segments", "rows"),
    [
        ((*HEAD, *BILL), []),
        ((*HEAD, *BILL, *BILL), []),
        (("BGM+85+MAN1+9", "TDT+20+V001+1", *BILL), [("EDI201", 2, "", "DTM")]),
        ((*HEAD[:2], HEAD[1], HEAD[2], *BILL), [("EDI035", 4, "", "1")]),
        (
            (*HEAD[:2], "FTX+AAI+++TEXT", HEAD[2], *BILL),
            [("EDI202", 4, "", "RFF, NAD, TDT, GIS, EQD, CNT, CNI, AUT, UNT")],
        ),
        ((*HEAD, *BILL, *BILL, *BILL), [("EDI036", 13, "", "2")]),
        (changed(0, "BGM+785+MAN1+9"), [("EDI012", 2, "1.1", "85")]),
        (changed(0, "BGM+785::ZZZ+MAN1+9"), [("EDI012", 2, "1.1", "85")]),
        (changed(0, "BGM+85+MAN1+5"), [("EDI012", 2, "3", "9, 1")]),
        (changed(0, "BGM+85++9"), [("EDI013", 2, "2", "1004")]),
        (changed(0, "BGM+85+MANIFEST1+9"), [("EDI039", 2, "2", "an..8")]),
        (changed(5, "NAD+CN++A+IMPORTER"), [("EDI015", 7, "3.1", "3124")]),
        (changed(5, "NAD+CN+++:B"), [("EDI013", 7, "4.1", "3036")]),
        (changed(5, "NAD+CN"), [("EDI013", 7, "4", "C080")]),
        (changed(5, "NAD+CN+++IMPORTER+STREET"), [("EDI015", 7, "5.1", "3042")]),
        (changed(5, "NAD+CZ"), [("EDI201", 6, "", "NAD+CN")]),
        (changed(5, "NAD+FW"), [("EDI012", 7, "1", "CN, CZ, NI"), ("EDI201", 6, "", "NAD+CN")]),
        ((*HEAD, *BILL[:2], "NAD+NI", "NAD+NI", *BILL[2:]), []),
        ((*HEAD, *BILL[:2], "NAD+NI", "NAD+NI", "NAD+NI", *BILL[2:]), [("EDI036", 9, "", "2")]),
        ((*HEAD, *BILL[:3], *BILL[2:]), [("EDI036", 8, "", "1")]),
    ],
)
def test_a_guide_narrows(
    segments: tuple[str, ...], rows: list[tuple[str, int, str, str]], guided: Directories
) -> None:
    for _ in range(12):  # often enough that patterns decide where they may
        assert sorted(told(everything(read(manifest(*segments), guided)))) == sorted(rows)


def test_a_variant_counts_in_each_occurrence_of_the_group_around_it(guided: Directories) -> None:
    second = ("CNI+2+BL2", "RFF+BM:BL2", "NAD+CZ", "GID+1+10:CT")
    findings = everything(read(manifest(*HEAD, *BILL, *second), guided))
    assert told(findings) == [("EDI201", 10, "", "NAD+CN")]
    assert findings[0].place.group == "SG4[2]/SG5[1]"
    assert everything(read(manifest(*HEAD, *BILL, *BILL), guided)) == []


def test_a_guide_is_chosen_by_the_association_or_by_the_agreement(guided: Directories) -> None:
    breaking = changed(5, "NAD+CZ")
    assert everything(read(manifest(*breaking, association=""), guided)) == []
    agreed = read(manifest(*breaking, association=""), guided, agreement=Agreement(guide="harbour"))
    assert [f.code for f in everything(agreed)] == ["EDI201"]
    other = read(manifest(*breaking, association=":OTHER"), guided, agreement=Agreement(guide="nowhere"))
    assert everything(other) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            ("repeat = 2\n\n[[node]]", "repeat = 99999\n\n[[node]]"),
            "repeat 99999 is more than the directory's 9999",
        ),
        (('path = "FTX"', 'path = "BGM2"'), "BGM2: no such place in CUSCAR:D:95B:UN"),
        (('path = "FTX"', 'path = "SG4/SG5/SG10/GID"'), "the directory requires it"),
        (('"4.1" = {', '"9.9" = {'), "NAD has no component '9.9'"),
        (('"4.1" = {', '"12" = {'), "NAD has no element '12'"),
        (("CUSCAR:D:95B:UN", "CUSCAR:D:49B:UN"), "CUSCAR:D:49B:UN is in no directory here"),
    ],
)
def test_a_guide_that_widens_or_names_nothing_is_told(
    change: tuple[str, str], fault: str, tmp_path: Path, directories: Directories
) -> None:
    (tmp_path / "g.toml").write_text(GUIDE.replace(*change), encoding="utf-8")
    guide = next(iter(Guides.load([tmp_path])))
    kind, version, release, agency = guide.guide.message.split(":")
    table = directories.message(kind, version, release, agency)
    directory = directories.directory(version, release, agency)
    assert [line for line in faults(guide, table, directory) if fault in line]


def test_the_guide_of_these_tests_has_no_fault(guided: Directories) -> None:
    guide = next(iter(guided.guides))
    assert list(faults(guide, guided.message("CUSCAR", "D", "95B"), guided.directory("D", "95B"))) == []


def test_every_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("[guide", encoding="utf-8")
    (tmp_path / "b.toml").write_text(GUIDE + "\nnonsense = 1", encoding="utf-8")
    (tmp_path / "c.toml").write_text(GUIDE, encoding="utf-8")
    (tmp_path / "d.toml").write_text(GUIDE, encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"a\.toml: .*b\.toml: .*d\.toml: there is a guide 'harbour' already"
    ):
        Guides.load([tmp_path])
