"""Trailers and times of service segments: control counts, references, dates that exist."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from msgspec.structs import replace

from gateway.model.edifact import Segment
from gateway.model.finding import Finding, Place, Severity
from gateway.syntax.elements import quote

MAX_DIGITS = 18  # 0810 is n..18, 0074 n..10 in syntax 4, the others shorter

_NONE = '""'  # a reference that is empty, as a finding says it
_PREPARED = 4  # position of S004 in UNB and UNG
_DATES = (6, 8)  # digits of 0017: n6 in syntax 1 to 3, n8 in syntax 4
_TIME = 4  # digits of 0019


def check_trailer(trailer: Segment, place: Place, counts: set[int], reference: str) -> list[Finding]:
    """Control count (element 1) and reference (element 2) of UNT, UNE, UNP or UNZ."""
    findings = []
    text, repeated = trailer.get(1), trailer.get(2)
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else -1
    if text and number not in counts:
        at = replace(place, element=1, offset=trailer.offset)
        findings.append(Finding("EDI029", at, str(max(counts)), quote(text)))
    if repeated and repeated != reference:
        at = replace(place, element=2, offset=trailer.offset)
        findings.append(Finding("EDI028", at, quote(reference) or _NONE, quote(repeated)))
    return findings


def lenient(finding: Finding, segment: Segment) -> Finding:
    """A date in the form of another syntax version (0017) is unmistakable: it is a warning only."""
    place = finding.place
    is_date = segment.tag in ("UNB", "UNG") and (place.element, place.component) == (_PREPARED, 1)
    if is_date and finding.code in ("EDI039", "EDI040") and len(finding.found) in _DATES:
        return Finding("EDI134", place, finding.expected, finding.found, Severity.WARNING)
    return finding


def check_time(segment: Segment, place: Place) -> list[Finding]:
    """S004: a date that exists, a time that is one of a day; other lengths are told by the layout."""
    day, time = segment.get(_PREPARED, 1), segment.get(_PREPARED, 2)
    if day.isdecimal() and time.isdecimal() and _is_date(day) and _is_time(time):
        return []
    checks = ((1, day, _is_date), (2, time, _is_time))
    return [
        Finding("EDI132", replace(place, element=_PREPARED, component=component), found=quote(text))
        for component, text, holds in checks
        if text.isascii() and text.isdigit() and not holds(text)
    ]


def _is_date(text: str) -> bool:
    """False for YYMMDD or CCYYMMDD that is no day."""
    return len(text) not in _DATES or _is_day(text)


@lru_cache(maxsize=1_024)
def _is_day(text: str) -> bool:
    year, month, day = int(text[:-4]), int(text[-4:-2]), int(text[-2:])
    try:
        date(year + 2000 if len(text) == min(_DATES) else year, month, day)
    except ValueError:
        return False
    return True


def _is_time(text: str) -> bool:
    """False for HHMM that is no time of day."""
    return len(text) != _TIME or (int(text[:2]) <= 23 and int(text[2:]) <= 59)
