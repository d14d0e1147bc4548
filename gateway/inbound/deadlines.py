"""What was agreed about time: when a filing is late, and by when its answer is due."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo

import msgspec

from gateway import routing
from gateway.model import Deadline, Finding, Judged, Partner, Place, Severity
from gateway.rules.moments import span_of

LATE = "PAR115"

_MOMENT = "%Y-%m-%dT%H:%M:%SZ"
_ORIGINAL = "9"
"""1225: an original; who amends or cancels it later is not late by that."""
_MEANS = "BorderTransportMeans"


def timed(message: Judged, signer: Partner, received_at: datetime, zone: tzinfo) -> Judged:
    """An accepted message with PAR115 where it is late, which rejects nothing, and with when it is answered at
    the latest.  ``zone``: of times without an offset."""
    declaration = message.declaration
    agreed = signer.terms.deadline(routing.identity.names_of(message))
    if declaration is None or agreed is None:
        return message
    findings = message.findings
    if declaration.function == _ORIGINAL:
        findings += tuple(_late(message, agreed, received_at, zone))
    due = received_at + timedelta(minutes=agreed.answer) if agreed.answer else None
    return msgspec.structs.replace(message, findings=findings, answer_by=due)


def count_late(messages: Iterable[Judged]) -> int:
    """How many of these were taken, and late."""
    return sum(1 for m in messages if m.declaration and any(f.code == LATE for f in m.findings))


def _late(message: Judged, agreed: Deadline, received_at: datetime, zone: tzinfo) -> Iterator[Finding]:
    """Where a day or minute alone is named, its end counts: only what is late in any case is told."""
    root = message.declaration.root if message.declaration is not None else None
    for name, before in (
        ("ArrivalDateTime", agreed.before_arrival),
        ("DepartureDateTime", agreed.before_departure),
    ):
        named = root.value(f"{_MEANS}/{name}") if root is not None and before else None
        span = span_of(named, zone) if named is not None else None
        if span is not None and received_at > span.end - timedelta(minutes=before):
            due = span.end - timedelta(minutes=before)
            place = Place(message=message.reference, pointer=f"Declaration/{_MEANS}/{name}")
            yield Finding(LATE, place, _said(due), _said(received_at), Severity.WARNING)


def _said(at: datetime) -> str:
    return at.astimezone(UTC).strftime(_MOMENT)
