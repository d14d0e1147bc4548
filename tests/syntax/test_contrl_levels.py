"""CONTRL: groups, packages, security segments, copies, bounds, and when an acknowledgement is due."""

from __future__ import annotations

from datetime import UTC, datetime
from time import process_time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.model import Catalogue, Finding, Place
from gateway.model.edifact import Acknowledging, Agreement
from gateway.syntax import (
    Acknowledgement,
    Directories,
    Interchange,
    InterchangeBegun,
    Reported,
    Unnameable,
    acknowledge,
    acknowledgement,
    answerable,
    contrl,
    pieces,
    read,
    receipt,
    stream,
    wanted,
)
from gateway.syntax.contrl_reading import ElementReported
from tests.syntax.samples import CUSCAR, CUSDEC, GOOD, HEAD, codes
from tests.syntax.strategies import interchanges

NOW = datetime(2024, 1, 31, 12, 30, tzinfo=UTC)
OUR: dict[str, Any] = {
    "sender": ("CUSTOMS", "ZZ"),
    "recipient": ("VAN1", "ZZ"),
    "reference": "A1",
    "now": NOW,
}
COPY = "REF1+VAN1:ZZ+CUSTOMS:ZZ"
PACKAGES = Agreement(packages=True)
HEAD_4 = HEAD.replace("UNOC:3", "UNOC:4").replace("240131:", "20240131:")
UNG = "UNG+{}+APP1:ZZ+APP2+240131:1200+{}+UN+D:{}'"


def answered(
    text: str | bytes, directories: Directories, catalogue: Catalogue
) -> tuple[str, Acknowledgement]:
    """The CONTRL's segments between UNH and UNT, and what our reader makes of them."""
    content = text if isinstance(text, bytes) else text.encode()
    octets = contrl_of(read(content, directories, agreement=PACKAGES), catalogue)
    back = read(octets, directories)
    assert codes(back) == []
    written = octets.decode("latin-1")
    return written[written.index("UCI+") : written.rindex("UNT+")], acknowledgement(back.messages[0])


def contrl_of(interchange: Interchange, catalogue: Catalogue) -> bytes:
    rejected = {m.ordinal: m.findings for m in interchange.messages if m.rejected}
    return contrl(interchange, rejected, catalogue, **OUR)


# Levels.


def grouped(*groups: str) -> str:
    return f"{HEAD}{''.join(groups)}UNZ+{len(groups)}+REF1'"


def test_messages_of_groups_stand_below_their_group(directories: Directories, catalogue: Catalogue) -> None:
    bad = CUSDEC.replace("BGM+929", "BGM+Q29")
    good = CUSDEC.replace("+1+CUS", "+2+CUS").replace("T+9+1", "T+9+2")
    one = f"{UNG.format('CUSDEC', 'G1', '96B')}{bad}{good}UNE+2+G1'"
    two = f"{UNG.format('CUSDEC', 'G2', '96B')}{bad}UNE+1+G2'"
    written, told = answered(grouped(one, two), directories, catalogue)
    below = "UCM+1+CUSDEC:D:96B:UN+4'UCS+2'UCD+12+2:1'"
    assert written == f"UCI+{COPY}+7'UCF+G1+APP1:ZZ+APP2+7'{below}UCF+G2+APP1:ZZ+APP2+7'{below}"
    assert [(m.reference, m.group) for m in told.messages] == [("1", "G1"), ("1", "G2")]
    assert [g.parties for g in told.groups] == [(("APP1", "ZZ"), ("APP2",))] * 2
    assert told.rejects("1", "G1")
    assert not told.rejects("2", "G1")
    assert not told.rejects("1", "G3")
    assert not told.rejects(group="G1")


def test_a_rejected_group_sinks_what_is_in_it(directories: Directories, catalogue: Catalogue) -> None:
    group = f"{UNG.format('CUSDEC', 'G1', '96B')}{CUSDEC}UNE+9+G1'"
    written, told = answered(grouped(group), directories, catalogue)
    assert written == f"UCI+{COPY}+7'UCF+G1+APP1:ZZ+APP2+4+29+UNE+2'"
    assert told.rejects("1", "G1")
    assert told.rejects(group="G1")
    assert not told.rejects()


def test_a_mixed_group_and_types_side_by_side(directories: Directories, catalogue: Catalogue) -> None:
    mixed = f"{UNG.format('CUSDEC', 'G1', '96B')}{CUSDEC}{CUSCAR}UNE+2+G1'"
    assert answered(grouped(mixed), directories, catalogue)[0].endswith("+4+31+UNG'")
    loose = f"{HEAD}{CUSDEC}{UNG.format('CUSCAR', 'G1', '95B')}{CUSCAR}UNE+1+G1'UNZ+1+REF1'"
    assert answered(loose, directories, catalogue)[0] == f"UCI+{COPY}+4+30+UNG'"


def test_a_group_of_syntax_4_needs_a_reference_only(directories: Directories, catalogue: Catalogue) -> None:
    text = f"{HEAD_4}UNG+++++G1'{CUSDEC}UNE+2+G1'UNZ+1+REF1'"
    assert answered(text, directories, catalogue)[0] == f"UCI+{COPY}+7'UCF+G1+++4+29+UNE+2'"
    before = f"{HEAD}UNG+CUSDEC+++240131:1200+G1+UN+D:96B'{CUSDEC}UNE+2+G1'UNZ+1+REF1'"
    with pytest.raises(Unnameable, match="UNG"):
        answered(before, directories, catalogue)


def test_a_package_is_rejected_by_its_reference(directories: Directories, catalogue: Catalogue) -> None:
    uno = "UNO+P'1+1:A*2:B+12:F+3'abcUNP+4+P'1'".replace("P'1", "P?'1")
    text = f"{HEAD_4}{CUSDEC}{uno}UNZ+2+REF1'"
    written, told = answered(text, directories, catalogue)
    assert written == f"UCI+{COPY}+7'UCM+++4+29+UNP+2+P?'1+1:A*2:B'"
    (package,) = told.packages
    assert (package.package, package.objects) == ("P'1", (("1", "A"), ("2", "B")))
    assert told.messages == ()
    assert told.rejects(package="P'1")
    assert not told.rejects("1")


def test_a_package_in_a_group(directories: Directories, catalogue: Catalogue) -> None:
    text = f"{HEAD_4}UNG+++++G1'{CUSDEC}UNO+P1+1:A+12:F+1'aUNP+2+P1'UNE+2+G1'UNZ+1+REF1'"
    written, told = answered(text, directories, catalogue)
    assert written == f"UCI+{COPY}+7'UCF+G1+++7'UCM+++4+29+UNP+2+P1+1:A'"
    assert told.rejects(package="P1", group="G1")


def test_a_package_that_was_not_agreed_is_the_interchange_s(
    directories: Directories, catalogue: Catalogue
) -> None:
    text = f"{HEAD_4}UNO+P1+1:A+12:F+1'aUNP+1+P1'UNZ+1+REF1'"
    octets = contrl_of(read(text.encode(), directories), catalogue)
    assert b"+4+47+UNO'" in octets


def test_security_segments_are_told_with_their_place(directories: Directories, catalogue: Catalogue) -> None:
    """0534 names the security group, 0138 counts its segments from 1."""
    message = "UNH+1+CUSDEC:D:96B:UN'USH+1+SEC1+2'USA+1::Q:1'BGM+929+L+9'UNS+D'UNS+S'UST+SEC1+2'UNT+8+1'"
    place = Place("1", 3, "USA", element=1, component=1)
    interchange = read(f"{HEAD_4}{message}UNZ+1+REF1'".encode(), directories)
    octets = contrl(interchange, {1: (Finding("EDI012", place),)}, catalogue, **OUR)
    assert b"UCM+1+CUSDEC:D:96B:UN+4+12+USA+2:1+++SEC1+2'" in octets
    back = acknowledgement(read(octets, directories).messages[0]).messages[0]
    assert (back.security, back.position, back.package) == ("SEC1", 2, "")


def test_a_repetition_is_told_and_read(directories: Directories, catalogue: Catalogue) -> None:
    message = "UNH+1+CUSCAR:D:13A:UN'BGM+85+M+9'NAD+MS+X'CTA+IC'COM+1:TE*2:QQ'UNT+6+1'"
    _, told = answered(f"{HEAD_4}{message}UNZ+1+REF1'", directories, catalogue)
    assert told.messages[0].segments[0].elements == (ElementReported("12", 2, 2, 2),)


def test_faults_of_one_segment_with_different_codes_are_all_told(
    directories: Directories, catalogue: Catalogue
) -> None:
    places = [("EDI201", 0), ("EDI035", 0), ("EDI201", 0), ("EDI039", 2)]
    told = tuple(Finding(code, Place("1", 2, "BGM", element=element)) for code, element in places)
    octets = contrl(read(GOOD.encode(), directories), {1: told}, catalogue, **OUR)
    assert b"UN+4'UCS+2+13'UCD+39+3'UCS+2+35'UNT" in octets


def test_what_names_no_segment_is_told_of_the_message(directories: Directories, catalogue: Catalogue) -> None:
    octets = contrl(read(GOOD.encode(), directories), {2: (Finding("EDI026"),)}, catalogue, **OUR)
    assert b"UCM+2+CUSCAR:D:95B:UN+4+26'UNT" in octets


# Copies.


def test_a_reference_that_unh_lacks_is_taken_from_unt(directories: Directories, catalogue: Catalogue) -> None:
    text = GOOD.replace("UNH+2+", "UNH++")
    assert answered(text, directories, catalogue)[0] == f"UCI+{COPY}+7'UCM+2+CUSCAR:D:95B:UN+4+13+UNH+2'"


LONG = "1" * 14


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("UNH+2+", "UNH++").replace("UNT+10+2", "UNT+10"),
        GOOD.replace("CUSCAR:D", ":D"),
        GOOD.replace("CUSCAR:D:95B:UN", "CUSCAR::95B:UN"),
        # cut to its format, the second message's reference is the first one's
        GOOD.replace("UNH+2+", f"UNH+{LONG}2+")
        .replace("UNH+1+", f"UNH+{LONG}+")
        .replace("T+9+1", f"T+9+{LONG}"),
    ],
)
def test_what_cannot_be_named_is_told_by_other_means(
    text: str, directories: Directories, catalogue: Catalogue
) -> None:
    interchange = read(text.encode(), directories)
    assert interchange.answerable
    assert not answerable(interchange, catalogue)
    with pytest.raises(Unnameable):
        answered(text, directories, catalogue)
    assert answerable(interchange, catalogue, {})


def test_syntax_4_may_leave_the_identifier_out(directories: Directories, catalogue: Catalogue) -> None:
    text = f"{HEAD_4}{CUSDEC.replace('CUSDEC:D', ':D')}UNZ+1+REF1'"
    assert answered(text, directories, catalogue)[0] == f"UCI+{COPY}+7'UCM+1++4+13+UNH+3:1'"


def test_bounds_of_positions(directories: Directories, catalogue: Catalogue) -> None:
    place = Place("1", 4_000_000, "FTX", element=5_000, component=2_000)
    octets = contrl(read(GOOD.encode(), directories), {1: (Finding("EDI012", place),)}, catalogue, **OUR)
    assert b"UCS+999999'UCD+12+999:999'" in octets
    assert codes(read(octets, directories)) == []


# When an acknowledgement is due.

BAD = GOOD.replace("BGM+929", "BGM+Q29")


def asking(text: str, request: str) -> str:
    return text.replace("+REF1'UNH", f"+REF1++++{request}'UNH")


@pytest.mark.parametrize(
    ("request_", "version", "agreed", "due"),
    [
        ("", "3", "full", "full"),
        ("", "3", "errors", "errors"),
        ("", "4", "receipt", "receipt"),
        ("1", "3", "errors", "full"),
        ("1", "4", "receipt", "full"),
        ("2", "4", "full", "receipt"),
        ("2", "3", "full", "full"),  # no value of syntax 3
    ],
)
def test_what_the_sender_asks_goes_before_what_was_agreed(
    request_: str, version: str, agreed: str, due: str
) -> None:
    interchange = Interchange(ack_request=request_, syntax=("UNOC", version))
    assert wanted(interchange, Acknowledging(agreed)) is Acknowledging(due)


@pytest.mark.parametrize(
    ("text", "agreed", "sent"),
    [
        (GOOD, "full", True),
        (GOOD, "errors", False),
        (GOOD, "receipt", False),
        (BAD, "full", True),
        (BAD, "errors", True),
        (BAD, "receipt", True),
        (asking(GOOD, "1"), "errors", True),
        (GOOD.replace("UNZ+2", "UNZ+3"), "errors", True),
        (f"{HEAD}{UNG.format('CUSDEC', 'G1', '96B')}{CUSDEC}UNE+9+G1'UNZ+1+REF1'", "errors", True),
    ],
)
def test_an_acknowledgement_is_sent_where_it_is_due(
    text: str, agreed: str, sent: bool, directories: Directories, catalogue: Catalogue
) -> None:
    interchange = read(text.encode(), directories)
    rejected = {m.ordinal: m.findings for m in interchange.messages if m.rejected}
    octets = acknowledge(interchange, rejected, catalogue, Acknowledging(agreed), **OUR)
    assert octets == (contrl_of(interchange, catalogue) if sent else None)


@pytest.mark.parametrize("head", [HEAD, HEAD_4])
def test_a_receipt_needs_the_header_only(head: str, directories: Directories) -> None:
    begun = next(e for e in stream([head.encode()], directories) if isinstance(e, InterchangeBegun))
    octets = receipt(begun.interchange, **OUR)
    back = read(octets, directories)
    assert codes(back) == []
    assert f"UCI+{COPY}+8'UNT".encode() in octets
    told = acknowledgement(back.messages[0])
    assert told.receipt
    assert not told.rejects("1")


def test_an_acknowledgement_is_never_acknowledged(directories: Directories, catalogue: Catalogue) -> None:
    interchange = read(contrl_of(read(BAD.encode(), directories), catalogue), directories)
    broken = replace(interchange, findings=(Finding("EDI029", Place(tag="UNZ")),))
    for whole in (interchange, broken):
        assert acknowledge(whole, {}, catalogue, Acknowledging.FULL, **OUR) is None
        assert not answerable(whole, catalogue)
        with pytest.raises(ValueError, match="never answered"):
            receipt(whole, **OUR)
    said = replace(read(GOOD.encode(), directories), application="CONTRL", messages=())
    with pytest.raises(ValueError, match="never answered"):
        receipt(said, **OUR)


def test_a_receipt_needs_to_know_whom_to_answer(directories: Directories) -> None:
    for interchange in (Interchange("R", ("",), ("B",)), Interchange("", ("A",), ("B",))):
        with pytest.raises(Unnameable):
            receipt(interchange, **OUR)


# Read back.


@pytest.mark.parametrize(
    "body",
    [
        "UCM+1+CUSDEC:D:96B:UN+4'",
        f"UCI+{COPY}+7'UCS+2+13'",
        f"UCI+{COPY}+7'UCM+1+CUSDEC:D:96B:UN+4'UCD+12+2'",
        f"UCI+{COPY}+7'UCF+G1+A+B+7'UCS+2+13'",
        f"UCI+{COPY}+7'UCI+{COPY}+4'",
        "",
    ],
)
def test_what_is_no_contrl_is_refused(body: str, directories: Directories) -> None:
    text = f"{HEAD}UNH+1+CONTRL:D:3:UN'{body}UNT+{body.count(chr(39)) + 2}+1'UNZ+1+REF1'"
    with pytest.raises(ValueError, match=r"CONTRL|stands below"):
        acknowledgement(read(text.encode(), directories).messages[0])


def test_old_actions_reject_too() -> None:
    assert [Reported("1", action).rejected for action in "123456 78".replace(" ", "")] == [
        action in "46" for action in "12345678"
    ]


@given(st.data())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
def test_any_valid_interchange_is_acknowledged_whole(
    directories: Directories, catalogue: Catalogue, data: st.DataObject
) -> None:
    drawn = data.draw(interchanges(directories))
    content = b"".join(pieces((drawn,)))
    interchange = read(content, directories, agreement=PACKAGES)
    if not interchange.answerable:
        assert any(m.type == "CONTRL" for m in interchange.messages)
        return
    back = read(contrl_of(interchange, catalogue), directories)
    assert [f for f in codes(back) if f != "EDI107"] == []
    told = acknowledgement(back.messages[0])
    assert (told.interchange.action, told.messages, told.groups, told.packages) == ("7", (), (), ())
    assert told.interchange.reference == interchange.reference.rstrip()


@given(st.data(), st.integers(0, 10_000), st.integers(0, 127))
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
def test_whatever_one_octet_breaks_the_contrl_is_without_fault(
    directories: Directories, catalogue: Catalogue, data: st.DataObject, index: int, octet: int
) -> None:
    drawn = data.draw(interchanges(directories, kinds=("CUSCAR", "CUSDEC", "AUTACK", "INVOIC")))
    octets = bytearray(b"".join(pieces((drawn,))))
    octets[index % len(octets)] = octet
    interchange = read(bytes(octets), directories, agreement=PACKAGES)
    if not answerable(interchange, catalogue):
        return
    back = read(contrl_of(interchange, catalogue), directories)
    assert [f for f in codes(back) if f != "EDI107"] == []  # a reference in lower case is copied as it is
    told = acknowledgement(back.messages[0])
    if told.interchange.action == "7":
        for message in (m for m in interchange.messages if m.reference and m.reference.isprintable()):
            assert told.rejects(message.reference, message.group_reference) or not message.rejected


def test_very_many_faults_are_told_in_time(directories: Directories, catalogue: Catalogue) -> None:
    """Work grows with the faults, not with their square: 3,000 messages with long references, 999 faults one."""
    unh, unt = f"UNH+{LONG}{{0:06}}+CUSDEC:D:96B:UN'", f"UNT+9+{LONG}{{0:06}}'"
    body = CUSDEC.removeprefix("UNH+1+CUSDEC:D:96B:UN'").removesuffix("UNT+9+1'")
    messages = "".join(unh.format(n) + body + unt.format(n) for n in range(3_000))
    interchange = read(f"{HEAD}{messages}UNZ+3000+REF1'".encode(), directories)
    faults = tuple(Finding("EDI012", Place("1", n, "DTM", element=1)) for n in range(2, 1_001))
    rejected = dict.fromkeys(range(1, 3_001), faults[:9]) | {1: faults}
    start = process_time()
    octets = contrl(interchange, rejected, catalogue, **OUR)
    assert process_time() - start < 5
    assert octets.count(b"UCM+") == 3_000
    assert octets.count(b"UCS+") == 2_999 * 9 + 999
