"""UNA and UNB's S001: what may be announced, and what is presumed where nothing is."""

from __future__ import annotations

import pytest

from gateway.syntax import Separators, Tokeniser
from gateway.syntax.characters import codec_of, separators_of
from tests.syntax.samples import GOOD


def opened(octets: bytes) -> tuple[list[str], Tokeniser]:
    tokeniser = Tokeniser()
    tokeniser.feed(octets)
    tokeniser.finish()
    return [f.code for f in tokeniser.findings], tokeniser


@pytest.mark.parametrize(
    "una",
    [
        "::.? '",  # component and element the same
        ":+.+ '",
        ":+.?''",
        "A+.? '",
        ":1.? '",
        ":+.? \n",
        " +.? '",
        ":+.?  ",
        ":+\t? '",
        ":+:? '",
        ":+.? \xe9",
    ],
)
def test_una_with_impossible_service_characters_is_told_as_20(una: str) -> None:
    codes, tokeniser = opened(f"UNA{una}UNB+UNOC:3".encode("latin-1"))
    assert codes == ["EDI020"]
    assert tokeniser.stopped


def test_una_gives_every_service_character() -> None:
    assert separators_of(":+.? '") == Separators()
    assert separators_of(":+,?*'") == Separators(decimal=",", repetition="*")
    assert separators_of("\x1f\x1d,  \x1c").release == ""
    assert Separators(repetition="*").una == "UNA:+.?*'"


@pytest.mark.parametrize(
    ("start", "code"),
    [
        (b"", "EDI103"),
        (b"ISA*00*", "EDI103"),
        (b"<?xml version='1.0'?>", "EDI103"),
        (b"UNH+1+CUSDEC:D:96B:UN'", "EDI103"),
        (b"UNA:+.? 'UNH+1+X'", "EDI103"),
        (b"UN", "EDI103"),
        (b"\xff\xfeU\0N\0B\0+\0", "EDI103"),
        ("UNA:+.? 'UNB".encode("cp500"), "EDI103"),
        (b"UNB*UNOA:1*A*B'", "EDI104"),
    ],
)
def test_what_is_no_interchange_is_told(start: bytes, code: str) -> None:
    codes, tokeniser = opened(start)
    assert codes == [code]
    assert tokeniser.stopped


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-16", "UTF-16: "),
        ("utf-16-le", "UTF-16: "),
        ("utf-16-be", "UTF-16: "),
        ("cp500", "EBCDIC: "),
        ("ascii", "X"),
    ],
)
@pytest.mark.parametrize("start", ["UNA:+.? 'UNB+UNOC:3", "UNB+UNOC:3"])
def test_an_interchange_in_octets_of_another_kind_is_called_so(start: str, encoding: str, found: str) -> None:
    octets = start.encode(encoding) if encoding != "ascii" else b"X" + start.encode()
    _, tokeniser = opened(octets)
    assert [(f.code, f.found[: len(found)]) for f in tokeniser.findings] == [("EDI103", found)]


def test_blanks_and_a_byte_order_mark_before_una_are_read_over_with_a_warning() -> None:
    codes, tokeniser = opened(b"\xef\xbb\xbf \r\n" + GOOD.encode())
    assert codes == ["EDI101", "EDI102"] + ["EDI112"] * codes.count("EDI112")
    assert not tokeniser.stopped
    codes, _ = opened(GOOD.replace("UNB", "\n UNB").encode())
    assert "EDI102" in codes


def test_endless_blanks_are_no_interchange() -> None:
    codes, _ = opened(b" " * 100_000)
    assert codes == ["EDI102", "EDI103"]


@pytest.mark.parametrize(
    ("s001", "code", "component"),
    [
        ("UNOC:9", "EDI002", 2),
        ("UNOC", "EDI002", 2),
        ("UNOZ:3", "EDI002", 1),
        ("UNOY:4::5", "EDI046", 4),
        ("UNOC:4::3", "EDI046", 4),
    ],
)
def test_unsupported_syntax_is_told_at_its_component(s001: str, code: str, component: int) -> None:
    _, tokeniser = opened(GOOD.replace("UNOC:3", s001).encode())
    first = tokeniser.findings[0]
    assert (first.code, first.place.tag, first.place.element, first.place.component) == (
        code,
        "UNB",
        1,
        component,
    )
    assert not tokeniser.stopped  # the rest is read, so that the answer can name its references


@pytest.mark.parametrize(
    ("identifier", "encoding", "codec"),
    [
        ("UNOA", "", "ascii"),
        ("UNOX", "", "ascii"),
        ("UNOF", "", "iso8859_7"),
        ("UNOY", "7", "utf_8"),
        ("UNOC", "1", "ascii"),
        ("UNOY", "8", None),
    ],
)
def test_the_codec_follows_level_and_encoding(identifier: str, encoding: str, codec: str | None) -> None:
    assert codec_of(identifier, encoding) == codec
