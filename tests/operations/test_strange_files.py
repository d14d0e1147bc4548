"""What ``cvan check`` says of files that are no messages, and of messages that could not be read whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.operations.conftest import SAMPLES
from tests.operations.shell import cvan

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
