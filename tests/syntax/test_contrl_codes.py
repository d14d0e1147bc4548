"""Every 0085 code at every level and syntax version: what is allowed is sent as it is, what is not by the nearest."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from gateway.model import Catalogue, Finding, Meaning, Place
from gateway.syntax import Directories, FunctionalGroup, Interchange, Message, Package, contrl, read
from gateway.syntax.contrl_codes import NEAREST, USABLE, listed, nearest, usable
from gateway.syntax.contrl_report import SERVICE_TAGS_4
from tests.syntax.samples import codes

NOW = datetime(2024, 1, 31, 12, 30, tzinfo=UTC)

# ISO 9735-4: the segments that may tell each code; 48 is in no list that we hold.
LEVELS = {
    "2": "UCI", "7": "UCI", "12": "UCI UCF UCM UCD", "13": "UCI UCF UCM UCS UCD", "14": "UCI UCF UCM UCD",
    "15": "UCI UCF UCM UCS UCD", "16": "UCI UCF UCM UCS UCD", "17": "UCI UCF UCM",
    "18": "UCI UCF UCM UCS UCD", "19": "UCI UCF UCM UCD", "20": "UCI", "21": "UCI UCF UCM UCS UCD",
    "22": "UCI UCF UCM UCS UCD", "23": "UCI", "24": "UCI UCF", "25": "UCI UCF UCM", "26": "UCI UCF UCM",
    "27": "UCI UCF UCM", "28": "UCI UCF UCM", "29": "UCI UCF UCM", "30": "UCI", "31": "UCF",
    "32": "UCI UCF", "33": "UCI UCF", "34": "UCS", "35": "UCS", "36": "UCS", "37": "UCI UCF UCM UCD",
    "38": "UCI UCF UCM UCD", "39": "UCI UCF UCM UCD", "40": "UCI UCF UCM UCD", "41": "UCI", "42": "UCI",
    "43": "UCI", "44": "UCI", "45": "UCI UCF UCM UCS UCD", "46": "UCI", "47": "UCI UCF UCM",
}  # fmt: skip
ONLY_4 = {"45", "46", "47"}
ALL = [str(n) for n in range(1, 50)]
# What stands in for a code at a level that may not tell it, where that is more than 18.
INSTEAD = {
    ("12", "UCS"): "21", ("14", "UCS"): "15", ("19", "UCS"): "21", ("39", "UCS"): "16", ("40", "UCS"): "13",
    ("26", "UCD"): "12", ("28", "UCD"): "12", ("31", "UCI"): "15", ("31", "UCM"): "15", ("32", "UCM"): "13",
    ("34", "UCM"): "15", ("35", "UCD"): "16", ("36", "UCM"): "16", ("30", "UCM"): "15", ("33", "UCM"): "15",
    ("2", "UCM"): "14", ("7", "UCM"): "14", ("43", "UCM"): "14", ("23", "UCF"): "14", ("24", "UCM"): "12",
    ("46", "UCM"): "14", ("47", "UCD"): "15", ("41", "UCM"): "18", ("44", "UCS"): "18", ("20", "UCM"): "22",
}  # fmt: skip


@pytest.mark.parametrize("version", ["1", "2", "3", "4"])
@pytest.mark.parametrize("level", ["UCI", "UCF", "UCM", "UCS", "UCD"])
def test_a_code_is_told_where_the_table_allows_it(level: str, version: str) -> None:
    for code in ALL:
        allowed = level in LEVELS.get(code, "").split() and (version == "4" or code not in ONLY_4)
        assert usable(code, level, version) == allowed, code
        assert (nearest(code, level, version) == code) == allowed, code
        assert usable(nearest(code, level, version), level, version), code


@pytest.mark.parametrize(("wanted", "told"), INSTEAD.items())
def test_the_nearest_code_says_most_of_it(wanted: tuple[str, str], told: str) -> None:
    assert nearest(*wanted, "4") == told


def test_before_syntax_4_later_codes_have_neighbours() -> None:
    assert [nearest(c, "UCI", "3") for c in ("45", "46", "47")] == ["16", "2", "15"]
    assert (
        nearest("Z9", "UCI", "4") == nearest("", "UCS", "3") == nearest("48", "UCI", "3").replace("13", "18")
    )


def test_lists_and_tags_are_those_of_the_service_directories(directories: Directories) -> None:
    for version in "1234":
        of_version = directories.service(version).codes["0085"]
        assert {c for c in ALL if listed(c, version)} <= of_version
        assert not any(listed(c, version) for c in ("1", "3", "11", "48", "0", "x", ""))
    assert directories.service("4").codes["0135"] >= SERVICE_TAGS_4
    assert set().union(*USABLE.values()) - {"48"} == set(LEVELS)
    assert set(NEAREST) <= set(LEVELS) | {"48"}


# The same through a whole CONTRL, which must be without fault for its own reader.

GROUP = FunctionalGroup("G1", ("APP1", "ZZ"), ("APP2",), "CUSDEC", (1,))


def interchange(version: str, **more: object) -> Interchange:
    message = Message(1, "M1", "CUSDEC", "D", "96B", "UN", "", (), group_reference="")
    whole = Interchange("REF1", ("VAN1", "ZZ"), ("CUSTOMS", "ZZ"), ("UNOC", version), messages=(message,))
    return replace(whole, **more)


def told(
    directories: Directories, whole: Interchange, code: str, rejected: tuple[Finding, ...] = ()
) -> list[str]:
    """The CONTRL's segments from UCI on, for findings X1 whose 0085 code is ``code``."""
    catalogue = Catalogue({"EDI999": Meaning("x", "y", contrl=code)})
    parties = {"sender": ("CUSTOMS",), "recipient": ("VAN1",)}
    octets = contrl(whole, {1: rejected} if rejected else {}, catalogue, **parties, reference="1", now=NOW)
    back = read(octets, directories)
    assert codes(back) == []
    texts = octets.decode().split("'")
    return texts[texts.index(next(t for t in texts if t.startswith("UCI"))) : -3]


def at(tag: str, segment: int = 0, element: int = 0, component: int = 0) -> Finding:
    return Finding("EDI999", Place("M1", segment, tag, element=element, component=component))


@pytest.mark.parametrize("version", ["1", "2", "3", "4"])
@pytest.mark.parametrize("code", LEVELS)
def test_each_code_at_each_level_of_a_contrl(code: str, version: str, directories: Directories) -> None:
    head = "REF1+VAN1:ZZ+CUSTOMS:ZZ"
    identifier = "M1+CUSDEC:D:96B:UN"
    uci = interchange(version, findings=(at("UNB", element=2, component=1),))
    say = {level: nearest(code, level, version) for level in USABLE}
    assert told(directories, uci, code) == [f"UCI+{head}+4+{say['UCI']}+UNB+3:1"]
    faulty = replace(GROUP, findings=(at("UNE", element=1),))
    ucf = f"UCF+G1+APP1:ZZ+APP2+4+{say['UCF']}+UNE+2"
    assert told(directories, interchange(version, groups=(faulty,)), code) == [f"UCI+{head}+7", ucf]
    whole = interchange(version)
    ucm = told(directories, whole, code, (at("UNH", 1, element=2, component=3),))
    assert ucm == [f"UCI+{head}+7", f"UCM+{identifier}+4+{say['UCM']}+UNH+3:3"]
    body = (at("BGM", 2), at("DTM", 3, element=1, component=2))
    found = told(directories, whole, code, body)[1:]
    if {"UCI", "UCF", "UCM"} >= set(LEVELS[code].split()) and usable(code, "UCM", version):
        assert found == [f"UCM+{identifier}+4+{code}"]  # never of a body: the message as such
    else:
        assert found == [f"UCM+{identifier}+4", f"UCS+2+{say['UCS']}", "UCS+3", f"UCD+{say['UCD']}+2:2"]


@pytest.mark.parametrize("code", LEVELS)
def test_each_code_of_a_package(code: str, directories: Directories) -> None:
    package = Package("P1", (("1", "OBJ"), ("2", "REF")), findings=(at("UNO", element=2, component=1),))
    found = told(directories, interchange("4", packages=(package,)), code)[1:]
    assert found == [f"UCM+++4+{nearest(code, 'UCM', '4')}+UNO+3:1+P1+1:OBJ*2:REF"]
