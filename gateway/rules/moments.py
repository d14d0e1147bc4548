"""Date-times of a declaration as spans of time, and times of day as the office's clock has them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.model import Value

# The years that a declaration can speak of; it also keeps sums of times away from the ends of the calendar.
_DAY = r"(1[89][0-9]{2}|2[0-9]{3})([0-9]{2})([0-9]{2})"
_TWO = r"([0-9]{2})"
# UN/EDIFACT 2379: day, minute, second, second with offset.
FORMATS = {
    "102": re.compile(_DAY),
    "203": re.compile(_DAY + _TWO * 2),
    "204": re.compile(_DAY + _TWO * 3),
    "304": re.compile(_DAY + _TWO * 3 + r"(Z|UTC|[+-][0-9]{2}(?:[0-9]{2})?)"),
}
_LASTS = {
    "102": timedelta(days=1),
    "203": timedelta(minutes=1),
    "204": timedelta(seconds=1),
    "304": timedelta(seconds=1),
}
_OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})?")


class Span(NamedTuple):
    """The time that a text may mean: a day is 24 hours long, a minute 60 seconds; ``end`` is left out."""

    start: datetime
    end: datetime


def span_of(value: Value, zone: tzinfo) -> Span | None:
    """The time a value means, read by its ``formatCode``; None where it is no date-time.

    A text without an offset (102, 203, 204) is local time of the office, ``zone``.
    """
    code = value.attribute("formatCode")
    pattern = FORMATS.get(code)
    found = pattern.fullmatch(value.text) if pattern else None
    if found is None:
        return None
    year, month, day, *time = found.groups()
    try:
        if code == "304":
            offset = time.pop()
            zone = UTC if offset in ("Z", "UTC") else zone_of(offset)
        hour, minute, second = (*map(int, time), 0, 0, 0)[:3]
        start = datetime(int(year), int(month), int(day), hour, minute, second, tzinfo=zone)
    except ValueError:
        return None
    return Span(start, start + _LASTS[code])


def zone_of(name: str) -> tzinfo:
    """The zone of an offset (``+07:00``, ``-0330``) or of an IANA name (``Europe/Berlin``).

    Raises ValueError where it is neither.
    """
    found = _OFFSET.fullmatch(name)
    if found is None:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"not a time zone: {name!r}") from error
    offset = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
    if offset >= timedelta(days=1):
        raise ValueError(f"not an offset from UTC: {name!r}")
    return timezone(offset if found[1] == "+" else -offset)
