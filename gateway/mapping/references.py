"""Structured creditor references (ISO 11649): ``RF``, two check digits, up to 21 characters."""

from __future__ import annotations

import re

_REFERENCE = re.compile(r"RF[0-9]{2}[0-9A-Z]{1,21}\Z")
# In free text it may be printed in blocks of four; letters may touch it only beyond a break.
_PRINTED = re.compile(r"(?<![0-9A-Za-z])RF[0-9]{2}(?: ?[0-9A-Z]){1,21}(?![0-9A-Za-z])")


def is_reference(text: str) -> bool:
    """True for a reference whose check digits are right (mod 97-10: 1)."""
    if not _REFERENCE.match(text):
        return False
    turned = text[4:] + text[:4]
    return int("".join(str(int(c, 36)) for c in turned)) % 97 == 1


def find_reference(text: str) -> str:
    """The first valid reference in free text, without blanks, or ""."""
    for found in _PRINTED.finditer(text.upper()):
        words = found[0].split(" ")
        for end in range(len(words), 0, -1):
            candidate = "".join(words[:end])
            if is_reference(candidate):
                return candidate
    return ""
