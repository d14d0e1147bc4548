"""Tree tables: what is written is read again, losses are told, places and pointers are found."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway import safexml
from gateway.mapping.tree import MAX_FINDINGS, Row, load_tree_table
from gateway.model import Declaration, Entity, Kind, Severity, Value

ROOT = Path(__file__).parents[2]
DEC = load_tree_table(ROOT / "mappings/wco/dec.toml")
RES = load_tree_table(ROOT / "mappings/wco/res.toml")
SAMPLES = ROOT / "tests/samples/wco"
KINDS = [k for k in Kind if k is not Kind.PAYMENT]

# What XML 1.0 can say at all (2.2).
TEXT = st.text(
    st.one_of(
        st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"),
        st.sampled_from("\t\n\r &<>'\"]"),
    ),
    max_size=12,
)


def values(row: Row) -> st.SearchStrategy[Value]:
    names = st.lists(st.sampled_from(sorted(row.attributes)), unique=True) if row.attributes else st.just([])

    @st.composite
    def value(draw: st.DrawFn) -> Value:
        attributes = tuple((n, draw(TEXT)) for n in sorted(draw(names)))
        return Value(row.name, draw(TEXT), attributes)

    return value()


@st.composite
def entities(draw: st.DrawFn, row: Row, depth: int = 0) -> Entity:
    """Any occurrence of the class: some of its rows, repeats where the table has them, table order."""
    assert row.node is not None
    rows = row.node.rows
    picked = draw(st.sets(st.sampled_from(range(len(rows))), max_size=4))
    held: list[Value] = []
    inner: list[Entity] = []
    for rank in sorted(picked):
        child = rows[rank]
        for _ in range(draw(st.integers(1, 3)) if child.repeat != 1 else 1):
            if child.node is None:
                held.append(draw(values(child)))
            elif depth < 4:
                inner.append(draw(entities(child, depth + 1)))
    return Entity(row.name, tuple(held), tuple(inner))


def parsed(root: etree._Element) -> etree._Element:
    return safexml.parse(etree.tostring(root, encoding="utf-8", xml_declaration=True))


@settings(max_examples=150, deadline=None)
@given(tree=entities(DEC.row("Declaration")), kind=st.sampled_from(KINDS))
def test_a_declaration_is_read_as_it_was_written(tree: Entity, kind: Kind) -> None:
    declaration = Declaration(kind, tree)
    reading = DEC.read(parsed(DEC.write(declaration)))
    assert reading.findings == ()
    assert reading.declarations == (declaration,)


@settings(max_examples=60, deadline=None)
@given(tree=entities(RES.row("Response")))
def test_a_response_is_read_as_it_was_written(tree: Entity) -> None:
    reading = RES.read(parsed(RES.write(tree)))
    assert reading.findings == ()
    assert reading.responses == (tree,)
    assert reading.declarations == ()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_place_of_a_written_tree_is_located(data: st.DataObject) -> None:
    tree = data.draw(entities(DEC.row("Declaration")))
    document = parsed(DEC.write(Declaration(Kind.IMPORT, tree)))
    for pointer, element in _places("Declaration", tree, document[-1]):
        place = DEC.locate(document, pointer)
        assert place.xpath == safexml.xpath_of(element)
        assert place.line == element.sourceline
        codes = DEC.pointer_codes(pointer)
        back = DEC.pointer_of(codes)
        assert pointer.replace("[1]", "").startswith(back.replace("[1]", ""))


def _places(pointer: str, entity: Entity, element: etree._Element):  # type: ignore[no-untyped-def]
    seen: dict[str, int] = {}
    children = list(element)
    for item, child in zip(_ordered(entity), children, strict=True):
        seen[item.name] = seen.get(item.name, 0) + 1
        here = f"{pointer}/{item.name}[{seen[item.name]}]"
        yield here, child
        if isinstance(item, Entity):
            yield from _places(here, item, child)


def _ordered(entity: Entity) -> list[Value | Entity]:
    return [*entity.values, *entity.entities]


def sample(name: str) -> etree._Element:
    return safexml.parse((SAMPLES / f"{name}.xml").read_bytes())


def test_the_tables_hold_elements_before_classes() -> None:
    """The order of values and entities in a tree is the order of the schema only where that is so."""
    for table in (DEC, RES):
        for path, row in table.paths():
            if row.node is not None:
                is_class = [r.node is not None for r in row.node.rows]
                assert is_class == sorted(is_class), path


@pytest.mark.parametrize("name", sorted(p.stem for p in SAMPLES.glob("*.xml")))
def test_samples_are_written_as_they_were_read(name: str) -> None:
    document = sample(name)
    table = RES if name == "response" else DEC
    reading = table.read(document)
    assert reading.findings == ()
    tree = (*reading.declarations, *reading.responses)[0]
    assert content(table.write(tree, reading.header)) == content(document)


def content(root: etree._Element) -> list[tuple[str, list[tuple[str, str]], str]]:
    return [(str(e.tag), sorted(e.items()), "" if len(e) else e.text or "") for e in root.iter()]


def test_the_import_sample_reads_to_its_declaration() -> None:
    reading = DEC.read(sample("import"))
    declaration = reading.declarations[0]
    assert declaration.kind is Kind.IMPORT
    assert declaration.reference == "NK-2025-000481"
    assert declaration.declarant == "0312345095"
    issued = declaration.root.value("IssueDateTime")
    assert issued == Value("IssueDateTime", "20251103081500+07", (("formatCode", "304"),))
    second = "GoodsShipment/GovernmentAgencyGoodsItem[2]"
    assert declaration.root.text(f"{second}/Commodity/Classification/ID") == "85444294"
    assert reading.header is not None
    assert reading.header.text("WCOTypeName") == "IM"


def test_the_header_of_a_new_document_comes_from_the_table() -> None:
    root = Entity("Declaration", (Value("FunctionCode", "9"),))
    written = DEC.write(Declaration(Kind.CARGO_EXPORT, root))
    assert [(safexml.local_name(e), e.text) for e in written][:3] == [
        ("WCODataModelVersionCode", "3.11"),
        ("WCOTypeName", "CRE"),
        ("ResponsibleCountryCode", "VN"),
    ]


def changed(before: str, after: str) -> etree._Element:
    text = (SAMPLES / "import.xml").read_text(encoding="utf-8")
    assert before in text
    return safexml.parse(text.replace(before, after, 1).encode())


@pytest.mark.parametrize(
    ("before", "after", "code", "xpath", "found"),
    [
        ("<Submitter>", "<Vessel>X</Vessel><Submitter>", "XML040", "/MetaData/Declaration/Vessel", "Vessel"),
        (
            "<TypeCode>929<",
            '<TypeCode listName="a">929<',
            "XML041",
            "/MetaData/Declaration/TypeCode/@listName",
            "listName",
        ),
        ("<Declaration>", '<Declaration a="b">', "XML041", "/MetaData/Declaration/@a", "a"),
        ("<Submitter>", "<Submitter>stray", "XML042", "/MetaData/Declaration/Submitter", "stray"),
        ("</Submitter>", "</Submitter>stray", "XML042", "/MetaData/Declaration", "stray"),
        ("<ID>0312345095</ID>", "<ID>03<b/></ID>", "XML040", "/MetaData/Declaration/Submitter/ID/b", "b"),
        (
            "<FunctionCode>9</FunctionCode>",
            "<TypeCode>929</TypeCode><FunctionCode>9</FunctionCode>",
            "XML043",
            "/MetaData/Declaration/FunctionCode",
            "FunctionCode",
        ),
        (
            '<DateTimeString formatCode="102">20251020</DateTimeString>',
            "20251020",
            "XML046",
            "/MetaData/Declaration/GoodsShipment/Invoice/IssueDateTime",
            "20251020",
        ),
    ],
)
def test_nothing_is_lost_silently(before: str, after: str, code: str, xpath: str, found: str) -> None:
    document = changed(before, after)
    told = [f for f in DEC.read(document).findings if f.code == code]
    assert [(f.place.xpath, f.found, f.severity) for f in told] == [(xpath, found, Severity.WARNING)]
    assert told[0].place.line > 1


def test_endless_losses_are_counted() -> None:
    document = changed("<Submitter>", "<Vessel/>" * 300 + "<Submitter>")
    findings = DEC.read(document).findings
    assert len(findings) == MAX_FINDINGS + 1
    assert (findings[-1].code, findings[-1].found) == ("XML047", str(300 - MAX_FINDINGS))


def test_hints_to_validators_are_no_content() -> None:
    hint = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b"'
    assert DEC.read(changed("<m:MetaData ", f"<m:MetaData {hint} ")).findings == ()


def test_a_document_without_a_declaration_is_told() -> None:
    document = sample("import")
    document.remove(document[-1])
    reading = DEC.read(document)
    assert [(f.code, f.severity) for f in reading.findings if f.code == "XML045"] == [
        ("XML045", Severity.ERROR)
    ]
    assert reading.declarations == ()
    assert [f.code for f in DEC.read(etree.fromstring("<Document/>")).findings] == ["XML045"]


def test_a_document_of_an_unknown_kind_is_told() -> None:
    reading = DEC.read(changed(">IM<", ">IMX<"))
    assert [f.code for f in reading.findings] == ["XML044"]
    assert reading.declarations == ()
    assert DEC.read(changed(">IM<", ">IMX<"), Kind.EXPORT).declarations[0].kind is Kind.EXPORT


def test_what_the_table_has_no_place_for_is_our_fault() -> None:
    root = Entity(
        "Declaration",
        (Value("Colour", "red"), Value("TypeCode", "929", (("hue", "x"),))),
        (Entity("Declarant", (Value("Nick", "x"),)), Entity("FunctionCode")),
    )
    with pytest.raises(ValueError, match="no place for") as raised:
        DEC.write(root)
    for path in ("/Colour", "/TypeCode/@hue", "/Declarant/Nick", "Declaration/FunctionCode"):
        assert path in str(raised.value)
    with pytest.raises(ValueError, match="Response"):
        DEC.write(Entity("Response"))


ITEM = "Declaration/GoodsShipment/GovernmentAgencyGoodsItem[2]"


@pytest.mark.parametrize(
    ("pointer", "codes"),
    [
        ("Declaration/AuthorisationHolder[2]/ID", [("42A", 0, ""), ("17C", 2, "R144")]),
        (
            f"{ITEM}/Commodity/Classification/ID",
            [("42A", 0, ""), ("67A", 0, ""), ("68A", 2, ""), ("23A", 0, ""), ("21A", 1, "145")],
        ),
        ("Declaration/FunctionCode", [("42A", 0, "017")]),
        (ITEM, [("42A", 0, ""), ("67A", 0, ""), ("68A", 2, "")]),
    ],
)
def test_pointers_have_wco_codes(pointer: str, codes: list[tuple[str, int, str]]) -> None:
    assert DEC.pointer_codes(pointer) == codes
    assert DEC.pointer_of(codes) == pointer


def test_pointers_to_what_has_no_code_end_above_it() -> None:
    assert DEC.pointer_codes("Declaration/IssueDateTime/DateTimeString/@formatCode") == [("42A", 0, "D011")]
    assert DEC.pointer_codes("Declaration/UnloadingLocation/ID") == [("42A", 0, "")]
    assert DEC.pointer_codes("Declaration/Nonsense[3]/ID") == [("42A", 0, "")]
    assert DEC.pointer_codes("Declaration/a-b.c[3]/ID") == [("42A", 0, "")]
    assert DEC.pointer_codes("") == []
    assert DEC.pointer_codes("Response/FunctionCode") == []
    assert DEC.pointer_of([("42A", 0, ""), ("99Z", 1, "")]) == "Declaration"
    assert DEC.pointer_of([("07B", 0, "")]) == ""


def test_an_absent_element_is_located_at_its_class() -> None:
    document = sample("import")
    place = DEC.locate(document, f"{ITEM}/Origin[5]/CountryCode")
    assert place.xpath == "/MetaData/Declaration/GoodsShipment/GovernmentAgencyGoodsItem[2]"
    assert place.pointer == f"{ITEM}/Origin[5]/CountryCode"
    assert place.line > 100
    assert DEC.locate(document, "Declaration/IssueDateTime").xpath == "/MetaData/Declaration/IssueDateTime"


def test_paths_are_known_for_their_kinds() -> None:
    assert DEC.knows("Declaration/GoodsShipment/GovernmentAgencyGoodsItem/Commodity/Description")
    assert DEC.knows("Declaration/Consignment[2]/TransportContractDocument/ID", Kind.CARGO_IMPORT)
    assert not DEC.knows("Declaration/GoodsShipment", Kind.CARGO_IMPORT)
    assert not DEC.knows("Declaration/Bank/ID", Kind.IMPORT)
    assert DEC.knows("Declaration/DutyTaxFee/Payment/ReferenceID", Kind.PAYMENT)
    assert not DEC.knows("Declaration/Nonsense")
    row = DEC.row("Declaration/Consignment/TransportContractDocument/ID")
    assert row is not None
    assert (row.id, row.recalled, row.format) == ("D023", True, "an..70")
