"""Base64 with exactly one text for the same octets (RFC 4648, 3.5 and 4)."""

from __future__ import annotations

import binascii
from typing import Final

_BLANK: Final = b" \t\r\n\v\f"


def from_base64(text: bytes) -> bytes:
    """The octets of a text that may be broken into lines and blanks, and holds nothing else.

    Raises ValueError for another character, for padding that is missing or too much (which Python's strict
    reading lets pass behind whole groups), and for bits that padding leaves unused and that are not zero: two
    readers could differ on each.
    """
    compact = text.translate(None, _BLANK)
    octets = binascii.a2b_base64(compact, strict_mode=True)
    rest = len(octets) % 3
    if len(compact) != (len(octets) + 2) // 3 * 4:
        raise ValueError("padding")
    if rest and binascii.b2a_base64(octets[-rest:], newline=False) != compact[-4:]:
        raise ValueError("unused bits")
    return octets
