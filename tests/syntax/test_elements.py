"""Data elements: presence, formats, numbers, codes; and that the quick half decides as the exact half explains."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.edifact import ComponentUse, ElementUse, SegmentTable
from gateway.model.finding import Finding, Place
from gateway.syntax import Directories, read
from gateway.syntax.characters import Separators
from gateway.syntax.elements import Layout, quote
from gateway.syntax.patterns import COMPILED_AFTER, Pattern
from gateway.syntax.tokeniser import Reading
from tests.syntax.samples import GOOD, cusdec, everything

Row = tuple[str, int, int, str]


def told(findings: list[Finding]) -> list[Row]:
    return [(f.code, f.place.element, f.place.component, f.severity.value) for f in findings]


@pytest.mark.parametrize(
    ("segment", "rows"),
    [
        ("DTM+137:20240131:102", []),
        ("DTM", [("EDI013", 1, 0, "error")]),
        ("DTM+:20240131:102", [("EDI013", 1, 1, "error")]),
        ("DTM+137", []),
        ("DTM+XXX:20240131:102", [("EDI012", 1, 1, "error")]),
        ("DTM+137:20240131:999", [("EDI012", 1, 3, "error")]),
        ("DTM+137:" + "2" * 36, [("EDI039", 1, 2, "error")]),
        ("DTM+137:20240131:102:X", [("EDI016", 1, 4, "error")]),
        ("DTM+137:20240131:102+X", [("EDI016", 2, 0, "error")]),
        ("DTM+137:20240131:102+", [("EDI045", 2, 0, "warning")]),
        ("DTM+137:20240131:", [("EDI045", 1, 3, "warning")]),
        ("LOC+22+HANOI:113:ZZZ", []),
        ("LOC+999+HANOI", [("EDI012", 1, 0, "error")]),
        ("LOC+22++", [("EDI045", 3, 0, "warning")]),
        ("LOC+22+:", [("EDI045", 2, 0, "warning")]),
        ("LOC+22+   ", [("EDI303", 2, 1, "warning")]),
        ("GIS+1", []),
        ("GIS+999", [("EDI302", 1, 1, "warning")]),
        ("GIS+999:120", []),
        ("GIS+999::ZZZ", []),
        ("GIS+1:120:143:N", []),
        ("FTX+AAA", []),
        ("FTX+QQQ", [("EDI012", 1, 0, "error")]),
        ("FTX++++TEXT", [("EDI013", 1, 0, "error")]),
        ("MOA+77:12.5", []),
        ("MOA+77:-12.5", []),
        ("MOA+77:1E5", [("EDI037", 1, 2, "error")]),
        ("MOA+77:?+5", [("EDI037", 1, 2, "error")]),
        ("MOA+77:.5", [("EDI038", 1, 2, "error")]),
        ("MOA+77:2.", [("EDI019", 1, 2, "error")]),
        ("MOA+77:1,5", [("EDI019", 1, 2, "error")]),
        ("MOA+77:1.000.000", [("EDI019", 1, 2, "error")]),
        ("MOA+77:--5", [("EDI037", 1, 2, "error")]),
        ("MOA+77:-", [("EDI037", 1, 2, "error")]),
        ("MOA+77:1 000", [("EDI037", 1, 2, "error")]),
        ("MOA+77:-123456789012345678.", [("EDI019", 1, 2, "error")]),
        ("MOA+77:-12345678901234567.8", []),  # 18 digits; mark and minus are not counted
        ("MOA+77:1234567890123456789", [("EDI039", 1, 2, "error")]),
        ("MEA+WT+XXQ+KGM:5", [("EDI302", 2, 1, "warning")]),
    ],
)
def test_each_fault_of_an_element_is_told_at_its_position(
    segment: str, rows: list[Row], directories: Directories
) -> None:
    findings = everything(read(cusdec(segment), directories))
    assert {(f.place.segment, f.place.tag) for f in findings} <= {(3, segment[:3])}
    assert told(findings) == rows


def test_a_comma_may_be_the_mark_where_una_says_so(directories: Directories) -> None:
    octets = cusdec("MOA+77:1,5").replace(b"UNA:+.", b"UNA:+,")
    assert everything(read(octets, directories)) == []
    octets = cusdec("MOA+77:1,5", "MOA+77:1.5").removeprefix(b"UNA:+.? '")
    assert everything(read(octets, directories)) == []


def test_lengths_count_characters_without_their_release(directories: Directories) -> None:
    fits, long = "A?+" * 35, "A?+" * 35 + "B"
    assert everything(read(cusdec(f"FTX+AAA+++{fits}"), directories)) == []
    findings = everything(read(cusdec(f"FTX+AAA+++{long}"), directories))
    assert told(findings) == [("EDI039", 4, 1, "error")]
    utf8 = cusdec("FTX+AAA+++" + "X" * 70).replace(b"UNOC:3", b"UNOW:4").replace(b"240131:", b"20240131:")
    assert everything(read(utf8.replace(b"X" * 70, ("ệ" * 70).encode()), directories)) == []


def test_a_finding_names_place_expected_and_found(directories: Directories) -> None:
    octets = GOOD.replace("IMPORTER", "IMPORTER+++++++++X").encode()
    finding = everything(read(octets, directories))[0]
    at = octets.index(b"NAD+CN")
    assert finding == Finding(
        "EDI016",
        Place("2", 7, "NAD", "SG4[1]/SG5[1]/SG7[1]", element=10, offset=at, line=1, column=at + 1),
        expected="9",
        found="13",
    )
    octets = GOOD.replace("RFF+BM", "RFF+QQQ").encode()
    finding = everything(read(octets, directories))[0]
    assert (finding.place.group, finding.expected, finding.found) == ("SG4[1]/SG5[1]", "1153", "QQQ")


def test_the_last_element_of_a_segment_may_repeat_side_by_side_in_syntax_3(directories: Directories) -> None:
    message = "UNH+1+CUSCAR:D:13A:UN'BGM+85+M+9'NAD+MS+X'CTA+IC'COM+1:TE+2:FX+3:EM{}'UNT+6+1'"
    head = "UNB+UNOC:3+A+B+240131:1200+R'"
    assert everything(read(f"{head}{message.format('')}UNZ+1+R'".encode(), directories)) == []
    findings = everything(read(f"{head}{message.format('+4:TE')}UNZ+1+R'".encode(), directories))
    assert told(findings) == [("EDI016", 4, 0, "error")]


def test_elements_repeat_in_syntax_4_as_often_as_the_directory_allows(directories: Directories) -> None:
    message = "UNH+1+CUSCAR:D:13A:UN'BGM+85+M+9'NAD+MS+X'CTA+IC'COM+1:TE*2:{}'UNT+6+1'"
    head = "UNB+UNOC:4+A+B+20240131:1200+R'"
    assert everything(read(f"{head}{message.format('FX*3:EM')}UNZ+1+R'".encode(), directories)) == []
    finding = everything(read(f"{head}{message.format('FX*3:EM*4:TE')}UNZ+1+R'".encode(), directories))[0]
    assert (finding.code, finding.place.repetition, finding.expected, finding.found) == (
        "EDI304",
        4,
        "3",
        "4",
    )
    finding = everything(read(f"{head}{message.format('QQ')}UNZ+1+R'".encode(), directories))[0]
    assert (finding.code, finding.place.repetition, finding.place.component) == ("EDI012", 2, 2)


TABLE = SegmentTable(
    "TST",
    (
        ElementUse("0001", True, 1, "an..3"),
        ElementUse(
            "C001", False, 2, "", (ComponentUse("1001", True, "an..3"), ComponentUse("0002", False, "n..4"))
        ),
        ElementUse("0003", False, 1, "a..4"),
        ElementUse(
            "C002",
            False,
            1,
            "",
            (
                ComponentUse("7365", False, "an..3"),
                ComponentUse("1131", False, "an..3"),
                ComponentUse("0004", True, "n3"),
            ),
        ),
        ElementUse(
            "C003", False, 3, "", (ComponentUse("0005", True, "an2"), ComponentUse("0006", False, "a1"))
        ),
    ),
)
CODES = {
    "1001": frozenset({"A", "B"}),
    "7365": frozenset({"1"}),
    "0006": frozenset({"C"}),
    "0001": frozenset({"A", "1"}),
}
TEXTS = st.sampled_from(
    [
        "",
        "A",
        "B",
        "1",
        "12",
        "123",
        "1.5",
        ".5",
        "-7",
        "C",
        "AB",
        "ABCDE",
        " ",
        " A",
        "12345",
        "x9",
        "?+",
        "?:?A",
    ]
)
ELEMENTS = st.lists(st.lists(TEXTS, max_size=4).map(":".join), max_size=8)


@pytest.mark.parametrize("repeating", [True, False])
@given(texts=st.lists(ELEMENTS, min_size=1, max_size=40))
@settings(max_examples=400, deadline=None)
def test_a_pattern_accepts_nothing_that_has_a_finding(repeating: bool, texts: list[list[str]]) -> None:
    separators = Separators(repetition="*" if repeating else "")
    layout = Layout(TABLE, CODES, ".", repeating)
    pattern = Pattern(layout, separators)
    reading = Reading(separators, "4" if repeating else "3")
    for elements in texts:
        text = "+".join(["TST", *elements])
        segment, _ = reading.segment(text, 0, 1)
        assert segment is not None
        explained = list(layout.explain(segment, Place("1", 2, "TST")))
        assert not (pattern.decides(text) and explained), text
        if not explained:
            pattern.learn(text)


def test_a_pattern_decides_what_it_has_learned_and_its_like() -> None:
    pattern = Pattern(Layout(TABLE, CODES, ".", False), Separators())
    assert not pattern.decides("TST+A+B:17")
    for _ in range(COMPILED_AFTER):
        pattern.learn("TST+A+B:17")
    assert pattern.decides("TST+A+B:1234+XYZ")
    assert not pattern.decides("TST+A+A:17")  # codes that were not together before
    assert not pattern.decides("TST+A+B:12345")


def test_a_format_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'an\.\.x' is no format"):
        Layout(SegmentTable("TST", (ElementUse("0001", True, 1, "an..x"),)), {}, ".", repeating=False)


def test_what_is_remembered_is_bounded() -> None:
    codes = {"0001": frozenset(map(str, range(10_000)))}
    pattern = Pattern(
        Layout(SegmentTable("TST", (ElementUse("0001", True, 1, "an..9"),)), codes, ".", False), Separators()
    )
    for number in range(10_000):
        pattern.learn(f"TST+{number}")
    assert len(pattern.known) <= 4_096


def test_quotes_are_short() -> None:
    assert len(quote("A" * 1_000)) == 70
    assert quote("short") == "short"
