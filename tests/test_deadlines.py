"""Directions and deadlines of an agreement: what may be filed, when it is late, when it is answered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from lxml import etree

from gateway import inbound
from gateway.handbook import Handbook
from gateway.inbound.deadlines import timed
from gateway.intake import settlement, work
from gateway.model import (
    Deadline,
    Declaration,
    Entity,
    Finding,
    Judged,
    Kind,
    Outcome,
    Partner,
    Severity,
    Terms,
    Value,
)
from tests.operations.knowledge import CARRIER, NOW, TRADER, World, declaration, manifest
from tests.test_senders import known

HANOI = timezone(timedelta(hours=7))
HOUR = timedelta(hours=1)
AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def agreed(world: World, partner: Partner, **terms: object) -> Handbook:
    mine = msgspec.structs.replace(world.partners[partner.id], terms=Terms(**terms))  # type: ignore[arg-type]
    return world.handbook.with_register(known(world, **{partner.id: mine}))


def report(moment: str, code: str, function: str = "9", name: str = "ArrivalDateTime") -> Judged:
    means = Entity("BorderTransportMeans", (Value(name, moment, (("formatCode", code),)),))
    root = Entity("Declaration", (Value("FunctionCode", function),), (means,))
    declared = Declaration(Kind.CARGO_IMPORT, root)
    return Judged(
        1, "CUSCAR", "7", Outcome.ACCEPTED, "CUSCAR:D:95B:UN", kind=declared.kind, declaration=declared
    )


def late(message: Judged, **deadline: int) -> tuple[Finding, ...]:
    signer = Partner("c", "Carrier", terms=Terms(deadlines=(Deadline("CRI", **deadline),)))
    return timed(message, signer, AT, HANOI).findings


# -- directions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"outward": ("CUSCAR",)}, "PAR114"),
        ({"outward": ("CUSCAR:D:95B",)}, "PAR114"),
        ({"outward": ("CRI",), "messages": ("CUSDEC",)}, "PAR114"),
        ({"outward": ("CUSCAR:D:96B", "CUSRES")}, ""),
        ({"outward": ("CUSCAR",), "messages": ("CUSCAR:D:95B",)}, ""),
        ({"outward": ("CUSRES",), "messages": ("CUSDEC",)}, "PAR108"),
    ],
)
def test_what_is_agreed_outward_only_is_not_filed(world: World, terms: dict[str, object], code: str) -> None:
    kind, body = world.sealed(manifest("D1"))
    verdict = inbound.inspect(
        world.submission(body, kind, CARRIER), agreed(world, CARRIER, **terms), NOW
    ).verdict
    (message,) = verdict.messages
    assert [f.code for f in message.findings if f.severity is Severity.ERROR] == ([code] if code else [])
    assert (message.outcome is Outcome.ACCEPTED) is not bool(code)


# -- late filings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "code", "due"),
    [
        ("20260302080000Z", "304", ""),
        ("20260302075958Z", "304", "2026-03-01T07:59:59Z"),
        ("20260302150000+07", "304", ""),
        ("202603021500", "203", ""),
        ("202603021458", "203", "2026-03-01T07:59:00Z"),
        ("20260302", "102", ""),
        ("20260301", "102", "2026-02-28T17:00:00Z"),
        ("nonsense", "102", ""),
    ],
)
def test_a_filing_after_its_deadline_is_told_and_taken(moment: str, code: str, due: str) -> None:
    """24 hours before arrival; of a day or a minute the end counts, in the office's zone."""
    found = late(report(moment, code), before_arrival=1_440)
    assert [(f.code, f.expected, f.found, f.severity) for f in found] == (
        [("PAR115", due, "2026-03-01T08:00:00Z", Severity.WARNING)] if due else []
    )


def test_only_originals_of_the_type_are_late() -> None:
    assert late(report("20260301", "102"), before_arrival=1_440)
    assert not late(report("20260301", "102", function="5"), before_arrival=1_440)
    assert not late(report("20260301", "102"), before_departure=1_440)
    assert late(report("20260301", "102", name="DepartureDateTime"), before_departure=1_440)
    signer = Partner("c", "C", terms=Terms(deadlines=(Deadline("IM", before_arrival=1_440),)))
    assert timed(report("20260301", "102"), signer, AT, HANOI) == report("20260301", "102")


def test_the_first_deadline_for_a_type_counts() -> None:
    terms = Terms(
        deadlines=(Deadline("CUSCAR:D:95B", answer=5), Deadline("CRI", answer=6), Deadline(answer=7))
    )
    signer = Partner("c", "C", terms=terms)
    found = timed(report("20260401", "102"), signer, AT, HANOI)
    assert found.answer_by == AT + timedelta(minutes=5)
    other = msgspec.structs.replace(report("20260401", "102"), identifier="CUSCAR:D:96B:UN")
    assert timed(other, signer, AT, HANOI).answer_by == AT + timedelta(minutes=6)
    third = msgspec.structs.replace(other, kind=Kind.EXPORT, type="CUSDEC", identifier="")
    assert timed(third, signer, AT, HANOI).answer_by == AT + timedelta(minutes=7)
    rejected = msgspec.structs.replace(third, declaration=None, outcome=Outcome.REJECTED)
    assert timed(rejected, signer, AT, HANOI).answer_by is None


# -- the answer ----------------------------------------------------------------------------------------


def test_the_receipt_and_the_timeline_say_by_when_customs_answers(world: World) -> None:
    book = agreed(world, TRADER, deadlines=(Deadline("IM", answer=120),))
    submission = world.submission(world.signed(declaration("DUE-1")))
    worked = work(submission, book, world.own, lambda n: ["1"] * n, NOW)
    due = submission.received_at + 2 * HOUR
    assert worked.verdict.messages[0].answer_by == due
    limit = etree.fromstring(worked.receipt[1]).find(".//{*}AdditionalInformation/{*}LimitDateTime")
    assert limit is not None
    assert "".join(limit.itertext()).strip() == f"{due:%Y%m%d%H%M%SZ}"
    settled = settlement(submission, worked, "clearance", NOW, claim=True)
    assert [(e.about, e.detail) for e in settled.events if e.what == "answer due"] == [
        (submission.id, f"{due:%Y-%m-%dT%H:%M:%SZ}")
    ]


def test_a_late_report_is_accepted_and_its_lateness_told(world: World) -> None:
    book = agreed(world, CARRIER, deadlines=(Deadline(before_arrival=365 * 1_440),))
    kind, body = world.sealed(manifest("LATE1"))
    verdict = inbound.inspect(world.submission(body, kind, CARRIER), book, NOW).verdict
    assert verdict.outcome is Outcome.ACCEPTED
    assert [f.code for f in verdict.messages[0].findings] == ["PAR115"]
