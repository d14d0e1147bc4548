"""Messages to octets: counts, escaping, truncation, repertoires; written and read again they are the same."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydifact.segmentcollection import Interchange as Judge

from gateway.model.edifact import Segment
from gateway.syntax import Directories, OutMessage, Separators, fold, read, write
from tests.syntax.samples import codes

NOW = datetime(2024, 1, 31, 12, 30, tzinfo=UTC)


def written(*segments: Segment, syntax: tuple[str, str] = ("UNOC", "3"), **more: object) -> bytes:
    message = OutMessage("CUSRES", "D", "96B", "UN", "", "7", segments)
    return write(
        [message],
        syntax=syntax,
        sender=("A",),
        recipient=("B", "ZZ"),
        reference="R1",
        now=NOW,
        **more,  # type: ignore[arg-type]
    )


def test_an_interchange_is_written() -> None:
    bgm = Segment("BGM", (("962", "", "", ""), ("LRN1",), ("11",), ("",)))
    ftx = Segment("FTX", (("AAO",), (), (), ("it's a+b", "50?")))
    assert written(bgm, ftx) == (
        b"UNA:+.? 'UNB+UNOC:3+A+B:ZZ+240131:1230+R1'UNH+7+CUSRES:D:96B:UN'"
        b"BGM+962+LRN1+11'FTX+AAO+++it?'s a?+b:50??'UNT+4+7'UNZ+1+R1'"
    )


def test_syntax_4_has_its_date_and_repeats() -> None:
    com = Segment("COM", (("1", "TE"),), repeats=((1, (("2", "FX"), ("3*", "EM"))),))
    assert written(com, syntax=("UNOC", "4")).startswith(
        b"UNA:+.?*'UNB+UNOC:4+A+B:ZZ+20240131:1230+R1'UNH+7+CUSRES:D:96B:UN'COM+1:TE*2:FX*3?*:EM'"
    )
    with pytest.raises(ValueError, match="only under syntax 4"):
        written(com)


def test_una_may_be_left_out_only_where_the_separators_are_default() -> None:
    assert written(una=False).startswith(b"UNB+")
    assert written(una=False, separators=Separators(element="|")).startswith(b"UNA:|.? 'UNB|UNOC:3|A|")


def test_options_stand_where_they_belong() -> None:
    octets = written(test=True, ack_request=True, application="CUS")
    assert b"+R1++CUS++1++1'" in octets
    assert b"+R1++++++1'" in written(test=True)


@pytest.mark.parametrize(
    ("text", "syntax"),
    [
        ("vải", ("UNOC", "3")),
        ("é", ("UNOA", "2")),
        ("é", ("UNOB", "2")),
        ("a\nb", ("UNOC", "3")),
        ("a\0b", ("UNOB", "1")),
    ],
)
def test_what_a_repertoire_cannot_say_is_refused(text: str, syntax: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=r"codec can't encode|may not stand"):
        written(Segment("FTX", ((text,),)), syntax=syntax)


@pytest.mark.parametrize("syntax", [("UNOZ", "4"), ("UNOC", "5"), ("", "3")])
def test_a_syntax_that_is_not_supported_is_refused(syntax: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        written(syntax=syntax)


def test_without_release_character_service_characters_are_refused() -> None:
    bare = Separators(release="")
    assert b"FTX+AB'" in written(Segment("FTX", (("AB",),)), separators=bare)
    with pytest.raises(ValueError, match="without a release character"):
        written(Segment("FTX", (("A+B",),)), separators=bare)


@pytest.mark.parametrize(
    ("text", "level", "folded"),
    [
        ("Công ty Đại Phát", "UNOC", "Công ty Dai Phát"),
        ("Công ty Đại Phát", "UNOB", "Cong ty Dai Phat"),
        ("Công ty Đại Phát", "UNOA", "CONG TY DAI PHAT"),
        ("Công ty Đại Phát", "UNOW", "Công ty Đại Phát"),
        ("Straße 5€", "UNOB", "Strasse 5."),
        ("a\nb\u202ec", "UNOW", "a b c"),
        ("user@host", "UNOA", "USER.HOST"),
        ("plain", "UNOC", "plain"),
    ],
)
def test_text_is_folded_into_a_repertoire(text: str, level: str, folded: str) -> None:
    assert fold(text, level) == folded


@given(st.text(max_size=60), st.sampled_from(["UNOA", "UNOB", "UNOC", "UNOE", "UNOW"]))
def test_folded_text_can_always_be_written(text: str, level: str) -> None:
    written(Segment("FTX", ((fold(text, level),),)), syntax=(level, "3"))


LATIN = st.characters(codec="iso8859_1", exclude_categories=["Cc"])
LIKE_UTF8 = re.compile("[\xc3-\xc9\xe1][\xa0-\xbf]")  # which is told, though it may be Latin-1
TEXT = st.one_of(
    st.text(LATIN, max_size=12).filter(lambda text: not LIKE_UTF8.search(text)),
    st.text("+:'?*. AB", max_size=8),
)
ELEMENT = st.lists(TEXT, min_size=1, max_size=5).map(tuple)
TAGS = st.from_regex(r"[A-TV-Z][A-Z0-9]{2}", fullmatch=True)
SEGMENTS = st.lists(st.builds(Segment, TAGS, st.lists(ELEMENT, max_size=6).map(tuple)), max_size=8)
MARKS = st.sampled_from(
    [
        None,
        Separators(":", "+", ",", "?", "", "'"),
        Separators("|", ";", ".", "\\", "", "~"),
        Separators("\x1f", "\x1d", ".", "?", "", "\x1c"),
    ]
)


def trimmed(elements: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    """Without empty components and elements at the end, which are not written."""
    rows = []
    for element in elements:
        parts = list(element)
        while len(parts) > 1 and not parts[-1]:
            parts.pop()
        rows.append(tuple(parts))
    while rows and not any(rows[-1]):
        rows.pop()
    return tuple(rows)


@given(st.lists(SEGMENTS, min_size=1, max_size=3), MARKS, st.sampled_from(["2", "3", "4"]))
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read_again(
    directories: Directories, bodies: list[list[Segment]], marks: Separators | None, version: str
) -> None:
    messages = [
        OutMessage("TESTER", "D", "99Z", "UN", "X", str(n), tuple(body))
        for n, body in enumerate(bodies, start=1)
    ]
    octets = write(
        messages,
        syntax=("UNOC", version),
        sender=("A:B", "ZZ"),
        recipient=("C'D",),
        reference="R?",
        now=NOW,
        separators=marks,
    )
    interchange = read(octets, directories)
    assert interchange.findings == ()
    assert (interchange.reference, interchange.sender, interchange.recipient) == (
        "R?",
        ("A:B", "ZZ"),
        ("C'D",),
    )
    assert len(interchange.messages) == len(messages)
    for out, back in zip(messages, interchange.messages, strict=True):
        assert [f.code for f in back.findings] == ["EDI014"]  # no such message; nothing else is wrong
        assert [(s.tag, s.elements) for s in back.segments[1:-1]] == [
            (s.tag, trimmed(s.elements)) for s in out.segments
        ]


REPEATED = st.lists(
    st.lists(st.text("AB*?+:'", min_size=1, max_size=4), min_size=1, max_size=2).map(tuple),
    min_size=1,
    max_size=3,
)


@given(ELEMENT.filter(any), REPEATED)
def test_repeats_are_read_again(
    directories: Directories, first: tuple[str, ...], more: list[tuple[str, ...]]
) -> None:
    segment = Segment("COM", (trimmed((first,))[0],), repeats=((1, tuple(more)),))
    back = read(written(segment, syntax=("UNOC", "4")), directories).messages[0].segments[1]
    assert (back.elements, back.repeats) == (segment.elements, segment.repeats)


@pytest.mark.filterwarnings("ignore:segments.xml not found")  # the judge has no directories; it need not
@given(SEGMENTS)
@settings(max_examples=100, deadline=None)
def test_another_reader_reads_the_same(bodies: list[Segment]) -> None:
    segments = [s for s in bodies if s.elements and all(any(c) for e in s.elements for c in e)]
    octets = written(*segments)
    judged = Judge.from_str(octets.decode("latin-1"))
    message = next(iter(judged.get_messages()))
    found = [(s.tag, [e if isinstance(e, list) else [e] for e in s.elements]) for s in message.segments]
    assert found == [(s.tag, [list(e) for e in s.elements]) for s in segments]


def test_what_we_write_has_no_fault(directories: Directories) -> None:
    bgm = Segment("BGM", (("962",), ("LRN1",), ("11",)))
    assert codes(read(written(bgm), directories)) == []
    assert codes(read(written(bgm, syntax=("UNOW", "4")), directories)) == []
