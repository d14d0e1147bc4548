"""What ``cvan check`` says of files that are no messages, and of messages that could not be read whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.operations.conftest import SAMPLES
from tests.operations.shell import Said, cvan

BROKEN = SAMPLES / "wco" / "broken"


@pytest.mark.parametrize(
    ("content", "code", "found"),
    [
        (b"", "PAR009", ""),
        (b" \r\n", "PAR009", ""),
        (b'{"a": 1}', "PAR010", "JSON"),
        ("UNB+UNOC:3'".encode("utf-16"), "PAR010", "UTF-16"),
        (b"Dear customs,\nplease ...", "PAR010", "Dear customs,\\nplease"),
        (b"UNH+1+CUSCAR:D:95B:UN'", "EDI103", "UNH"),
    ],
)
def test_a_file_that_is_no_message_is_called_what_it_is(
    tmp_path: Path, content: bytes, code: str, found: str
) -> None:
    (tmp_path / "file").write_bytes(content)
    said = cvan("check", tmp_path / "file", "--json")
    (finding,) = said.json()["findings"]
    assert (said.code, finding["code"]) == (2, code)
    assert finding["found"].startswith(found)
    assert finding["text_vi"] not in ("", finding["text"])


def test_an_empty_folder_is_said_to_be_empty(tmp_path: Path) -> None:
    said = cvan("check", tmp_path)
    assert (said.code, "no file in" in said.err) == (2, True)


def test_a_message_that_breaks_its_schema_keeps_its_reference() -> None:
    said = cvan("check", BROKEN / "bad-date.xml")
    assert "IM NK-2025-000481: rejected" in said.text
    message = cvan("check", BROKEN / "bad-date.xml", "--json").json()["messages"][0]
    assert message["reference"] == "NK-2025-000481"


@pytest.mark.parametrize(
    ("name", "expected", "found"),
    [
        ("bad-date", "CCYYMMDD, CCYYMMDDhhmm, CCYYMMDDhhmmss, CCYYMMDDhhmmss+hhmm", "2025-11-03T08:15:00"),
        ("bad-country", "2 × A-Z", "KOR"),
        ("item-number-twice", "", "1"),
    ],
)
def test_what_a_schema_wants_is_said_without_an_engine_s_notation(
    name: str, expected: str, found: str
) -> None:
    (finding,) = cvan("check", BROKEN / f"{name}.xml", "--json").json()["messages"][0]["findings"]
    assert (finding["expected"], finding["found"]) == (expected, found)


HEAD = "UNB+UNOC:3+CARRIER:ZZ+CUSTOMS:ZZ+260114:0815+R1'"


def said_of(tmp_path: Path, text: str, *options: str) -> Said:
    (tmp_path / "file.edi").write_bytes(text.encode())
    return cvan("check", tmp_path / "file.edi", *options)


def test_a_byte_order_mark_before_nothing_is_no_stranger(tmp_path: Path) -> None:
    value = said_of(tmp_path, "\ufeffUNH+1+CUSCAR:D:95B:UN'", "--json").json()
    assert sorted(finding["code"] for finding in value["findings"]) == ["EDI101", "EDI103"]


def test_what_was_read_and_cannot_be_answered_is_rejected(tmp_path: Path) -> None:
    nobody = HEAD.replace("CUSTOMS:ZZ", "") + "UNH+1+CUSCAR:D:95B:UN'BGM+X'UNT+3+1'UNZ+1+R1'"
    said = said_of(tmp_path, nobody, "--json")
    assert (said.code, said.json()["findings"][0]["code"]) == (1, "EDI013")
    report = HEAD + "UNH+9+CONTRL:D:3:UN'UCI+1+CARRIER:ZZ+CUSTOMS:ZZ+8'UNT+3+9'UNZ+1+R1'"
    said = said_of(tmp_path, report, "--json")
    first = said.json()["findings"][0]
    assert (said.code, first["code"], first["place"]["message"]) == (1, "PAR008", "9")


def test_what_else_is_wrong_with_a_message_that_is_not_in_use_is_told(tmp_path: Path) -> None:
    order = HEAD + "UNH+1+ORDERS:D:96A:UN'BGM+220+1+9'DTM+137:20260114:102'UNS+S'UNT+9+1'UNZ+1+R1'"
    (message,) = said_of(tmp_path, order, "--json").json()["messages"]
    codes = [finding["code"] for finding in message["findings"]]
    assert codes[0] == "PAR006"
    assert "EDI029" in codes


def test_a_group_s_findings_are_told_once_and_where_it_is_empty_too(tmp_path: Path) -> None:
    order = "UNH+{0}+ORDERS:D:96A:UN'UNT+2+{0}'"
    group = "UNG+ORDERS+A+B+20260114:0815+G1+UN+D:96A'" + order.format(1) + order.format(2) + "UNE+2+G1'"
    empty = "UNG+ORDERS+A+B+260114:0815+G2+UN+D:96A'UNE+0+G2'"
    value = said_of(tmp_path, HEAD + group + empty + "UNZ+2+R1'", "--json").json()
    told = [(finding["code"], finding["severity"]) for finding in value["findings"]]
    assert told == [("EDI134", "warning"), ("EDI032", "warning")]
    for message in value["messages"]:
        assert "EDI134" not in [finding["code"] for finding in message["findings"]]


def test_findings_alike_are_folded_for_a_person(tmp_path: Path) -> None:
    many = "".join(f"DTM+137:2026011{n}:102+'" for n in range(9))
    text = HEAD + f"UNH+1+CUSCAR:D:95B:UN'BGM+85+M+9'{many}CNT+10:1'UNT+13+1'UNZ+1+R1'"
    out = said_of(tmp_path, text).out.decode()
    assert out.count("EDI045") == 5 + 1
    assert "... and 4 more EDI045 like this in DTM 2" in out
