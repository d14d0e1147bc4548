"""Security times (S501)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from gateway.model.secured import SecurityTime

STAMP = "1"  # 0517: when security was applied

_DAY = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})\Z")
_TIME = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})?(?:\.?[0-9]{1,9})?\Z")
_OFFSET = re.compile(r"(-?)([0-9]{2})([0-9]{2})\Z")


def moment(time: SecurityTime) -> datetime | None:
    """The time, aware; without 0336 it is UTC.  None where it is no time."""
    day, clock = _DAY.match(time.date), _TIME.match(time.time)
    offset = _OFFSET.match(time.offset or "0000")
    if day is None or clock is None or offset is None:
        return None
    minutes = (int(offset[2]) * 60 + int(offset[3])) * (-1 if offset[1] else 1)
    try:
        zone = timezone(timedelta(minutes=minutes))
        year, month, number = map(int, day.groups())
        hour, minute, second = map(int, clock.groups(default="0"))
        return datetime(year, month, number, hour, minute, second, tzinfo=zone)
    except ValueError:
        return None


def stamp(now: datetime) -> SecurityTime:
    """Our own security time."""
    now = now.astimezone(UTC)
    return SecurityTime(STAMP, f"{now:%Y%m%d}", f"{now:%H%M%S}", "0000")
