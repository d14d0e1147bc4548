"""The tables on disk: complete, compiled, and the same as the directories they were made from."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from gateway.model.edifact import GroupUse, SegmentUse
from gateway.syntax import Directories
from tests.syntax.conftest import ROOT, corpus_folder

MESSAGES = {
    "CUSCAR": ("95B", "96B", "99B", "03B", "13A", "16A"),
    "CUSDEC": ("96B", "99B", "04A", "13A"),
    "CUSRES": ("96B", "99B", "12B", "13A"),
}
PAIRS = [(m, r) for m, releases in MESSAGES.items() for r in releases]


@pytest.mark.parametrize(("message", "release"), PAIRS)
def test_every_segment_of_a_message_has_a_layout(
    message: str, release: str, directories: Directories
) -> None:
    directory = directories.directory("D", release)
    assert directory is not None
    table = directories.message(message, "D", release)
    assert table is not None
    assert (table.type, table.version, table.release) == (message, "D", release)
    service = directories.service("3")
    for tag in tags_of(table.nodes):
        assert tag in directory.segments or tag in service.segments


def tags_of(nodes: tuple[SegmentUse | GroupUse, ...]) -> set[str]:
    found: set[str] = set()
    for node in nodes:
        found |= {node.segment} if isinstance(node, SegmentUse) else tags_of(node.nodes)
    return found


def test_all_tables_compile(directories: Directories) -> None:
    directories.check()
    assert len(directories.names()) == 12


def test_contrl_is_in_the_service_directories(directories: Directories) -> None:
    assert directories.message("CONTRL", "D", "3") is not None
    assert directories.message("CONTRL", "4", "1") is not None
    assert directories.message("CONTRL", "D", "96B") is None


def test_what_is_not_there_is_none(directories: Directories) -> None:
    assert directories.directory("D", "88Z") is None
    assert directories.directory("", "D96B") is None
    assert directories.directory("D9", "6B") is None
    assert directories.message("../D96B", "D", "96B") is None
    with pytest.raises(ValueError, match="no syntax version"):
        directories.service("7")


def test_a_folder_without_service_directories_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="S1, S2, S3, S4"):
        Directories.load(tmp_path)


def test_every_broken_table_is_named(tmp_path: Path) -> None:
    for path in (ROOT / "xsd" / "edifact").glob("S*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "D01A.json").write_text('{"name": "D.01A"', encoding="utf-8")
    (tmp_path / "D01B.json").write_text(
        '{"name":"D.01B","messages":{},"segments":{"AAA":["AAA",[["1000",true,1,"xx..3"]]]},"codes":{}}',
        encoding="utf-8",
    )
    with pytest.raises(ValueError, match=r"D01A\.json.*D01B\.json.*'xx\.\.3' is no format"):
        Directories.load(tmp_path).check()


ROWS = re.compile(
    r"^\d{4,5}[ +*#|X]+\W*(?:([A-Z]{3}) |\W*Segment group (\d+)).*?\b([CM]) +(\d+)", re.MULTILINE
)


def flat(nodes: tuple[SegmentUse | GroupUse, ...]) -> list[tuple[str, str, int]]:
    rows = []
    for node in nodes:
        required = "M" if node.required else "C"
        if isinstance(node, SegmentUse):
            rows.append((node.segment, required, node.repeat))
        else:
            rows += [(node.name, required, node.repeat), *flat(node.nodes)]
    return rows


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tools_directories", ROOT / "tools" / "directories.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("message", "release"), PAIRS)
def test_structures_are_those_that_unece_published(
    message: str, release: str, directories: Directories, generator: ModuleType
) -> None:
    path = corpus_folder("untdid") / "unece_original_zips" / f"d{release.lower()}.zip"
    if not path.is_file():
        pytest.skip(f"no original of D.{release}")
    text = generator.original_text(path, rf"{message}_D\.{release}")
    table = text[text.rindex("Segment table") :]
    found = [(tag or f"SG{group}", status, int(repeat)) for tag, group, status, repeat in ROWS.findall(table)]
    structure = directories.message(message, "D", release)
    assert structure is not None
    assert flat(structure.nodes) == found[: found.index(("UNT", "M", 1)) + 1]


def test_the_tables_on_disk_are_those_the_generator_makes(tmp_path: Path, generator: ModuleType) -> None:
    assert generator.main([str(corpus_folder("untdid")), str(tmp_path)]) == 0
    for path in (ROOT / "xsd" / "edifact").glob("*.json"):
        assert (tmp_path / path.name).read_text(encoding="utf-8") == path.read_text(encoding="utf-8"), (
            path.name
        )
