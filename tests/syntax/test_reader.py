"""Reading as a stream: cuts, order, several interchanges, places, memory, and one wrong octet."""

from __future__ import annotations

import re
import tracemalloc
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import manifests
from gateway.model import Catalogue
from gateway.model.edifact import Group, Segment
from gateway.model.finding import Finding, Place, Severity
from gateway.syntax import (
    Detail,
    Directories,
    EdifactLimits,
    Event,
    Found,
    GroupBegun,
    GroupRead,
    InterchangeBegun,
    InterchangeRead,
    MessageBegun,
    MessageRead,
    PackageRead,
    Reader,
    SegmentRead,
    read,
    stream,
)
from tests.syntax import odd
from tests.syntax.invariants import violations
from tests.syntax.report import corpus, files
from tests.syntax.samples import CUSCAR, CUSDEC, GOOD, HEAD, everything

SAMPLES = Path(__file__).parents[1] / "samples"
LINES = re.compile(rb"\r\n|\r|\n")
LARGEST = 60_000  # octets of a corpus file that is read again and again
SEGMENTS = Detail(segments=True)


def interchanges() -> list[Path]:
    """Our samples, and the corpus's smaller files where there is a corpus."""
    ours = sorted(SAMPLES.glob("c*/*.edi")) + [case.path for case in odd.load()]
    folder = corpus()
    return ours + ([p for p in files(folder) if p.stat().st_size < LARGEST] if folder else [])


FILES = interchanges()
CLEAN = (SAMPLES / "odd" / "20-nothing-wrong.edi").read_bytes()


def events(
    octets: bytes, directories: Directories, cuts: Iterable[int] = (), detail: Detail = SEGMENTS
) -> list[Event]:
    reader = Reader(directories, detail=detail)
    told: list[Event] = []
    for start, end in pairwise([0, *sorted(cuts), len(octets)]):
        told += reader.feed(octets[start:end])
    return told + reader.finish()


def segments_of(told: Iterable[Event]) -> list[Segment]:
    return [event.segment for event in told if isinstance(event, SegmentRead)]


def verdicts(told: Iterable[Event]) -> list[bool]:
    return [
        event.message.rejected if isinstance(event, MessageRead) else event.interchange.rejected
        for event in told
        if isinstance(event, MessageRead | InterchangeRead)
    ]


# Cuts.


def cut(draw: st.DrawFn) -> tuple[bytes, list[int]]:
    octets = draw(st.sampled_from(FILES)).read_bytes()
    return octets, draw(st.lists(st.integers(0, len(octets)), min_size=1, max_size=9))


CUT = st.composite(cut)()


@given(CUT)
@settings(max_examples=150, deadline=None)
def test_a_cut_anywhere_gives_the_same_events(
    directories: Directories, made: tuple[bytes, list[int]]
) -> None:
    octets, cuts = made
    assert events(octets, directories, cuts) == events(octets, directories)


@given(CUT)
@settings(max_examples=150, deadline=None)
def test_a_cut_anywhere_gives_the_same_segments_and_verdicts(
    directories: Directories, made: tuple[bytes, list[int]]
) -> None:
    octets, cuts = made
    whole, pieces = events(octets, directories), events(octets, directories, cuts)
    assert segments_of(pieces) == segments_of(whole)
    assert verdicts(pieces) == verdicts(whole)


def test_an_octet_at_a_time_gives_the_same_events(directories: Directories) -> None:
    different = []
    for case in odd.load():
        octets = case.octets
        if events(octets, directories, range(len(octets))) != events(octets, directories):
            different.append(case.name)
    assert not different


LINES_30 = GOOD.replace("'UNH", "'\nUNH").replace("'BGM", "'\nBGM")
WRAPPED_100 = "\r\n".join(GOOD[i : i + 100] for i in range(0, len(GOOD), 100))


@pytest.mark.parametrize(
    ("name", "text", "at"),
    [
        ("a fault before the first line break", LINES_30.replace("240131", "240231"), 60),
        ("a fault after segments", GOOD.replace("CNT+5:1", "CNT+5:x"), 120),
        ("two interchanges with lines", f"{GOOD}\r\n{GOOD}\r\n".replace("UNZ", "\nUNZ"), len(GOOD) + 2),
        ("what is not EDIFACT", "UNA:+.? '\nLIN+16'PIA+1'", 17),
        ("blanks before UNH", GOOD.replace("UNH+1", " UNH+1").replace("COTTON", "COT\0ON"), 300),
        ("a wrap that one message does not show yet", WRAPPED_100, WRAPPED_100.index("UNH+2")),
    ],
)
def test_one_cut_gives_the_same_events(name: str, text: str, at: int, directories: Directories) -> None:
    octets = text.encode()
    assert events(octets, directories, [at]) == events(octets, directories), name


def test_streaming_a_file_in_pieces_is_reading_it_whole(directories: Directories) -> None:
    for path in FILES[:60]:
        octets = path.read_bytes()
        pieces = [octets[i : i + 97] for i in range(0, len(octets), 97)]
        streamed = list(stream(pieces, directories, detail=Detail(trees=True)))
        whole = read(octets, directories)
        first = [e.message for e in streamed if isinstance(e, MessageRead)][: len(whole.messages)]
        assert [(m.reference, m.segments) for m in first] == [
            (m.reference, m.segments) for m in whole.messages
        ]


# Order.

_LETTERS = {
    InterchangeBegun: "I",
    InterchangeRead: "i",
    GroupBegun: "G",
    GroupRead: "g",
    MessageBegun: "M",
    MessageRead: "m",
    SegmentRead: "s",
    PackageRead: "p",
    Found: "",
}
_MESSAGE = "Ms*m"
_ORDER = re.compile(f"(I?((G({_MESSAGE}|p)*g)|{_MESSAGE}|p)*i)*")


def test_events_nest_as_interchanges_do(directories: Directories) -> None:
    for path in FILES:
        told = events(path.read_bytes(), directories)
        word = "".join(_LETTERS[type(event)] for event in told)
        assert _ORDER.fullmatch(word), (path, word[:200])


def test_segments_come_in_the_order_of_their_octets(directories: Directories) -> None:
    for path in FILES:
        found = segments_of(events(path.read_bytes(), directories))
        offsets = [segment.offset for segment in found]
        assert offsets == sorted(offsets), path


def test_a_finding_comes_before_what_follows_its_segment(directories: Directories) -> None:
    """Whoever works along the stream knows of a fault before the next segment is handed over."""
    octets = GOOD.replace(
        "DTM+137:20240131", "DTM+137:2024X1313131313131313131313131313131313131313"
    ).encode()
    told = events(octets, directories)
    fault = next(i for i, event in enumerate(told) if isinstance(event, Found))
    place = told[fault].finding.place  # type: ignore[union-attr]
    before = segments_of(told[:fault])
    assert before[-1].number in (place.segment - 1, place.segment)


# Several interchanges.


@given(
    st.lists(st.sampled_from(["20-nothing-wrong", "05-groups", "54-unknown-code"]), min_size=1, max_size=4)
)
@settings(max_examples=25, deadline=None)
def test_interchanges_in_one_file_are_read_as_if_alone(directories: Directories, names: list[str]) -> None:
    contents = [(SAMPLES / "odd" / f"{name}.edi").read_bytes() for name in names]
    told = events(b"\r\n".join(contents), directories)
    alone = [event for octets in contents for event in events(octets, directories)]
    assert verdicts(told) == verdicts(alone)
    assert [s.elements for s in segments_of(told)] == [s.elements for s in segments_of(alone)]
    assert sum(isinstance(event, InterchangeRead) for event in told) == len(names)


def test_each_of_several_interchanges_has_its_own_separators(directories: Directories) -> None:
    other = (SAMPLES / "odd" / "21-other-separators.edi").read_bytes()
    told = events(CLEAN + other + CLEAN, directories)
    assert verdicts(told) == [False] * 9
    assert not [event for event in told if isinstance(event, Found)]


# Places.


def test_places_lie_within_the_octets(directories: Directories) -> None:
    outside = []
    for path in FILES:
        octets = path.read_bytes()
        found = [e.finding for e in events(octets, directories) if isinstance(e, Found)]
        outside += [(path.name, f) for f in found if not 0 <= f.place.offset <= len(octets)]
    assert not outside


def test_line_and_column_are_those_of_the_offset(directories: Directories) -> None:
    for path in FILES:
        octets = path.read_bytes()
        starts = [0, *(found.end() for found in LINES.finditer(octets))]
        for event in events(octets, directories):
            if isinstance(event, Found):
                place = event.finding.place
                line = bisect_right(starts, place.offset)
                wanted = (line, place.offset - starts[line - 1] + 1)
                assert (place.line, place.column) == wanted, (path, event)


def test_a_place_after_a_line_break_has_a_line(directories: Directories) -> None:
    lines = (SAMPLES / "odd" / "27-lines-between-segments.edi").read_bytes()
    octets = lines.replace(b"BGM+933", b"BGM+9Z9").replace(b"CNT+5:1'", b"CNT+5:X'")
    found = [event.finding for event in events(octets, directories) if isinstance(event, Found)]
    assert [(f.code, f.place.line, f.place.column) for f in found if f.severity is Severity.ERROR] == [
        ("EDI012", 4, 1),
        ("EDI037", 35, 1),
    ]


def test_a_tag_in_a_place_is_short_and_printable(directories: Directories) -> None:
    rubbish = GOOD.replace("BGM+85", "X" * 300 + "+85").replace("TDT+", "T\0T+")
    for finding in everything(read(rubbish.encode(), directories)):
        assert len(finding.place.tag) <= 3
        assert finding.place.tag.isprintable()


# Trees.


def rebuilt(told: Sequence[Event]) -> Iterator[Group]:
    """The trees that SegmentRead events describe, message by message."""
    stack: list[tuple[str, list[Segment | Group]]] = []

    def close(depth: int) -> None:
        while len(stack) > depth:
            name, children = stack.pop()
            stack[-1][1].append(Group(name, tuple(children)))

    for event in told:
        if isinstance(event, MessageBegun):
            stack = [("", [])]
        elif isinstance(event, SegmentRead):
            close(len(event.groups) + 1 - event.opens)
            if event.opens:
                stack.append((event.groups[-1], []))
            stack[-1][1].append(event.segment)
        elif isinstance(event, MessageRead):
            close(1)
            yield Group("", tuple(stack[0][1]))


def test_segments_and_their_groups_rebuild_the_tree(directories: Directories) -> None:
    trees = 0
    for path in FILES:
        octets = path.read_bytes()
        whole = read(octets, directories)
        built = list(rebuilt(events(octets, directories)))
        for message, tree in zip(whole.messages, built, strict=False):
            if message.tree is not None:
                assert tree == message.tree, path
                trees += 1
    assert trees > 40


# Memory.


def _peak(count: int, directories: Directories) -> int:
    def pieces() -> Iterator[bytes]:
        yield HEAD.encode()
        for number in range(count):
            yield CUSDEC.replace("UNH+1+", f"UNH+{number}+").replace("UNT+9+1", f"UNT+9+{number}").encode()
        yield f"UNZ+{count}+REF1'".encode()

    tracemalloc.start()
    try:
        for event in stream(pieces(), directories):
            assert not isinstance(event, Found)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_messages(directories: Directories) -> None:
    _peak(50, directories)
    few, many = _peak(300, directories), _peak(3_000, directories)
    references = 2_700 * 120  # each message's reference is kept, to tell one that is used twice
    assert many - few < references


# One wrong octet.


_FOUND_AT = [0, *(9 + found.end() for found in re.finditer(rb"'", CLEAN[9:]))]


@given(st.integers(0, len(CLEAN) - 1), st.integers(0, 255) | st.sampled_from(b"'+:?UNHT*\n\0 9"))
@settings(max_examples=300, deadline=None)
def test_one_wrong_octet_changes_one_segment_or_is_told_where_it_is(
    directories: Directories, index: int, octet: int
) -> None:
    octets = bytearray(CLEAN)
    octets[index] = octet
    told = events(bytes(octets), directories)
    found = [event.finding for event in told if isinstance(event, Found)]
    if found:
        segment = bisect_right(_FOUND_AT, index) - 1
        nearest = _FOUND_AT[max(0, segment - 1)]
        offsets = [finding.place.offset for finding in found]
        assert any(offset >= nearest for offset in offsets), found
        return
    before, after = segments_of(events(CLEAN, directories)), segments_of(told)
    assert [s.number for s in after] == [s.number for s in before]
    assert sum(one != two for one, two in zip(before, after, strict=True)) <= 1


def test_the_invariants_of_the_fuzzer_hold_for_every_sample(
    directories: Directories, catalogue: Catalogue
) -> None:
    broken = []
    for path in FILES:
        broken += [(path.name, why) for why in violations(path.read_bytes(), directories, catalogue)]
    assert not broken


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("blanks before UNH", f"{HEAD} {CUSDEC}UNZ+1+REF1'"),
        ("a line and a blank before UNH", f"{HEAD}\n {CUSDEC}UNZ+1+REF1'"),
        ("a nesting indicator in UNH", f"{HEAD}UNH:1{CUSDEC[3:]}UNZ+1+REF1'"),
    ],
)
def test_what_stands_around_unh_does_not_change_the_count(
    name: str, text: str, directories: Directories
) -> None:
    interchange = read(text.encode(), directories)
    assert [segment.number for segment in interchange.messages[0].segments] == list(range(1, 10)), name
    assert "EDI029" not in [finding.code for finding in everything(interchange)]


def test_an_interchange_without_a_version_is_answered_validly(
    directories: Directories, catalogue: Catalogue
) -> None:
    assert not list(violations(b"UNA:+.?*'UNB+UNOY:::7+Z+Z++9", directories, catalogue))


def test_the_contents_of_the_bench_are_without_fault(directories: Directories) -> None:
    """A bench that measured how faults are explained would measure something else."""
    single = manifests.interchange([manifests.cuscar("1", 7, bills=5, items=3, words=4)])
    for octets in (single, *manifests.small(30), manifests.interchange(manifests.manifests(60_000))):
        interchange = read(octets, directories)
        assert not everything(interchange)
        assert all(message.tree is not None for message in interchange.messages)


def test_findings_are_equal_only_where_all_is_equal() -> None:
    """What the comparisons above rest on: events compare by value."""
    assert Found(Finding("EDI012", Place(offset=1)), 1) == Found(Finding("EDI012", Place(offset=1)), 1)
    assert Found(Finding("EDI012", Place(offset=1)), 1) != Found(Finding("EDI012", Place(offset=2)), 1)


def test_many_warnings_do_not_hide_an_error(directories: Directories) -> None:
    warned = "FTX+AAA+++GOODS+'" * 90  # a trailing separator each
    broken = CUSCAR.replace("FTX+AAA+++COTTON SHIRTS'", warned + "MEA+AAE+G+KGM:TEN'")
    text = f"{HEAD}{broken.replace('UNT+10', 'UNT+100')}UNZ+1+REF1'"
    message = read(text.encode(), directories, EdifactLimits(findings=20)).messages[0]
    severities = [finding.severity for finding in message.findings]
    assert severities.count(Severity.WARNING) == 20 + 1  # how many more there are is told too
    assert [(f.expected, f.found) for f in message.findings if f.code == "EDI125"] == [("21", "70")]
    assert [f.code for f in message.findings if f.severity is Severity.ERROR] == ["EDI037"]
    assert message.rejected


def test_what_looks_like_a_trailer_inside_data_is_data(directories: Directories) -> None:
    for words in ("UNZ OF SOME LENGTH", "BRUNO", "A?'UNZ?+1?+REF1", "?'UNO?+1?+1?+1?+9"):
        text = GOOD.replace("COTTON SHIRTS", words)
        interchange = read(text.encode(), directories)
        assert everything(interchange) == [], words
        assert interchange.messages[1].segments[8].get(4) == words.replace("?", "")
