"""Duty assessment: the declared goods against the tariff, item by item."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from adapters.clearance import money
from adapters.clearance.exchange import Exchange
from adapters.clearance.tariff import DUTY, EXCISE, VAT, Line, Specific, Tariff, normal
from gateway.model import Declaration, DutyLine, Entity, Finding, Kind, Place, Severity, Value

ITEMS = "GoodsShipment/GovernmentAgencyGoodsItem"

AMOUNTS = ("CustomsValueAmount", "StatisticalValueAmount", "Commodity/InvoiceLine/ItemChargeAmount")
"""Where an item's value is looked for, in this order (WCO 108, 114, 112)."""

HS_LISTS = ("", "HS", "122")
"""Classification/IdentificationTypeCode of a tariff code; the first classification where none has it."""

MASSES = ("Commodity/GoodsMeasure/NetNetWeightMeasure", "Commodity/GoodsMeasure/GrossMassMeasure")
QUANTITIES = ("Commodity/GoodsMeasure/TariffQuantity", "Commodity/DutyTaxFee/SpecificTaxBaseQuantity")

KILOGRAM = "KGM"


class Assessment(msgspec.Struct, frozen=True):
    """What is due; ``total`` is the sum of the lines.  Where a finding is an error nothing is due yet."""

    duties: tuple[DutyLine, ...] = ()
    total: Decimal = Decimal(0)
    findings: tuple[Finding, ...] = ()


def assess(declaration: Declaration, tariff: Tariff, currency: str, minimum: Decimal) -> Assessment:
    """Assess an import or export declaration; transit and everything else owe nothing.

    ``currency``: the office's.  A total under ``minimum`` is not collected.  Findings say what could
    not be assessed (CLR008, CLR010 to CLR014, CLR016) and, as warnings, what was assessed otherwise
    than claimed (CLR015).
    """
    if declaration.kind not in (Kind.IMPORT, Kind.EXPORT):
        return Assessment()
    root = declaration.root
    exchange = Exchange(currency, tariff.rates)
    if tariff.declared_rates:
        exchange = exchange.with_declared(root)
    duties: list[DutyLine] = []
    findings: list[Finding] = []
    for number, item in enumerate(root.each(ITEMS), start=1):
        sheet = Sheet(declaration, item, number, tariff, exchange)
        duties += sheet.lines()
        findings += sheet.findings
    if root.entity(ITEMS) is None:
        findings.append(Finding("CLR008", Place(pointer=f"Declaration/{ITEMS}"), "1", "0"))
    total = sum((Decimal(line.assessed) for line in duties), Decimal(0))
    largest = max((total, *(Decimal(line.base) for line in duties)))
    if not money.fits(largest):
        findings.append(Finding("CLR016", Place(pointer="Declaration"), "n..16", money.say(largest)))
    if total < minimum:
        return Assessment((), Decimal(0), tuple(findings))
    return Assessment(tuple(duties), total, tuple(findings))


class Sheet:
    """The calculation of one goods item; ``findings`` fill while its lines are drawn."""

    def __init__(
        self, declaration: Declaration, item: Entity, number: int, tariff: Tariff, exchange: Exchange
    ) -> None:
        self.declaration = declaration
        self.item = item
        self.tariff = tariff
        self.exchange = exchange
        self.pointer = f"Declaration/{ITEMS}" + (f"[{number}]" if number > 1 else "")
        self.number = _sequence(item, number)
        self.findings: list[Finding] = []

    def lines(self) -> list[DutyLine]:
        """The item's duty lines; none where duty is suspended or a finding stands in the way."""
        line, code = self._line()
        if line is None:
            return []
        if self.declaration.kind is Kind.EXPORT:
            return self._export(line)
        if self.tariff.suspends(self.item.text("GovernmentProcedure/CurrentCode")):
            return []
        base = self._base()
        quantities = [(specific, self._quantity(specific)) for specific in line.specific]
        if base is None or any(quantity is None for _, quantity in quantities):
            return []
        known = [(specific, quantity) for specific, quantity in quantities if quantity is not None]
        return list(self._import(line, code, base, known))

    def _import(
        self, line: Line, code: str, base: Decimal, quantities: list[tuple[Specific, Decimal]]
    ) -> Iterator[DutyLine]:
        """Customs duties on the value, excise on value and duties, then VAT on all of it."""
        value = base
        rates = [(DUTY, self._duty_rate(line))]
        rates += [(m.type, m.rate) for m in self.tariff.on_top(code, self._origin())]
        for type_, rate in rates:
            drawn = self._ad_valorem(type_, base, rate)
            value += Decimal(drawn.assessed)
            yield drawn
        for specific, quantity in quantities:
            if specific.type == DUTY:
                drawn = self._specific(specific, quantity)
                value += Decimal(drawn.assessed)
                yield drawn
        if line.excise is not None:
            drawn = self._ad_valorem(EXCISE, value, line.excise)
            value += Decimal(drawn.assessed)
            yield drawn
        for specific, quantity in quantities:
            if specific.type != DUTY:
                drawn = self._specific(specific, quantity)
                value += Decimal(drawn.assessed)
                yield drawn
        yield self._ad_valorem(VAT, value, line.vat)

    def _export(self, line: Line) -> list[DutyLine]:
        if line.export is None:
            return []
        base = self._base()
        return [] if base is None else [self._ad_valorem(DUTY, base, line.export)]

    def _line(self) -> tuple[Line | None, str]:
        """The tariff line and the normal code; a finding where there is none and one is needed."""
        declared, occurrence = _commodity_code(self.item)
        code = normal(declared)
        line = self.tariff.line(code) if code else None
        if line is None:
            path = "Commodity/Classification" + (f"[{occurrence}]" if occurrence > 1 else "") + "/ID"
            self._find("CLR013" if code else "CLR012", path, "2-12 digits", declared)
        return line, code

    def _base(self) -> Decimal | None:
        """The item's value in the office's currency, rounded; a finding where it cannot be told."""
        path, value = next(((p, v) for p in AMOUNTS if (v := self.item.value(p))), (AMOUNTS[0], None))
        amount = money.parse(value.text) if value else None
        if value is None or amount is None:
            self._find("CLR010", path, "n..16,6", value.text if value else "")
            return None
        currency = self.exchange.currency_of(value, self.declaration.root)
        national = self.exchange.value_of(amount, currency)
        if national is None:
            self._find("CLR011", path, self.exchange.national, currency)
            return None
        return money.rounded(national, self.exchange.national)

    def _quantity(self, specific: Specific) -> Decimal | None:
        """The quantity in the duty's unit; a finding where none is declared in it."""
        paths = QUANTITIES + (MASSES if specific.unit == KILOGRAM else ())
        for value in filter(None, map(self.item.value, paths)):
            quantity = money.parse(value.text)
            if quantity is not None and _unit(value, specific.unit) == specific.unit:
                return quantity
        self._find("CLR014", QUANTITIES[0], specific.unit, self.item.text(QUANTITIES[0]))
        return None

    def _duty_rate(self, line: Line) -> Decimal:
        """The preferential rate where one is claimed and earned, else the ordinary one."""
        path = "Commodity/DutyTaxFee/DutyRegimeCode"
        claimed = next(
            (t for e in self.item.each("Commodity/DutyTaxFee") if (t := e.text("DutyRegimeCode"))), ""
        )
        if claimed not in self.tariff.regimes:
            return line.duty
        rate = self.tariff.preference(line, claimed, self._origin())
        if rate is None:
            self._find("CLR015", path, claimed, self._origin(), Severity.WARNING)
        return line.duty if rate is None else rate

    def _origin(self) -> str:
        return self.item.text("Origin/CountryCode")

    def _ad_valorem(self, type_: str, base: Decimal, rate: Decimal) -> DutyLine:
        currency = self.exchange.national
        assessed = money.rounded(money.percent(base, rate), currency)
        return DutyLine(self.number, type_, money.say(base), money.say(rate), money.say(assessed), currency)

    def _specific(self, specific: Specific, quantity: Decimal) -> DutyLine:
        currency = self.exchange.national
        assessed = money.rounded(money.product(quantity, specific.amount), currency)
        base, rate = money.say(quantity), money.say(specific.amount)
        return DutyLine(self.number, specific.type, base, rate, money.say(assessed), currency, specific.unit)

    def _find(
        self, code: str, path: str, expected: str, found: str, severity: Severity = Severity.ERROR
    ) -> None:
        place = Place(pointer=f"{self.pointer}/{path}")
        self.findings.append(Finding(code, place, expected, found, severity))


def _commodity_code(item: Entity) -> tuple[str, int]:
    """The tariff code and which Classification it is of, from 1; ("", 1) where none is declared."""
    classes = list(enumerate(item.each("Commodity/Classification"), start=1))
    for number, each in classes:
        if each.text("IdentificationTypeCode") in HS_LISTS and each.text("ID"):
            return each.text("ID"), number
    return (classes[0][1].text("ID"), 1) if classes else ("", 1)


def _sequence(item: Entity, number: int) -> int:
    """The declarant's own item number (n..5), or its place in the declaration."""
    text = item.text("SequenceNumeric")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else number


def _unit(value: Value, default: str) -> str:
    return value.attribute("unitCode") or default
