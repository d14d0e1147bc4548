"""Filter functions (0505): octets as characters that any repertoire can carry."""

from __future__ import annotations

import base64
import binascii
import re

HEXADECIMAL = "2"
BASE64 = "7"
FILTERS = (HEXADECIMAL, BASE64)
"""EDA (5) and EDC (6) are not offered: their algorithm is not published freely, and guessing would be worse."""

_HEX = re.compile(r"(?:[0-9A-F]{2})+\Z")
MAX_VALUE = 1_024
"""Characters of 0560, an..1024."""


def unfiltered(text: str, filter_: str) -> bytes | None:
    """The octets, or None where the text is not of the filter's characters, or has another form than its one."""
    if filter_ == HEXADECIMAL:
        return bytes.fromhex(text) if _HEX.match(text) else None
    if filter_ != BASE64:
        return None
    try:
        octets = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
    return octets if octets and base64.b64encode(octets).decode("ascii") == text else None


def filtered(octets: bytes, filter_: str) -> str:
    """The octets as text.  Raises ValueError for a filter that is not offered, and where 0560 cannot hold it."""
    if filter_ not in FILTERS:
        raise ValueError(f"filter {filter_!r} is not offered; {', '.join(FILTERS)} are")
    text = octets.hex().upper() if filter_ == HEXADECIMAL else base64.b64encode(octets).decode("ascii")
    if len(text) > MAX_VALUE:
        raise ValueError(f"{len(octets)} octets do not fit into {MAX_VALUE} characters with filter {filter_}")
    return text
