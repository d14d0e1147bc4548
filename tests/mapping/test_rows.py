"""The row table of camt.054: what counts as a payment, for what, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway.model import Declaration, Entity, Kind, Severity, Value
from gateway.safexml import parse

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests/samples/camt/credit-notification.xml"
CORPUS = Path(os.environ.get("CVAN_CORPUS", ROOT.parent / "shared/corpus")) / "payments-sps-cargo/iso20022"
NS = "urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"
REFERENCES = ("RF18539007547034", "103456789012")


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(ROOT / "xsd/iso20022/camt.054.001.08.xsd"))


@pytest.fixture(scope="module")
def table(mappings):
    return mappings.xml("camt.054")


def document(entries: str, notification: str = "", account: str = "1230000456789") -> etree._Element:
    """A notification around entries."""
    text = f"""<Document xmlns="{NS}"><BkToCstmrDbtCdtNtfctn>
    <GrpHdr><MsgId>M1</MsgId><CreDtTm>2026-11-23T09:15:00Z</CreDtTm></GrpHdr>
    <Ntfctn><Id>N1</Id>{notification}<Acct><Id><Othr><Id>{account}</Id></Othr></Id></Acct>{entries}</Ntfctn>
    </BkToCstmrDbtCdtNtfctn></Document>"""
    return parse(text.encode())


def entry(
    details: str = "", amount: str = "10.00", direction: str = "CRDT", more: str = "", tail: str = ""
) -> str:
    inner = f"<NtryDtls>{details}</NtryDtls>" if details else ""
    return (
        f'<Ntry><Amt Ccy="USD">{amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd>{more}<Sts><Cd>BOOK</Cd></Sts>'
        f"<AcctSvcrRef>E1</AcctSvcrRef><BkTxCd/>{inner}{tail}</Ntry>"
    )


def payments(table, root: etree._Element) -> list[Entity]:
    return list(table.read(root).declarations[0].root.each("DutyTaxFee"))


def test_the_sample(table, schema):
    root = parse(SAMPLE.read_bytes())
    assert schema.validate(root), schema.error_log
    reading = table.read(root)
    assert not reading.findings
    declaration = reading.declarations[0]
    assert declaration.kind is Kind.PAYMENT
    assert declaration.reference == "BFTV-20261123-000118"
    assert declaration.root.text("Bank/ID") == "1230000456789"
    got = [
        tuple(
            p.text(f"Payment/{n}") for n in ("ReferenceID", "ID", "PaymentAmount", "StatusCode", "TypeCode")
        )
        for p in declaration.root.each("DutyTaxFee")
    ]
    assert got == [
        ("RF18539007547034", "FT26327A00118", "12421.40", "BOOK", "CRDT"),
        ("RF18539007547034", "118-2/1", "100.00", "PDNG", "CRDT"),
        ("103456789012", "118-2/2", "200.00", "PDNG", "CRDT"),
        ("RF18539007547034", "FT26327A00099", "50.00", "BOOK", "RVSL"),
    ]


@pytest.mark.parametrize(
    ("details", "found"),
    [
        ("<Refs><EndToEndId>NOTPROVIDED</EndToEndId></Refs>", ""),
        ("<Refs><EndToEndId>INV-22</EndToEndId></Refs>", "INV-22"),
        (
            "<Refs><EndToEndId>INV-22</EndToEndId></Refs><RmtInf><Ustrd>tax rf18 5390 0754 7034</Ustrd></RmtInf>",
            "RF18539007547034",
        ),
        (
            "<RmtInf><Strd><TaxRmt><RefNb>T1</RefNb></TaxRmt></Strd></RmtInf><Tax><RefNb>T2</RefNb></Tax>",
            "T1",
        ),
        ("<Refs><EndToEndId>E2E</EndToEndId></Refs><Tax><RefNb>T2</RefNb></Tax>", "T2"),
        ("<RmtInf><Ustrd>RF19539007547034</Ustrd></RmtInf>", ""),
        (
            "<RmtInf><Strd><CdtrRefInf><Ref>RF18 5390 0754 7034</Ref></CdtrRefInf></Strd></RmtInf>",
            "RF18539007547034",
        ),
    ],
)
def test_where_the_reference_is_looked_for(details, found, table):
    (payment,) = payments(table, document(entry(f"<TxDtls>{details}</TxDtls>")))
    assert payment.text("Payment/ReferenceID") == found


@pytest.mark.parametrize(
    ("direction", "flag", "type"),
    [
        ("CRDT", "", "CRDT"),
        ("DBIT", "", "DBIT"),
        ("DBIT", "true", "RVSL"),
        ("DBIT", "1", "RVSL"),
        ("CRDT", "true", "RVSD"),
        ("CRDT", "false", "CRDT"),
    ],
)
def test_only_a_credit_that_is_no_reversal_is_a_payment(direction, flag, type, table):
    more = f"<RvslInd>{flag}</RvslInd>" if flag else ""
    (payment,) = payments(table, document(entry(direction=direction, more=more)))
    assert payment.text("Payment/TypeCode") == type


def test_the_transaction_s_amount_goes_before_the_entry_s(table):
    one = document(entry('<TxDtls><Amt Ccy="USD">10.00</Amt></TxDtls>', amount="10.0"))
    assert payments(table, one)[0].text("Payment/PaymentAmount") == "10.00"
    batch = document(entry("<TxDtls/><TxDtls/>", amount="30"))
    assert [p.text("Payment/PaymentAmount") for p in payments(table, batch)] == ["", ""]


def test_a_batch_without_details_pays_nothing(table):
    reading = table.read(document(entry("<Btch><NbOfTxs>7</NbOfTxs></Btch>")))
    assert [(f.code, f.found) for f in reading.findings] == [("MAP022", "7")]
    assert reading.declarations[0].root.text("DutyTaxFee/Payment/ReferenceID") == ""


def test_details_that_do_not_add_up(table):
    details = '<TxDtls><Amt Ccy="USD">4</Amt></TxDtls><TxDtls><Amt Ccy="USD">5</Amt></TxDtls>'
    reading = table.read(document(entry(details)))
    assert [(f.code, f.expected, f.found) for f in reading.findings] == [("MAP023", "10.00", "9")]


@pytest.mark.parametrize(("mark", "count"), [("DUPL", 0), ("COPY", 0), ("CODU", 1)])
def test_a_copy_is_not_counted_again(mark, count, table):
    reading = table.read(document(entry(), f"<CpyDplctInd>{mark}</CpyDplctInd>"))
    assert len(list(reading.declarations[0].root.each("DutyTaxFee"))) == count
    assert [f.code for f in reading.findings] == ["MAP025"] * (1 - count)


def test_another_account_is_an_error_and_pays_nothing(table):
    root = document(entry())
    other = document(entry(), account="999")
    body = root[0]
    body.append(other[0][1])
    reading = table.read(root)
    assert [(f.code, f.severity, f.expected, f.found) for f in reading.findings] == [
        ("MAP021", Severity.ERROR, "1230000456789", "999")
    ]
    assert len(list(reading.declarations[0].root.each("DutyTaxFee"))) == 1


def test_another_document_is_an_error(table):
    reading = table.read(parse(b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"/>'))
    assert not reading.declarations
    assert [(f.code, f.severity) for f in reading.findings] == [("MAP027", Severity.ERROR)]


def test_what_is_not_carried_is_a_warning_with_its_place(table):
    root = document(entry("<TxDtls><RtrInf><AddtlInf>account closed</AddtlInf></RtrInf></TxDtls>"))
    (finding,) = table.read(root).findings
    assert (finding.code, finding.severity, finding.found) == ("MAP020", Severity.WARNING, "account closed")
    assert finding.place.xpath.endswith("/Ntfctn/Ntry/NtryDtls/TxDtls/RtrInf/AddtlInf")


@pytest.mark.parametrize(
    ("pointer", "xpath"),
    [
        ("Declaration/DutyTaxFee[2]/Payment/PaymentAmount", "/Ntry[2]/NtryDtls/TxDtls[1]/Amt"),
        ("Declaration/DutyTaxFee[3]/Payer/Name", "/Ntry[2]/NtryDtls/TxDtls[2]"),
        ("Declaration/DutyTaxFee/Payment/ReferenceID", "/Ntry[1]/NtryDtls/TxDtls/RmtInf/Ustrd"),
        ("Declaration/Bank/ID", "/Acct/Id/Othr/Id"),
        ("Declaration/Nothing", "/Document"),
    ],
)
def test_a_pointer_leads_back_to_its_element(pointer, xpath, table):
    place = table.locate(parse(SAMPLE.read_bytes()), pointer)
    assert place.xpath.endswith(xpath)
    assert place.pointer == pointer


PLAIN = st.text("ABCXYZabc 0129-./", min_size=1, max_size=30).map(str.strip).filter(bool)
STAMPS = st.datetimes().map(lambda d: d.strftime("%Y%m%d%H%M%S").rjust(14, "0"))


@st.composite
def fees(draw: st.DrawFn) -> Entity:
    form = draw(st.sampled_from(("102", "304")))
    stamp = draw(STAMPS)
    when = stamp[:8] if form == "102" else stamp + draw(st.sampled_from(("Z", "+07")))
    amount = f"{draw(st.integers(0, 10**12))}.{draw(st.integers(0, 99)):02}"
    values = [
        Value("EffectiveDateTime", when, (("formatCode", form),)),
        Value("ID", draw(PLAIN)),
        Value("PaymentAmount", amount, (("currencyID", draw(st.sampled_from(("USD", "VND")))),)),
    ]
    if draw(st.booleans()):
        values.append(Value("ReferenceID", draw(st.sampled_from(REFERENCES))))
    values += [
        Value("StatusCode", draw(st.sampled_from(("BOOK", "PDNG", "INFO")))),
        Value("TypeCode", draw(st.sampled_from(("CRDT", "DBIT", "RVSL", "RVSD")))),
    ]
    notes = [
        Entity("AdditionalInformation", (Value("StatementDescription", t),))
        for t in draw(st.lists(PLAIN, max_size=2))
    ]
    payer = [Value(n, draw(PLAIN)) for n in ("Name", "ID") if draw(st.booleans())]
    who = [Entity("Payer", tuple(payer))] if payer else []
    return Entity("DutyTaxFee", (), (*notes, *who, Entity("Payment", tuple(values))))


@st.composite
def confirmations(draw: st.DrawFn) -> Declaration:
    head = (
        Value("FunctionCode", "9"),
        Value("FunctionalReferenceID", draw(PLAIN)),
        Value("IssueDateTime", draw(STAMPS) + "Z", (("formatCode", "304"),)),
    )
    account = draw(st.sampled_from(("1230000456789", "GB82WEST12345698765432")))
    bank = Entity("Bank", (Value("ReferenceID", "BFTVVNVX"), Value("ID", account)))
    submitter = Entity("Submitter", (Value("ID", "BFTVVNVX"),))
    made = draw(st.lists(fees(), max_size=3))
    return Declaration(Kind.PAYMENT, Entity("Declaration", head, (submitter, bank, *made)))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(declaration=confirmations())
def test_what_is_written_is_valid_and_is_read_again(declaration, table, schema):
    written = table.write(declaration)
    assert schema.validate(written), schema.error_log
    octets = etree.tostring(written, xml_declaration=True, encoding="UTF-8")
    reading = table.read(parse(octets))
    assert not reading.findings
    assert reading.declarations == (declaration,)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Value("TypeCode", "85"), "Declaration/TypeCode"),
        (Value("FunctionCode", "4"), "Declaration/FunctionCode"),
        (Value("IssueDateTime", "20261121", (("formatCode", "102"),)), "Declaration/IssueDateTime"),
        (
            Value("FunctionalReferenceID", "A", (("schemeID", "B"),)),
            "Declaration/FunctionalReferenceID/@schemeID",
        ),
    ],
)
def test_what_cannot_be_written_is_named(value, named, table):
    with pytest.raises(ValueError, match=named):
        table.write(Entity("Declaration", (value,)))


def test_two_servicers_cannot_be_written(table):
    root = Entity(
        "Declaration",
        (),
        (
            Entity("Submitter", (Value("ID", "AAAAVNVX"),)),
            Entity("Bank", (Value("ReferenceID", "BBBBVNVX"),)),
        ),
    )
    with pytest.raises(ValueError, match="Bank/ReferenceID"):
        table.write(root)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of other people's messages is not here")
def test_what_others_sent_is_valid_and_read(table, schema):
    read = 0
    for path in sorted(CORPUS.rglob("*.xml")):
        octets = path.read_bytes()
        if NS.encode() not in octets:
            continue
        root = etree.fromstring(octets)
        if schema.validate(root):
            assert table.read(root).declarations
            read += 1
    assert read
