"""Security segments: found where they stand, with the octets they are about; written and read again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway import syntax
from gateway.model.edifact import Segment
from gateway.model.finding import Place
from gateway.model.secured import (
    Autack,
    Level,
    LinkedResult,
    Method,
    NamedCertificate,
    SecuredReference,
    SecurityGroup,
    SecurityParty,
    SecurityTime,
    Span,
    Structure,
    Survey,
)
from gateway.syntax import Directories, Interchange
from gateway.syntax.security_segments import autack_segments, header_segments, trailer_segments
from tests.syntax import odd
from tests.syntax.conftest import corpus_folder
from tests.syntax.samples import GOOD

HEAD = "UNB+UNOC:4+A:ZZ+B:ZZ+20260114:0815+R1'"
PAIR = "USH+1+{0}+{1}+1+2+++++1:20260114:081500'USA+1:::H25:ZZZ'USC+AB+3*4+3'USA+6:::17:1'"
END = "UST+{0}+6'USR+2:AA*3:BB'"


def survey(text: str | bytes, size: int = 65_536) -> Survey:
    octets = text.encode("latin-1") if isinstance(text, str) else text
    return syntax.survey([octets[n : n + size] for n in range(0, len(octets), size)])


def one(head: str, body: str, tail: str) -> str:
    return f"{HEAD}UNH+1+CUSCAR:D:95B:UN'{head}{body}{tail}UNT+3+1'UNZ+1+R1'"


def only(text: str) -> Structure:
    return survey(text).structures[1]


def told(text: str) -> list[str]:
    found = only(text)
    assert found.groups == ()
    return [f.code for f in found.findings]


def cut(text: str, *spans: Span) -> list[str]:
    return [text[span.start : span.end] for span in spans]


BODY = "BGM+85+M1+9'TDT+20'"


def test_scope_1_is_the_header_group_and_the_body() -> None:
    text = one(PAIR.format("A", 1) + PAIR.format("B", 1), BODY, END.format("B") + END.format("A"))
    outer, inner = only(text).groups
    assert cut(text, *outer.covered) == [PAIR.format("A", 1), BODY]
    assert cut(text, *inner.covered) == [PAIR.format("B", 1) + BODY]
    assert (outer.reference, outer.count, outer.segments) == ("A", "6", 6)


def test_scope_2_is_all_up_to_its_trailer() -> None:
    text = one(PAIR.format("A", 2) + PAIR.format("B", 2), BODY, END.format("B") + END.format("A"))
    outer, inner = only(text).groups
    inside = PAIR.format("B", 2) + BODY
    assert cut(text, *inner.covered) == [inside]
    assert cut(text, *outer.covered) == [PAIR.format("A", 2) + inside + END.format("B")]


def test_line_ends_belong_to_what_follows_them() -> None:
    text = one(PAIR.format("A", 1), BODY, END.format("A")).replace("'", "'\r\n")
    (group,) = only(text).groups
    assert cut(text, *group.covered) == [(PAIR.format("A", 1) + BODY).replace("'", "'\r\n")[:-2]]
    found = only(text)
    assert cut(text, found.span) == [text[text.index("UNH") : text.index("UNT") + len("UNT+3+1'")]]


def test_octets_are_those_transmitted() -> None:
    text = one(PAIR.format("A", 1), "FTX+AAA+++?+?'??? Ö'BGM+85'", END.format("A"))
    (group,) = only(text).groups
    assert cut(text, *group.covered) == [PAIR.format("A", 1) + "FTX+AAA+++?+?'??? Ö'BGM+85'"]


def test_the_headers_around() -> None:
    text = "UNA:+.?*'\n" + one(PAIR.format("A", 1), BODY, END.format("A"))
    assert cut(text, *only(text).around) == [f"UNA:+.?*'\n{HEAD}", "UNH+1+CUSCAR:D:95B:UN'"]
    grouped = text.replace("UNH+1", "UNG+++++G1'UNH+1").replace("UNZ", "UNE+1+G1'UNZ")
    found = survey(grouped)
    assert [s.level for s in found.structures] == [Level.INTERCHANGE, Level.GROUP, Level.MESSAGE]
    assert cut(grouped, *found.structures[2].around)[1] == "UNG+++++G1'"
    assert survey("\ufeff".encode() + text.encode()).structures[0].around[0].start == 3


def test_every_level() -> None:
    text = (
        f"{HEAD}{PAIR.format('I', 1)}UNO+P1+1:X+12:Y+6:6'{PAIR.format('P', 1)}"
        f"USH+1+Q+1'USA+1'object{END.format('Q')}{END.format('P')}UNP+6+P1'{END.format('I')}UNZ+1+R1'"
    )
    whole, package = survey(text).structures
    assert cut(text, *whole.groups[0].covered)[0].endswith("UNP+6+P1'")
    assert [g.reference for g in package.groups] == ["P", "Q"]
    assert cut(text, package.body) == ["object"]


def test_a_certificate_in_a_package() -> None:
    text = f"{HEAD}UNO+P1+1:X+12:Y*62:X509+3'a'+UNP+3+P1'UNO+P2+1:X+12:Y+3'b'+UNP+3+P1'UNZ+2+R1'"
    assert survey(text).certificates == (b"a'+",)
    assert survey(text, 1).certificates == (b"a'+",)


@pytest.mark.parametrize(
    ("head", "body", "tail", "expected"),
    [
        (PAIR.format("A", 1), BODY, END.format("B"), ["SIG403", "SIG403"]),
        (PAIR.format("A", 1), BODY, "", ["SIG403"]),
        ("", BODY, END.format("A"), ["SIG403"]),
        (PAIR.format("A", 1) + PAIR.format("B", 1), BODY, END.format("A") + END.format("B"), ["SIG404"]),
        (PAIR.format("A", 1) * 2, BODY, END.format("A") * 2, ["SIG405"]),
        ("USA+1'", BODY, "", ["SIG402"]),
        ("USC+1'", BODY, "", ["SIG402"]),
        ("USR+1:AA'", BODY, "", ["SIG402"]),
        (BODY, PAIR.format("A", 1), END.format("A"), ["SIG402"] * 4 + ["SIG403"]),
        (PAIR.format("A", 1), BODY, END.format("A") + BODY, ["SIG402", "SIG402"]),
        (PAIR.format("A", 1), BODY, END.format("A") + "USR+1:AA'", ["SIG402"]),
        (PAIR.format("A", 1), "USD+4'" + BODY, END.format("A"), ["SIG418"]),
        (PAIR.format("A", 1) + "USA+1'" * 3, BODY, END.format("A"), ["SIG402"]),
        (PAIR.format("A", 1) + "USC+1'USC+2'", BODY, END.format("A"), ["SIG402"]),
        (PAIR.format("A", 1), "USX+R1'" + BODY, END.format("A"), ["SIG402"]),
    ],
)
def test_groups_that_do_not_fit(head: str, body: str, tail: str, expected: list[str]) -> None:
    assert told(one(head, body, tail)) == expected


def test_an_autack_is_read() -> None:
    content = (
        "USB+2+1:20260114:081500:0100+A:ZZ+B:ZZ'USX+R1+A:ZZ+B:ZZ+G+C+D+1+CUSCAR:D:95B:UN+P+5:20260114'"
        "USY+1+1:AA*2:BB+1'USY+2'USX+R2'"
    )
    text = one(PAIR.format("1", 3), content, END.format("1")).replace("CUSCAR:D:95B:UN'", "AUTACK:4:1:UN'", 1)
    autack = only(text).autack
    assert autack is not None
    assert (autack.response, autack.sender) == ("2", ("A", "ZZ"))
    first, second = autack.references
    assert (first.group, first.message, first.package, second.interchange) == ("G", "1", "P", "R2")
    assert first.identifier == ("CUSCAR", "D", "95B", "UN")
    assert [(r.reference, r.values, r.error) for r in first.results] == [
        ("1", (("1", "AA"), ("2", "BB")), "1"),
        ("2", (), ""),
    ]


SHORT = st.text(st.sampled_from("AZ09 '+:?*="), max_size=6).map(str.strip)
PARTIES = st.builds(
    SecurityParty, st.sampled_from("34"), SHORT, SHORT, SHORT, SHORT, st.lists(SHORT, max_size=3).map(tuple)
).map(lambda p: replace(p, names=p.names if not p.names or p.names[-1] else ()))
PAIRS = st.lists(st.tuples(st.sampled_from("123"), SHORT), max_size=2).map(tuple)
METHODS = st.builds(Method, st.sampled_from("16"), SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, PAIRS)
TIMES = st.none() | st.builds(SecurityTime, st.just("1"), SHORT, SHORT, SHORT)
USC = st.builds(
    NamedCertificate,
    SHORT,
    st.lists(PARTIES, max_size=2).map(tuple),
    SHORT,
    st.lists(METHODS, max_size=3).map(tuple),
)
GROUPS = st.builds(
    SecurityGroup,
    service=st.sampled_from("123"),
    reference=st.sampled_from("AB"),
    scope=st.sampled_from("12"),
    response=SHORT,
    filter=SHORT,
    charset=SHORT,
    role=SHORT,
    parties=st.lists(PARTIES, max_size=2).map(tuple),
    sequence=SHORT,
    time=TIMES,
    methods=st.lists(METHODS, max_size=3).map(tuple),
    certificates=st.lists(USC, max_size=2).map(tuple),
    values=PAIRS,
    count=SHORT,
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(group=GROUPS, size=st.integers(1, 99))
def test_what_is_written_is_read_again(group: SecurityGroup, size: int) -> None:
    segments = (*header_segments(group), Segment("BGM", (("85",),)), *trailer_segments(group))
    message = syntax.OutMessage("CUSCAR", "D", "95B", "UN", "", "1", segments)
    octets = syntax.write(
        (message,),
        syntax=("UNOC", "4"),
        sender=("A",),
        recipient=("B",),
        reference="R",
        now=datetime.now(UTC),
    )
    (found,) = survey(octets, size).structures[1].groups
    plain = replace(
        found,
        segments=0,
        heading=Span(0, 0),
        covered=(),
        place=Place(),
        trailer=Place(),
        methods=tuple(replace(m, place=Place()) for m in found.methods),
        certificates=tuple(
            replace(c, place=Place(), methods=tuple(replace(m, place=Place()) for m in c.methods))
            for c in found.certificates
        ),
    )
    assert plain == group
    assert found.segments == len(segments) - 1


def test_an_autack_is_written_as_it_is_read() -> None:
    result = LinkedResult("1", (("2", "AA"), ("3", "BB")), "8")
    named = SecuredReference("R1", ("A", "ZZ"), message="1", identifier=("CUSCAR", "D"), results=(result,))
    autack = Autack(
        "1", SecurityTime("1", "20260114", "0815"), ("A",), ("B",), (named, SecuredReference("R2"))
    )
    message = syntax.OutMessage("AUTACK", "4", "1", "UN", "", "1", tuple(autack_segments(autack)))
    octets = syntax.write(
        (message,),
        syntax=("UNOB", "4"),
        sender=("A",),
        recipient=("B",),
        reference="R",
        now=datetime.now(UTC),
    )
    read = survey(octets).structures[1].autack
    assert read is not None
    bare = tuple(
        replace(r, place=Place(), results=tuple(replace(y, place=Place()) for y in r.results))
        for r in read.references
    )
    assert replace(read, references=bare) == autack


# The survey and the reader see the same messages.


def agree(octets: bytes, directories: Directories) -> None:
    read: Interchange = syntax.read(octets, directories)
    offsets = {m.ordinal: m.offsets for m in read.messages}
    for found in survey(octets).structures:
        if found.level is Level.MESSAGE and found.last >= 0:
            assert offsets.get(found.ordinal) == (found.span.start, found.last)
            assert octets[found.span.start : found.span.start + 1] in b"UU?"


def test_they_agree_on_odd_interchanges(directories: Directories) -> None:
    for case in odd.load():
        agree(case.octets, directories)


def test_they_agree_on_the_corpus(directories: Directories) -> None:
    folder = corpus_folder("edifact")
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size < 200_000):
        agree(path.read_bytes(), directories)


@settings(max_examples=120, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_they_agree_on_spoilt_interchanges(directories: Directories, data: st.DataObject) -> None:
    octets = GOOD.encode().replace(b"UNOC:3", b"UNOC:4")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(octets) - 1))
        inserted = data.draw(
            st.sampled_from([b"", b"'", b"?", b"UNH+9'", b"UNT+1+1'", b"UNZ'", b"\n", b"UNB'", b"+"])
        )
        octets = octets[:at] + inserted + octets[at + data.draw(st.integers(0, 3)) :]
    agree(octets, directories)


def test_whether_a_look_is_worth_it() -> None:
    assert syntax.may_be_secured(b"UNB'UNH'USH+1'")
    assert syntax.may_be_secured(b"USH")
    assert not syntax.may_be_secured(b"FTX+AAA+++BRUSHES AND CRUSHED'")
    assert not syntax.may_be_secured(GOOD.encode())
