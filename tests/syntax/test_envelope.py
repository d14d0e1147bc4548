"""UNB to UNZ, UNG to UNE, UNH to UNT: what is read of them, references, counts and order."""

from __future__ import annotations

import pytest

from gateway.syntax import Directories, EdifactLimits, read
from tests.syntax.samples import CUSCAR, CUSDEC, GOOD, HEAD, codes, errors

UNG = "UNG+CUSDEC+APP1:ZZ+APP2:ZZ+240131:1200+G1+UN+D:96B'"
UNE = "UNE+1+G1'"
END = "UNZ+1+REF1'"
SECOND = CUSDEC.replace("UNH+1", "UNH+2").replace("UNT+9+1", "UNT+9+2")


def test_the_envelope_is_read(directories: Directories) -> None:
    head = "UNB+UNOC:3+VAN1:ZZ:BACK+CUSTOMS:14:ROUTE+240131:1259+REF1+PASS:AA+CUSDECU+A+1+AGR+1'"
    interchange = read(GOOD.replace(HEAD, head).encode(), directories)
    assert interchange.findings == ()
    assert (interchange.reference, interchange.prepared_at) == ("REF1", "240131:1259")
    assert interchange.sender == ("VAN1", "ZZ", "BACK")
    assert interchange.recipient == ("CUSTOMS", "14", "ROUTE")
    assert interchange.syntax == ("UNOC", "3")
    assert (interchange.ack_request, interchange.test, interchange.application) == ("1", True, "CUSDECU")
    assert not read(GOOD.encode(), directories).test


def test_a_message_is_read(directories: Directories) -> None:
    message = CUSDEC.replace("CUSDEC:D:96B:UN'", "CUSDEC:D:96B:UN:ZZZ01+COMMON'")
    first = read(f"{HEAD}{message}{END}".encode(), directories).messages[0]
    assert (first.ordinal, first.reference, first.common_reference) == (1, "1", "COMMON")
    assert (first.type, first.version, first.release, first.agency) == ("CUSDEC", "D", "96B", "UN")
    assert first.identifier == "CUSDEC:D:96B:UN:ZZZ01"
    assert [s.tag for s in first.segments][::8] == ["UNH", "UNT"]


def test_groups_are_read(directories: Directories) -> None:
    groups = UNG + CUSDEC + UNE + UNG.replace("G1", "G2") + CUSDEC + SECOND + "UNE+2+G2'"
    interchange = read(f"{HEAD}{groups}UNZ+2+REF1'".encode(), directories)
    assert codes(interchange) == []
    assert [g.reference for g in interchange.groups] == ["G1", "G2"]
    assert [g.messages for g in interchange.groups] == [(1,), (2, 3)]
    assert interchange.groups[0].sender == ("APP1", "ZZ")
    assert [m.group_reference for m in interchange.messages] == ["G1", "G2", "G2"]


@pytest.mark.parametrize(
    ("name", "text", "code", "tag", "element"),
    [
        ("duplicate 0062", HEAD + CUSDEC + CUSDEC + "UNZ+2+REF1'", "EDI026", "UNH", 1),
        (
            "UNT missing before UNH",
            HEAD + CUSDEC.removesuffix("UNT+9+1'") + SECOND + "UNZ+2+REF1'",
            "EDI133",
            "UNT",
            0,
        ),
        ("UNT missing before UNZ", HEAD + CUSDEC.removesuffix("UNT+9+1'") + END, "EDI133", "UNT", 0),
        ("UNE count", HEAD + UNG + CUSDEC + "UNE+2+G1'" + END, "EDI029", "UNE", 1),
        ("UNE reference", HEAD + UNG + CUSDEC + "UNE+1+G9'" + END, "EDI028", "UNE", 2),
        ("UNE missing", HEAD + UNG + CUSDEC + END, "EDI133", "UNE", 0),
        ("two types in a group", HEAD + UNG + CUSDEC + CUSCAR + "UNE+2+G1'" + END, "EDI031", "UNG", 0),
        ("a bad date in UNG", HEAD + UNG.replace("0131", "1331") + CUSDEC + UNE + END, "EDI132", "UNG", 4),
    ],
)
def test_faults_of_messages_and_groups_reject_their_messages(
    name: str, text: str, code: str, tag: str, element: int, directories: Directories
) -> None:
    interchange = read(text.encode(), directories)
    assert interchange.findings == ()
    found = [f for m in interchange.messages for f in m.findings]
    assert {(f.code, f.place.tag, f.place.element) for f in found} == {(code, tag, element)}


@pytest.mark.parametrize(
    ("name", "text", "code", "tag", "element"),
    [
        ("0020 missing", GOOD.replace("1200+REF1", "1200"), "EDI013", "UNB", 5),
        ("sender missing", GOOD.replace("VAN1:ZZ", ""), "EDI013", "UNB", 2),
        ("qualifier too long", GOOD.replace("VAN1:ZZ", "VAN1:ZZZZZ"), "EDI039", "UNB", 2),
        ("no time of day", GOOD.replace("131:1200", "131:2561"), "EDI132", "UNB", 4),
        ("priority unknown", GOOD.replace("REF1'UNH", "REF1+++B'UNH"), "EDI012", "UNB", 8),
        ("a segment between messages", HEAD + CUSDEC + "FTX+AAA'FTX+AAB'" + END, "EDI033", "FTX", 0),
        ("UNT twice", HEAD + CUSDEC + "UNT+9+1'" + END, "EDI033", "UNT", 0),
        ("UNE without UNG", HEAD + CUSDEC + UNE + END, "EDI033", "UNE", 0),
        ("messages and groups", HEAD + CUSDEC + UNG + SECOND + UNE + END, "EDI030", "UNG", 0),
        ("groups and messages", HEAD + UNG + CUSDEC + UNE + SECOND + END, "EDI030", "UNH", 0),
        ("empty group", HEAD + UNG + "UNE+0+G1'" + END, "EDI032", "UNE", 0),
        ("second UNB", HEAD + CUSDEC + HEAD + SECOND + END, "EDI119", "UNB", 0),
    ],
)
def test_faults_of_the_interchange_reject_it(
    name: str, text: str, code: str, tag: str, element: int, directories: Directories
) -> None:
    interchange = read(text.encode(), directories)
    faults = [*interchange.findings, *(f for g in interchange.groups for f in g.findings)]
    assert (code, tag, element) in {(f.code, f.place.tag, f.place.element) for f in faults}
    assert interchange.rejected or interchange.groups


def test_references_may_repeat_in_different_groups(directories: Directories) -> None:
    text = f"{HEAD}{UNG}{CUSDEC}{UNE}{UNG.replace('G1', 'G2')}{CUSDEC}UNE+1+G2'UNZ+2+REF1'"
    assert codes(read(text.encode(), directories)) == []


def test_a_package_is_counted_and_refused(directories: Directories) -> None:
    head = "UNB+UNOC:4+A+B+20240131:1200+R'"
    text = f"{head}{CUSDEC}UNO+P1+1:X+12:Y+5'a'b+cUNP+5+P1'UNZ+2+R'"
    assert codes(read(text.encode(), directories)) == ["EDI047"]
    text = f"{head}UNO+P1+1:X+12:Y+5'a'b+cUNP+6+P2'UNZ+1+R'"
    assert codes(read(text.encode(), directories)) == ["EDI047", "EDI029", "EDI028"]


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (EdifactLimits(messages=1), "EDI117"),
        (EdifactLimits(segments=9), "EDI116"),
        (EdifactLimits(interchange=300), "EDI114"),
    ],
)
def test_bounds_end_the_reading(limits: EdifactLimits, code: str, directories: Directories) -> None:
    assert code in errors(read(GOOD.encode(), directories, limits))


@pytest.mark.parametrize(
    ("identifier", "component"),
    [
        ("CUSXYZ:D:96B:UN", 1),
        ("CUSDEC:D:21Z:UN", 3),
        ("CUSDEC:X:96B:UN", 2),
        ("CUSDEC:D:96B:XX", 4),
        ("GOVCBR:D:95B:UN", 1),
        ("PNRGOV:11:1:UN", 4),
    ],
)
def test_what_is_not_supported_is_told_at_its_component(
    identifier: str, component: int, directories: Directories
) -> None:
    message = read(GOOD.replace("CUSDEC:D:96B:UN", identifier).encode(), directories).messages[0]
    assert message.tree is None
    assert [(f.code, f.place.tag, f.place.element, f.place.component) for f in message.findings] == [
        ("EDI014", "UNH", 2, component)
    ]


def test_syntax_1_may_leave_the_agency_out(directories: Directories) -> None:
    text = GOOD.replace("UNOC:3", "UNOA:1").replace("96B:UN", "96B").replace("95B:UN", "95B")
    assert codes(read(text.encode(), directories)) == []
