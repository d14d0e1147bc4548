"""EDIFACT tables on real messages: samples, places, losses, and what others sent."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from gateway import syntax
from gateway.mapping.edifact import MAX_FINDINGS
from gateway.model import Entity, Kind
from gateway.model.edifact import Group

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests/samples"
CORPUS = Path(os.environ.get("CVAN_CORPUS", ROOT.parent / "shared/corpus")) / "edifact"


@pytest.fixture
def message(directories, mappings):
    def read(text: str | Path):
        octets = text.read_bytes() if isinstance(text, Path) else text.encode()
        found = syntax.read(octets, directories).messages[0]
        assert found.tree is not None, found.findings
        return found, mappings.edifact(found.type, found.version, found.release)

    return read


def edi(identifier: str, *segments: str) -> str:
    """An interchange around segments; UNT counts itself and UNH."""
    lines = [f"UNH+1+{identifier}", *segments, f"UNT+{len(segments) + 2}+1"]
    return "UNB+UNOC:3+A+B+261121:0930+1'" + "".join(f"{line}'" for line in lines) + "UNZ+1+1'"


@pytest.mark.parametrize(
    "path", sorted(SAMPLES.glob("cus*/*.edi")), ids=lambda p: f"{p.parent.name}/{p.stem}"
)
def test_a_sample_is_read_and_written_again(path, message):
    found, table = message(path)
    assert not found.findings
    reading = table.read(found.tree)
    expected = path.with_suffix(".losses")
    losses = expected.read_text().split("\n") if expected.exists() else []
    assert [
        f"{f.code} {f.place.segment} {f.place.tag} {f.place.group}".strip() for f in reading.findings
    ] == [line for line in losses if line]
    root = reading.responses[0] if reading.responses else reading.declarations[0].root
    written = table.write(root)
    assert not written.findings
    expected_root = msgspec.json.decode(path.with_suffix(".json").read_bytes(), type=Entity)
    assert root == expected_root


def test_the_arrival_report_is_understood(message):
    found, table = message(SAMPLES / "cuscar/arrival-95b.edi")
    declaration = table.read(found.tree).declarations[0]
    root = declaration.root
    assert declaration.kind is Kind.CARGO_IMPORT
    assert declaration.reference == "HBL26112100481"
    assert root.text("BorderTransportMeans/ID") == "9319466"
    first, second = root.each("Consignment")
    assert first.text("TransportContractDocument/ID") == "HBGUSIN0099123"
    assert second.text("TransportContractDocument/TypeCode") == "704"
    assert first.text("Consignee/Name") == "SAIGON CENTRAL TRADING COMPANY LIMITED"
    item = first.entity("ConsignmentItem")
    assert item is not None
    assert item.text("Commodity/TransportEquipment/ID") == root.text("TransportEquipment/ID") == "CSQU3054383"
    assert [s.text("ID") for s in root.each("TransportEquipment/Seal")] == ["HB778120", "CU004411"]


@pytest.mark.parametrize(
    ("code", "hint", "kind"),
    [
        ("933", None, Kind.CARGO_IMPORT),
        ("785", Kind.CARGO_EXPORT, Kind.CARGO_IMPORT),
        ("833", None, Kind.CARGO_EXPORT),
        ("85", None, Kind.CARGO_IMPORT),
        ("85", Kind.CARGO_EXPORT, Kind.CARGO_EXPORT),
    ],
)
def test_the_document_code_decides_the_kind(code, hint, kind, message):
    found, table = message(edi("CUSCAR:D:99B:UN", f"BGM+{code}+X+9"))
    assert table.read(found.tree, hint).declarations[0].kind is kind


@pytest.mark.parametrize(
    ("code", "kind"), [("929", Kind.IMPORT), ("830", Kind.EXPORT), ("950", Kind.TRANSIT)]
)
def test_goods_declarations_by_document_code(code, kind, message):
    found, table = message(edi("CUSDEC:D:96B:UN", f"BGM+{code}+X+9", "UNS+D", "UNS+S"))
    assert table.read(found.tree).declarations[0].kind is kind


def test_content_that_no_row_takes_is_a_warning_with_its_place(message):
    text = edi(
        "CUSCAR:D:99B:UN",
        "BGM+933+X+9+AB",
        "QTY+46:3",
        "NAD+MS+A",
        "CNI+1",
        "RFF+BM:B1",
        "NAD+CN+C1",
        "GID+1",
        "SGP+CSQU3054383+12",
        "CNI+2",
        "RFF+BM:B2",
        "NAD+WH+W1++STORE",
        "GID+1",
    )
    found, table = message(text)
    lost = table.read(found.tree).findings
    assert [(f.code, f.severity.value, f.place.segment, f.place.tag, f.place.group) for f in lost] == [
        ("MAP002", "warning", 2, "BGM", ""),
        ("MAP001", "warning", 3, "QTY", ""),
        ("MAP002", "warning", 9, "SGP", "SG7[1]/SG8[1]/SG14[1]"),
        ("MAP001", "warning", 12, "NAD", "SG7[2]/SG8[1]/SG11[1]"),
    ]
    assert (lost[0].place.element, lost[0].place.component, lost[0].found) == (4, 0, "AB")
    assert (lost[2].place.element, lost[2].found) == (2, "12")
    assert all(text.encode()[f.place.offset :].startswith(f.place.tag.encode()) for f in lost)


def test_a_second_value_where_one_can_stand_is_a_warning(message):
    found, table = message(
        edi("CUSCAR:D:99B:UN", "BGM+933+X+9", "DTM+137:20261121:102", "DTM+182:20261122:102")
    )
    reading = table.read(found.tree)
    assert [(f.code, f.expected, f.found, f.place.segment) for f in reading.findings] == [
        ("MAP003", "20261121", "20261122", 4)
    ]
    assert reading.declarations[0].root.text("IssueDateTime") == "20261121"


def test_findings_are_bounded(message):
    lines = ["CNI+1", "RFF+BM:B1"] + ["GID+1", "SGP+CSQU3054383+1"] * (MAX_FINDINGS + 7)
    found, table = message(edi("CUSCAR:D:99B:UN", "BGM+933+X+9", *lines))
    findings = table.read(found.tree).findings
    assert len(findings) == MAX_FINDINGS + 1
    assert (findings[-1].code, findings[-1].found) == ("MAP014", str(MAX_FINDINGS + 7))


@pytest.mark.parametrize(
    ("pointer", "where"),
    [
        ("Declaration/FunctionalReferenceID", (2, "BGM", "", 2, 0)),
        ("Declaration/BorderTransportMeans/ID", (7, "TDT", "SG1[1]", 8, 1)),
        ("Declaration/Consignment[2]/TransportContractDocument/ID", (38, "CNI", "SG4[2]", 2, 1)),
        ("Declaration/TransportEquipment/Seal[2]/ID", (16, "SEL", "SG2[1]", 1, 0)),
        ("Declaration/Consignment[2]/TransportContractDocument/TypeCode", (39, "RFF", "SG4[2]/SG5[1]", 1, 1)),
        ("Declaration/Consignment[2]", (38, "CNI", "SG4[2]", 0, 0)),
        ("Declaration/Consignment[2]/NotifyParty/ID", (38, "CNI", "SG4[2]", 0, 0)),
        ("Declaration/Consignment[2]/Consignor/ID", (45, "NAD", "SG4[2]/SG5[1]/SG7[2]", 0, 0)),
        ("Declaration/Consignment/Consignee/Address/CityName", (28, "NAD", "SG4[1]/SG5[1]/SG7[1]", 6, 0)),
        (
            "Declaration/Consignment/ConsignmentItem/Commodity/Classification/ID",
            (37, "CST", "SG4[1]/SG5[1]/SG10[1]", 2, 1),
        ),
        ("Declaration/Nothing/At/All", (2, "BGM", "", 0, 0)),
    ],
)
def test_a_pointer_leads_back_to_its_segment(pointer, where, message):
    found, table = message(SAMPLES / "cuscar/arrival-95b.edi")
    place = table.locate(found.tree, pointer)
    assert (place.segment, place.tag, place.group, place.element, place.component) == where
    assert place.pointer == pointer
    assert place.offset == next(s.offset for s in found.segments if s.number == place.segment)


def test_a_text_that_is_no_pointer_is_ours(message):
    found, table = message(SAMPLES / "cuscar/arrival-95b.edi")
    with pytest.raises(ValueError, match="step"):
        table.locate(found.tree, "Declaration//ID")


def test_a_table_writes_only_its_own_class(mappings):
    with pytest.raises(ValueError, match="Declaration"):
        mappings.edifact("CUSCAR", "D", "99B").write(Entity("Response"))


def test_a_pointer_of_the_wco_and_one_of_edifact_stand_together(message):
    found, table = message(SAMPLES / "cusres/rejected-96b.edi")
    root = table.read(found.tree).responses[0]
    levels = [
        (p.text("DocumentSectionCode"), p.text("SequenceNumeric"), p.text("TagID"))
        for p in root.each("Error/Pointer")
    ]
    assert levels[:5] == [
        ("42A", "", ""), ("67A", "", ""), ("68A", "1", ""), ("23A", "", ""), ("21A", "1", "145"),
    ]  # fmt: skip
    assert levels[-1] == ("2", "40", "MOA")


@pytest.mark.parametrize("mark", [".", ","])
def test_either_decimal_mark_is_read(mark, message):
    text = edi("CUSCAR:D:99B:UN", "BGM+933+X+9", f"CNT+7:18200{mark}5:KGM")
    text = f"UNA:+{mark}? '" + text
    found, table = message(text)
    assert table.read(found.tree).declarations[0].root.text("TotalGrossMassMeasure") == "18200.5"


def test_zones(message):
    for sent, kept in (("20261121093000UTC", "20261121093000Z"), ("20261121093000?+07", "20261121093000+07")):
        found, table = message(edi("CUSCAR:D:99B:UN", "BGM+933+X+9", f"DTM+137:{sent}:304"))
        reading = table.read(found.tree)
        assert reading.declarations[0].root.text("IssueDateTime") == kept
        assert not reading.findings
    found, table = message(edi("CUSCAR:D:99B:UN", "BGM+933+X+9", "DTM+137:20261121093000CET:304"))
    assert [f.code for f in table.read(found.tree).findings] == ["MAP013"]


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of other people's messages is not here")
def test_what_others_sent_is_read_without_an_exception(directories, mappings):
    read = 0
    for path in sorted(CORPUS.rglob("*")):
        if not path.is_file() or path.stat().st_size > 2_000_000:
            continue
        octets = path.read_bytes()
        if not any(name in octets for name in (b"CUSCAR", b"CUSRES", b"CUSDEC")):
            continue
        for found in syntax.read(octets, directories).messages:
            table = mappings.edifact(found.type, found.version, found.release)
            if table is None:
                continue
            segments = tuple(s for s in found.segments)
            for tree in (found.tree, Group("", segments)):
                if tree is not None:
                    root = table.read(tree).declarations
                    for each in root:
                        table.write(each.root)
                        table.locate(tree, "Declaration/Consignment/ConsignmentItem")
                    read += 1
    assert read


def test_many_places_cost_one_reading(message):
    """A manifest may have a finding for each of ten thousand bills."""
    found, table = message(SAMPLES / "cuscar/arrival-95b.edi")
    locate = table.locator(found.tree)
    assert locate("Declaration/Consignment[2]").segment == 38
    read = locate.__self__._around
    assert locate("Declaration/Consignment").tag == "CNI"
    assert locate.__self__._around is read
