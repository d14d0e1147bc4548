"""Segments to groups: triggers, repeats, what is missing, and going on after a fault."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.model.edifact import (
    Directory,
    ElementUse,
    Group,
    GroupUse,
    MessageTable,
    Segment,
    SegmentTable,
    SegmentUse,
)
from gateway.syntax import Directories, read
from gateway.syntax.characters import DEFAULT
from gateway.syntax.cutter import Run
from gateway.syntax.elements import Layouts
from gateway.syntax.grammar import Grammar
from gateway.syntax.structure import Structure
from gateway.syntax.tokeniser import Reading
from gateway.syntax.walk import Walk
from tests.syntax.samples import CUSCAR, one


def s(segment: str, required: bool = False, repeat: int = 1) -> SegmentUse:
    return SegmentUse(segment, required, repeat)


def g(name: str, repeat: int, *nodes: SegmentUse | GroupUse, required: bool = False) -> GroupUse:
    return GroupUse(name, required, repeat, nodes)


TABLE = MessageTable(
    "TESTER",
    "D",
    "00A",
    (
        s("UNH", True),
        s("BGM", True),
        s("DTM", False, 2),
        g("SG1", 3, s("RFF", True), s("DTM", False, 1), g("SG2", 2, s("LOC", True), s("DTM", True))),
        s("UNS", True),
        g("SG3", 9, s("LIN", True), s("QTY", True, 2), s("DTM")),
        s("UNS", True),
        s("CNT", False, 5),
        s("UNT", True),
    ),
)
STRUCTURE = Structure(TABLE)
NOTHING = Directory("", {}, {}, {})
READING = Reading(DEFAULT, "3")


def walked(structure: Structure, text: str, limit: int = 999) -> Walk:
    """The message's walk, from UNH to UNT."""
    grammar = Grammar(structure, Layouts(None, NOTHING, ".", repeating=False), DEFAULT)
    walk = Walk(grammar, READING, "1", limit, True, lambda finding: finding)
    for word, segment in zip(["UNH", *text.split(), "UNT"], segments(text), strict=True):
        walk.take_segment(segment, word)
    walk.end()
    return walk


def segments(text: str) -> list[Segment]:
    made = []
    for number, word in enumerate(["UNH", *text.split(), "UNT"], start=1):
        tag, _, value = word.partition("+")
        made.append(Segment(tag, ((value,),) if value else (), number, number * 10))
    return made


def shape(group: Group) -> str:
    inner = " ".join(shape(c) if isinstance(c, Group) else c.tag for c in group.children)
    return f"{group.name}({inner})" if group.name else inner


def matched(text: str) -> tuple[Group | None, list[tuple[str, int, str, str]]]:
    walk = walked(STRUCTURE, text)
    return walk.tree(), [(f.code, f.place.segment, f.place.tag, f.place.group) for f in walk.findings]


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("BGM UNS+D LIN QTY UNS+S", "UNH BGM UNS SG3(LIN QTY) UNS UNT"),
        ("BGM DTM DTM UNS+D UNS+S CNT CNT", "UNH BGM DTM DTM UNS UNS CNT CNT UNT"),
        (
            "BGM DTM RFF DTM LOC DTM LOC DTM RFF UNS+D LIN QTY QTY DTM LIN QTY UNS+S",
            "UNH BGM DTM SG1(RFF DTM SG2(LOC DTM) SG2(LOC DTM)) SG1(RFF) UNS SG3(LIN QTY QTY DTM) SG3(LIN QTY) UNS UNT",
        ),
    ],
)
def test_a_message_becomes_a_tree(text: str, tree: str) -> None:
    found, findings = matched(text)
    assert findings == []
    assert found is not None
    assert shape(found) == tree


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ("UNS+D UNS+S", [("EDI201", 1, "BGM", "")]),
        ("BGM UNS+S", [("EDI201", 2, "UNS", "")]),
        ("BGM UNS+D", [("EDI201", 3, "UNS", "")]),
        ("BGM UNS+D LIN UNS+S", [("EDI201", 4, "QTY", "SG3[1]")]),
        ("BGM UNS+D LIN QTY LIN LIN QTY UNS+S", [("EDI201", 6, "QTY", "SG3[2]")]),
        ("BGM RFF LOC LOC DTM UNS+D UNS+S", [("EDI201", 4, "DTM", "SG1[1]/SG2[1]")]),
        ("BGM DTM DTM DTM UNS+D UNS+S", [("EDI035", 5, "DTM", "")]),
        ("BGM RFF RFF RFF RFF UNS+D UNS+S", [("EDI036", 6, "RFF", "SG1[4]")]),
        (
            "BGM RFF LOC DTM LOC DTM LOC DTM UNS+D UNS+S",
            [("EDI036", 8, "LOC", "SG1[1]/SG2[3]")],
        ),
        ("BGM XYZ UNS+D UNS+S", [("EDI203", 3, "XYZ", "")]),
        ("BGM UNS+D RFF UNS+S", [("EDI202", 4, "RFF", "")]),
        # A trigger that was left out is told once, at the first segment of its group ...
        ("BGM UNS+D QTY QTY DTM UNS+S", [("EDI202", 4, "QTY", "")]),
        ("BGM UNS+D QTY QTY DTM LIN QTY UNS+S", [("EDI202", 4, "QTY", "")]),
        ("BGM UNS+D QTY UNS+S CNT LIN", [("EDI202", 4, "QTY", ""), ("EDI202", 7, "LIN", "")]),
        ("BGM LOC DTM LOC DTM UNS+D LIN QTY UNS+S", [("EDI202", 3, "LOC", "")]),
        (
            "BGM RFF LOC DTM UNS+D LIN QTY UNS+S LOC DTM",
            [("EDI202", 10, "LOC", ""), ("EDI202", 11, "DTM", "")],
        ),
        # A segment of a section that is reached without UNS stands too early, unless no UNS comes.
        ("BGM CNT UNS+D LIN QTY UNS+S", [("EDI202", 3, "CNT", "")]),
        ("BGM LIN QTY UNS+D UNS+S", [("EDI202", 3, "LIN", "")]),
        ("BGM LIN QTY LIN QTY UNS+S", [("EDI201", 2, "UNS", "")]),
        ("BGM UNS+D LIN QTY CNT", [("EDI201", 5, "UNS", "")]),
        # ... and a segment that merely stands in the wrong place takes nothing with it.
        ("BGM QTY DTM UNS+D LIN QTY UNS+S", [("EDI202", 3, "QTY", "")]),
        ("BGM QTY QTY RFF DTM UNS+D UNS+S", [("EDI202", 3, "QTY", "")]),
        ("BGM UNS+D LIN QTY LOC DTM UNS+S", [("EDI202", 6, "LOC", "SG3[1]")]),
        (
            "BGM LOC UNS+D CNT LIN UNS+S",
            [
                ("EDI202", 3, "LOC", ""),
                ("EDI202", 5, "CNT", ""),
                ("EDI201", 6, "QTY", "SG3[1]"),
            ],
        ),
    ],
)
def test_every_fault_is_told_at_its_place(text: str, findings: list[tuple[str, int, str, str]]) -> None:
    tree, found = matched(text)
    assert tree is None
    assert found == findings


def test_a_finding_says_what_was_expected() -> None:
    walk = walked(STRUCTURE, "BGM RFF XYZ UNS+D UNS+S")
    assert walk.findings[0].expected == "RFF, DTM, LOC, UNS+D"
    assert walk.findings[0].found == "XYZ"


def test_findings_are_bounded() -> None:
    walk = walked(STRUCTURE, "BGM " + "XYZ " * 50, limit=10)
    assert walk.tree() is None
    assert len(walk.findings) == 10


def valid(nodes: tuple[SegmentUse | GroupUse, ...], draw: st.DrawFn, depth: int = 0) -> Iterator[str]:
    """Tags of some message that the table allows, short enough for a test."""
    sections = iter("DS")
    for node in nodes:
        least = 1 if node.required else 0
        for _ in range(draw(st.integers(least, max(least, min(node.repeat, 2 if depth < 3 else 1))))):
            if isinstance(node, GroupUse):
                yield from valid(node.nodes, draw, depth + 1)
            else:
                yield f"UNS+{next(sections)}" if node.segment == "UNS" else node.segment


@st.composite
def messages(draw: st.DrawFn, table: MessageTable) -> str:
    return " ".join(valid(table.nodes[1:-1], draw))


def leaves(group: Group) -> Iterator[Segment]:
    for child in group.children:
        if isinstance(child, Group):
            yield from leaves(child)
        else:
            yield child


def fits(group: Group, nodes: tuple[SegmentUse | GroupUse, ...]) -> bool:
    """The plain definition: children in the order of the nodes, each as often as it may be."""
    index = 0
    for node in nodes:
        count = 0
        while index < len(group.children) and count < node.repeat:
            child = group.children[index]
            if isinstance(node, SegmentUse):
                if not isinstance(child, Segment) or child.tag != node.segment:
                    break
            elif not isinstance(child, Group) or child.name != node.name or not fits(child, node.nodes):
                break
            index, count = index + 1, count + 1
        if node.required and not count:
            return False
    return index == len(group.children)


@pytest.mark.parametrize(
    "name", ["CUSCAR:D:95B", "CUSDEC:D:96B", "CUSRES:D:13A", "CUSCAR:D:16A", "CONTRL:D:3"]
)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_every_message_that_a_table_allows_is_matched(
    name: str, data: st.DataObject, directories: Directories
) -> None:
    kind, version, release = name.split(":")
    table = directories.message(kind, version, release)
    assert table is not None
    structure = Structure(table)
    text = data.draw(messages(table))
    walk = walked(structure, text)
    tree = walk.tree()
    assert walk.findings == []
    assert tree is not None
    assert list(leaves(tree)) == segments(text)
    assert fits(tree, table.nodes)


TAGS = ["UNH", "BGM", "DTM", "RFF", "LOC", "UNS", "LIN", "QTY", "CNT", "UNT"]
WORDS = ["BGM", "DTM", "RFF", "LOC", "UNS+D", "UNS+S", "LIN", "QTY", "CNT", "XYZ"]


@given(st.lists(st.sampled_from(WORDS), max_size=14))
def test_a_tree_is_given_only_where_the_definition_holds(words: list[str]) -> None:
    tree, findings = matched(" ".join(words))
    assert (tree is None) == bool(findings)
    if tree is not None:
        assert fits(tree, TABLE.nodes)
        assert list(leaves(tree)) == segments(" ".join(words))


LAYOUTS = Layouts(
    None,
    Directory("", {}, {tag: SegmentTable(tag, (ElementUse("0001", False, 1, "an..9"),)) for tag in TAGS}, {}),
    ".",
    repeating=False,
)
USUAL = Grammar(STRUCTURE, LAYOUTS, DEFAULT)  # shared: what one message teaches it, it uses for the next


@given(st.lists(st.sampled_from(WORDS), max_size=14))
@settings(max_examples=500)
def test_what_a_grammar_has_learned_changes_no_verdict(words: list[str]) -> None:
    texts = ["UNH", *words, "UNT+1"]
    fresh = Grammar(STRUCTURE, LAYOUTS, DEFAULT)
    found = []
    for grammar in (USUAL, fresh):
        walk = Walk(grammar, READING, "1", 999, True, lambda finding: finding)
        walk.take_segment(Segment("UNH", (), 1, 0), "UNH")
        assert walk.take(Run(texts, list(range(len(texts)))), 1) == len(words) + 1
        walk.take_segment(Segment("UNT", (("1",),), walk.number + 1, len(words) + 1), "UNT+1")
        found.append((walk.findings, walk.segments, walk.tree(), walk.path()))
    assert found[0] == found[1]


def test_groups_are_reached_by_name(directories: Directories) -> None:
    tree = read(one(CUSCAR), directories).messages[0].tree
    assert tree is not None
    consignment = next(tree.groups("SG4"))
    bill = next(consignment.groups("SG5"))
    assert next(bill.segments("RFF")).get(1, 2) == "BL1"
    assert [g.name for g in bill.children if isinstance(g, Group)] == ["SG7", "SG10"]


@pytest.mark.parametrize("tag", ["UNH", "UNT"])
def test_a_table_that_begins_or_ends_within_itself_is_none(tag: str) -> None:
    nodes = (s("UNH", True), s("BGM", True), g("SG1", 2, s("RFF", True), s(tag)), s("UNT", True))
    with pytest.raises(ValueError, match=f"TESTER: {tag} cannot stand within a message"):
        Structure(replace(TABLE, nodes=nodes))


def test_no_shipped_message_begins_or_ends_within_itself(directories: Directories) -> None:
    for directory in directories.all():
        for kind in directory.messages:
            Structure(directory.messages[kind])
