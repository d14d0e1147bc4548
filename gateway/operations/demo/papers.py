"""The papers of the demonstration's day, written as the partners' own systems would: plain text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from xml.sax.saxutils import escape

from gateway.model.checkdigits import container_check

WCO = "urn:wco:datamodel:WCO"
CAMT = "urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"


@dataclass(frozen=True, slots=True)
class Goods:
    """One goods item of a declaration; ``value`` in VND."""

    code: str
    description: str
    origin: str
    value: int
    gross: int
    packages: int


LAPTOPS = (Goods("84713020", "Portable computers", "CN", 480_000_000, 900, 60),)
BEEF = (Goods("02023000", "Frozen boneless beef", "AU", 650_000_000, 18_000, 900),)
SCRAP = (Goods("72044900", "Ferrous scrap in bundles", "JP", 310_000_000, 25_000, 25),)
CLOTH = (Goods("52081100", "Cotton cloth, unbleached", "CN", 120_000_000, 2_000, 80),)


@dataclass(frozen=True, slots=True)
class Paying:
    """One credit on customs' account."""

    reference: str
    amount: str
    payer: str
    entry: str


def declaration(
    reference: str, declarant: tuple[str, str], goods: tuple[Goods, ...], at: datetime, function: str = "9"
) -> bytes:
    """A WCO import declaration of one shipment; ``declarant``: name and tax code."""
    name, tax_code = (escape(x) for x in declarant)
    items = "".join(_item(number, item) for number, item in enumerate(goods, 1))
    total = sum(g.value for g in goods)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<m:MetaData xmlns:m="{WCO}:DocumentMetaData:3" xmlns="{WCO}:DEC:3">
  <m:WCODataModelVersionCode>3.11</m:WCODataModelVersionCode>
  <m:WCOTypeName>IM</m:WCOTypeName>
  <m:ResponsibleCountryCode>VN</m:ResponsibleCountryCode>
  <Declaration>
    <FunctionCode>{function}</FunctionCode>
    <FunctionalReferenceID>{reference}</FunctionalReferenceID>
    <IssueDateTime><DateTimeString formatCode="102">{at:%Y%m%d}</DateTimeString></IssueDateTime>
    <TypeCode>929</TypeCode>
    <GoodsItemQuantity>{len(goods)}</GoodsItemQuantity>
    <DeclarationOfficeID>VNDEMO01</DeclarationOfficeID>
    <InvoiceAmount currencyID="VND">{total}</InvoiceAmount>
    <TotalGrossMassMeasure unitCode="KGM">{sum(g.gross for g in goods)}</TotalGrossMassMeasure>
    <TotalPackageQuantity>{sum(g.packages for g in goods)}</TotalPackageQuantity>
    <BorderTransportMeans>
      <Name>MV SONG HAN</Name>
      <ID>9319466</ID>
      <ModeCode>1</ModeCode>
    </BorderTransportMeans>
    <Declarant>
      <Name>{name}</Name>
      <ID>{tax_code}</ID>
    </Declarant>
    <GoodsShipment>
      <Consignee>
        <Name>{name}</Name>
        <ID>{tax_code}</ID>
      </Consignee>
      <Consignor>
        <Name>Pearl River Trading Co.</Name>
        <Address>
          <CityName>Shanghai</CityName>
          <CountryCode>CN</CountryCode>
        </Address>
      </Consignor>
      <ExportCountry>
        <ID>CN</ID>
      </ExportCountry>{items}
      <Importer>
        <Name>{name}</Name>
        <ID>{tax_code}</ID>
      </Importer>
      <TradeTerms>
        <ConditionCode>CIF</ConditionCode>
        <LocationID>VNSGN</LocationID>
      </TradeTerms>
    </GoodsShipment>
  </Declaration>
</m:MetaData>
""".encode()


def _item(number: int, item: Goods) -> str:
    return f"""
      <GovernmentAgencyGoodsItem>
        <CustomsValueAmount currencyID="VND">{item.value}</CustomsValueAmount>
        <SequenceNumeric>{number}</SequenceNumeric>
        <Commodity>
          <Description>{escape(item.description)}</Description>
          <Classification>
            <ID>{item.code}</ID>
            <IdentificationTypeCode>HS</IdentificationTypeCode>
          </Classification>
          <GoodsMeasure>
            <GrossMassMeasure unitCode="KGM">{item.gross}</GrossMassMeasure>
            <NetNetWeightMeasure unitCode="KGM">{item.gross * 9 // 10}</NetNetWeightMeasure>
          </GoodsMeasure>
          <InvoiceLine>
            <ItemChargeAmount currencyID="VND">{item.value}</ItemChargeAmount>
          </InvoiceLine>
        </Commodity>
        <GovernmentProcedure>
          <CurrentCode>A11</CurrentCode>
        </GovernmentProcedure>
        <Origin>
          <CountryCode>{item.origin}</CountryCode>
        </Origin>
        <Packaging>
          <SequenceNumeric>1</SequenceNumeric>
          <MarksNumbersID>NO MARKS</MarksNumbersID>
          <QuantityQuantity>{item.packages}</QuantityQuantity>
          <TypeCode>CT</TypeCode>
        </Packaging>
      </GovernmentAgencyGoodsItem>"""


def credits(message: str, payments: tuple[Paying, ...], bank: str, account: str, at: datetime) -> bytes:
    """A bank's camt.054 notification of booked credits on customs' account."""
    entries = "".join(_entry(p, at) for p in payments)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="{CAMT}">
  <BkToCstmrDbtCdtNtfctn>
    <GrpHdr>
      <MsgId>{message}</MsgId>
      <CreDtTm>{at:%Y-%m-%dT%H:%M:%SZ}</CreDtTm>
    </GrpHdr>
    <Ntfctn>
      <Id>{message}-1</Id>
      <CreDtTm>{at:%Y-%m-%dT%H:%M:%SZ}</CreDtTm>
      <Acct>
        <Id><Othr><Id>{account}</Id></Othr></Id>
        <Ccy>VND</Ccy>
        <Svcr><FinInstnId><BICFI>{bank}</BICFI></FinInstnId></Svcr>
      </Acct>{entries}
    </Ntfctn>
  </BkToCstmrDbtCdtNtfctn>
</Document>
""".encode()


def _entry(paying: Paying, at: datetime) -> str:
    return f"""
      <Ntry>
        <NtryRef>{paying.entry}</NtryRef>
        <Amt Ccy="VND">{paying.amount}</Amt>
        <CdtDbtInd>CRDT</CdtDbtInd>
        <Sts><Cd>BOOK</Cd></Sts>
        <BookgDt><Dt>{at:%Y-%m-%d}</Dt></BookgDt>
        <ValDt><Dt>{at:%Y-%m-%d}</Dt></ValDt>
        <AcctSvcrRef>{paying.entry}</AcctSvcrRef>
        <BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RCDT</Cd><SubFmlyCd>DMCT</SubFmlyCd></Fmly></Domn></BkTxCd>
        <NtryDtls>
          <TxDtls>
            <Refs><EndToEndId>NOTPROVIDED</EndToEndId></Refs>
            <Amt Ccy="VND">{paying.amount}</Amt>
            <CdtDbtInd>CRDT</CdtDbtInd>
            <RltdPties><Dbtr><Pty><Nm>{escape(paying.payer)}</Nm></Pty></Dbtr></RltdPties>
            <RmtInf><Strd><CdtrRefInf><Tp><CdOrPrtry><Cd>SCOR</Cd></CdOrPrtry></Tp><Ref>{paying.reference}</Ref></CdtrRefInf></Strd></RmtInf>
          </TxDtls>
        </NtryDtls>
      </Ntry>"""


@dataclass(frozen=True, slots=True)
class Bill:
    """One bill of lading; ``gid_packages`` differs from ``packages`` where its counts do not add up."""

    number: str
    description: str
    packages: int
    weight: int
    gid_packages: int = 0
    mode: str = "20"


def manifest(
    reference: str, sender: str, carrier: str, bills: tuple[Bill, ...], at: datetime, whole: bool = True
) -> bytes:
    """A CUSCAR D.95B interchange, one message a bill; ``whole`` False leaves its end off."""
    messages = "".join(_bill(n, b, carrier, at) for n, b in enumerate(bills, 1))
    head = f"UNB+UNOC:3+{sender}:ZZ+VNCUSTOMS:ZZ+{at:%y%m%d:%H%M}+{reference}'"
    tail = f"UNZ+{len(bills)}+{reference}'" if whole else ""
    return (head + messages + tail).encode("latin-1")


def _bill(number: int, bill: Bill, carrier: str, at: datetime) -> str:
    arrival = at + timedelta(days=3)
    container = container_number(number)
    segments = (
        "UNH+{n}+CUSCAR:D:95B:UN",
        "BGM+785+{bill}+9",
        "DTM+137:{today}:102",
        "NAD+MS+{carrier}",
        "TDT+{mode}+SH2611+1++{carrier}:172:87+++9319466:146:11:MV SONG HAN",
        "LOC+9+CNSHA:139:6",
        "LOC+11+VNSGN:139:6",
        "DTM+132:{arrival}:203",
        "EQD+CN+{container}:102:5+22G1:102:5+++5",
        "SEL+EO{n:06d}",
        "CNI+1+{bill}",
        "RFF+BM:{bill}",
        "CNT+11:{packages}",
        "LOC+9+CNSHA:139:6",
        "LOC+11+VNSGN:139:6",
        "NAD+CN+++SAIGON IMPORT CO+12 LE LOI+HO CHI MINH++700000+VN",
        "NAD+CZ+++PEARL RIVER TRADING+88 ZHONGSHAN RD+SHANGHAI++200000+CN",
        "GID+1+{gid}:CT",
        "FTX+AAA+++{description}",
        "MEA+WT+G+KGM:{weight}",
        "SGP+{container}",
        "PCI++NO MARKS",
    )
    body = "'".join(segments).format(
        n=number,
        bill=bill.number,
        today=f"{at:%Y%m%d}",
        arrival=f"{arrival:%Y%m%d%H%M}",
        carrier=carrier,
        mode=bill.mode,
        container=container,
        packages=bill.packages,
        gid=bill.gid_packages or bill.packages,
        description=bill.description,
        weight=bill.weight,
    )
    return f"{body}'UNT+{len(segments) + 1}+{number}'"


def container_number(serial: int) -> str:
    """A container number with its check digit (ISO 6346)."""
    body = f"SHNU{serial:06d}"
    return f"{body}{container_check(body)}"
