"""What findings say in words of their own is said in Vietnamese, too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Finding, Place
from gateway.model.finding import load_catalogue, worded

ROOT = Path(__file__).parents[2]
CATALOGUE = load_catalogue(ROOT / "mappings" / "findings")

TOLD = {"Finding": (2, 3), "refusal": (1, 2), "refuse": (2, 3), "_refused": (3, 4), "fault": (2, 3)}
"""Where calls that make a finding have what was expected and found, the code first."""


def test_words_of_a_finding_are_told_in_the_language_of_its_sentence() -> None:
    expected = "a mandate for IMPORT at office 02CI"
    found = Finding("PAR003", Place(), expected, "an-phat for van-a: m1 ended at 2026-01-01T00:00:00Z")
    assert expected in CATALOGUE.say(found, "en")
    said = CATALOGUE.say(found, "vi")
    assert "một ủy quyền cho IMPORT tại đơn vị hải quan 02CI" in said
    assert "an-phat thay cho van-a: m1 đã hết hạn lúc 2026-01-01T00:00:00Z" in said


def test_what_stands_for_a_hole_is_told_in_its_turn() -> None:
    expected = "the principal's signature and the agent's around it (mandate m1)"
    said = CATALOGUE.say(Finding("PAR110", Place(), expected, "the agent's signature"), "vi")
    assert "chữ ký của bên ủy quyền và chữ ký của đại lý bao ngoài (ủy quyền m1)" in said
    assert "thực tế chữ ký của đại lý." in said


def test_what_the_sender_wrote_stays_as_it_is() -> None:
    said = CATALOGUE.say(Finding("XML025", Place(), "at most 3 characters", "at most 3 characters"), "vi")
    assert "at most 3 characters" in said
    assert "tối đa 3 ký tự" in said


@given(
    st.text(max_size=30), st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=8), max_size=4)
)
def test_what_no_wording_fits_stays_as_it_is(text: str, words: dict[str, str]) -> None:
    words = {k.replace("{", "").replace("}", "") + "#": v for k, v in words.items() if v.isalnum()}
    assert worded(text, words) == words.get(text, text)


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_what_stands_for_a_hole_is_carried_over(one: str, other: str) -> None:
    words = {"<a {} of {} z>": "<{} x {}>"}
    said = worded(f"<a {one} of {other} z>", words)
    assert len(said) == len(one) + len(other) + len("< x >")


@pytest.mark.parametrize(
    "words", ['"{} ids" = "mã"', '"ids" = "{} mã"', '"{}" = "{}"', '"a {}" = "{x}"', '"a {}" = "{"']
)
def test_a_wording_whose_holes_do_not_fit_is_refused(tmp_path: Path, words: str) -> None:
    path = tmp_path / "one.toml"
    path.write_text(f'[TST001]\ntext = "{{found}}"\ntext_vi = "{{found}}"\n[TST001.found_vi]\n{words}\n')
    with pytest.raises(ValueError, match=r"TST001: .* in both languages"):
        load_catalogue(tmp_path)


def test_no_english_words_are_left_in_a_vietnamese_sentence() -> None:
    left = [
        f"{where}: {code} says {text!r}; put it into [{code}.{hole}_vi]"
        for where, code, hole, text in _told(ROOT / "gateway")
        if f"{{{hole}}}" in CATALOGUE.meanings[code].text_vi
        and any(len(word) > 1 and word.isalpha() and word.islower() for word in text.split()[:-1])
        and worded(text, getattr(CATALOGUE.meanings[code], f"{hole}_vi")) == text
    ]
    assert not left, "\n".join(left)


def _told(folder: Path) -> Iterator[tuple[str, str, str, str]]:
    """Where a finding is made, its code, of what, and the text with a 7 for each value; what is written there
    as it is, not what comes from elsewhere."""
    for path in sorted(folder.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or not call.args:
                continue
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            code = getattr(call.args[0], "value", None)
            if name not in TOLD or code not in CATALOGUE.meanings:
                continue
            given = dict(zip(TOLD[name], ("expected", "found"), strict=True))
            told = [(given[at], value) for at, value in enumerate(call.args) if at in given]
            told += [(k.arg, k.value) for k in call.keywords if k.arg in ("expected", "found")]
            for hole, value in told:
                for text in _texts(value):
                    yield f"{path.relative_to(ROOT)}:{call.lineno}", str(code), hole, text


def _texts(value: ast.expr) -> list[str]:
    match value:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            return ["".join(str(p.value) if isinstance(p, ast.Constant) else "7" for p in parts)]
        case ast.IfExp(body=body, orelse=orelse):
            return [*_texts(body), *_texts(orelse)]
        case ast.BoolOp(values=values):
            return [text for one in values for text in _texts(one)]
        case _:
            return []
