"""Numbers of goods, means of transport, parties and payments: is the text one of them, and if not, why.

Every check takes the text exactly as it stands in the declaration (no blanks cut, no case changed: what
passes here is passed on) and returns None, or the Fault.  Formats are written as EDIFACT and the WCO
write them (``a3``: three letters, ``n..12``: up to twelve digits), so that they read alike in every language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType

import msgspec

from gateway.model.checkdigits import (
    container_check,
    iban_check,
    imo_check,
    mod97_check,
    mrn_check,
    rf_reference,
    tax_check,
    waybill_check,
)


class Defect(StrEnum):
    """What is wrong: the form, the check digit, or a range that nobody is given numbers from."""

    FORMAT = "format"
    CHECK = "check"
    RANGE = "range"


class Fault(msgspec.Struct, frozen=True):
    """Why a text is not the number it should be.

    FORMAT: ``expected`` is the format, ``found`` the whole text.  CHECK: the check digits that the rest
    asks for and those that stand there.  RANGE: what there is instead of the part ``found``.
    """

    defect: Defect
    expected: str
    found: str


Check = Callable[[str], Fault | None]

# The longest text a fault repeats: identifiers are shorter, and a finding is no place for a whole message.
MAX_FOUND = 70


def _form(pattern: str, name: str) -> Check:
    matches = re.compile(pattern).fullmatch

    def check(text: str) -> Fault | None:
        return None if matches(text) else Fault(Defect.FORMAT, name, text[:MAX_FOUND])

    check.__doc__ = f"The format {name}; there is no check digit."
    return check


def _digit(expected: str, found: str) -> Fault | None:
    return None if expected == found else Fault(Defect.CHECK, expected, found)


_container_form = _form(r"[A-Z]{3}[UJZ][0-9]{7}", "a3 U/J/Z n7")
_imo_form = _form(r"(?:IMO)?[0-9]{7}", "n7")
_waybill_form = _form(r"[0-9]{3}-?[0-9]{8}", "n3-n8")
_mrn_form = _form(r"[0-9]{2}[A-Z]{2}[A-Z0-9]{13}[0-9]", "n2 a2 an13 n1")
_tax_form = _form(r"[0-9]{10}(?:-?[0-9]{3})?|[0-9]{12}", "n10, n10-n3, n12")
_iban_form = _form(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{1,30}", "a2 n2 an..30")
_reference_form = _form(r"RF[0-9]{2}[A-Z0-9]{1,21}", "RF n2 an..21")
_lei_form = _form(r"[A-Z0-9]{18}[0-9]{2}", "an18 n2")
_tariff_form = _form(r"[0-9]{6,12}", "n6..12")
_undg_form = _form(r"[0-9]{4}", "n4")

bic = _form(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}(?:[A-Z0-9]{3})?", "an4 a2 an2 (an3)")
locode = _form(r"[A-Z]{2}[A-Z2-9]{3}", "a2 an3")
ucr = _form(r"[0-9][A-Z]{2}[A-Z0-9][A-Z0-9()/-]{0,31}", "n1 a2 an..32")
flight = _form(r"(?=[0-9]?[A-Z])[A-Z0-9]{2}[A-Z]?[0-9]{1,4}[A-Z]?", "an2 (a1) n..4 (a1)")
scac = _form(r"[A-Z]{2,4}", "a2..4")
bill_of_lading = _form(r"[!-~](?:[ -~]{0,33}[!-~])?", "an..35")


def container(text: str) -> Fault | None:
    """ISO 6346: owner, category U, J or Z, six digits and the check digit."""
    return _container_form(text) or _digit(container_check(text[:10]), text[10])


def imo(text: str) -> Fault | None:
    """IMO ship number, with or without its prefix ``IMO``."""
    return _imo_form(text) or _digit(imo_check(text[-7:-1]), text[-1])


def waybill(text: str) -> Fault | None:
    """IATA air waybill: airline's prefix, seven digits and the check digit; the hyphen may be left out."""
    return _waybill_form(text) or _digit(waybill_check(text[-8:-1]), text[-1])


def mrn(text: str) -> Fault | None:
    """Movement reference number: year, country, thirteen characters, check digit."""
    return _mrn_form(text) or _digit(mrn_check(text[:17]), text[17])


def vn_tax(text: str) -> Fault | None:
    """Vietnamese tax code: 10 digits, with a branch of 3, or a person's 12 (which has no check digit)."""
    fault = _tax_form(text)
    if fault or len(text) == 12:
        return fault
    if text[2:9] == "0000000":
        return Fault(Defect.RANGE, "0000001..9999999", text[2:9])
    if text[10:].endswith("000"):
        return Fault(Defect.RANGE, "001..999", "000")
    expected = tax_check(text[:9])
    if expected is None:
        return Fault(Defect.RANGE, "-", text[:9])
    return _digit(expected, text[9])


# ISO 13616: how long an IBAN is in each country of the registry.
_IBAN_COUNTRIES = {
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
IBAN_LENGTHS: Mapping[str, int] = MappingProxyType(
    {country: length for length, countries in _IBAN_COUNTRIES.items() for country in countries.split()}
)


def iban(text: str) -> Fault | None:
    """ISO 13616: country, check digits, account in the length that the country has registered."""
    fault = _iban_form(text)
    if fault:
        return fault
    length = IBAN_LENGTHS.get(text[:2])
    if length is None:
        return Fault(Defect.RANGE, "ISO 13616", text[:2])
    if len(text) != length:
        return Fault(Defect.FORMAT, f"{text[:2]} n2 an{length - 4}", text)
    return _digit(iban_check(text[:2], text[4:]), text[2:4])


def creditor_reference(text: str) -> Fault | None:
    """ISO 11649 structured creditor reference."""
    return _reference_form(text) or _digit(rf_reference(text[4:])[2:4], text[2:4])


def lei(text: str) -> Fault | None:
    """ISO 17442 legal entity identifier."""
    return _lei_form(text) or _digit(mod97_check(text[:18]), text[18:])


def tariff(text: str) -> Fault | None:
    """Commodity code: six digits of the Harmonized System and up to six national ones."""
    fault = _tariff_form(text)
    if fault is None and text[:2] in ("00", "77"):
        return Fault(Defect.RANGE, "01..76, 78..99", text[:2])
    return fault


def undg(text: str) -> Fault | None:
    """UN number of dangerous goods; the list of the Model Regulations begins with UN 0004."""
    fault = _undg_form(text)
    if fault is None and text < "0004":
        return Fault(Defect.RANGE, "0004..", text)
    return fault


# The names by which rule files select a check.
IDENTIFIERS: Mapping[str, Check] = MappingProxyType(
    {
        "bic": bic,
        "bill-of-lading": bill_of_lading,
        "container": container,
        "creditor-reference": creditor_reference,
        "flight": flight,
        "iban": iban,
        "imo": imo,
        "lei": lei,
        "locode": locode,
        "mrn": mrn,
        "scac": scac,
        "tariff": tariff,
        "ucr": ucr,
        "undg": undg,
        "vn-tax": vn_tax,
        "waybill": waybill,
    }
)
