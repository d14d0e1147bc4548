"""Media types as HTTP speaks of them: the type proper of a Content-Type, and what an Accept allows."""

from __future__ import annotations

import re

_TYPE = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:;|\Z)")
_QUALITY = re.compile(r";\s*[qQ]\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*(?:;|\Z)")
MAX_RANGES = 32  # an Accept with more ranges is cut there: no client needs them, and each costs time


def essence(value: str) -> str:
    """``type/subtype`` in lower case without parameters; "" where the value is no media type."""
    found = _TYPE.match(value)
    return found[1].lower() if found else ""


def quality(accept: str, media_type: str) -> float:
    """How much an Accept value (RFC 9110, 12.5.1) wants a media type: 0 refused, 1 most.

    An absent (empty) Accept wants anything.  The most specific range decides.
    """
    if not accept.strip():
        return 1.0
    main = media_type.partition("/")[0]
    rank = {media_type: 3, f"{main}/*": 2, "*/*": 1}
    best, wanted = 0, 0.0
    for part in accept.split(",")[:MAX_RANGES]:
        specific = rank.get(essence(part), 0)
        if specific > best:
            found = _QUALITY.search(part)
            best, wanted = specific, float(found[1]) if found else 1.0
    return wanted
