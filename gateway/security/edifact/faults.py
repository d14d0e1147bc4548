"""Findings on EDIFACT security at their place, and the error code (0571) with which an AUTACK says each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from gateway.model import Finding, Place

_SHOWN = 100  # characters of a sender's value that are repeated to the sender

_UNLIKE = "8"  # security parameters are not as expected
_ERRORS = {
    "SIG400": "6",
    "SIG406": "6",
    "SIG409": "4",
    "SIG411": "4",
    "SIG412": "4",
    "SIG413": "5",
    "SIG414": "2",
    "SIG415": "2",
    "SIG416": "2",
    "SIG417": "1",
    "SIG419": _UNLIKE,
    "SIG420": _UNLIKE,
    "SIG421": _UNLIKE,
    "SIG422": "1",
    "SIG423": "7",
    "SIG424": "2",
    "SIG427": _UNLIKE,
    "SIG430": "7",
    "SIG431": "1",
    "SIG437": "3",
}
MAX_TOLD = 20
"""Findings of one message: there may be a hundred thousand messages, and who signed none of them sends them."""
MAX_TOLD_IN_ALL = 99

PROTOCOL = "6"  # protocol error: all that is not one of the above


def fault(
    code: str, place: Place, expected: str = "", found: str = "", element: int = 0, component: int = 0
) -> Finding:
    """A finding at a segment, or at one of its elements."""
    shown = "".join(c if c.isprintable() else " " for c in found[:_SHOWN])
    return Finding(code, replace(place, element=element, component=component), expected, shown)


def each_once(found: Iterable[Sequence[Finding]], limit: int = MAX_TOLD_IN_ALL) -> tuple[Finding, ...]:
    """The first findings of many messages, each once; those that are shared are looked at once."""
    met: set[int] = set()
    told: dict[Finding, None] = {}
    for shared in found:
        if id(shared) not in met:
            met.add(id(shared))
            told.update(dict.fromkeys(shared))
        if len(told) >= limit:
            break
    return tuple(told)[:limit]


def error_code(finding: Finding) -> str:
    """0571: 1 authenticator, 2 certificate, 3 certification path, 4 algorithm, 5 hash function, 6 protocol,
    7 security is missing, 8 parameters."""
    return _ERRORS.get(finding.code, PROTOCOL)
