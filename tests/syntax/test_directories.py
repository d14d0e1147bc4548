"""The tables on disk: complete, compiled, read only as far as asked, and broken ones told by file and line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.model.edifact import GroupUse, MessageTable, SegmentUse
from gateway.syntax import Directories, read
from gateway.syntax.tables import Nodes, flat
from tests.syntax.conftest import ROOT, corpus_folder
from tests.syntax.samples import CUSDEC, errors, one

TABLES = ROOT / "xsd" / "edifact"
PAIRS = [
    (message, release)
    for message, releases in {
        "CUSCAR": ("94B", "95B", "96B", "99B", "03B", "13A", "16A", "24A"),
        "CUSDEC": ("94B", "96B", "99B", "04A", "13A", "24A"),
        "CUSRES": ("94B", "96B", "99B", "12B", "13A", "24A"),
        "PAXLST": ("96A", "02B", "12B"),
        "BAPLIE": ("95B", "13B", "22A"),
        "IFTMIN": ("94B", "97A", "24A"),
        "GOVCBR": ("09A", "24A"),
    }.items()
    for release in releases
]


@pytest.mark.parametrize(("message", "release"), PAIRS)
def test_every_segment_of_a_message_has_a_layout(
    message: str, release: str, directories: Directories
) -> None:
    directory = directories.directory("D", release)
    assert directory is not None
    table = directories.message(message, "D", release)
    assert table is not None
    assert (table.type, table.version, table.release, table.agency) == (message, "D", release, "UN")
    service = directories.service("3")
    for tag in tags_of(table.nodes):
        assert tag in directory.segments or tag in service.segments


def tags_of(nodes: Nodes) -> set[str]:
    return {node.segment for _, node in flat(nodes) if isinstance(node, SegmentUse)}


def test_all_tables_compile(directories: Directories) -> None:
    directories.check()


def test_every_batch_directory_is_there(directories: Directories) -> None:
    names = [name for name in directories.names() if name.startswith("D.")]
    assert (names[0], names[-1], len(names)) == ("D.94B", "D.24A", 60)
    assert [len(d.messages) for d in directories.all() if d.name in ("D.94B", "D.99B", "D.21B")] == [
        75,
        180,
        195,
    ]


def test_formats_and_lists_are_those_of_the_directory(directories: Directories) -> None:
    old, new = directories.directory("D", "96B"), directories.directory("D", "13A")
    assert old is not None
    assert new is not None
    assert old.segments["RFF"].elements[0].components[1].format == "an..35"
    assert new.segments["RFF"].elements[0].components[1].format == "an..70"
    assert new.segments["STS"].elements[2].repeat == 1
    assert "GIS" not in new.messages["CUSRES"].nodes
    assert "XA" in old.codes["1153"]
    assert old.codes["1225"] < new.codes["1225"]


def test_service_messages_are_in_the_service_directories(directories: Directories) -> None:
    assert directories.message("CONTRL", "D", "3") is not None
    assert directories.message("CONTRL", "4", "1") is not None
    assert directories.message("AUTACK", "4", "1") is not None
    assert directories.message("KEYMAN", "4", "1") is not None
    assert directories.message("CONTRL", "D", "96B") is None
    assert directories.message("AUTACK", "4", "1") is not None


def test_an_agency_has_its_own_directories(directories: Directories) -> None:
    table = directories.message("PNRGOV", "11", "1", "IA")
    assert table is not None
    assert (table.version, table.release, table.agency) == ("11", "1", "IA")
    assert directories.message("PNRGOV", "11", "1") is None
    assert directories.agencies("11", "1") == ("IA",)
    assert directories.agencies("D", "96B") == ("UN",)


def test_what_is_not_there_is_none(directories: Directories) -> None:
    assert directories.directory("D", "88Z") is None
    assert directories.directory("", "D96B") is None
    assert directories.directory("D9", "6B") is None
    assert directories.directory("D.9", "6B") is None
    assert directories.directory("S", "3") is None
    assert directories.message("../D96B", "D", "96B") is None
    with pytest.raises(ValueError, match="no syntax version"):
        directories.service("7")


def test_where_a_message_is_to_be_found(directories: Directories) -> None:
    assert directories.holding("CUSCAR") == "D.94B-D.24A"
    assert directories.holding("GOVCBR") == "D.09A-D.24A"
    assert directories.holding("PNRGOV") == "10.1-13.1"
    assert directories.holding("CUSXYZ") == ""
    expected = directories.expected("CUSXYZ", directories.directory("D", "95B"))
    assert expected.startswith("CUSCAR, CUSDEC, CUSEXP, CUSREP, CUSRES, ")
    assert expected.endswith(" ...")
    assert expected.count(",") == 11
    assert directories.expected("CUSXYZ", None).startswith("CUSCAR, CUSDEC, CUSEXP, ")
    assert directories.holding("CONTRL") == "D:1 D:2 D:3 4:1"  # as UNH has them
    assert directories.agencies("S", "4") == ()


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ("CUSDEC:D:88A:UN", "D.94B-D.24A"),
        ("GOVCBR:D:95B:UN", "D.09A-D.24A"),
        ("PNRGOV:11:1:UN", "IA"),
        ("CUSDEC:D:96B:IA", "UN"),
    ],
)
def test_a_sender_is_told_what_would_have_been_right(
    identifier: str, expected: str, directories: Directories
) -> None:
    message = read(one(CUSDEC.replace("CUSDEC:D:96B:UN", identifier)), directories).messages[0]
    assert [f.expected for f in message.findings if f.code == "EDI014"] == [expected]


def test_well_formed_passenger_records_fit_the_structure(directories: Directories) -> None:
    folder = next(corpus_folder("edifact").rglob("pnr-messages"))
    broken = []
    for path in sorted(folder.glob("*.txt")):
        for message in read(path.read_bytes(), directories).messages:
            assert message.type == "PNRGOV"
            if message.tree is None:
                broken.append(path.name)
            else:
                assert not {"EDI016", "EDI039", "EDI203"} & {f.code for f in message.findings}, path
    # One has lost two apostrophes to typographic ones, the other begins without MSG and ORG.
    assert broken == ["pnrMessagePg75.txt", "pnrNoOrgMsg.txt"]


def test_nothing_is_read_before_it_is_needed() -> None:
    program = (
        "import sys; reads = []\n"
        "sys.addaudithook(lambda e, a: reads.append(str(a[0])) if e == 'open' else None)\n"
        "import gateway.syntax as syntax; from pathlib import Path\n"
        "assert not [r for r in reads if r.endswith('.txt')]\n"
        f"found = syntax.Directories.load(Path({str(TABLES)!r}))\n"
        "assert {Path(r).name for r in reads if r.endswith('.txt')} == {'directories.txt'}\n"
        "assert found.message('CUSCAR', 'D', '95B')\n"
        "assert [Path(r).name for r in reads if '/messages/' in r] == ['CUSCAR.txt']\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """An operator's folder of sets, with one set in it."""
    folder = tmp_path / "directories" / "mine"
    (folder / "messages").mkdir(parents=True)
    (folder / "directories.txt").write_text("D.96B\nD.98Z\n", encoding="ascii")
    (folder / "messages" / "CUSDEC.txt").write_text("[D.96B]\nUNH M1\nBGM M1\nUNT M1\n", encoding="ascii")
    (folder / "codes.txt").write_text("1225\n[D.96B] 9 X5\n", encoding="ascii")
    return tmp_path / "directories"


def test_what_is_the_operators_own_goes_before_what_is_shipped(own: Path) -> None:
    found = Directories.load(TABLES, own)
    found.check_added()
    table = found.message("CUSDEC", "D", "96B")
    assert table is not None
    assert [getattr(node, "segment", "") for node in table.nodes] == ["UNH", "BGM", "UNT"]
    directory = found.directory("D", "96B")
    assert directory is not None
    assert directory.codes["1225"] == {"9", "X5"}
    assert "NAD" in directory.segments
    assert isinstance(found.message("CUSCAR", "D", "96B"), MessageTable)
    other = found.message("CUSDEC", "D", "99B")
    assert other is not None
    assert len(other.nodes) > 3
    assert found.names()[-1] == "D.98Z"


def test_a_folder_that_is_not_there_has_no_directories(tmp_path: Path) -> None:
    assert Directories.load(TABLES, tmp_path / "none").names() == Directories.load(TABLES).names()


def test_a_folder_without_service_directories_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"S\.1, S\.2, S\.3, S\.4"):
        Directories.load(tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("directories.txt", "D.96B\nD.96B\n", r"directories\.txt:2: 'D\.96B' is no directory's name"),
        ("directories.txt", "D96B\n", r"directories\.txt:1: 'D96B' is no"),
        ("messages/CUSDEC.txt", "[D.96B]\nUNH M1\n BGM M1\n", r"CUSDEC\.txt:3: ' BGM M1' is no node"),
        ("messages/CUSDEC.txt", "[D.96B]\nUNH M1\nSG1 C9\nUNT M1\n", r"CUSDEC\.txt:4: SG1 has no segment"),
        ("messages/CUSDEC.txt", "[D.96B]\nSG1 C9\n", r"CUSDEC\.txt:2: SG1 has no segment"),
        ("messages/CUSDEC.txt", "[D.96B]\nUNH M0\n", r"CUSDEC\.txt:2: 'UNH M0'"),
        ("messages/CUSDEC.txt", "[D.96B]\n", r"CUSDEC\.txt:1: a structure is expected"),
        ("messages/CUSDEC.txt", "[D.77X]\nUNH M1\n", r"CUSDEC\.txt:1: D\.77X is not in directories\.txt"),
        ("segments.txt", "BGM\n[D.96B]\n1004 C1\n\nAAA\n[D.96B]\n12 C1\n", r"segments\.txt:7: '12 C1' is no"),
        ("segments.txt", "AAA\n[D.96B]\n1004 M1 xx..3\n", r"segments\.txt:3: '1004 M1 xx\.\.3' is no"),
        ("segments.txt", "AAA\n[D.96B]\nC999 M1\n", r"D\.96B: AAA uses C999, which composites\.txt has not"),
        ("segments.txt", "AAA\n[D.96B]\n9998 M1\n", r"D\.96B: AAA uses 9998, which elements\.txt has not"),
        ("segments.txt", "AAA\n[D.96B]\n\nAAA\n[D.96B]\n", r"segments\.txt: a block occurs twice"),
        ("segments.txt", "1004 M1\n", r"segments\.txt:1: no block begins here"),
        ("codes.txt", "1225\n[D.96B] 9\n[D.98Z] +9\n", r"codes\.txt:3: '\+9' changes nothing"),
        ("codes.txt", "1225\n[D.96B-D.98Z] 9\n", r"codes\.txt:2: one directory is expected"),
        ("codes.txt", "1225\n[D.96B] \xe9\n", r"codes\.txt: octet 13 is not of ASCII"),
    ],
)
def test_a_broken_table_is_told_by_file_and_line(own: Path, file: str, text: str, told: str) -> None:
    path = own / "mine" / file
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=told):
        Directories.load(TABLES, own).check_added()


def test_every_broken_table_is_named(own: Path) -> None:
    (own / "mine" / "codes.txt").write_text("1225\n[D.96X] 9\n", encoding="ascii")
    (own / "mine" / "segments.txt").write_text("BGM\n[D.96B]\n?\n", encoding="ascii")
    with pytest.raises(ValueError, match=r"segments\.txt:3.*codes\.txt:2"):
        Directories.load(TABLES, own).check_added()


def test_a_message_of_an_operators_own_directory_is_judged_by_it(own: Path, tmp_path: Path) -> None:
    shipped = tmp_path / "shipped"
    shutil.copytree(TABLES / "service", shipped / "service")
    shutil.copytree(own / "mine", shipped / "mine")
    alone = Directories.load(shipped)
    message = read(one(CUSDEC), alone).messages[0]
    assert message.tree is None
    found = read(one(CUSDEC), Directories.load(TABLES, own))
    assert "EDI203" in errors(found)


def test_groups_keep_their_nesting(directories: Directories) -> None:
    table = directories.message("CUSCAR", "D", "95B")
    assert table is not None
    depth = {n.name: d for d, n in flat(table.nodes) if isinstance(n, GroupUse)}
    assert [depth[f"SG{number}"] for number in range(1, 14)] == [0, 0, 1, 0, 1, 2, 2, 3, 2, 2, 3, 3, 0]
