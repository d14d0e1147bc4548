"""Groups, packages, several interchanges, batches and streams: written, read back, and judged by another reader."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import repeat
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pydifact.segmentcollection import RawSegmentCollection

from gateway.model.edifact import Agreement, Segment
from gateway.syntax import (
    Directories,
    Interchange,
    InterchangeRead,
    MessageRead,
    OutGroup,
    OutInterchange,
    OutMessage,
    OutPackage,
    batched,
    forwarded,
    leaves,
    pieces,
    proofread,
    read,
    stream,
    write,
)
from gateway.syntax.writer import MAX_SEGMENTS
from tests.syntax.samples import everything
from tests.syntax.strategies import NOW, interchanges

BGM = Segment("BGM", (("962",), ("LRN1",), ("11",)))
PACKAGES = Agreement(packages=True)


def message(reference: str = "1", type_: str = "CUSRES", **more: Any) -> OutMessage:
    return replace(OutMessage(type_, "D", "96B", "UN", "", reference, (BGM,)), **more)


def package(octets: bytes | Iterator[bytes] = b"", **more: Any) -> OutPackage:
    return replace(OutPackage("P1", (("1", "OBJ"),), (("12", "A.PDF"),), octets), **more)


def group(*parts: OutMessage | OutPackage, reference: str = "G1", **more: Any) -> OutGroup:
    return replace(OutGroup(reference, ("APP1", "ZZ"), ("APP2",), parts), **more)


def out(*parts: OutMessage | OutPackage | OutGroup, version: str = "3", **more: Any) -> OutInterchange:
    given: dict[str, Any] = {"sender": ("A",), "recipient": ("B",), "reference": "R1", "now": NOW} | more
    return OutInterchange(parts=parts, syntax=("UNOC", version), **given)


def octets(*parts: OutMessage | OutPackage | OutGroup, **more: Any) -> bytes:
    return b"".join(pieces((out(*parts, **more),)))


def again(interchange: OutInterchange, directories: Directories) -> Interchange:
    return read(b"".join(pieces((interchange,))), directories, agreement=PACKAGES)


# The property: what is written is read, whatever it is.


def same(written: OutMessage, back: Any) -> bool:
    names = ("type", "version", "release", "agency", "association", "reference", "common_reference")
    segments = [(s.tag, s.elements, s.repeats) for s in back.segments[1:-1]]
    return all(getattr(written, n) == getattr(back, n) for n in names) and segments == [
        (s.tag, s.elements, s.repeats) for s in written.segments
    ]


@given(st.data())
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
def test_any_valid_interchange_is_written_and_read_again(
    directories: Directories, data: st.DataObject
) -> None:
    drawn = data.draw(interchanges(directories))
    back = again(drawn, directories)
    assert [*everything(back), *(f for g in back.groups for f in g.findings)] == []
    assert (back.reference, back.sender, back.recipient) == (drawn.reference, drawn.sender, drawn.recipient)
    assert (back.syntax, back.encoding) == (drawn.syntax, drawn.encoding)
    assert (back.test, back.ack_request) == (drawn.test, drawn.ack_request)
    groups = [part for part in drawn.parts if isinstance(part, OutGroup)]
    assert [(g.reference, g.sender, g.recipient) for g in back.groups] == [
        (g.reference, g.sender, g.recipient) for g in groups
    ]
    flat = [p for part in drawn.parts for p in (part.parts if isinstance(part, OutGroup) else (part,))]
    messages = [part for part in flat if isinstance(part, OutMessage)]
    assert len(back.messages) == len(messages)
    assert all(same(w, b) for w, b in zip(messages, back.messages, strict=True))
    assert all(b.tree is not None and tuple(leaves(b.tree)) == b.segments for b in back.messages)
    assert [(p.reference, p.references, p.types, p.octets) for p in back.packages] == [
        (p.reference, p.references, p.types, p.octets) for p in flat if isinstance(p, OutPackage)
    ]


@pytest.mark.filterwarnings(
    "ignore:segments.xml not found", "ignore:Segment .* is empty"
)  # it has no directories
@given(st.data())
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
def test_another_reader_finds_the_same_segments(directories: Directories, data: st.DataObject) -> None:
    drawn = data.draw(interchanges(directories, versions="3"))
    codec = {"UNOD": "iso8859_2", "UNOE": "iso8859_5", "UNOF": "iso8859_7", "KECA": "euc_kr"}
    text = b"".join(pieces((drawn,))).decode(codec.get(drawn.syntax[0], "iso8859_1"))
    judged = [s.tag for s in RawSegmentCollection.from_str(text).segments if s.tag != "UNA"]
    back = again(drawn, directories)
    inner = [s.tag for m in back.messages for s in m.segments]
    assert [tag for tag in judged if tag not in ("UNB", "UNG", "UNE", "UNZ")] == inner


def _plain(interchange: OutInterchange) -> bool:
    return all(isinstance(part, OutMessage) for part in interchange.parts)


@given(st.data())
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
def test_what_was_read_is_written_to_the_same_octets(directories: Directories, data: st.DataObject) -> None:
    drawn = data.draw(interchanges(directories, versions="3").filter(_plain))
    back = again(drawn, directories)
    once_more = replace(drawn, parts=[forwarded(m) for m in back.messages])
    assert b"".join(pieces((once_more,))) == b"".join(pieces((drawn,)))


# Groups.


def test_a_group_before_syntax_4_says_what_it_holds() -> None:
    written = octets(group(message("1"), message("2"), password="PW"), group(message(), reference="G2"))
    ung = b"UNG+CUSRES+APP1:ZZ+APP2+240131:1230+%s+UN+D:96B%s'"
    assert ung % (b"G1", b"+PW") in written
    assert b"UNT+3+2'UNE+2+G1'" + ung % (b"G2", b"") + b"UNH+1+CUSRES" in written
    assert written.endswith(b"UNE+1+G2'UNZ+2+R1'")


def test_a_group_of_syntax_4_may_mix_and_says_its_type_or_nothing() -> None:
    mixed = group(message("1"), message("2", "CUSCAR"), package(b"''"))
    assert b"UNG++APP1:ZZ+APP2+20240131:1230+G1'" in octets(mixed, version="4")
    named = replace(mixed, type="CUSRES", agency="UN", version=("D", "96B"))
    assert b"+20240131:1230+G1+UN+D:96B'" in octets(named, version="4")
    assert b"UNE+3+G1'" in octets(mixed, version="4")


@pytest.mark.parametrize(
    ("parts", "version", "why"),
    [
        ((group(message("1"), message("2", "CUSCAR")),), "3", "cannot share a group"),
        ((group(message("1"), message("2", release="99B")),), "3", "cannot share a group"),
        ((group(message()), message()), "3", "side by side"),
        ((message(), group(message())), "4", "side by side"),
        ((group(message()), group(message())), "3", "'G1' .0048. is used twice"),
        ((message(), message()), "3", "'1' .0062. is used twice"),
        ((group(message(), message()),), "3", "'1' .0062. is used twice"),
        ((group(),), "3", "must hold a message"),
        ((), "3", "not 0"),
        ((package(),), "3", "only under syntax 4"),
        ((package(references=()),), "4", "1 to 99 of S020"),
        ((package(types=(("12", "A"),) * 100),), "4", "1 to 99 of S020"),
        ((package(b"abc", length=2),), "4", "3 octets of an object that is said to have 2"),
        ((package(iter([b"ab", b"c"]), length=4),), "4", "3 octets of an object that is said to have 4"),
        ((message(segments=(Segment("UNT", ()),)),), "3", "cannot stand within"),
        ((message(segments=(Segment("BGM'UNT", ()),)),), "3", "no segment tag"),
        ((message(segments=(Segment("FTX", (("a\x07",),)),)),), "3", r"U\+0007"),
    ],
)  # fmt: skip
def test_what_no_receiver_could_read_is_not_written(parts: tuple[Any, ...], version: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        octets(*parts, version=version)


def test_level_a_has_capitals_only_unless_they_are_a_partners_own() -> None:
    lower = message(segments=(Segment("FTX", (("abc",),)),))
    with pytest.raises(ValueError, match="level UNOA"):
        b"".join(pieces((replace(out(lower), syntax=("UNOA", "3")),)))
    verbatim = replace(out(lower, sender=("Van1",)), syntax=("UNOA", "3"), verbatim=True)
    assert b"+Van1+" in b"".join(pieces((verbatim,)))


# Packages.


def test_a_package_is_written_as_it_is() -> None:
    parted = package(iter([b"UNP'", b"\0??"]), length=7, references=(("1", "A"), ("2", "B'")))
    assert octets(parted, version="4").endswith(
        b"UNO+P1+1:A*2:B?'+12:A.PDF+7'UNP'\0??UNP+7+P1'UNZ+1+R1'",
    )


def test_packages_and_messages_are_counted_together(directories: Directories) -> None:
    back = again(out(message(), package(b"'" * 5_000), version="4"), directories)
    assert everything(back) == []
    assert back.packages[0].octets == b"'" * 5_000


# Batches, several interchanges, judging.


class Counter:
    """References as a ledger gives them: each once."""

    def __init__(self) -> None:
        self.last = 100

    def take(self, count: int = 1) -> list[str]:
        self.last += count
        return [str(n) for n in range(self.last - count + 1, self.last + 1)]


MESSAGES = [
    (("LINE", "ZZ"), message("x")),
    (("BROKER",), message("x")),
    (("LINE", "ZZ"), message("x", "CUSCAR", segments=(Segment("BGM", (("785",), ("M1",), ("9",))),))),
    (("LINE", "ZZ"), message("x")),
]


@pytest.mark.parametrize("version", ["1", "3", "4"])
def test_batches_are_made_by_recipient_and_type(version: str, directories: Directories) -> None:
    made = batched(MESSAGES, out(version=version), Counter(), grouped=True)
    first, second = (again(o, directories) for o in made)
    assert (first.reference, second.reference) == ("101", "104")
    assert [(g.reference, g.type, g.recipient, g.messages) for g in first.groups] == [
        ("102", "CUSRES", ("LINE", "ZZ"), (1, 2)),
        ("103", "CUSCAR", ("LINE", "ZZ"), (3,)),
    ]
    assert [(m.reference, m.group_reference) for m in first.messages] == [
        ("1", "102"),
        ("2", "102"),
        ("1", "103"),
    ]
    assert [f.code for f in first.findings + first.groups[0].findings] == []
    assert second.recipient == ("BROKER",)


def test_batches_without_groups_are_in_order(directories: Directories) -> None:
    first, _ = (again(o, directories) for o in batched(MESSAGES, out(), Counter()))
    assert [(m.reference, m.type) for m in first.messages] == [
        ("1", "CUSRES"),
        ("2", "CUSCAR"),
        ("3", "CUSRES"),
    ]
    assert first.groups == ()


def test_several_interchanges_stand_in_one_file(directories: Directories) -> None:
    both = (
        out(message()),
        out(message(), version="4", reference="R2"),
        out(message(), reference="R3", una=False),
    )
    events = list(stream(pieces(both), directories))
    assert [e.interchange.reference for e in events if isinstance(e, InterchangeRead)] == ["R1", "R2", "R3"]
    assert proofread(pieces(both), directories) == ()


def test_what_is_written_is_judged_on_request(directories: Directories) -> None:
    wrong = message(segments=(Segment("BGM", (("Q29",), ("L" * 36,))), Segment("XYZ", ())))
    codes = {f.code for f in proofread(pieces((out(wrong, package(b"a"), version="4"),)), directories)}
    assert codes == {"EDI012", "EDI039", "EDI203"}
    long = out(message(reference="R" * 15))
    assert [f.place.tag for f in proofread(pieces((long,)), directories)] == ["UNH", "UNT"]


# Streams.


def many(count: int) -> Iterator[Segment]:
    yield BGM
    for number in range(count):
        yield Segment("FTX", (("AAO",), (), (), (f"line {number}", "x" * 60)))


def test_a_large_message_is_written_in_flat_memory() -> None:
    tracemalloc.start()
    size = sum(map(len, pieces((out(message(segments=many(60_000))),))))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 4_000_000
    assert peak < 1_500_000


def test_a_large_package_is_passed_through(directories: Directories) -> None:
    parted = package((bytes([n]) * 1_000 for n in range(250)), length=250_000)
    events = stream(pieces((out(message(), parted, version="4"),)), directories, agreement=PACKAGES)
    assert [e.interchange.findings for e in events if isinstance(e, InterchangeRead)] == [()]


def test_pieces_and_whole_are_the_same_octets(directories: Directories) -> None:
    parted = list(pieces((out(message(segments=many(3_000))),)))
    assert len(parted) > 3
    whole = write([message(segments=many(3_000))], sender=("A",), recipient=("B",), reference="R1", now=NOW)
    assert b"".join(parted) == whole
    heads = [e.message for e in stream(parted, directories) if isinstance(e, MessageRead)]
    assert [m.reference for m in heads] == ["1"]


def test_more_segments_than_unt_can_count_are_refused() -> None:
    most = message(segments=repeat(Segment("A11", ()), MAX_SEGMENTS - 2))
    assert sum(map(len, pieces((out(most),)))) > 4 * MAX_SEGMENTS - 8
    more = message(segments=repeat(Segment("A11", ()), MAX_SEGMENTS - 1))
    with pytest.raises(ValueError, match="more than a message can count"):
        sum(map(len, pieces((out(more),))))
    longer = replace(more, segments=repeat(Segment("A11", ()), MAX_SEGMENTS - 1))
    assert b"".join(pieces((out(longer, version="4"),))).endswith(b"UNT+1000000+1'UNZ+1+R1'")
