"""The registry: which entry a document is for, and packs that are broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from gateway.model import Kind
from gateway.schema import Schemas

XSD = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:t" elementFormDefault="qualified">
  {more}
  <xs:element name="Doc"><xs:complexType><xs:sequence>
    <xs:any minOccurs="0" maxOccurs="unbounded" processContents="skip"/>
  </xs:sequence></xs:complexType></xs:element>
</xs:schema>
"""


def pack(folder: Path, entries: str, **files: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "pack.toml").write_text(f'name = "{folder.name}"\n{entries}', encoding="utf-8")
    for name, text in files.items():
        (folder / f"{name}.xsd").write_text(text, encoding="utf-8")
    return folder


def entry(name: str, more: str = "") -> str:
    return f"""
[[entry]]
name = "{name}"
type = "{name.upper()}"
schema = "doc.xsd"
root = "Doc"
namespace = "urn:t"
table = "T"
{more}
"""


def doc(inner: str = "", tag: str = "Doc") -> etree._Element:
    return etree.fromstring(f'<x:{tag} xmlns:x="urn:t">{inner}</x:{tag}>')


def test_the_entry_with_most_conditions_is_found(tmp_path: Path) -> None:
    folder = pack(
        tmp_path / "p",
        entry("any")
        + entry("typed", 'type_names = ["A", "B"]')
        + entry("custom", 'type_names = ["A"]\ncustomizations = ["VN1"]')
        + entry("when", 'type_names = ["A"]\nwhen = { "Body/Code" = "13", "Body/Type" = "INV" }')
        + entry("bodied", 'body = "Other"'),
        doc=XSD.format(more=""),
    )
    schemas = Schemas.load([folder])

    def found(inner: str) -> str:
        entry = schemas.find(doc(inner))
        return "" if entry is None else entry.name

    name, custom = (
        "<x:WCOTypeName> A </x:WCOTypeName>",
        "<x:AgencyAssignedCustomizationCode>VN1</x:AgencyAssignedCustomizationCode>",
    )
    assert found("") == "any"
    assert found(name) == "typed"
    assert found(name + custom) == "custom"
    assert found("<x:Other/>") == "bodied"
    assert found(f"{name}<x:Body><x:Code>13</x:Code><x:Type>INV</x:Type></x:Body>") == "when"
    assert found(f"{name}<x:Body><x:Code>13</x:Code></x:Body>") == "typed"
    assert len(schemas.entries()) == 5


def test_namespace_and_root_matter_and_prefix_does_not(tmp_path: Path) -> None:
    schemas = Schemas.load([pack(tmp_path / "p", entry("any"), doc=XSD.format(more=""))])
    assert schemas.find(etree.fromstring('<Doc xmlns="urn:t"/>')) is not None
    for text in ('<Doc xmlns="urn:u"/>', "<Doc/>", '<Dok xmlns="urn:t"/>'):
        document = etree.fromstring(text)
        assert schemas.find(document) is None
        finding = schemas.unknown(document)
        assert (finding.code, finding.expected) == ("XML020", "{urn:t}Doc")
        assert finding.found == document.tag


def test_an_unknown_type_name_is_told_with_those_in_use(tmp_path: Path) -> None:
    schemas = Schemas.load(
        [pack(tmp_path / "p", entry("a", 'type_names = ["A", "B"]'), doc=XSD.format(more=""))]
    )
    finding = schemas.unknown(doc("<x:WCOTypeName>Z</x:WCOTypeName>"))
    assert (finding.code, finding.expected, finding.found) == ("XML036", "A, B", "Z")
    assert finding.place.xpath == "/Doc/WCOTypeName"


def test_the_reference_and_kind_are_the_entry_s(tmp_path: Path) -> None:
    more = 'kind = "CRI"\nreference = "Body/Ref"'
    schemas = Schemas.load([pack(tmp_path / "p", entry("a", more), doc=XSD.format(more=""))])
    document = doc("<x:Body><x:Ref> R1 </x:Ref></x:Body>")
    found = schemas.find(document)
    assert found is not None
    assert found.kind is Kind.CARGO_IMPORT
    assert schemas.reference(document, found) == "R1"
    assert schemas.reference(doc(), found) == ""


def test_schema_locations_in_a_document_are_ignored(tmp_path: Path) -> None:
    """A hint to a schema that would allow anything must not change the verdict."""
    lax = tmp_path / "lax.xsd"
    lax.write_text(XSD.format(more='<xs:element name="Free"/>'), encoding="utf-8")
    strict = XSD.format(more="").replace('processContents="skip"', 'processContents="strict"')
    schemas = Schemas.load([pack(tmp_path / "p", entry("a"), doc=strict)])
    document = etree.fromstring(
        '<x:Doc xmlns:x="urn:t" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="urn:t file://{lax}"><x:Free/></x:Doc>'
    )
    found = schemas.find(document)
    assert found is not None
    assert [f.code for f in schemas.validate(document, found)] != []


@pytest.mark.parametrize(
    ("include", "why"),
    [
        ('<xs:include schemaLocation="http://example.com/a.xsd"/>', "not in the pack"),
        ('<xs:import namespace="urn:q" schemaLocation="file:///etc/passwd"/>', "not in the pack"),
        ('<xs:include schemaLocation="../outside.xsd"/>', "leaves the pack"),
        ('<xs:include schemaLocation="..%2foutside.xsd"/>', "leaves the pack"),
        ('<xs:include schemaLocation="/etc/passwd"/>', "leaves the pack"),
        ('<xs:redefine schemaLocation="gone.xsd"/>', "missing from the pack"),
        ('<xs:element name="Doc"/>', "doc.xsd"),
    ],
)
def test_a_schema_that_reaches_out_or_is_wrong_is_refused(tmp_path: Path, include: str, why: str) -> None:
    (tmp_path / "outside.xsd").write_text(XSD.format(more=""), encoding="utf-8")
    folder = pack(tmp_path / "p", entry("a"), doc=XSD.format(more=include))
    with pytest.raises(ValueError, match=why):
        Schemas.load([folder])


def test_a_link_out_of_the_pack_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside.xsd").write_text(XSD.format(more=""), encoding="utf-8")
    folder = pack(tmp_path / "p", entry("a"), doc=XSD.format(more='<xs:include schemaLocation="in.xsd"/>'))
    (folder / "in.xsd").symlink_to(tmp_path / "outside.xsd")
    with pytest.raises(ValueError, match="leaves the pack"):
        Schemas.load([folder])


def test_a_schema_with_a_document_type_is_refused(tmp_path: Path) -> None:
    text = '<!DOCTYPE xs:schema [<!ENTITY a "b">]>' + XSD.format(more="")
    with pytest.raises(ValueError, match="document type declaration"):
        Schemas.load([pack(tmp_path / "p", entry("a"), doc=text)])


def test_every_broken_pack_is_told_at_once(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    folders = [
        bare,
        pack(tmp_path / "toml", "[[entry]]\nname = 1"),
        pack(tmp_path / "gone", entry("a", 'type_names = ["A"]')),
        pack(tmp_path / "twice", entry("b") + entry("c"), doc=XSD.format(more="")),
        pack(tmp_path / "notxml", entry("d", 'type_names = ["D"]'), doc="<a>"),
        pack(tmp_path / "notxsd", entry("e", 'type_names = ["E"]'), doc="<a/>"),
    ]
    with pytest.raises(ValueError, match=r"pack\.toml") as raised:
        Schemas.load(folders)
    told = str(raised.value)
    for words in (
        "bare: has no pack.toml",
        "toml/pack.toml",
        "gone/a: doc.xsd is missing",
        "twice/c and twice/b are for the same documents",
        "notxml/d: doc.xsd: not XML",
        "notxsd/e: doc.xsd: not an XML schema",
    ):
        assert words in told
