"""The tariff: what a commodity code, its origin and its procedure cost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from adapters.clearance import money

CODE = re.compile(r"[0-9]{2,12}", re.ASCII)
"""A chapter to a national subheading; declared codes may have points and blanks, which are dropped."""

DUTY, EXCISE, VAT = "CUD", "EXC", "VAT"
"""UN/EDIFACT 5153, WCO 113: customs duty, excise duty, value added tax."""

TAX_TYPE = re.compile(r"[A-Z]{3}", re.ASCII)


class Specific(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A duty of so much a unit: ``amount`` in the office's currency, ``unit`` UN/ECE Rec. 20."""

    amount: Decimal
    unit: str
    type: str = DUTY


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rates of every commodity code that begins with ``hs``, in percent.

    ``preference``: regime code (WCO 164) to its rate.  ``export``: the rate on exportation.
    ``excise`` None: no excise line is written.
    """

    hs: str
    duty: Decimal
    vat: Decimal
    description: str = ""
    excise: Decimal | None = None
    export: Decimal | None = None
    specific: tuple[Specific, ...] = ()
    preference: dict[str, Decimal] = {}


class Measure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A duty on top for goods of some origins: anti-dumping (ADD), countervailing (CVD), safeguard."""

    hs: tuple[str, ...]
    origins: tuple[str, ...]
    rate: Decimal
    type: str = "ADD"


class Regime(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A preference: the code that claims it and the origins that may."""

    code: str
    origins: tuple[str, ...]
    name: str = ""


class Suspension(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Procedures (WCO 166, by prefix) under which no duty falls due at importation."""

    procedures: tuple[str, ...]
    name: str = ""


class Tariff(msgspec.Struct, frozen=True):
    """The whole table.  ``fallback``: for codes in no line; None: such a code is refused."""

    lines: Mapping[str, Line]
    measures: tuple[Measure, ...] = ()
    regimes: Mapping[str, Regime] = {}
    suspensions: tuple[Suspension, ...] = ()
    rates: Mapping[str, Decimal] = {}
    declared_rates: bool = False
    fallback: Line | None = None

    def line(self, code: str) -> Line | None:
        """The line with the longest prefix of the code."""
        for length in range(len(code), 1, -1):
            found = self.lines.get(code[:length])
            if found is not None:
                return found
        return self.fallback

    def on_top(self, code: str, origin: str) -> Iterable[Measure]:
        """The measures on a code from an origin."""
        return (m for m in self.measures if origin in m.origins and code.startswith(m.hs))

    def suspends(self, procedure: str) -> bool:
        """True where the procedure suspends duty."""
        return any(procedure.startswith(s.procedures) for s in self.suspensions)

    def preference(self, line: Line, regime: str, origin: str) -> Decimal | None:
        """The preferential rate that the claim earns; None where it earns none."""
        known = self.regimes.get(regime)
        return line.preference.get(regime) if known and origin in known.origins else None


def normal(code: str) -> str:
    """A declared commodity code without points and blanks; "" where the rest is not 2 to 12 digits."""
    bare = code.replace(".", "").replace(" ", "")
    return bare if CODE.fullmatch(bare) else ""


def faults(tariff: Tariff, national: str) -> Iterable[str]:
    """What is wrong in a table whose rows are well-formed one by one."""
    fallback = (tariff.fallback,) if tariff.fallback else ()
    for line in (*tariff.lines.values(), *fallback):
        yield from _line_faults(line, tariff)
    for measure in tariff.measures:
        if not measure.hs or not all(CODE.fullmatch(hs) for hs in measure.hs):
            yield f"measure {measure.hs}: hs must be 2 to 12 digits"
        if not TAX_TYPE.fullmatch(measure.type) or not _is_rate(measure.rate):
            yield f"measure {measure.hs}: type must be three capitals, rate 0 to 1000 percent"
    for currency, rate in tariff.rates.items():
        if not money.CURRENCY.fullmatch(currency) or currency == national:
            yield f"rates: {currency}: not a foreign ISO 4217 code"
        if not rate.is_finite() or rate <= 0:
            yield f"rates: {currency}: must be above zero"


def _line_faults(line: Line, tariff: Tariff) -> Iterable[str]:
    if line is not tariff.fallback and not CODE.fullmatch(line.hs):
        yield f"line {line.hs}: hs must be 2 to 12 digits"
    rates = (line.duty, line.vat, line.excise, line.export, *line.preference.values())
    if not all(rate is None or _is_rate(rate) for rate in rates):
        yield f"line {line.hs}: rates must be 0 to 1000 percent"
    for code in line.preference:
        if code not in tariff.regimes:
            yield f"line {line.hs}: preference {code} is no regime of this file"
    for specific in line.specific:
        if not specific.amount.is_finite() or specific.amount < 0 or not specific.unit:
            yield f"line {line.hs}: specific duty needs an amount from zero and a unit"
        if not TAX_TYPE.fullmatch(specific.type):
            yield f"line {line.hs}: specific duty's type must be three capitals"


def _is_rate(rate: Decimal) -> bool:
    return rate.is_finite() and 0 <= rate <= 1000
