"""Tree tables as files: broken ones are told row by row, and another vocabulary needs no code."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from gateway.mapping.tree import TreeTable, load_tree_table
from gateway.model import Declaration, Entity, Kind, Value


def load(tmp_path: Path, text: str) -> TreeTable:
    path = tmp_path / "table.toml"
    path.write_text(text, encoding="utf-8")
    return load_tree_table(path)


HEAD = """
name = "X"
document = "Root"
body = "Root"
[namespaces]
a = "urn:a"
[types]
ID = {}
[classes]
"""


def test_a_broken_table_tells_every_broken_row(tmp_path: Path) -> None:
    rows = """Root = [
        "One",
        "T_wo 1 ID:an..3",
        "Three 1z ID:an..3",
        "Four 1 ID:xx..3",
        "Five 1 Text:an..3",
        "Six 1 @Nowhere",
        "Seven 1 ID:an..3 0",
        "Eight 1 ID:an..3 1 IQ",
        "b:Nine 1 ID:an..3",
        "Ten 2 ID:an..3",
        "Ten 3 ID:an..3",
        "Eleven 2 ID:an..3",
    ]
    Unused = []
    """
    with pytest.raises(ValueError, match=r"table\.toml") as raised:
        load(tmp_path, HEAD + rows)
    told = str(raised.value)
    for word in ("One", "T_wo", "1z", "xx..3", "Text:", "Nowhere", "Seven", "IQ", "b:Nine", "Unused"):
        assert word in told
    assert "Ten: stands twice" in told
    assert "Eleven: WCO id 2 is also Ten's" in told


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name = ", "table.toml"),
        ('name = "X"', "missing required field"),
        (HEAD + "Other = []", "no class or namespace Root"),
        (HEAD.replace('body = "Root"', 'body = "Body"') + "Root = []", "Root holds no Body"),
        (HEAD.replace("[types]", '[header]\nWho = "x"\n[types]') + "Root = []", "Root has no element Who"),
    ],
)
def test_a_broken_outline_is_told(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        load(tmp_path, text)


def test_another_vocabulary_has_its_own_namespaces_and_names(tmp_path: Path) -> None:
    """A text inside a child of another namespace, and two classes of one local name."""
    table = load(
        tmp_path,
        """
        name = "X"
        document = "h:Wrap"
        body = "Body"
        default_kind = "IM"
        [namespaces]
        b = "urn:body"
        h = "urn:head"
        t = "urn:types"
        [types]
        When = { child = "t:At", attributes = ["f"] }
        [classes]
        Wrap = ["Body 42A @Body"]
        Body = ["Issued 1 When:-", "Part 2A @Part *", "t:Part=PartT 2B @Part"]
        Part = ["Issued - When:-"]
        """,
    )
    part = (Value("Issued", "3"),)
    root = Entity(
        "Body",
        (Value("Issued", "1", (("f", "102"),)),),
        (Entity("Part", part), Entity("Part"), Entity("PartT", part)),
    )
    written = table.write(root)
    assert etree.tostring(written, method="c14n") == (
        b'<h:Wrap xmlns:b="urn:body" xmlns:h="urn:head" xmlns:t="urn:types"><b:Body><b:Issued>'
        b'<t:At f="102">1</t:At></b:Issued><b:Part><b:Issued><t:At>3</t:At></b:Issued></b:Part>'
        b"<b:Part></b:Part><t:Part><b:Issued><t:At>3</t:At></b:Issued></t:Part></b:Body></h:Wrap>"
    )
    reading = table.read(written)
    assert reading.declarations == (Declaration(Kind.IMPORT, root),)
    assert table.locate(written, "Body/PartT/Issued").xpath == "/Wrap/Body/Part[3]/Issued"
