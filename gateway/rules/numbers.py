"""Numbers of a declaration: exact decimals, with their unit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Context, Decimal
from functools import lru_cache

from gateway.model import Value
from gateway.rules.codes import CodeList
from gateway.rules.row import attribute_of

# The widest WCO and ISO 20022 formats are n..16,6 and 18 digits; a longer text is no number of ours, and
# without an exponent a short text cannot stand for a huge number.
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,18}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})")
_matches = _NUMBER.fullmatch
MAX_LENGTH = 29
# 18 digits, 9 decimals, times a factor of 12, added up to a million times: without rounding.
EXACT = Context(prec=60)
_KILOGRAMS = (("unitCode", "KGM"),)


def number_of(text: str) -> Decimal | None:
    """The number, or None where the text is none (a decimal with a point, no exponent)."""
    return _number_of(text) if len(text) <= MAX_LENGTH else None


# One value is asked for by several rules (its bounds, a total, a limit); texts kept are at most 29 long.
@lru_cache(maxsize=4096)
def _number_of(text: str) -> Decimal | None:
    return Decimal(text) if _matches(text) else None


def quick_form(
    above: Decimal | None, least: Decimal | None, most: Decimal | None, decimals: int
) -> re.Pattern[str]:
    """A pattern that only texts within the bounds match: what it lets pass needs no arithmetic.

    What it does not match may still be right, and is worked out.
    """
    digits = 18 if most is None else len(str(int(most))) - 1
    more_than_nothing = above == 0 or least == 1
    if digits < 1 or above not in (None, 0) or least not in (None, 0, 1):
        return re.compile(r"(?!)")
    start = f"[1-9][0-9]{{0,{digits - 1}}}" if more_than_nothing else f"[0-9]{{1,{digits}}}"
    return re.compile(start + (rf"(?:\.[0-9]{{1,{decimals}}})?" if decimals else ""))


def decimals_of(text: str) -> int:
    """How many digits after the point say something (trailing zeros do not)."""
    return len(text.partition(".")[2].rstrip("0"))


def plain(number: Decimal) -> str:
    """The number as a text without exponent and without trailing zeros."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def in_one_unit(values: Iterable[Value], masses: CodeList | None) -> list[Decimal]:
    """The values' numbers where they may be added and compared, otherwise none.

    With ``masses``, ``unitCode`` is turned to kilograms (none given: kilograms are meant).  Without it all
    values have to share their currency and unit.  Texts that are no numbers and units that are not known
    give none: other rules speak of those.
    """
    first: tuple[tuple[str, str], ...] | None = None
    numbers: list[Decimal] = []
    for value in values:
        number = number_of(value.text)
        if number is None:
            return []
        if masses is not None:
            factor = _factor(value, masses)
            if factor is None:
                return []
            number = number if factor == 1 else EXACT.multiply(number, factor)
        elif value.attributes != first:
            if first is not None:
                return []
            first = value.attributes
        numbers.append(number)
    return numbers


def _factor(value: Value, masses: CodeList) -> Decimal | int | None:
    if not value.attributes or value.attributes == _KILOGRAMS:
        return 1
    unit = attribute_of(value, "unitCode")
    return masses.number_of(unit) if unit else 1


def total(numbers: Iterable[Decimal]) -> Decimal:
    """The exact sum."""
    result = Decimal(0)
    for number in numbers:
        result = EXACT.add(result, number)
    return result
