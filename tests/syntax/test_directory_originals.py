"""The tables beside the directories they were made from: the same as the originals, and as the tool makes."""

from __future__ import annotations

import filecmp
from pathlib import Path

import pytest

from tests.syntax.conftest import ROOT, corpus_folder
from tools.edifact.build import build
from tools.edifact.check import Report, check
from tools.edifact.originaltext import rows

UN = ROOT / "xsd" / "edifact" / "un"


def test_no_difference_from_the_originals_is_unexplained() -> None:
    told: list[str] = []
    report = Report(told.append)
    check(corpus_folder("untdid"), UN, report)
    assert report.unexplained == 0, [line for line in told if line.endswith("unexplained")]
    messages = report.counts["messages, tables against originals"]
    assert (messages["equal"], messages["explained"]) == (2470, 16)
    assert report.counts["segments, tables against originals"]["equal"] == 2105
    assert report.counts["code lists, tables against originals"]["equal"] == 3394


def test_the_tables_on_disk_are_those_the_tool_makes(tmp_path: Path) -> None:
    build(corpus_folder("untdid"), tmp_path)
    for folder in ("un", "service"):
        made, kept = tmp_path / folder, ROOT / "xsd" / "edifact" / folder
        names = sorted(str(path.relative_to(made)) for path in made.rglob("*.txt"))
        assert names == sorted(str(path.relative_to(kept)) for path in kept.rglob("*.txt"))
        equal, different, unread = filecmp.cmpfiles(made, kept, names, shallow=False)
        assert (different, unread, len(equal)) == ([], [], len(names))


TEXT = """
4.1.1 Header
00020   Segment group 1:  RFF-DTM-
                          SG2
        Words about segment group 1: RFF-group.
00050      Segment group 2:  NAD
4.3.1  Segment table
Pos     Tag Name                                     S   R

00010   UNH Message header                           M   1
00020       ---- Segment group 1  ------------------ C   99---------------+
00030   RFF Reference                                M   1                |
00040 * DTM Date/time/period                         C   1                |
00050       ---- Segment group 2  ------------------ M   9---------------+|
00060   NAD Name and address                         M   1---------------++
00070   UNT Message trailer                          M   1
"""


def test_the_second_reading_takes_nesting_from_the_text() -> None:
    assert [(row.depth, row.name, row.status, row.repeat) for row in rows(TEXT)] == [
        (0, "UNH", "M", 1),
        (0, "SG1", "C", 99),
        (1, "RFF", "M", 1),
        (1, "DTM", "C", 1),
        (1, "SG2", "M", 9),
        (2, "NAD", "M", 1),
        (0, "UNT", "M", 1),
    ]


def test_the_second_reading_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="the text has DTM in SG1, the table SG2"):
        rows(
            TEXT.replace("00040 * DTM Date/time/period                         C   1                |\n", "")
        )
