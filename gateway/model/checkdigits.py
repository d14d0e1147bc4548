"""Check digits of the numbers that customs, carriers, ports and banks exchange: pure arithmetic.

Every function takes the characters that the digit protects, ASCII digits and capital letters only, and
raises ValueError where they are of another form: whoever calls it makes the number or has read its form.
"""

from __future__ import annotations

import re

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _letter_values() -> dict[str, int]:
    """ISO 6346: letters count from 10 and leave out the multiples of 11."""
    numbers = (n for n in range(10, 39) if n % 11)
    return {**{str(d): d for d in range(10)}, **dict(zip(_LETTERS, numbers, strict=True))}


_VALUES = _letter_values()
_TAX_WEIGHTS = (31, 29, 23, 19, 17, 13, 7, 5, 3)
# ISO 11649 clause 5: RF, two check digits, at most 21 characters of the creditor's own.
_REFERENCE_BODY = re.compile(r"[A-Z0-9]{1,21}")
_CHARACTERS = re.compile(r"[A-Z0-9]+")


def container_check(body: str) -> str:
    """ISO 6346 annex A: the digit after owner, category and serial (10 characters)."""
    return _powers_of_two(body, 10)


def mrn_check(body: str) -> str:
    """The last digit of a movement reference number, over its first 17 characters (as ISO 6346)."""
    return _powers_of_two(body, 17)


def _powers_of_two(body: str, length: int) -> str:
    _demand(body, _CHARACTERS, length)
    total = sum(_VALUES[character] << place for place, character in enumerate(body))
    return str(total % 11 % 10)


def imo_check(body: str) -> str:
    """The last digit of an IMO ship number, over its first six digits (resolution A.1117(30))."""
    digits = _digits(body, 6)
    return str(sum(d * w for d, w in zip(digits, range(7, 1, -1), strict=True)) % 10)


def waybill_check(serial: str) -> str:
    """The last digit of an air waybill number, over the seven of its serial (IATA resolution 600a)."""
    _digits(serial, 7)
    return str(int(serial) % 7)


def tax_check(body: str) -> str | None:
    """The tenth digit of a Vietnamese tax code, over the first nine; None where none is ever issued."""
    total = sum(d * w for d, w in zip(_digits(body, 9), _TAX_WEIGHTS, strict=True))
    return str(10 - total % 11) if total % 11 else None


def mod97(text: str) -> int:
    """ISO 7064 MOD 97-10: the remainder of the text read as a number, letters as 10 to 35."""
    _demand(text, _CHARACTERS, len(text))
    return int("".join(str(int(character, 36)) for character in text)) % 97


def mod97_check(body: str) -> str:
    """ISO 7064 MOD 97-10: the two digits to append to the body (02 to 98)."""
    return f"{98 - mod97(body + '00'):02d}"


def iban_check(country: str, account: str) -> str:
    """ISO 13616: the third and fourth character of an IBAN."""
    return mod97_check(account + country)


def rf_reference(body: str) -> str:
    """ISO 11649: the creditor reference of a body of 1 to 21 digits and capital letters."""
    _demand(body, _REFERENCE_BODY, len(body))
    return f"RF{mod97_check(body + 'RF')}{body}"


def _digits(text: str, length: int) -> list[int]:
    if len(text) != length or not (text.isascii() and text.isdigit()):
        raise ValueError(f"not {length} digits: {text!r}")
    return [int(character) for character in text]


def _demand(text: str, pattern: re.Pattern[str], length: int) -> None:
    if len(text) != length or pattern.fullmatch(text) is None:
        raise ValueError(f"not the characters that a check digit protects: {text!r}")
