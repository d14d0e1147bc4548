"""Segments of plain texts: the compiled way says what Python says, harms nothing, and may be missing."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.edifact import Segment
from gateway.syntax import plain

ROOT = Path(__file__).parents[2]
TAGS = {"BGM", "NAD", "日本语"}
WIDTHS = (
    "+:.AB9 ",
    "+:é\xff\x00",
    "+:日本A",
    "+:😀A",
    "\x1d\x1f+:Aé",
)  # one, two and four octets a character

compiled = pytest.mark.skipif(plain.quick is plain.cut, reason="there was no compiler at installation")


def texts(width: str) -> st.SearchStrategy[list[str]]:
    text = st.builds(
        "".join, st.tuples(st.sampled_from([*sorted(TAGS), "", "UNT"]), st.text(width, max_size=40))
    )
    return st.lists(text, max_size=20)


@compiled
@given(
    st.sampled_from(WIDTHS).flatmap(texts),
    st.integers(0, 21),
    st.sampled_from([("+", ":"), ("\x1d", "\x1f"), ("日", "本"), (":", "+")]),
    st.integers(0, 1 << 40),
    st.integers(0, 25),
)
def test_compiled_and_python_say_the_same(
    given: list[str], index: int, marks: tuple[str, str], number: int, most: int
) -> None:
    offsets = [7 * i for i in range(len(given))]
    arguments = (Segment, given, offsets, index, *marks, TAGS, number, most)
    assert plain.quick(*arguments) == plain.cut(*arguments)


@pytest.mark.parametrize("cut", [plain.cut, pytest.param(plain.quick, marks=compiled)])
def test_stops_at_the_first_text_that_wants_a_look(cut: object) -> None:
    given = ["BGM+785:x+", "NAD", "UNT+2", "BGM+1"]
    made = cut(Segment, given, [0, 11, 15, 21], 0, "+", ":", TAGS, 4, 64)  # type: ignore[operator]
    assert made == [Segment("BGM", (("785", "x"), ("",)), 5, 0), Segment("NAD", (), 6, 11)]


@compiled
def test_what_is_no_text_is_refused_without_harm() -> None:
    good = (Segment, ["BGM+1"], [0], 0, "+", ":", TAGS, 0, 64)
    for position, wrong in (
        (1, [b"BGM"]),
        (1, ("BGM",)),
        (2, None),
        (4, "++"),
        (4, ""),
        (5, None),
        (6, ["BGM"]),
    ):
        arguments = (*good[:position], wrong, *good[position + 1 :])
        with pytest.raises((TypeError, ValueError)):
            plain.quick(*arguments)
    with pytest.raises(IndexError):
        plain.quick(Segment, ["BGM+1"], [], 0, "+", ":", TAGS, 0, 64)
    for index, number, most in ((-1, 0, 64), (0, -1, 64), (0, 0, -1), (0, sys.maxsize, 64)):
        with pytest.raises(ValueError, match="cannot be negative"):
            plain.quick(Segment, ["BGM+1"], [0], index, "+", ":", TAGS, number, most)


@compiled
def test_what_makes_segments_may_fail_or_empty_the_lists() -> None:
    given, offsets = ["BGM+1"] * 3, [0, 1, 2]

    def emptying(*_: object) -> None:
        given.clear()
        offsets.clear()

    def failing(*_: object) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        plain.quick(failing, given, offsets, 0, "+", ":", TAGS, 0, 64)
    assert plain.quick(emptying, given, offsets, 0, "+", ":", TAGS, 0, 64) == [None]


@compiled
def test_nothing_is_kept() -> None:
    given = [f"NAD+CZ+{i}:172+++NAME {i}" for i in range(500)]
    offsets = list(range(500))

    def rounds(count: int) -> None:
        for _ in range(count):
            plain.quick(Segment, given, offsets, 0, "+", ":", TAGS, 0, 500)
            with pytest.raises(TypeError):
                plain.quick(Segment, [*given, b""], [*offsets, 0], 0, "+", ":", TAGS, 0, 501)  # type: ignore[list-item]

    rounds(2)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    rounds(20)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 20_000  # 500 segments are some hundred thousand octets


@pytest.mark.parametrize("compiler", ["false", None])
def test_is_built_with_a_compiler_and_left_out_without(compiler: str | None, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "setup.py",
        "-q",
        "build_ext",
        "--build-lib",
        tmp_path,
        "--build-temp",
        tmp_path,
    ]
    environment = dict(os.environ) if compiler is None else {**os.environ, "CC": compiler}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    built = sorted(
        f"{path.parent.name}.{path.name.split('.')[0]}" for path in tmp_path.glob("gateway/**/*.so")
    )
    expected = ["mapping._groups", "mapping._plain", "syntax._plain", "xmldsig._plain"]
    assert built == (expected if compiler is None and plain.quick is not plain.cut else [])
