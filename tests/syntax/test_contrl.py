"""CONTRL: which level tells what, by syntax version; read back with our own reader."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model import Catalogue, Finding, Meaning, Place, Severity
from gateway.syntax import (
    Acknowledgement,
    Directories,
    Interchange,
    acknowledgement,
    answerable,
    contrl,
    read,
)
from gateway.syntax.contrl_reading import ElementReported, SegmentReported
from tests.syntax.samples import CUSDEC, GOOD, HEAD, codes

NOW = datetime(2024, 1, 31, 12, 30, tzinfo=UTC)
COPY = "REF1+VAN1:ZZ+CUSTOMS:ZZ"


@pytest.fixture
def answer(directories: Directories, catalogue: Catalogue) -> Answerer:
    return Answerer(directories, catalogue)


class Answerer:
    def __init__(self, directories: Directories, catalogue: Catalogue) -> None:
        self.directories = directories
        self.catalogue = catalogue

    def octets(self, interchange: Interchange, **more: tuple[Finding, ...]) -> bytes:
        rejected = {m.ordinal: m.findings for m in interchange.messages if m.rejected}
        rejected |= {int(k[1:]): v for k, v in more.items()}
        return contrl(
            interchange,
            rejected,
            self.catalogue,
            sender=("CUSTOMS", "ZZ"),
            recipient=interchange.sender,
            reference="ACK1",
            now=NOW,
        )

    def body(self, text: str | bytes, **more: tuple[Finding, ...]) -> str:
        """The CONTRL's segments between UNH and UNT; it is read back and must be without fault."""
        content = text.encode() if isinstance(text, str) else text
        octets = self.octets(read(content, self.directories), **more)
        assert codes(read(octets, self.directories)) == []
        written = octets.decode("latin-1")
        return written[written.index("UCI+") : written.rindex("UNT+")]

    def read(self, text: str) -> Acknowledgement:
        octets = self.octets(read(text.encode(), self.directories))
        return acknowledgement(read(octets, self.directories).messages[0])


def four(text: str) -> str:
    return text.replace("UNOC:3", "UNOC:4").replace("240131:", "20240131:")


def test_all_is_acknowledged(answer: Answerer) -> None:
    assert answer.body(GOOD) == f"UCI+{COPY}+7'"


def test_the_answer_is_an_interchange_in_the_same_syntax(answer: Answerer) -> None:
    octets = answer.octets(read(GOOD.encode(), answer.directories))
    assert octets == (
        b"UNA:+.? 'UNB+UNOC:3+CUSTOMS:ZZ+VAN1:ZZ+240131:1230+ACK1'UNH+1+CONTRL:D:3:UN'"
        b"UCI+REF1+VAN1:ZZ+CUSTOMS:ZZ+7'UNT+3+1'UNZ+1+ACK1'"
    )
    octets = answer.octets(read(four(GOOD).encode(), answer.directories))
    assert b"UNB+UNOC:4+CUSTOMS:ZZ+VAN1:ZZ+20240131:1230+ACK1'UNH+1+CONTRL:4:1:UN'" in octets


def test_a_bad_count_in_unt_is_told_at_the_message(answer: Answerer) -> None:
    text = GOOD.replace("UNT+10+2", "UNT+9+2")
    assert answer.body(text) == f"UCI+{COPY}+7'UCM+2+CUSCAR:D:95B:UN+4+29+UNT+2'"


def test_a_bad_code_is_told_at_its_component(answer: Answerer) -> None:
    text = GOOD.replace("BGM+929", "BGM+Q29")
    assert answer.body(text) == f"UCI+{COPY}+7'UCM+1+CUSDEC:D:96B:UN+4'UCS+2'UCD+12+2:1'"


def test_a_missing_segment_is_told_at_the_one_before(answer: Answerer) -> None:
    text = GOOD.replace("UNS+D'", "").replace("UNT+9+1", "UNT+8+1")
    assert answer.body(text) == f"UCI+{COPY}+7'UCM+1+CUSDEC:D:96B:UN+4'UCS+3+13'"


def test_a_repeat_too_many_and_a_bad_element_of_one_segment_share_its_ucs(answer: Answerer) -> None:
    text = GOOD.replace("BGM+85+MAN1+9'", "BGM+85+MAN1+9'BGM+85+MAN1+ZZZZ'").replace("UNT+10+2", "UNT+11+2")
    assert answer.body(text) == f"UCI+{COPY}+7'UCM+2+CUSCAR:D:95B:UN+4'UCS+3+35'UCD+39+4'"


def test_a_stand_alone_element_has_no_component(answer: Answerer) -> None:
    assert answer.body(GOOD.replace("TDT+20", "TDT+2000")).endswith("UCS+3'UCD+39+2'")


def test_a_message_type_that_is_not_supported(answer: Answerer) -> None:
    text = GOOD.replace("CUSDEC:D", "CUSXYZ:D")
    assert answer.body(text) == f"UCI+{COPY}+7'UCM+1+CUSXYZ:D:96B:UN+4+14+UNH+3:1'"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD.replace("UNZ+2", "UNZ+3"), "4+29+UNZ+2"),
        (GOOD.replace("UNZ+2+REF1", "UNZ+2+REF2"), "4+28+UNZ+3"),
        (GOOD[:-1], "4+13+UNZ"),
        (GOOD[:200], "4+13+UNZ"),
        (GOOD.replace("240131:1200", "240231:1200"), "4+12+UNB+5:1"),
        (GOOD + GOOD, "4+33+UNZ"),
        (f"{HEAD}UNZ+0+REF1'", "4+32+UNZ"),
        (GOOD.replace("UNOC:3", "UNOC:3::3"), "4+2+UNB+2:4"),  # 46 came with syntax 4; 2 is nearest
        (GOOD.replace("UNOC:3", "UNOC:9"), "4+2+UNB+2:2"),
        (GOOD.replace("UNOC:3", "UNOZ:3"), "4+2+UNB+2:1"),
    ],
)
def test_a_fault_of_the_interchange_rejects_it_and_nothing_is_told_below(
    text: str, told: str, answer: Answerer
) -> None:
    assert answer.body(text) == f"UCI+{COPY}+{told}'"


def test_a_finding_of_the_caller_is_told_too(answer: Answerer) -> None:
    recipient = Finding("EDI012", Place(tag="UNB", element=3, component=1), found="NOBODY")
    interchange = read(GOOD.encode(), answer.directories)
    changed = Interchange(
        **{f: getattr(interchange, f) for f in interchange.__struct_fields__} | {"findings": (recipient,)}
    )
    assert b"+4+12+UNB+4:1'" in answer.octets(changed)


def test_messages_rejected_for_other_reasons_are_acknowledged(answer: Answerer) -> None:
    rule = (Finding("RUL001", Place("1", 2, "BGM")), Finding("EDI107", severity=Severity.WARNING))
    assert answer.body(GOOD, m1=rule) == f"UCI+{COPY}+7'"


def test_an_error_of_another_room_with_a_syntax_code_is_told(
    directories: Directories, catalogue: Catalogue
) -> None:
    doubled = Catalogue({**catalogue.meanings} | {"XYZ001": Meaning("twice", "hai lần", contrl="26")})
    told = (Finding("XYZ001", Place("1", 1, "UNH", element=1)),)
    assert "UCM+1+CUSDEC:D:96B:UN+4+26+UNH+2'" in Answerer(directories, doubled).body(GOOD, m1=told)


def test_a_finding_without_syntax_code_is_unspecified(answer: Answerer) -> None:
    told = (Finding("EDI116", Place("1", 9, "UNT")),)
    assert answer.body(GOOD, m1=told) == f"UCI+{COPY}+7'UCM+1+CUSDEC:D:96B:UN+4+18+UNT'"


def test_groups_are_named_where_something_in_them_is_rejected(answer: Answerer) -> None:
    ung = "UNG+CUSDEC+APP1:ZZ+APP2:ZZ+240131:1200+{}+UN+D:96B'"
    bad = CUSDEC.replace("BGM+929", "BGM+Q29")
    text = "".join(
        (HEAD, ung.format("G1"), CUSDEC, "UNE+1+G1'", ung.format("G2"), bad, "UNE+1+G2'")
    ) + "".join((ung.format("G3"), CUSDEC, "UNE+7+G3'", "UNZ+3+REF1'"))
    assert answer.body(text) == (
        f"UCI+{COPY}+7'UCF+G2+APP1:ZZ+APP2:ZZ+7'UCM+1+CUSDEC:D:96B:UN+4'UCS+2'UCD+12+2:1'"
        "UCF+G3+APP1:ZZ+APP2:ZZ+4+29+UNE+2'"
    )


def test_syntax_4_tells_the_repetition(answer: Answerer) -> None:
    message = "UNH+1+CUSCAR:D:13A:UN'BGM+85+M+9'NAD+MS+X'CTA+IC'COM+1:TE*2:QQ'UNT+6+1'"
    assert answer.body(four(f"{HEAD}{message}UNZ+1+REF1'")).endswith("UCS+5'UCD+12+2:2:2'")


def test_many_errors_are_bounded(answer: Answerer) -> None:
    rows = "".join(f"RFF+BM:BL{n}'GID+{n}A'" for n in range(1_200))
    message = f"UNH+1+CUSCAR:D:95B:UN'BGM+85+M+9'CNI+1'{rows}UNT+2404+1'"
    body = answer.body(f"{HEAD}{message}UNZ+1+REF1'")
    assert body.count("UCS+") == 999
    told = tuple(Finding("EDI012", Place("1", 2, "BGM", element=1, component=1)) for _ in range(150))
    assert answer.body(GOOD, m1=told).count("UCD+") == 99


def test_a_contrl_is_never_answered(answer: Answerer) -> None:
    octets = answer.octets(read(GOOD.encode(), answer.directories))
    interchange = read(octets, answer.directories)
    assert not interchange.answerable
    with pytest.raises(ValueError, match="cannot be answered"):
        answer.octets(interchange)


@pytest.mark.parametrize(
    "text", ["", "rubbish", GOOD.replace("+REF1'UNH", "'UNH"), GOOD.replace("VAN1:ZZ", "")]
)
def test_what_cannot_be_copied_is_not_answered(text: str, answer: Answerer) -> None:
    with pytest.raises(ValueError, match="cannot be answered"):
        answer.body(text)


def test_a_contrl_is_read_back(answer: Answerer) -> None:
    text = GOOD.replace("BGM+929", "BGM+Q29").replace("UNT+10+2", "UNT+9+2")
    found = answer.read(text)
    assert (found.interchange.reference, found.interchange.action) == ("REF1", "7")
    first, second = found.messages
    assert (first.reference, first.action) == ("1", "4")
    assert first.segments == (SegmentReported(2, "", (ElementReported("12", 2, 1),)),)
    assert first.identifier == ("CUSDEC", "D", "96B", "UN")
    assert (second.action, second.error, second.tag, second.element) == ("4", "29", "UNT", 2)
    with pytest.raises(ValueError, match="not a CONTRL"):
        acknowledgement(read(GOOD.encode(), answer.directories).messages[0])


def test_references_are_escaped(answer: Answerer) -> None:
    text = GOOD.replace("+REF1'", "+R?+E'").replace("CUSCAR:D", "CUSCAR:X")
    assert answer.body(text).startswith("UCI+R?+E+VAN1:ZZ+CUSTOMS:ZZ+7'")


def test_what_is_copied_is_made_valid(answer: Answerer) -> None:
    long = answer.body(GOOD.replace("+REF1'", "+REFERENCE-LONGER'"))
    assert long == "UCI+REFERENCE-LONG+VAN1:ZZ+CUSTOMS:ZZ+4+39+UNB+6'"
    text = GOOD.replace("UNOC", "UNOA").replace("VAN1:ZZ", "Vân1:ZZ").encode("latin-1")
    assert answer.body(text) == "UCI+REF1+VAN1:ZZ+CUSTOMS:ZZ+4+21+UNB'"
    assert answer.body(GOOD.replace("VAN1:ZZ", "V\0N1:ZZ")).startswith("UCI+REF1+VN1:ZZ+CUSTOMS:ZZ+4+21+")


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_whatever_is_wrong_the_answer_has_no_fault(
    directories: Directories, catalogue: Catalogue, index: int, octet: int
) -> None:
    octets = bytearray(GOOD.encode())
    octets[index] = octet
    interchange = read(bytes(octets), directories)
    if answerable(interchange, catalogue):
        answer = Answerer(directories, catalogue).octets(interchange)
        assert codes(read(answer, directories)) == []


def test_every_code_has_its_meaning_in_two_languages(catalogue: Catalogue) -> None:
    ours = {code: m for code, m in catalogue.meanings.items() if code.startswith("EDI")}
    assert len(ours) > 50
    for code, meaning in ours.items():
        assert meaning.text, code
        assert meaning.text_vi != meaning.text, code
        assert meaning.remedy, code
        assert meaning.remedy_vi, code
        assert not meaning.contrl or meaning.contrl.isdigit(), code
        if code < "EDI100":
            assert int(code[3:]) == int(meaning.contrl)
