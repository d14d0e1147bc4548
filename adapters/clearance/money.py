"""Amounts: exact decimals, read from partners' texts within bounds, rounded as the currency wants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Context, Decimal

ARITHMETIC = Context(prec=60, rounding=ROUND_HALF_UP)
"""Sixty digits hold any product of three bounded texts exactly; half a unit rounds up."""

MAX_DIGITS = 16
"""WCO amounts are n..16,3: no amount that customs says has more digits."""

_PLAIN = re.compile(r"[0-9]{1,16}(\.[0-9]{1,6})?", re.ASCII)
"""n..16,6 is the widest number of the data model; no sign, no exponent."""

_NONE = [
    *("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"),
    *("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"),
]
_THREE = ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"]
_FOUR = ["CLF", "UYW"]

EXPONENTS: Mapping[str, int] = dict.fromkeys(_NONE, 0) | dict.fromkeys(_THREE, 3) | dict.fromkeys(_FOUR, 4)
"""ISO 4217 minor units where they are not two."""

CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


def exponent(currency: str) -> int:
    """How many decimals the currency's amounts have."""
    return EXPONENTS.get(currency, 2)


def parse(text: str) -> Decimal | None:
    """The number of a partner's text; None where it is not a plain decimal of the data model's size."""
    return Decimal(text) if _PLAIN.fullmatch(text) else None


def rounded(amount: Decimal, currency: str) -> Decimal:
    """The amount in whole minor units of its currency, half a unit up."""
    return amount.quantize(Decimal(1).scaleb(-exponent(currency)), context=ARITHMETIC)


def percent(base: Decimal, rate: Decimal) -> Decimal:
    """``rate`` percent of the base, exact."""
    return ARITHMETIC.divide(ARITHMETIC.multiply(base, rate), Decimal(100))


def product(left: Decimal, right: Decimal) -> Decimal:
    """The exact product."""
    return ARITHMETIC.multiply(left, right)


def say(amount: Decimal) -> str:
    """The amount as text with a point and no exponent."""
    return f"{amount:f}"


def fits(amount: Decimal) -> bool:
    """True where WCO n..16 can carry the amount."""
    return len(amount.as_tuple().digits) <= MAX_DIGITS
