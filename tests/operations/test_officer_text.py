"""What an officer types goes to partners in messages: text that no message can carry is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.operations.shell import cvan

CASE = "26VNDEM100000001I6"


@pytest.mark.parametrize(
    ("officer", "reason", "complaint"),
    [
        ("Mai", "see\x1b[2Jfile", "a reason is one line of text; character 4 is U+001B"),
        ("Mai", "two\nlines", "a reason is one line of text; character 4 is U+000A"),
        ("Ma\ti", "tip", "an officer's name is one line of text; character 3 is U+0009"),
        ("Mai", "Trần báo: hồ sơ giả", f"no case {CASE}"),
    ],
)
def test_control_characters_are_refused(home: Path, officer: str, reason: str, complaint: str) -> None:
    said = cvan("office", "hold", CASE, "--officer", officer, "--reason", reason, home=home)
    assert (said.code, said.err) == (2, f"cvan: {complaint}\n")


def test_control_characters_in_a_wanted_document(home: Path) -> None:
    wanted = ("--document", "861=Certificate\0of origin", "--officer", "Mai", "--reason", "origin unclear")
    said = cvan("office", "ask-documents", CASE, *wanted, home=home)
    assert (said.code, said.err) == (
        2,
        "cvan: a document's reason is one line of text; character 12 is U+0000\n",
    )


@pytest.mark.parametrize("words", [("list", "--limit", "0"), ("ask-documents", CASE, "--days", "99999999")])
def test_numbers_out_of_range(home: Path, words: tuple[str, ...]) -> None:
    said = cvan("office", *words, home=home)
    assert (said.code, "is not in the range" in said.err) == (2, True)
