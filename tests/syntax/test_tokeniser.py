"""Octets to segments: service characters, release, cuts, offsets, numbers and bounds."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.edifact import Segment
from gateway.syntax import EdifactLimits, Tokeniser
from gateway.syntax.cutter import CHUNK
from tests.syntax.samples import GOOD, HEAD


def tokens(octets: bytes, *cuts: int, limits: EdifactLimits | None = None) -> tuple[list[Segment], Tokeniser]:
    tokeniser = Tokeniser(limits)
    segments: list[Segment] = []
    edges = [0, *sorted(cuts), len(octets)]
    for start, end in pairwise(edges):
        segments += tokeniser.feed(octets[start:end])
    return segments + tokeniser.finish(), tokeniser


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("FTX+AAA+++ONE:TWO'", (("AAA",), ("",), ("",), ("ONE", "TWO"))),
        ("FTX+A?+B'", (("A+B",),)),
        ("FTX+A?:B:C'", (("A:B", "C"),)),
        ("FTX+A?'B'", (("A'B",),)),
        ("FTX+A??'", (("A?",),)),
        ("FTX+A??+B'", (("A?",), ("B",))),
        ("FTX+A???+B'", (("A?+B",),)),
        ("FTX+?A'", (("A",),)),
        ("FTX+???'??'", (("?'?",),)),
        ("FTX'", ()),
        ("FTX+:X'", (("", "X"),)),
        ("FTX+A*B'", (("A*B",),)),  # syntax 3 has no repetition separator
    ],
)
def test_a_segment_is_cut_by_separators_and_release(text: str, elements: object) -> None:
    segments, tokeniser = tokens(f"{HEAD}UNH+1+X'{text}".encode())
    assert segments[2].tag == "FTX"
    assert segments[2].elements == elements
    assert tokeniser.findings == []


def test_other_separators_are_those_of_una() -> None:
    segments, _ = tokens(b"UNA|;,\\ ~UNB;UNOB|2;A;B;240101|1200;R~UNH;1;X~FTX;a\\;b|c'+?~")
    assert segments[2].elements == (("a;b", "c'+?"),)


def test_without_release_character_nothing_is_released() -> None:
    segments, _ = tokens(b"UNA:+.  'UNB+UNOB:2+A+B+240101:1200+R'UNH+1+X'FTX+a?+b'")
    assert segments[2].elements == (("a?",), ("b",))


def test_level_b_without_una_has_control_characters() -> None:
    text = "UNB+UNOB:2+A+B+240101:1200+R'UNH+1+X'FTX+a:b'"
    octets = text.translate(str.maketrans("+:'", "\x1d\x1f\x1c")).encode()
    segments, tokeniser = tokens(octets)
    assert segments[2].elements == (("a", "b"),)
    assert tokeniser.findings == []


@pytest.mark.parametrize("una", ["", "UNA:+.?*'"])
def test_syntax_4_repeats_elements(una: str) -> None:
    head = "UNB+UNOC:4+A+B+20240101:1200+R'"
    segments, _ = tokens(f"{una}{head}UNH+1+X'COM+1:TE*2:FX*?*3:EM+Z'".encode())
    assert segments[2].elements == (("1", "TE"), ("Z",))
    assert segments[2].repeats == ((1, (("2", "FX"), ("*3", "EM"))),)


def test_segments_are_numbered_from_unh_and_know_their_octets() -> None:
    octets = GOOD.encode()
    segments, _ = tokens(octets)
    assert [s.number for s in segments][:3] == [0, 1, 2]
    assert [s.number for s in segments if s.tag in ("UNH", "UNT", "UNZ")] == [1, 9, 1, 10, 0]
    for segment in segments:
        assert octets[segment.offset : segment.offset + 3] == segment.tag.encode()


def test_offsets_count_octets_in_a_multi_octet_encoding() -> None:
    text = "UNB+UNOW:4+A+B+20240101:1200+R'UNH+1+X'FTX+Hàng hoá: vải'FTX+đã nhận?''BGM+1'"
    octets = text.encode()
    segments, tokeniser = tokens(octets)
    assert segments[3].elements == (("đã nhận'",),)
    assert all(octets[s.offset :].startswith(s.tag.encode()) for s in segments)
    assert tokeniser.findings == []


ODD = [
    GOOD,
    GOOD.replace("'", "'\r\n"),
    GOOD.replace("COTTON", "CO?'TT?+ON??"),
    GOOD.replace("SHIRTS", "SHI\nRTS"),
    GOOD.replace("BGM", " BGM").replace("CST", "\n CST"),
    GOOD.replace("BGM", "B\0M"),
    GOOD[:-1],
    GOOD[:200],
    GOOD + " \r\nUNB+UNOC:3",
    "\ufeff \n" + GOOD,
    GOOD.replace("UNOC:3", "UNOA:3").replace("COTTON", "cotton"),
    GOOD.replace("UNOC:3", "UNOW:4").replace("COTTON", "Áo sơ mi"),
    GOOD.replace("UNOC:3", "UNOA:3").replace("COTTON", "CÔTON"),
    "\r\n".join(GOOD[i : i + 40] for i in range(0, len(GOOD), 40)),
    GOOD.replace("UNOC:3", "UNOC:4").replace("UNZ", "UNO+P+1:X+12:X+5'a'b+cUNP+5+P'UNZ"),
    "UNB+UNOC:3+" + "?'" * 400,
    "",
    "U",
    "UNA:+.? '",
    "nothing of the kind",
]


@pytest.mark.parametrize("text", ODD)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_any_cut_gives_the_same_segments_and_findings(text: str, data: st.DataObject) -> None:
    octets = text.encode()
    whole, first = tokens(octets)
    cuts = data.draw(st.lists(st.integers(0, len(octets)), max_size=12))
    pieces, second = tokens(octets, *cuts)
    assert pieces == whole
    assert second.findings == first.findings
    single, third = tokens(octets, *range(len(octets)))
    assert (single, third.findings) == (whole, first.findings)


def test_chunks_of_a_long_interchange_join_without_a_seam() -> None:
    body = "".join(f"FTX+AAA+++LINE {i} OF ?'MANY?''" for i in range(9_000))
    octets = f"{HEAD}UNH+1+CUSCAR:D:95B:UN'{body}UNT+9002+1'UNZ+1+REF1'".encode()
    assert len(octets) > 3 * CHUNK
    segments, tokeniser = tokens(octets)
    assert len(segments) == 9_004
    assert segments[-3].elements[3] == ("LINE 8999 OF 'MANY'",)
    assert tokeniser.findings == []


def test_a_segment_without_end_is_refused_at_its_bound() -> None:
    limits = EdifactLimits(segment=1_000)
    for octets in (
        f"{HEAD}FTX+{'A' * 2_000}'",
        f"{HEAD}FTX+{'A' * 2_000}",
        f"{HEAD}FTX+{chr(63) + chr(39) * 1_500}",
    ):
        _, tokeniser = tokens(octets.encode(), limits=limits)
        assert [f.code for f in tokeniser.findings][:1] in (["EDI115"], ["EDI123"])
    _, tokeniser = tokens(f"{HEAD}FTX+{'A' * 2_000}'".encode(), limits=limits)
    assert tokeniser.stopped
    assert tokeniser.findings[0].place.offset == len(HEAD)


def test_an_interchange_is_refused_at_its_bound() -> None:
    _, tokeniser = tokens(GOOD.encode(), limits=EdifactLimits(interchange=200, segment=100))
    assert [f.code for f in tokeniser.findings] == ["EDI114"]
    assert tokeniser.stopped


def test_the_object_of_a_package_is_counted_and_not_read() -> None:
    head = "UNB+UNOC:4+A+B+20240101:1200+R'"
    segments, tokeniser = tokens(f"{head}UNO+P1+1:X+12:Y+7'UNZ'+?'UNP+7+P1'UNZ+1+R'".encode())
    assert [s.tag for s in segments] == ["UNB", "UNO", "UNP", "UNZ"]
    assert tokeniser.findings == []


def test_the_length_of_an_object_is_not_believed() -> None:
    head = "UNB+UNOC:4+A+B+20240101:1200+R'"
    _, tokeniser = tokens(f"{head}UNO+P1+1:X+12:Y+999999999999'".encode())
    assert [f.code for f in tokeniser.findings] == ["EDI117"]
    segments, _ = tokens(f"{head}UNO+P1+1:X+12:Y+-5'UNZ+1+R'".encode())
    assert [s.tag for s in segments] == ["UNB", "UNO", "UNZ"]


@given(st.binary(max_size=300))
def test_no_octets_raise(octets: bytes) -> None:
    for start in (b"", b"UNA:+.? '", HEAD.encode(), HEAD.replace("UNOC:3", "UNOW:4").encode()):
        tokens(start + octets)
