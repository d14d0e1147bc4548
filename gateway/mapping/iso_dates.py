"""ISO 8601 date-times of ISO 20022 and the WCO forms (UN/EDIFACT 2379): 102, 204, 304."""

from __future__ import annotations

import re

_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})\Z")
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.0+)?(Z|[+-][0-9]{2}:00)?\Z"
)
_WCO = {
    "102": re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})\Z"),
    "204": re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})\Z"),
    "304": re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})(Z|[+-][0-9]{2})\Z"),
}


def from_iso(text: str) -> tuple[str, str] | None:
    """(text, format code), or None where seconds or whole hours of offset cannot say it."""
    found = _DATE.match(text)
    if found:
        return "".join(found.groups()), "102"
    found = _TIME.match(text)
    if not found:
        return None
    zone = found[7]
    stamp = "".join(found.groups()[:6])
    return (stamp, "204") if zone is None else (stamp + zone.removesuffix(":00"), "304")


def to_iso(text: str, form: str) -> str | None:
    """The ISO 8601 text, or None where the text is not of the form."""
    pattern = _WCO.get(form)
    found = pattern.match(text) if pattern else None
    if not found:
        return None
    date = f"{found[1]}-{found[2]}-{found[3]}"
    if form == "102":
        return date
    zone = "" if form == "204" else found[7] if found[7] == "Z" else f"{found[7]}:00"
    return f"{date}T{found[4]}:{found[5]}:{found[6]}{zone}"
