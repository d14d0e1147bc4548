"""Documents that need no word: the compiled way says what Python says, harms nothing, and may be missing."""

from __future__ import annotations

import copy
import tracemalloc
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway import safexml
from gateway.mapping import tree_walk
from gateway.mapping.tree_walk import Walk, class_reader
from gateway.model import Declaration, Entity, Kind, Value
from tests.mapping.test_tree import DEC, entities, parsed, sample

_plain = tree_walk.compiled
pytestmark = pytest.mark.skipif(_plain is None, reason="there was no compiler at installation")

ROOT = DEC._outline.root
READ = partial(class_reader(ROOT), row=ROOT)
XSI = safexml.XSI_NS
Edit = Callable[[etree._Element], None]


def _attribute(name: str) -> Edit:
    return lambda element: element.set(name, "A &")


def _text(text: str) -> Edit:
    def edit(element: etree._Element) -> None:
        element.text = text

    return edit


def _tail(text: str) -> Edit:
    def edit(element: etree._Element) -> None:
        element.tail = text

    return edit


def _child(make: Callable[[], etree._Element], at: int) -> Edit:
    return lambda element: element.insert(at, make())


def _twice(element: etree._Element) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.append(copy.deepcopy(element))


def _renamed(element: etree._Element) -> None:
    element.tag = "{urn:another}" + safexml.local_name(element)


def _emptied(element: etree._Element) -> None:
    for child in element:
        element.remove(child)


def _in_pieces(element: etree._Element) -> None:
    """A text that is cut by what is no text."""
    element.insert(0, etree.Comment("c"))
    element.text, element[0].tail = "left", "right"


EDITS: dict[str, Edit] = {
    **{f"text {text!r}": _text(text) for text in ("stray", " \n\t", "\u00a0", "\u2003 x", "😀", "")},
    **{f"tail {text!r}": _tail(text) for text in ("stray", "\r\n ", "\u00a0", "日本")},
    **{
        f"attribute {name}": _attribute(name)
        for name in (
            "unitCode",
            "listID",
            "formatCode",
            "currencyID",
            "x",
            f"{{{XSI}}}schemaLocation",
            "{u:x}unitCode",
        )
    },
    "comment": _child(lambda: etree.Comment("c"), 0),
    "instruction": _child(lambda: etree.ProcessingInstruction("p", "q"), 1),
    "reference": _child(lambda: etree.Entity("amp"), 0),
    "stranger": _child(lambda: etree.Element("Stranger"), 0),
    "stranger inside": _child(lambda: etree.Element(ROOT.tag), 2),
    "twice": _twice,
    "renamed": _renamed,
    "emptied": _emptied,
    "in pieces": _in_pieces,
}


UNREMARKABLE = {
    "text ' \\n\\t'",
    "text ''",
    "tail '\\r\\n '",
    f"attribute {{{XSI}}}schemaLocation",
    "twice",
    "emptied",
}
"""Edits of a class after which there is still nothing to tell."""


@settings(max_examples=200, deadline=None)
@given(
    tree=entities(DEC.row("Declaration")),
    edits=st.lists(st.tuples(st.sampled_from(sorted(EDITS)), st.integers(0, 40)), max_size=3),
)
def test_compiled_and_python_say_the_same(tree: Entity, edits: list[tuple[str, int]]) -> None:
    document = parsed(DEC.write(Declaration(Kind.IMPORT, tree)))
    for name, at in edits:
        elements = list(document.iter(etree.Element))
        EDITS[name](elements[at % len(elements)])
    document.tail = None
    before = etree.tostring(document)
    walk = Walk()
    expected = walk.entity(document, ROOT)
    made = READ(document)
    assert edits or made is not None
    if made is not None:
        assert made == expected
        assert walk.findings == []
    assert etree.tostring(document) == before


@pytest.mark.parametrize("name", ["import", "export"])
def test_what_partners_send_is_plain(name: str) -> None:
    document = sample(name)
    assert READ(document) == Walk().entity(document, ROOT)


@pytest.mark.parametrize("name", sorted(EDITS))
def test_each_oddity_is_left_to_python(name: str) -> None:
    document = sample("import")
    EDITS[name](document[-1])
    assert (READ(document) is not None) is (name in UNREMARKABLE)


def test_nothing_is_kept() -> None:
    good, odd = sample("import"), sample("import")
    odd[-1][-1].append(etree.Element("Stranger"))

    def rounds(count: int) -> None:
        for _ in range(count):
            assert READ(good) is not None
            assert READ(odd) is None
            table = _plain.table(((_row("a"), _row("b", node=0)),), Value, Entity)
            assert _plain.read(table, etree.fromstring("<r><a/><b><a>1</a></b></r>"), 0, "r") is not None
            with pytest.raises(TypeError):
                _plain.table(((_row("a"), (1, 2)),), Value, Entity)
            with pytest.raises(TypeError):  # two arguments too many: what was made for them is given back
                _plain.read(
                    _plain.table(((_row("a"),),), Value, len), etree.fromstring("<r><a/></r>"), 0, "r"
                )

    rounds(5)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    rounds(100)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 20_000  # one declaration is as large


def _row(name: str, space: str = "", node: int = -1) -> tuple[object, ...]:
    return (space, name, "", "", name, frozenset(), node)


@pytest.mark.parametrize("node", [-2, 1, 1 << 40])
def test_a_row_refers_to_a_class_that_is_there(node: int) -> None:
    with pytest.raises(ValueError, match="no such class"):
        _plain.table(((_row("a", node=node),),), Value, Entity)


def test_what_is_no_table_and_no_element_is_refused() -> None:
    table = _plain.table(((),), Value, Entity)
    with pytest.raises(ValueError, match="no such class"):
        _plain.read(table, etree.Element("r"), 1, "r")
    with pytest.raises(ValueError, match="PyCapsule"):
        _plain.read(object(), etree.Element("r"), 0, "r")
    with pytest.raises(TypeError):
        _plain.read(table, object(), 0, "r")
    with pytest.raises(ValueError, match="not an XML element"):
        _plain.read(table, etree.Comment("c"), 0, "r")


def test_the_deepest_document_is_left_to_python() -> None:
    table = _plain.table(((_row("a", node=0),),), Value, Entity)
    for levels, plain in ((200, True), (300, False), (20_000, False)):
        root = here = etree.Element("a")
        for _ in range(levels):
            here = etree.SubElement(here, "a")
        assert (_plain.read(table, root, 0, "a") is not None) is plain
