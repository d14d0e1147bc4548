"""Trees written as EDIFACT: what no row, format or directory can carry is reported with its pointer."""

from __future__ import annotations

import pytest

from gateway.model import Entity, Value
from gateway.model.edifact import Segment


def declaration(*values: Value, entities: tuple[Entity, ...] = ()) -> Entity:
    """A tree with a function code, so that its BGM is written."""
    return Entity("Declaration", (Value("FunctionCode", "9"), *values), entities)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (Value("FunctionalReferenceID", "X" * 36), "MAP006"),
        (Value("TotalPackageQuantity", "many"), "MAP006"),
        (Value("InvoiceAmount", "12.5", (("currencyID", "USD"),)), "MAP005"),
        (Value("FunctionalReferenceID", "X", (("schemeID", "A"),)), "MAP012"),
        (Value("IssueDateTime", "20261121093000CET", (("formatCode", "304"),)), "MAP013"),
    ],
)
def test_what_cannot_be_written_is_reported_with_its_pointer(value, code, mappings):
    written = mappings.edifact("CUSCAR", "D", "99B").write(declaration(value))
    assert [(f.code, f.place.pointer) for f in written.findings] == [(code, f"Declaration/{value.name}")]


def test_an_identifier_that_does_not_fit_is_left_out_not_cut(mappings):
    written = mappings.edifact("CUSCAR", "D", "99B").write(
        declaration(Value("FunctionalReferenceID", "X" * 36))
    )
    assert not any("XX" in c for s in written.segments for e in s.elements for c in e)


def test_more_occurrences_than_the_directory_allows(mappings):
    seals = tuple(
        Entity("Seal", (Value("SequenceNumeric", str(n)), Value("ID", f"S{n}"))) for n in range(1, 12)
    )
    box = Entity("TransportEquipment", (Value("SequenceNumeric", "1"), Value("ID", "CSQU3054383")), seals)
    written = mappings.edifact("CUSCAR", "D", "99B").write(declaration(entities=(box,)))
    assert sum(s.tag == "SEL" for s in written.segments) == 9
    assert [(f.code, f.place.pointer) for f in written.findings] == [
        ("MAP008", "Declaration/TransportEquipment/Seal[10]"),
        ("MAP008", "Declaration/TransportEquipment/Seal[11]"),
    ]


def test_a_value_that_would_be_read_as_another_is_left_out(mappings):
    note = Entity(
        "AdditionalInformation", (Value("StatementDescription", "RED"), Value("StatementTypeCode", "AAA"))
    )
    item = Entity("ConsignmentItem", (Value("SequenceNumeric", "1"),), (note,))
    root = declaration(entities=(Entity("Consignment", (Value("SequenceNumeric", "1"),), (item,)),))
    written = mappings.edifact("CUSCAR", "D", "99B").write(root)
    assert [(f.code, f.place.pointer) for f in written.findings] == [
        ("MAP010", "Declaration/Consignment/ConsignmentItem/AdditionalInformation")
    ]


def test_a_group_that_must_be_there_and_is_not_is_reported(mappings):
    document = Entity("TransportContractDocument", (Value("ID", "B1"), Value("TypeCode", "705")))
    root = declaration(entities=(Entity("Consignment", (Value("SequenceNumeric", "1"),), (document,)),))
    findings = mappings.edifact("CUSCAR", "D", "95B").write(root).findings
    assert [(f.code, f.place.pointer, f.expected) for f in findings] == [
        ("MAP015", "Declaration/Consignment", "SG10")
    ]


@pytest.mark.parametrize(
    ("function", "document", "verdict"),
    [("02", "961", "AP"), ("03", "963", "RE"), ("13", "965", "AP"), ("08", "962", "AP")],
)
def test_the_answer_says_what_it_is(function, document, verdict, mappings):
    written = mappings.edifact("CUSRES", "D", "96B").write(
        Entity("Response", (Value("FunctionCode", function),))
    )
    assert written.segments == (Segment("BGM", ((document, "", "", function), ("",), ("11",), (verdict,))),)


def test_a_description_runs_over_several_segments(mappings):
    words = " ".join(f"WORD{n:04}" for n in range(90))
    item = Entity(
        "ConsignmentItem",
        (Value("SequenceNumeric", "1"),),
        (Entity("Commodity", (Value("Description", words),)),),
    )
    root = declaration(entities=(Entity("Consignment", (Value("SequenceNumeric", "1"),), (item,)),))
    table = mappings.edifact("CUSCAR", "D", "96B")
    written = table.write(root)
    assert sum(s.tag == "FTX" for s in written.segments) == 3
    assert not written.findings
