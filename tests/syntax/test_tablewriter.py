"""Tables written and read again are the same, whatever they hold."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.edifact import ComponentUse, ElementUse, GroupUse, SegmentUse
from gateway.syntax.tables import Nodes, Tables
from gateway.syntax.tableset import TableSet
from gateway.syntax.tablewriter import WIDTH, ranges, write_tables
from tests.syntax.conftest import ROOT

ORDER = ("D.94B", "D.95A", "D.95B", "D.96A", "11.1")
TAGS = st.from_regex(r"[A-Z][A-Z0-9]{2}", fullmatch=True).filter(
    lambda tag: not tag[2:].isdigit() or tag[:2] != "SG"
)
NUMBERS = st.from_regex(r"[0-9]{4}", fullmatch=True)
COMPOSITES = st.from_regex(r"[A-Z][0-9]{3}", fullmatch=True)
FORMATS = st.from_regex(r"(an|a|n)(\.\.)?[1-9][0-9]{0,3}", fullmatch=True)
REPEATS = st.integers(1, 9_999_999)
CODES = st.from_regex(r"[A-Z0-9][A-Za-z0-9+-]{0,5}", fullmatch=True)

PARTS = st.builds(ComponentUse, NUMBERS, st.booleans(), st.just("") | FORMATS)
USES = st.one_of(
    st.builds(ElementUse, NUMBERS, st.booleans(), st.integers(1, 99_999), st.just("") | FORMATS),
    st.builds(
        ElementUse,
        COMPOSITES,
        st.booleans(),
        st.integers(1, 99_999),
        st.just(""),
        st.lists(PARTS, max_size=3).map(tuple),
    ),
)
SEGMENT = st.builds(SegmentUse, TAGS, st.booleans(), REPEATS)


def group(inner: st.SearchStrategy[SegmentUse | GroupUse]) -> st.SearchStrategy[GroupUse]:
    name = st.integers(1, 999).map("SG{}".format)
    nodes = st.tuples(SEGMENT, st.lists(inner, max_size=3)).map(lambda pair: (pair[0], *pair[1]))
    return st.builds(GroupUse, name, st.booleans(), REPEATS, nodes)


NODES: st.SearchStrategy[Nodes] = st.lists(
    st.recursive(SEGMENT, group, max_leaves=6), min_size=1, max_size=5
).map(tuple)


@st.composite
def histories(draw: st.DrawFn) -> list[Tables]:
    """Directories of which most say what the one before said."""
    names = draw(
        st.lists(st.sampled_from(ORDER), min_size=1, unique=True).map(lambda n: sorted(n, key=ORDER.index))
    )
    found: list[Tables] = []
    for name in names:
        if found and draw(st.booleans()):
            last = found[-1]
            found.append(
                Tables(
                    name,
                    last.agency,
                    last.messages,
                    last.segments,
                    last.composites,
                    last.elements,
                    last.codes,
                )
            )
            continue
        found.append(
            Tables(
                name,
                draw(st.sampled_from(("UN", "IA"))),
                draw(st.dictionaries(st.from_regex(r"[A-Z]{6}", fullmatch=True), NODES, max_size=2)),
                draw(st.dictionaries(TAGS, st.lists(USES, max_size=4).map(tuple), max_size=3)),
                draw(
                    st.dictionaries(
                        COMPOSITES, st.lists(PARTS, min_size=1, max_size=4).map(tuple), max_size=3
                    )
                ),
                draw(st.dictionaries(NUMBERS, FORMATS, max_size=4)),
                draw(st.dictionaries(NUMBERS, st.frozensets(CODES, min_size=1, max_size=60), max_size=2)),
            )
        )
    return found


@given(histories())
@settings(max_examples=75, deadline=None)
def test_what_is_written_is_read_again(history: list[Tables]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_tables(Path(folder), history)
        tables = TableSet(Path(folder))
        assert [tables.tables(name) for name in tables.names] == history


@given(st.sets(st.sampled_from(ORDER)))
def test_ranges_name_each_directory_once(chosen: set[str]) -> None:
    text = ranges(chosen, ORDER)
    found: set[str] = set()
    for word in text.split():
        first, _, last = word.partition("-")
        found |= set(ORDER[ORDER.index(first) : ORDER.index(last or first) + 1])
    assert found == chosen


def test_what_is_shipped_is_small_and_can_be_read() -> None:
    files = list((ROOT / "xsd" / "edifact").rglob("*.txt"))
    assert sum(path.stat().st_size for path in files) < 2_000_000
    lines = [line for path in files for line in path.read_text(encoding="ascii").splitlines()]
    assert max(map(len, lines)) <= max(WIDTH, 120)
