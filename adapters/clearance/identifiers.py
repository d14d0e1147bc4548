"""Numbers that customs gives and checks: registration numbers (MRN) and creditor references (RF)."""

from __future__ import annotations

import re

from gateway.model.checkdigits import mod97, mrn_check, rf_reference

MRN = re.compile(r"[0-9]{2}[A-Z]{2}[A-Z0-9]{13}[0-9]", re.ASCII)
"""Year, country, thirteen characters of the office's own, check digit."""

REFERENCE = re.compile(r"RF[0-9]{2}[A-Z0-9]{1,21}", re.ASCII)
"""ISO 11649: at most 25 characters."""

IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{1,30}", re.ASCII)
BIC = re.compile(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?", re.ASCII)

MAX_RUNNING = 99_999_999
"""Eight digits of the registration number count the declarations of one year."""

MAX_VERSION = 999
"""A creditor reference has 21 free characters: the registration number's 18 and three of version."""


def registration_number(year: int, country: str, office: str, running: int, letter: str) -> str:
    """An 18-character MRN: ``26VN`` + office (4) + running number (8) + kind's letter + check digit.

    Raises OverflowError where the year's numbers are used up.
    """
    if running > MAX_RUNNING:
        raise OverflowError(f"the registration numbers of {year} are used up")
    body = f"{year % 100:02d}{country}{office}{running:08d}{letter}"
    return body + mrn_check(body)


def is_registration_number(text: str) -> bool:
    """True where the form and the check digit are those of a registration number."""
    return MRN.fullmatch(text) is not None and mrn_check(text[:17]) == text[17]


def creditor_reference(registration: str, version: int) -> str:
    """The ISO 11649 reference of a duty notice: of one declaration, in one version.

    Raises OverflowError above version 999, which the form cannot carry.
    """
    if not 1 <= version <= MAX_VERSION:
        raise OverflowError(f"version {version} does not fit a creditor reference")
    return rf_reference(f"{registration}{version:03d}")


def is_creditor_reference(text: str) -> bool:
    """True where the form and the check digits (mod 97-10) hold."""
    return REFERENCE.fullmatch(text) is not None and mod97(text[4:] + text[:4]) == 1


def is_iban(text: str) -> bool:
    """True where the form and the check digits of ISO 13616 hold."""
    return IBAN.fullmatch(text) is not None and mod97(text[4:] + text[:4]) == 1
