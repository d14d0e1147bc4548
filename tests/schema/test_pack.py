"""Taking an authority's folder of schemas into use."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway.mapping.tree import load_tree_table
from gateway.model import Kind, Value
from gateway.schema import Schemas, add_pack

ROOT = Path(__file__).parents[2]
XS = 'xmlns:xs="http://www.w3.org/2001/XMLSchema"'

HEADER = f"""<xs:schema {XS} xmlns="urn:h" targetNamespace="urn:h" elementFormDefault="qualified">
  <xs:element name="MetaData"><xs:complexType><xs:sequence>
    <xs:element name="WCOTypeName" type="xs:string" minOccurs="0"/>
    <xs:any namespace="urn:d" processContents="strict"/>
  </xs:sequence></xs:complexType></xs:element>
</xs:schema>"""

TYPES = f"""<xs:schema {XS} xmlns="urn:t" targetNamespace="urn:t" elementFormDefault="qualified">
  <xs:complexType name="When"><xs:choice>
    <xs:element name="DateTimeString"><xs:complexType><xs:simpleContent><xs:extension base="xs:string">
      <xs:attribute name="formatCode" use="required"/></xs:extension></xs:simpleContent></xs:complexType>
    </xs:element></xs:choice></xs:complexType>
</xs:schema>"""

BODY = f"""<xs:schema {XS} xmlns="urn:d" xmlns:t="urn:t" targetNamespace="urn:d" elementFormDefault="qualified">
  <xs:import namespace="urn:t" schemaLocation="types/types.xsd"/>
  <xs:element name="Declaration" type="Declaration"/>
  <xs:complexType name="Declaration"><xs:sequence>
    <xs:element name="FunctionCode" type="{{function}}"/>
    <xs:element name="TypeCode" type="xs:string" minOccurs="0"/>
    <xs:element name="IssueDateTime" type="t:When" minOccurs="0"/>
    <xs:element name="Colour" type="xs:string" minOccurs="0" maxOccurs="3"/>
    <xs:element name="AuthorisationHolder" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:sequence>
      <xs:element name="ID" type="xs:string"/>
      <xs:element name="Part" type="Part" minOccurs="0"/>
    </xs:sequence></xs:complexType></xs:element>
  </xs:sequence></xs:complexType>
  <xs:complexType name="Part"><xs:sequence>
    <xs:element name="Size" type="xs:decimal"/><xs:element name="Part" type="Part" minOccurs="0"/>
  </xs:sequence></xs:complexType>
  <xs:simpleType name="Thirteen"><xs:restriction base="xs:string"><xs:enumeration value="13"/></xs:restriction>
  </xs:simpleType>
</xs:schema>"""

DOCUMENT = """<h:MetaData xmlns:h="urn:h" xmlns="urn:d"><h:WCOTypeName>DEC</h:WCOTypeName><Declaration>
<FunctionCode>9</FunctionCode><TypeCode>EXA</TypeCode>
<IssueDateTime><t:DateTimeString xmlns:t="urn:t" formatCode="102">20250101</t:DateTimeString></IssueDateTime>
<Colour>red</Colour><Colour>blue</Colour>
<AuthorisationHolder><ID>1</ID></AuthorisationHolder><AuthorisationHolder><ID>2</ID></AuthorisationHolder>
</Declaration></h:MetaData>"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / "mappings" / "wco").mkdir(parents=True)
    for name in ("dec.toml", "res.toml"):
        shutil.copy(ROOT / "mappings" / "wco" / name, home / "mappings" / "wco")
    return home


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "authority"
    (folder / "types").mkdir(parents=True)
    (folder / "Header.xsd").write_text(HEADER, encoding="utf-8")
    (folder / "DEC.xsd").write_text(BODY.format(function="xs:string"), encoding="utf-8")
    (folder / "types" / "types.xsd").write_text(TYPES, encoding="utf-8")
    (folder / "readme.txt").write_text("not a schema", encoding="utf-8")
    return folder


def test_a_folder_becomes_a_pack_with_its_table(folder: Path, home: Path) -> None:
    added = add_pack("authority", folder, home)
    assert added.folder == home / "xsd" / "authority"
    assert added.entries == ("declaration",)
    assert [p.name for p in added.tables] == ["authority-declaration.toml"]
    assert not (added.folder / "readme.txt").exists()
    assert not [p for p in (home / "xsd").iterdir() if p.name.startswith(".")]
    schemas, table = Schemas.load([added.folder]), load_tree_table(added.tables[0])
    document = etree.fromstring(DOCUMENT)
    entry = schemas.find(document)
    assert entry is not None
    assert (entry.type, entry.table) == ("DEC", table.name)
    assert schemas.validate(document, entry) == ()
    reading = table.read(document)
    assert reading.findings == ()
    root = reading.declarations[0].root
    assert reading.declarations[0].kind is Kind.EXPORT
    assert [v.text for v in root.values if v.name == "Colour"] == ["red", "blue"]
    assert root.value("IssueDateTime") == Value("IssueDateTime", "20250101", (("formatCode", "102"),))
    assert table.pointer_codes("Declaration/AuthorisationHolder[2]/ID") == [
        ("42A", 0, ""),
        ("17C", 2, "R144"),
    ]
    assert table.pointer_codes("Declaration/Colour[2]") == [("42A", 0, "")]
    written = table.write(reading.declarations[0], reading.header)
    assert schemas.validate(written, entry) == ()
    assert [(e.tag, e.text) for e in written.iter() if not len(e)] == [
        (e.tag, e.text) for e in document.iter() if not len(e)
    ]


def test_a_class_inside_itself_is_noted_not_followed(folder: Path, home: Path) -> None:
    added = add_pack("authority", folder, home)
    assert any("AuthorisationHolder/Part/Part" in note for note in added.notes)
    table = load_tree_table(added.tables[0])
    assert table.knows("Declaration/AuthorisationHolder/Part/Size")
    inner = "<Part><Size>1</Size><Part><Size>2</Size></Part></Part>"
    document = etree.fromstring(DOCUMENT.replace("<ID>1</ID>", f"<ID>1</ID>{inner}"))
    findings = table.read(document).findings
    assert [(f.code, f.place.xpath) for f in findings] == [
        ("XML040", "/MetaData/Declaration/AuthorisationHolder[1]/Part/Part")
    ]


def test_two_schemas_of_one_root_are_told_apart_by_what_they_fix(folder: Path, home: Path) -> None:
    (folder / "CANCEL_HEADER.xsd").write_text(HEADER, encoding="utf-8")
    (folder / "CANCEL.xsd").write_text(BODY.format(function="Thirteen"), encoding="utf-8")
    added = add_pack("authority", folder, home)
    assert sorted(added.entries) == ["cancel", "declaration"]
    schemas = Schemas.load([added.folder])
    cancel = etree.fromstring(DOCUMENT.replace(">9<", ">13<"))
    assert getattr(schemas.find(cancel), "name", "") == "cancel"
    assert getattr(schemas.find(etree.fromstring(DOCUMENT)), "name", "") == "declaration"


def test_two_schemas_that_nothing_tells_apart_are_refused(folder: Path, home: Path) -> None:
    (folder / "OTHER.xsd").write_text(BODY.format(function="xs:string"), encoding="utf-8")
    with pytest.raises(ValueError, match="describe the same document; name a folder"):
        add_pack("authority", folder, home)
    assert list((home / "xsd").iterdir()) == []


def test_a_body_without_a_wrapper_is_a_document(folder: Path, home: Path) -> None:
    (folder / "Header.xsd").unlink()
    added = add_pack("authority", folder, home)
    schemas, table = Schemas.load([added.folder]), load_tree_table(added.tables[0])
    document = etree.fromstring(DOCUMENT)[1]
    document = etree.fromstring(etree.tostring(document))
    entry = schemas.find(document)
    assert entry is not None
    assert entry.root == "Declaration"
    assert schemas.validate(document, entry) == ()
    reading = table.read(document)
    assert reading.findings == ()
    assert table.write(reading.declarations[0])[0].text == "9"


def test_our_own_pack_can_be_added_like_any_other(home: Path) -> None:
    """Its entries all have one root; the goods declaration, cargo and conveyance report need a type name."""
    with pytest.raises(ValueError, match="describe the same document"):
        add_pack("own", ROOT / "xsd" / "wco", home)


@pytest.mark.parametrize("name", ["", "Upper", "../up", "a/b", "-x", "x" * 40])
def test_a_name_that_is_no_name_is_refused(name: str, folder: Path, home: Path) -> None:
    with pytest.raises(ValueError, match="a pack's name"):
        add_pack(name, folder, home)


def test_what_cannot_be_taken_says_what_to_do(folder: Path, home: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match=r"holds no \.xsd file; name the folder"):
        add_pack("a", empty, home)
    with pytest.raises(ValueError, match="is no folder"):
        add_pack("a", tmp_path / "nowhere", home)
    (empty / "types.xsd").write_text(TYPES, encoding="utf-8")
    with pytest.raises(ValueError, match="no XSD declares a Declaration or a Response"):
        add_pack("a", empty, home)
    body = BODY.format(function="xs:string").replace("types/types.xsd", "http://example.com/types.xsd")
    (empty / "DEC.xsd").write_text(body, encoding="utf-8")
    with pytest.raises(ValueError, match="save that schema in the folder and name it by a relative path"):
        add_pack("a", empty, home)
    assert list((home / "xsd").iterdir()) == []
    add_pack("a", folder, home)
    with pytest.raises(ValueError, match="remove it or choose another name"):
        add_pack("a", folder, home)


def test_a_broken_neighbour_is_left_out_with_a_note(folder: Path, home: Path) -> None:
    (folder / "broken.xsd").write_text("<xs:schema", encoding="utf-8")
    added = add_pack("authority", folder, home)
    assert added.entries == ("declaration",)
    assert any("broken.xsd: not XML" in note for note in added.notes)


NAMES = st.sampled_from(["ID", "Name", "TypeCode", "Line", "Parts", "Box", "Mark"])


@st.composite
def content(draw: st.DrawFn, depth: int = 0) -> list[tuple[str, int, object]]:
    """A content model: (name, most, None or the inner model)."""
    names = draw(st.lists(NAMES, unique=True, min_size=1, max_size=4))
    return [
        (
            n,
            draw(st.sampled_from([1, 3])),
            draw(content(depth + 1)) if depth < 2 and draw(st.booleans()) else None,
        )
        for n in names
    ]


def model(rows: list[tuple[str, int, object]]) -> str:
    out = []
    for name, most, inner in rows:
        open_ = f'<xs:element name="{name}" minOccurs="0" maxOccurs="{most}"'
        if inner is None:
            out.append(f'{open_} type="xs:string"/>')
        else:
            held = model(inner)  # type: ignore[arg-type]
            out.append(
                f"{open_}><xs:complexType><xs:sequence>{held}</xs:sequence></xs:complexType></xs:element>"
            )
    return "".join(out)


@st.composite
def instance(draw: st.DrawFn, rows: list[tuple[str, int, object]]) -> str:
    out = []
    for name, most, inner in rows:
        for _ in range(draw(st.integers(0, most))):
            held = draw(st.sampled_from(["", "x"])) if inner is None else draw(instance(inner))  # type: ignore[arg-type]
            out.append(f"<{name}>{held}</{name}>")
    return "".join(out)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_schema_s_table_carries_its_documents(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = data.draw(content())
    base = tmp_path_factory.mktemp("any")
    (base / "in").mkdir()
    (base / "in" / "d.xsd").write_text(
        f'<xs:schema {XS} targetNamespace="urn:d" elementFormDefault="qualified"><xs:element name="Declaration">'
        f"<xs:complexType><xs:sequence>{model(rows)}</xs:sequence></xs:complexType></xs:element></xs:schema>",
        encoding="utf-8",
    )
    added = add_pack("any", base / "in", base / "home")
    schemas, table = Schemas.load([added.folder]), load_tree_table(added.tables[0])
    document = etree.fromstring(f'<Declaration xmlns="urn:d">{data.draw(instance(rows))}</Declaration>')
    entry = schemas.find(document)
    assert entry is not None
    assert schemas.validate(document, entry) == ()
    reading = table.read(document, Kind.IMPORT)
    assert reading.findings == ()
    written = table.write(reading.declarations[0])
    flat = [(e.tag, e.text or "") for e in written.iter()]
    assert flat == [(e.tag, e.text or "") for e in document.iter()]
