"""Acceptance: public WCO packs give lxml's verdict on every sample, and valid ones survive the round trip."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.schema import report

pytestmark = pytest.mark.skipif(
    not report.CORPUS.is_dir(), reason="no corpus beside the checkout and CVAN_CORPUS is not set"
)


@pytest.mark.parametrize("source", report.SOURCES, ids=lambda s: s.name)
def test_a_public_pack_judges_as_lxml_and_loses_nothing(
    source: report.Source, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = list(report.cases(source, tmp_path))
    with capsys.disabled():
        print("", *report.lines(source.name, found), sep="\n")
    assert found
    assert any(c.ours for c in found)
    assert [c.sample for c in found if c.ours != c.lxml] == []
    assert [c.sample for c in found if c.ours and not (c.same or c.told)] == []
    assert sum(c.same for c in found) == sum(c.ours for c in found)


def test_the_judge_can_say_no(tmp_path: Path) -> None:
    """The corpus alone is nearly all valid or nameless: break a valid sample and both must refuse it."""
    source = report.SOURCES[0]
    judge = report.plain(source)
    document = next(d for _, d in report.samples(source) if judge.validate(d))
    canonical = report.canonical(document)
    document[-1].remove(next(document[-1].iterchildren("{*}FunctionCode")))
    assert report.canonical(document) != canonical
    assert not judge.validate(document)
