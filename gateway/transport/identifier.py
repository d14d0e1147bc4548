"""Identifiers given at the door: sortable by time, unguessable, safe in paths, headers and logs."""

from __future__ import annotations

import re
from datetime import datetime

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"  # base 32 without i, l, o, u: read aloud without mistakes
_PAIRS = tuple(a + b for a in _DIGITS for b in _DIGITS)
RANDOM_OCTETS = 10  # 80 bits beside the millisecond: no two alike, none guessed
_FORM = re.compile(r"[0-9A-Za-z][0-9A-Za-z._:-]{0,79}\Z")


def new(now: datetime, randomness: bytes) -> str:
    """26 characters: 48 bits of milliseconds since 1970, then ``RANDOM_OCTETS`` of randomness.

    Later ids sort after earlier ones (by the millisecond).  Raises ValueError on other randomness.
    """
    if len(randomness) != RANDOM_OCTETS:
        raise ValueError(f"{RANDOM_OCTETS} octets of randomness are wanted")
    number = int(now.timestamp() * 1000) << 80 | int.from_bytes(randomness, "big")
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])


def well_formed(text: str) -> bool:
    """True where a text can be an id of the gateway's (its own, ``submission-id.ordinal``, a destination)."""
    return _FORM.match(text) is not None
