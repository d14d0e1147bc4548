"""Fifteen odd interchanges, and the defects that real files have: each is named exactly, none is choked on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model import Catalogue
from gateway.model.edifact import Agreement
from gateway.syntax import Detail, Directories, Found, MessageRead, read, stream
from tests.syntax import odd
from tests.syntax.samples import CUSDEC, GOOD, HEAD, codes, errors, everything, one

ODD = odd.load()


@pytest.fixture(params=ODD, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> odd.Odd:
    found: odd.Odd = request.param
    return found


def test_each_sample_gets_exactly_the_findings_of_its_table(case: odd.Odd, directories: Directories) -> None:
    octets = case.octets
    interchange = read(octets, directories)
    found = everything(interchange)
    assert [f.code for f in found] == [t.code for t in case.findings], case.says
    for told, finding in zip(case.findings, found, strict=True):
        assert told.differs(finding, octets) == []
    sunk = (0,) if interchange.rejected else tuple(m.ordinal for m in interchange.messages if m.rejected)
    assert sunk == case.rejected


def test_each_sample_is_judged_as_is_right(case: odd.Odd, directories: Directories) -> None:
    events = list(stream([case.octets], directories))
    found = [event.finding for event in events if isinstance(event, Found)]
    refused = any(finding.severity == "error" for finding in found)
    if case.right == "tell":
        assert found
    else:
        assert refused == (case.right == "refuse")


@pytest.mark.parametrize("case", [c for c in ODD if c.text], ids=lambda case: case.name)
def test_each_sample_that_is_right_is_read_to_the_letter(case: odd.Odd, directories: Directories) -> None:
    events = list(stream([case.octets], directories, detail=Detail(trees=True)))
    messages = [event.message for event in events if isinstance(event, MessageRead)]
    values = {value for m in messages for s in m.segments for value in _values(s.elements)}
    references = {event.interchange.reference for event in events if hasattr(event, "interchange")}
    repeated = {v for m in messages for s in m.segments for _, more in s.repeats for v in _values(more)}
    assert case.text in values | references | repeated


def test_each_finding_of_the_samples_can_be_said(
    case: odd.Odd, directories: Directories, catalogue: Catalogue
) -> None:
    for finding in everything(read(case.octets, directories)):
        for language in ("en", "vi"):
            said = catalogue.say(finding, language)
            assert said != finding.code
            assert "{" not in said


def test_the_first_fifteen_are_there() -> None:
    assert [case.name[:2] for case in ODD][:15] == [f"{number:02}" for number in range(1, 16)]


def _values(elements: tuple[tuple[str, ...], ...]) -> Iterator[str]:
    for components in elements:
        yield from components


def wrapped(text: str, columns: int) -> str:
    return "\r\n".join(text[i : i + columns] for i in range(0, len(text), columns))


GROUP = "UNG+CUSDEC+APP1:ZZ+APP2:ZZ+240131:1200+G1+UN+D:96B'"
UTF8 = (
    GOOD.replace("UNOC:3", "UNOY:4::7")
    .replace("240131", "20240131")
    .replace("COTTON SHIRTS", "Áo sơ mi vải bông")
)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("nothing wrong", GOOD, []),
        ("wrong UNT count", GOOD.replace("UNT+9+", "UNT+8+"), ["EDI029"]),
        ("wrong UNT reference", GOOD.replace("UNT+9+1", "UNT+9+7"), ["EDI028"]),
        ("wrong UNZ count", GOOD.replace("UNZ+2", "UNZ+3"), ["EDI029"]),
        ("wrong UNZ reference", GOOD.replace("UNZ+2+REF1", "UNZ+2+REF2"), ["EDI028"]),
        ("missing UNZ", GOOD.removesuffix("UNZ+2+REF1'"), ["EDI133"]),
        ("Vietnamese in UTF-8", UTF8, []),
        ("group", f"{HEAD}{GROUP}{CUSDEC}UNE+1+G1'UNZ+1+REF1'", []),
        ("two interchanges in one file", GOOD + GOOD, ["EDI119"]),
        ("lower case under UNOA", GOOD.replace("UNOC", "UNOA").replace("SHIRTS", "Shirts"), ["EDI107"]),
        ("byte order mark", "\ufeff" + GOOD, ["EDI101"]),
        ("NUL inside a tag", GOOD.replace("BGM+85", "BG\0M+85"), ["EDI106"]),
        ("NUL in a tag's place", GOOD.replace("BGM+85", "B\0M+85"), ["EDI106", "EDI121", "EDI201"]),
        ("NUL inside data", GOOD.replace("COTTON", "COT\0ON"), ["EDI106"]),
        ("message type missing", GOOD.replace("+CUSCAR:D", "+:D"), ["EDI131"]),
        ("wrapped at 80 columns", wrapped(GOOD, 80), ["EDI111"]),
        ("wrapped at 72 columns", wrapped(GOOD, 72), ["EDI111"]),
        ("space before UNA", " " + GOOD, ["EDI102"]),
        ("missing final terminator", GOOD[:-1], ["EDI105"]),
        ("cut off in a message", GOOD[:200], ["EDI105", "EDI133", "EDI133"]),
        ("a release swallows a terminator", GOOD.replace("SHIRTS'", "SHIRTS?'"), ["EDI016", "EDI133"]),
        ("Latin-1 under UNOA", GOOD.replace("UNOC", "UNOA").replace("COTTON", "CÔTON"), ["EDI108"]),
        ("UTF-8 under UNOA", GOOD.replace("UNOC", "UNOA").replace("COTTON", "CÔTON"), ["EDI124"]),
        ("UTF-8 under UNOC", GOOD.replace("COTTON", "SÀI GÒN"), ["EDI124"]),
        ("what may be UTF-8 under UNOC", GOOD.replace("COTTON", "Công"), ["EDI124"]),
        ("symbols of Latin-1 under UNOC", GOOD.replace("COTTON", "Â°, 50 µ"), []),
        ("UNOX in its first state", GOOD.replace("UNOC", "UNOX"), []),
        ("an escape under UNOX", GOOD.replace("UNOC", "UNOX").replace("COTTON", "\x1b$BCOTTON"), ["EDI113"]),
        ("line breaks between segments", GOOD.replace("'", "'\r\n").replace("? '\r\n", "? '"), ["EDI112"]),
        ("a line break inside a segment", GOOD.replace("COTTON SH", "COTTON\nSH"), ["EDI110"]),
        ("rubbish after UNZ", GOOD + "rubbish", ["EDI118"]),
        ("blanks after UNZ", GOOD + "\r\n \r\n", []),
        ("blanks before a segment", GOOD.replace("TDT", "  TDT"), ["EDI120"]),
        ("doubled terminator", GOOD.replace("TDT", "'TDT"), ["EDI123"]),
        ("right-to-left override", UTF8.replace("bông", "b\u202eông"), ["EDI113"]),
        ("octets that are no UTF-8", UTF8.replace("bông", "b\udcffong"), ["EDI109"]),
        ("date of another version", GOOD.replace("240131:", "20240131:"), ["EDI134"]),
        ("a day that does not exist", GOOD.replace("240131:1200", "240231:1200"), ["EDI132"]),
        ("no messages", f"{HEAD}UNZ+0+REF1'", ["EDI032"]),
    ],
)
def test_each_oddity_is_named_exactly(
    name: str, text: str, expected: list[str], directories: Directories
) -> None:
    encoding = "latin-1" if "Latin-1" in name else "utf-8"
    interchange = read(text.encode(encoding, "surrogateescape"), directories)
    assert sorted(codes(interchange)) == expected


def test_every_finding_has_a_place(directories: Directories) -> None:
    text = GOOD.replace("COTTON", "COT\0ON").replace("UNT+9+", "UNT+8+").replace("CST", "XXX")
    octets = text.encode()
    for finding in everything(read(octets, directories)):
        assert finding.place.message in ("1", "2", "REF1")
        assert 0 <= finding.place.offset < len(octets)


def test_a_character_is_told_at_its_octet(directories: Directories) -> None:
    octets = UTF8.replace("bông", "bô\u202eng").encode()
    finding = next(f for f in everything(read(octets, directories)) if f.code == "EDI113")
    assert octets[finding.place.offset :].startswith("\u202e".encode())
    assert (finding.place.message, finding.place.tag, finding.found) == ("2", "FTX", "U+202E")


def test_utf8_under_another_level_is_read_as_it_was_agreed(directories: Directories) -> None:
    octets = GOOD.replace("COTTON", "Công ty SÀI GÒN").encode()
    doubtful = GOOD.replace("COTTON", "Công ty").encode()
    agreement = Agreement(tolerated=("EDI124",))
    for sent, name in ((octets, "Công ty SÀI GÒN SHIRTS"), (doubtful, "Công ty SHIRTS")):
        agreed = read(sent, directories, agreement=agreement)
        assert (agreed.messages[1].rejected, codes(agreed)) == (False, ["EDI124"])
        assert agreed.messages[1].segments[8].get(4) == name
    assert read(octets, directories).messages[1].rejected
    announced = read(doubtful, directories)  # which is Latin-1: perhaps, but that is what was said
    assert not announced.messages[1].rejected
    assert announced.messages[1].segments[8].get(4) == "CÃ´ng ty SHIRTS"


def test_no_message_goes_unrejected_however_many_have_the_fault(directories: Directories) -> None:
    wrong = "UNH+{0}+CUSCAR:D:95B:UN'BGM+85+A\0B+9'DTM+137:20260101:102'CNT+7:1'UNT+5+{0}'"
    octets = HEAD + "".join(wrong.format(i) for i in range(300)) + "UNZ+300+REF1'"
    whole = read(octets.encode(), directories)
    assert len(whole.messages) == 300
    assert all("EDI106" in {f.code for f in m.findings} for m in whole.messages)


def test_text_is_decoded_by_the_level(directories: Directories) -> None:
    utf8 = read(UTF8.encode(), directories)
    assert utf8.messages[1].segments[8].get(4) == "Áo sơ mi vải bông"
    latin = read(GOOD.replace("COTTON", "CÔTON").encode("latin-1"), directories)
    assert latin.messages[1].segments[8].get(4) == "CÔTON SHIRTS"


def test_a_wrap_is_undone(directories: Directories) -> None:
    assert [
        [(s.tag, s.elements) for s in m.segments]
        for m in read(wrapped(GOOD, 80).encode(), directories).messages
    ] == [[(s.tag, s.elements) for s in m.segments] for m in read(GOOD.encode(), directories).messages]


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
@settings(max_examples=400, deadline=None)
def test_one_wrong_octet_never_raises(directories: Directories, index: int, octet: int) -> None:
    octets = bytearray(GOOD.encode())
    octets[index] = octet
    read(bytes(octets), directories)


@given(st.lists(st.tuples(st.integers(0, len(GOOD)), st.sampled_from("'+:?UNHBZT*\n\0 9")), max_size=6))
@settings(max_examples=200, deadline=None)
def test_inserted_service_characters_never_raise(
    directories: Directories, insertions: list[tuple[int, str]]
) -> None:
    text = GOOD
    for index, character in insertions:
        text = text[:index] + character + text[index:]
    read(text.encode(), directories)


def test_a_good_neighbour_is_not_sunk(directories: Directories) -> None:
    interchange = read(GOOD.replace("BGM+929", "BGM+9z9").encode(), directories)
    assert [m.rejected for m in interchange.messages] == [True, False]
    assert not interchange.rejected
    assert errors(interchange) == ["EDI012"]


def test_huge_numbers_in_counts_do_not_raise(directories: Directories) -> None:
    interchange = read(one(CUSDEC.replace("UNT+9", "UNT+" + "9" * 6_000)), directories)
    assert set(errors(interchange)) == {"EDI029", "EDI039"}
