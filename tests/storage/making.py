"""Values to store: submissions, settlements, decisions."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from gateway.model import (
    Decision,
    DecisionKind,
    Declaration,
    Delivery,
    Entity,
    Event,
    Finding,
    Judged,
    Kind,
    Outcome,
    Outgoing,
    Place,
    Route,
    Signer,
    Submission,
    Value,
    Verdict,
)
from gateway.storage import Recorded, Settlement, answer_id

NOW = datetime(2026, 3, 1, 8, 30, 15, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LEASE = timedelta(seconds=60)
BACKEND = "backend:clearance"


def declaration(lrn: str) -> Declaration:
    root = Entity("Declaration", (Value("FunctionCode", "9"), Value("FunctionalReferenceID", lrn)))
    return Declaration(Kind.IMPORT, root)


def outgoing(
    id: str, partner: str = "VAN1", about: str = "", kind: str = "receipt", reference: str = "REF"
) -> Outgoing:
    body = f"<receipt of='{id}'>Đã nhận</receipt>".encode()
    return Outgoing(id, partner, kind, about or id, reference, "application/xml", body, NOW)


def settlement(
    id: str,
    *,
    body: bytes | None = None,
    reference: str | None = None,
    partner: str = "VAN1",
    signer: str = "TRADER1",
    messages: int = 1,
    claim: bool = True,
    deliver: bool = True,
    entitled: tuple[int, ...] | None = None,
) -> Settlement:
    """A settled submission of accepted import declarations and one rejected message after them."""
    body = f"<MetaData>{id}</MetaData>".encode() if body is None else body
    reference = f"REF-{id}" if reference is None else reference
    submission = Submission(
        id, partner, "https", "application/xml", body, hashlib.sha256(body).hexdigest(), NOW
    )
    accepted = tuple(
        Judged(
            ordinal=n,
            type="IM",
            reference=f"M{n}",
            outcome=Outcome.ACCEPTED,
            identifier="CUSDEC:D:96B:UN",
            lrn=f"LRN-{id}-{n}",
            function="9",
            kind=Kind.IMPORT,
            declaration=declaration(f"LRN-{id}-{n}"),
        )
        for n in range(1, messages + 1)
    )
    finding = Finding("RUL012", Place(pointer="Declaration/ID", line=3), "a number", "x?")
    rejected = Judged(messages + 1, "IM", "MX", Outcome.REJECTED, findings=(finding,))
    verdict = Verdict(
        outcome=Outcome.PARTLY,
        reference=reference,
        partner=signer,
        route=Route(partner, signer, "https", "xml", table="dec", reference=reference),
        claim=f"IM:{reference}" if reference else "",
        messages=(*accepted, rejected),
        signer=Signer("CN=Trader", "CN=CA", "01", "ff" * 32, "rsa", b"\x30\x00", NOW),
    )
    deliveries = tuple(Delivery(f"{id}.{m.ordinal}", BACKEND, f"{id}.{m.ordinal}", NOW) for m in accepted)
    return Settlement(
        submission=submission,
        verdict=verdict,
        receipt=outgoing(f"{id}.r", partner, id, reference=reference),
        deliveries=deliveries if deliver else (),
        events=(Event(id, NOW, "received", "https"), Event(id, NOW + SECOND, "partly")),
        claim=claim,
        entitled=tuple(range(1, messages + 2)) if entitled is None else entitled,
    )


def recorded(
    id: str,
    message: str,
    kind: DecisionKind = DecisionKind.REGISTERED,
    *,
    at: datetime = NOW,
    registration: str = "",
    push: bool = False,
) -> Recorded:
    answer = outgoing(answer_id(message, id), "VAN1", message, kind.value)
    delivery = Delivery(f"{answer.id}.p", "push:VAN1", answer.id, NOW) if push else None
    decision = Decision(id, message, kind, at, registration, findings=(Finding("CLR001"),))
    return Recorded(decision, answer, delivery, (Event(message, at, kind.value, registration),))
