"""Directories at the command line: listed, shown, imported from releases and from tables of one's own."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from gateway import handbook
from gateway.operations.directories import archive
from gateway.operations.directories.archive import BadArchive, Members
from gateway.operations.directories.release import BadRelease, open_release, tables_of
from tests.operations.shell import Said, cvan
from tests.syntax.conftest import corpus_folder

MESSAGE = """
Pos     Tag Name                                     S   R

00010   UNH Message header                           M   1     
00020   BGM Beginning                                M   1     
00030       ---- Segment group 1  ------------------ C   99---------------+
00040   RFF Reference                                M   1                |
00050 X DTM Date                                     C   9----------------+
00060   UNT Message trailer                          M   1     
"""  # noqa: W291
SEGMENTS = """
----------------------------------------------------------------------

       BGM  FIRST

010    1004 NUMBER WITH A NAME THAT GOES ON IN THE
            NEXT LINE                                  C    1 an..70

----------------------------------------------------------------------

    X  RFF  SECOND

010 *  C506 REFERENCE                                  M    5
       1153  Qualifier                                 M      an..3
       1154  Number                                    C      an..70

----------------------------------------------------------------------

       DTM  THIRD

010    2379 FORMAT                                     C    1 n3
"""
COMPOSITES = """
----------------------------------------------------------------------

       C506 REFERENCE

       Desc: Words: and more

010    1153  Qualifier                                 M      an..3
020    1154  Number                                    C      an..70
"""
ELEMENTS = "".join(
    f"{'-' * 70}\n\n     {number}  Name                      [B]\n\n     Repr: {form}\n\n"
    for number, form in (("1004", "an..70"), ("1153", "an..3"), ("1154", "an..70"), ("2379", "n3"))
)
CODES = f"""
{"-" * 70}

*    1153  Qualifier                                     [C]

     Desc: What the number is.

     Repr: an..3

     AAA   First
              Explained.

X    XA    Second
              Explained.

     {"-" * 70}
"""


def release(**texts: str) -> bytes:
    """A small release of D.25A, as UNECE would pack it."""
    inner = {
        "edmd.zip": {"CUSXYZ_D.25A": MESSAGE},
        "edsd.zip": {"EDSD.25A": SEGMENTS},
        "edcd.zip": {"EDCD.25A": COMPOSITES},
        "eded.zip": {"EDED.25A": ELEMENTS},
        "uncl.zip": {"UNCL.25A": CODES},
    }
    for name, text in texts.items():
        inner[f"{name}.zip"] = {next(iter(inner[f"{name}.zip"])): text}
    return packed(
        {name: packed({k: v.encode("cp437") for k, v in files.items()}) for name, files in inner.items()}
    )


def packed(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return stream.getvalue()


def complaint(said: Said) -> str:
    """What a command said that went wrong: one line, exit code 2."""
    assert said.code == 2, said
    assert said.err.startswith("cvan: ")
    assert "Traceback" not in said.err
    return said.err


def test_every_directory_is_listed() -> None:
    rows = {row["name"]: row for row in cvan("directory", "list", "--json").json()}
    assert rows["D.95B"] == {"name": "D.95B", "agency": "UN", "messages": 115}
    assert rows["11.1"]["agency"] == "IA"
    assert "D.95B    UN     115 messages" in cvan("directory", "list").text


def test_where_a_message_is() -> None:
    assert cvan("directory", "list", "--message", "govcbr").text == "GOVCBR: D.09A-D.24A\n"
    assert len(cvan("directory", "list", "--message", "CUSCAR", "--json").json()) == 60
    assert "no directory holds CUSXYZ" in complaint(cvan("directory", "list", "--message", "CUSXYZ"))


def test_a_directory_that_is_none_is_told_with_those_there_are() -> None:
    assert "there is no directory D.99Z; CUSCAR is in D.94B-" in complaint(
        cvan("directory", "show", "CUSCAR", "D.99Z")
    )
    assert "cvan directory list" in complaint(cvan("directory", "show", "CUSXYZ", "D.99Z"))


def test_a_message_is_shown() -> None:
    lines = cvan("directory", "show", "CUSCAR", "d95b").text.splitlines()
    assert lines[0] == "CUSCAR D.95B (UN)"
    assert lines[7:9] == [
        "SG1 C9",
        "  TDT M1                         a stage of transport, its means and carrier",
    ]
    shown = cvan("directory", "show", "CUSCAR", "D.95B", "--json").json()
    assert (shown["message"], shown["directory"], shown["agency"]) == ("CUSCAR", "D.95B", "UN")
    assert shown["nodes"][6]["group"] == "SG1"
    assert shown["nodes"][6]["nodes"][0] == {
        "segment": "TDT",
        "required": True,
        "repeat": 1,
        "words": "a stage of transport, its means and carrier",
    }


def test_segments_are_shown() -> None:
    text = cvan("directory", "show", "PNRGOV", "11.1", "--segments").text
    assert "TVL a flight or other product" in text
    shown = cvan("directory", "show", "CONTRL", "S.3", "--segments", "--json").json()
    assert shown["segments"]["UCD"][0] == {"code": "0085", "required": True, "repeat": 1, "format": "an..3"}
    assert shown["segments"]["UCD"][1]["components"][0] == {
        "code": "0098",
        "required": True,
        "format": "n..3",
    }


def test_a_directory_is_shown() -> None:
    assert "CUSCAR" in cvan("directory", "show", "D.95B").text.splitlines()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("CUSCAR",), "in which directory? CUSCAR is in D.94B-D.24A"),
        (("D.88A",), "D.88A is neither a directory nor a message"),
        (("CUSCAR", "D.88A"), "there is no directory D.88A; CUSCAR is in D.94B-"),
        (("GOVCBR", "D.95B"), "GOVCBR is not in D.95B; supported are D.09A-D.24A"),
        (("CUSCAR", "D.95B", "D.96A"), "say a message and a directory"),
    ],
)
def test_what_cannot_be_shown_is_explained(arguments: tuple[str, ...], told: str) -> None:
    assert told in complaint(cvan("directory", "show", *arguments))


def test_a_release_is_imported_shown_and_used(home: Path, tmp_path: Path) -> None:
    source = tmp_path / "d25a.zip"
    source.write_bytes(release())
    said = cvan("directory", "import", source, home=home)
    assert said.code == 0, said.err
    assert said.text.startswith("D.25A: 1 messages, 3 segments, 1 code lists in ")
    assert cvan("directory", "show", "CUSXYZ", "D.25A", home=home).text.splitlines()[3] == "SG1 C99"
    directory = handbook.load(home).directories.directory("D", "25A")
    assert directory is not None
    assert [use.code for use in directory.segments["RFF"].elements] == ["C506"]
    assert directory.segments["BGM"].elements[0].format == "an..70"
    assert directory.codes["1153"] == {"AAA", "XA"}
    assert "--replace" in complaint(cvan("directory", "import", source, home=home))
    assert cvan("directory", "import", source, "--replace", home=home).code == 0
    assert cvan("directory", "import", source, "--name", "D.25Z", "--json", home=home).json()["names"] == [
        "D.25Z"
    ]
    assert not list(home.glob(".import-*"))


def test_one_message_of_a_national_subset_is_imported(home: Path, tmp_path: Path) -> None:
    source = tmp_path / "CUSDEC.txt"
    source.write_text("[D.96B]\nUNH M1\nBGM M1\nUNT M1\n", encoding="ascii")
    assert cvan("directory", "import", source, home=home).code == 0
    shown = cvan("directory", "show", "CUSDEC", "D.96B", "--json", home=home).json()
    assert [node["segment"] for node in shown["nodes"]] == ["UNH", "BGM", "UNT"]
    assert cvan("directory", "show", "CUSCAR", "D.96B", home=home).code == 0


def test_a_set_of_tables_is_imported(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    (folder / "messages").mkdir(parents=True)
    (folder / "directories.txt").write_text("D.30A\nD.30B\n", encoding="ascii")
    (folder / "messages" / "CUSXYZ.txt").write_text("[D.30A-D.30B]\nUNH M1\nUNT M1\n", encoding="ascii")
    said = cvan("directory", "import", folder, "--json", home=home).json()
    assert said["names"] == ["D.30A", "D.30B"]
    assert cvan("directory", "list", "--message", "CUSXYZ", home=home).text == "CUSXYZ: D.30A-D.30B\n"
    assert "are for one directory" in complaint(
        cvan("directory", "import", folder, "--name", "D.31A", home=home)
    )


def bad_sources(folder: Path) -> list[tuple[Path, str]]:
    """Files that are no directory, and what is said of each."""
    contents: dict[str, tuple[bytes, str]] = {
        "a.zip": (b"PK\x03\x04 and no more", "no archive that can be read"),
        "b.zip": (packed({"readme.txt": b"hello"}), "no segments, no composites"),
        "c.zip": (release(edmd=MESSAGE.replace("-+", "- ")), "CUSXYZ: the segment table does not end"),
        "d.zip": (release(edsd=SEGMENTS.replace("DTM", "DTX")), "DTM: used, not described"),
        "CUSDEC.txt": (b"[D.96B]\nUNH\n", "CUSDEC.txt:2: 'UNH' is no node"),
        "cuscar.txt": (b"[D.96B]\nUNH M1\n", "is not named after a message type"),
        "CUSRES.txt": (b"[D.96A-D.96B]\nUNH M1\n", "headings name directories one by one"),
        "CUSREP.txt": (b"[D.96A]\nUNH M1\n \xff M1\n", "cannot be imported"),
        "x.xml": (b"<a/>", "neither a zip nor a table of ours"),
    }
    for name, (content, _) in contents.items():
        (folder / name).write_bytes(content)
    return [(folder / name, told) for name, (_, told) in contents.items()]


def test_what_is_no_directory_leaves_no_trace(home: Path, tmp_path: Path) -> None:
    for source, told in bad_sources(tmp_path):
        assert told in complaint(cvan("directory", "import", source, home=home)), source
    (tmp_path / "empty").mkdir()
    assert "no directories.txt in it" in complaint(cvan("directory", "import", tmp_path / "empty", home=home))
    assert "one is D.25A" in complaint(cvan("directory", "import", tmp_path, "--name", "../x", home=home))
    assert "no home" in complaint(cvan("directory", "import", tmp_path / "b.zip", home=tmp_path))
    assert not (home / "directories").exists() or not list((home / "directories").iterdir())


def test_references_that_lead_nowhere_are_refused(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "directories.txt").write_text("D.30A\n", encoding="ascii")
    (folder / "segments.txt").write_text("ABC\n[D.30A]\nC999 C1\n", encoding="ascii")
    assert "ABC uses C999" in complaint(cvan("directory", "import", folder, home=home))


def test_archives_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = packed({"big.txt": b"0" * 2_000_000})
    monkeypatch.setattr(archive, "MAX_MEMBER", 1_000_000)
    with pytest.raises(BadArchive, match=r"big\.txt"):
        list(Members(bomb))
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    with pytest.raises(BadArchive, match="more than 3 files"):
        list(Members(packed({f"{i}.txt": b"" for i in range(4)})))
    monkeypatch.setattr(archive, "MAX_ARCHIVE", 10)
    with pytest.raises(BadArchive, match="larger than 10"):
        list(Members(bomb))


def test_archives_within_archives_end(tmp_path: Path) -> None:
    content = packed({"deepest.txt": b"never read"})
    for depth in range(5):
        content = packed({f"{depth}.zip": content})
    assert list(Members(content)) == []


def test_names_of_members_lead_nowhere() -> None:
    members = list(Members(packed({"../../etc/passwd": b"x", "/a/b.txt": b"y", ".hidden": b"z"})))
    assert [(member.archive, member.name) for member in members] == [("", "passwd"), ("", "b.txt")]


def test_a_broken_member_is_told_and_the_rest_is_read() -> None:
    with zipfile.ZipFile(io.BytesIO(release())) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    original = open_release(packed({**files, "text files.zip": b"PK\x03\x04broken"}))
    assert original.broken == ("text files.zip",)


@pytest.mark.parametrize("cut", range(0, 2_000, 97))
def test_any_cut_of_a_release_is_refused(cut: int) -> None:
    whole = release()
    with pytest.raises(BadRelease):
        tables_of(open_release(whole[: min(cut, len(whole) - 1)]))


def test_a_release_of_unece_is_imported(home: Path) -> None:
    source = corpus_folder("untdid") / "unece_original_zips" / "d21b.zip"
    said = cvan("directory", "import", source, "--name", "D.25A", "--json", home=home).json()
    assert (said["names"], said["messages"], said["segments"]) == (["D.25A"], 195, 156)
    ours = cvan("directory", "show", "CUSDEC", "D.21B", "--segments", "--json", home=home).json()
    theirs = cvan("directory", "show", "CUSDEC", "D.25A", "--segments", "--json", home=home).json()
    assert ours | {"directory": ""} == theirs | {"directory": ""}
