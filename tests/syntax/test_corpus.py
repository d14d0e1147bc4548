"""Every interchange that others made: parsed or refused with findings, and never an exception."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from gateway.model import Catalogue
from gateway.syntax import Directories, Interchange, read
from tests.syntax import report
from tests.syntax.conftest import corpus_folder
from tests.syntax.samples import everything


@pytest.fixture(scope="module")
def corpus(directories: Directories) -> dict[Path, Interchange]:
    folder = corpus_folder("edifact")
    files = [p for p in folder.rglob("*") if p.is_file() and p.suffix not in (".md", ".csv")]
    assert len(files) > 100
    return {path.relative_to(folder): read(path.read_bytes(), directories) for path in files}


def test_every_file_is_parsed_or_refused(corpus: dict[Path, Interchange]) -> None:
    for path, interchange in corpus.items():
        if not interchange.messages:
            assert interchange.rejected, path


def test_every_finding_has_a_meaning_and_a_place(
    corpus: dict[Path, Interchange], catalogue: Catalogue
) -> None:
    for path, interchange in corpus.items():
        for finding in everything(interchange):
            assert finding.code in catalogue.meanings, path
            assert finding.place.offset >= 0 or finding.place.tag in ("UNZ", "UNE"), (path, finding)
            assert "{" not in catalogue.say(finding)


def test_offsets_point_at_segments(corpus: dict[Path, Interchange]) -> None:
    folder = corpus_folder("edifact")
    for path, interchange in corpus.items():
        octets = (folder / path).read_bytes()
        for message in interchange.messages:
            for segment in message.segments:
                if segment.tag.isalnum() and segment.tag.isascii():
                    assert octets.startswith(segment.tag[:1].encode(), segment.offset), (path, segment)


def test_known_files_are_judged_as_a_person_would(corpus: dict[Path, Interchange]) -> None:
    found = {path.name: Counter(f.code for f in everything(i)) for path, i in corpus.items()}
    assert found["DuplicateInterchange.txt"]["EDI119"] == 1
    assert found["DuplicateMessage.txt"]["EDI026"] == 1
    assert found["CorruptUnb.txt"]["EDI103"] == 1
    assert found["apisMessage.txt"]["EDI102"] == 2
    assert found["pnrMessagePg77.txt"]["EDI105"] == 1
    assert found["UTILMD_Result.edi"]["EDI020"] == 1
    assert found["patient1.edi"]["EDI002"] == 1


def test_manifests_of_others_are_matched(corpus: dict[Path, Interchange]) -> None:
    manifests = [m for i in corpus.values() for m in i.messages if m.type == "CUSCAR"]
    assert manifests
    assert any(m.tree is not None for m in manifests)


def test_the_report_has_a_line_for_each_file_and_nothing_escapes(directories: Directories) -> None:
    folder = corpus_folder("edifact")
    lines = [report.line(path, folder, directories) for path in report.files(folder)]
    assert not [line for line in lines if line.escaped]
    for line in lines:
        assert line.outcome in ("accepted", "partly", "rejected", "refused")
        assert line.outcome == "accepted" or line.first, line
    outcomes = Counter(line.outcome for line in lines)
    assert outcomes["accepted"] >= 20
    assert sum(line.messages for line in lines) > 250
    assert max(line.milliseconds for line in lines) < 10_000
