"""A verdict depends on the octets alone: not on how they are cut, nor on what was read before."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.model.edifact import Agreement
from gateway.syntax import Detail, Directories, EdifactLimits, Event, Found, Reader, Tokeniser, read, stream
from gateway.syntax.identification import MAX_MANNERS, MAX_REMEMBERED, MAX_TYPES

TABLES = Path(__file__).parents[2] / "xsd" / "edifact"
HEAD = "UNB+UNOC:3+A:ZZ+B:ZZ+260114:0815+R1'"
MESSAGE = "UNH+1+CUSRES:D:96B:UN'BGM+962+M+11'UNT+3+1'"
END = "UNZ+1+R1'"
FOUR = "UNB+UNOC:4+A:ZZ+B:ZZ+20260114:0815+R1'"
PACKAGES = Agreement(packages=True)
SIZES = (1, 2, 3, 7, 1100)


@pytest.fixture
def fresh() -> Directories:
    """Directories that have read nothing yet."""
    return Directories.load(TABLES)


def rejected(text: str, directories: Directories) -> bool:
    whole = read(text.encode(), directories)
    return whole.rejected or any(message.rejected for message in whole.messages)


def events(octets: bytes, size: int, directories: Directories, agreement: Agreement) -> list[Event]:
    reader = Reader(directories, agreement=agreement, detail=Detail(segments=True))
    told = [event for at in range(0, len(octets), size) for event in reader.feed(octets[at : at + size])]
    return told + reader.finish()


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (HEAD + MESSAGE.replace("962", "?962") + END, HEAD + MESSAGE.replace("962", "?X62") + END),
        (HEAD + MESSAGE + END, HEAD.replace("A:ZZ", "? :ZZ") + MESSAGE + END),
        (
            HEAD.replace("UNOC:3", "UNOW:4").replace("260114", "20260114") + MESSAGE + END,
            HEAD.replace("UNOC:3", "UNOW:4").replace("260114", "20260114").replace("A:ZZ", "\u3000:ZZ")
            + MESSAGE
            + END,
        ),
    ],
)
def test_what_was_right_before_makes_nothing_right(good: str, bad: str, fresh: Directories) -> None:
    assert rejected(bad, fresh)
    for _ in range(40):
        assert not rejected(good, fresh)
    assert rejected(bad, fresh)


def test_no_sender_fills_the_memory_of_grammars(fresh: Directories) -> None:
    kinds = sorted(fresh.directory("D", "96B").messages)[:40]  # type: ignore[union-attr]
    for mark in "!#$%&/;<=>@^_`{|}~":
        separators = f":{mark}.? '"
        messages = "".join(
            f"UNH{mark}{n}{mark}{k}:D:96B:UN'UNT{mark}2{mark}{n}'" for n, k in enumerate(kinds)
        )
        long = f"UNH{mark}Z{mark}{kinds[0]}:D:96B:UN:{'X' * 5000}'UNT{mark}2{mark}Z'"
        head = f"UNA{separators}UNB{mark}UNOC:3{mark}A{mark}B{mark}260114:0815{mark}R1'"
        read(f"{head}{messages}{long}UNZ{mark}{len(kinds) + 1}{mark}R1'".encode(), fresh)
    assert len(fresh.grammars) <= MAX_REMEMBERED
    assert len(fresh.known) <= MAX_MANNERS
    for known in fresh.known.values():
        assert len(known.messages) <= MAX_TYPES
        assert all(sum(map(len, sent)) < 100 for sent in known.messages)


@pytest.mark.parametrize(
    ("text", "agreement"),
    [
        # UNZ and UNO among the security segments of a package
        (f"{FOUR}{MESSAGE}UNO+P+1:X+1:X+5:2'UNZ+1+R1'USH+1'abcdeUNP+5+P'UNZ+2+R1'", PACKAGES),
        (f"{FOUR}{MESSAGE}UNO+P+1:X+1:X+5:2'UNO+Q+1:X+1:X+9'USH+1'abcdeUNP+5+P'UNZ+2+R1'", PACKAGES),
        ("\n" * 1500 + HEAD + MESSAGE + END, Agreement()),
        (f"{HEAD}U\0NH+1+CUSRES:D:96B:UN'BGM+962+M+11'UNT+3+1'UN\nZ+1+R1'{HEAD}{MESSAGE}{END}", Agreement()),
        (HEAD.replace("UNOC:3", "UNOW:4") + MESSAGE.replace("M+11", "M\x01+11") + END, Agreement()),
    ],
)
def test_any_cut_gives_the_same_events(text: str, agreement: Agreement, directories: Directories) -> None:
    octets = text.encode()
    whole = events(octets, len(octets), directories, agreement)
    for size in SIZES:
        assert events(octets, size, directories, agreement) == whole


@pytest.mark.parametrize(
    "text",
    [
        HEAD + MESSAGE + "U?NZ+1+R1'" + MESSAGE.replace("UNH+1", "UNH+2").replace("3+1", "3+2") + "UNZ+2+R1'",
        HEAD + MESSAGE + "UNZ:1+1+R1'" + END,
        HEAD + MESSAGE.replace("UNT", "U?N?Z+1+R1'UNT") + END,
    ],
)
def test_nothing_follows_a_trailer_however_it_is_written(text: str, directories: Directories) -> None:
    whole = read(text.encode(), directories)
    assert whole.rejected
    assert "EDI118" in [finding.code for finding in whole.findings]


def test_no_tolerated_defect_hides_another(directories: Directories) -> None:
    text = FOUR.replace("UNOC", "UNOW") + MESSAGE.replace("M+11", "M\x01\u202e+11") + END
    agreed = read(text.encode(), directories, agreement=Agreement(tolerated=("EDI106",)))
    assert [(f.code, f.severity) for f in agreed.messages[0].findings] == [
        ("EDI106", "warning"),
        ("EDI113", "error"),
    ]
    text = HEAD.replace("UNOC", "UNOA") + MESSAGE.replace("M+11", "MlowerÉ+11") + END
    strict = Agreement(tolerated=("EDI124",), refused=("EDI107",))
    assert read(text.encode(), directories, agreement=strict).messages[0].rejected


def test_findings_are_bounded_wherever_they_are_kept(directories: Directories) -> None:
    tokeniser = Tokeniser(EdifactLimits(findings=50))
    tokeniser.feed((HEAD + "A\0'" * 5_000).encode())
    assert len(tokeniser.findings) == 50
    broken = HEAD + "A\nB'" * 5_000
    few = EdifactLimits(findings=50)
    told = [event for event in stream([broken.encode()], directories, limits=few) if isinstance(event, Found)]
    assert len(told) == 50


def test_a_place_has_its_line_however_many_come_at_once(directories: Directories) -> None:
    octets = (HEAD + "\n" + "ABC'\n" * 120_000).encode()
    first = next(event for event in stream([octets], directories) if isinstance(event, Found))
    assert (first.finding.code, first.finding.place.line, first.finding.place.column) == ("EDI033", 2, 1)
