"""What the journal says of what the ledger stores: a record's digest of each row, an entry of each act.

The same functions make the digests when rows are written and when they are verified, from the columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC
from itertools import chain
from typing import Any

import msgspec

from gateway.evidence import entries
from gateway.evidence.entries import Attested, sha256
from gateway.evidence.records import (
    DecisionRecord,
    EventRecord,
    MessageRecord,
    OutgoingRecord,
    RefusalRecord,
    SubmissionRecord,
    digest,
    raw,
)
from gateway.model import Delivery, Event, Mandate, Outgoing, Partner, Submission
from gateway.model.grants import MandateRow, row_of
from gateway.model.register import body_of
from gateway.storage.codec import moment, receipt_id, submission_of
from gateway.storage.journal import Page
from gateway.storage.records import Recorded, Settlement


def submission_record(columns: Sequence[Any]) -> SubmissionRecord:
    """Of a row of the submission table; what of it is the receipt's has a record of its own."""
    (id_, partner, channel, media_type, body_digest, received_at, outcome, signer, filer) = columns[:9]
    (principal, reference, claim, route, findings, certificate, events) = columns[9:16]
    return SubmissionRecord(
        id_,
        partner,
        channel,
        media_type,
        body_digest,
        moment(received_at),
        outcome,
        signer,
        filer,
        principal,
        reference,
        claim,
        receipt_id(id_),
        raw(route),
        raw(findings),
        None if certificate is None else raw(certificate),
        raw(events),
    )


def message_record(columns: Sequence[Any], staged: str = "") -> MessageRecord:
    """Of a row of the message table.  ``staged``: the digest of a declaration that is in slices."""
    (submission, ordinal, type_, reference, identifier, lrn, function, kind, outcome) = columns[:9]
    findings, declaration = columns[9], columns[10]
    return MessageRecord(
        submission,
        ordinal,
        type_,
        reference,
        identifier,
        lrn,
        function,
        kind,
        outcome,
        raw(findings),
        None if declaration is None else staged or sha256(declaration),
    )


def outgoing_record(outgoing: Outgoing) -> OutgoingRecord:
    """Of a message to a partner."""
    return OutgoingRecord(
        outgoing.id,
        outgoing.partner,
        outgoing.kind,
        outgoing.about,
        outgoing.reference,
        outgoing.media_type,
        sha256(outgoing.body),
        outgoing.created_at.astimezone(UTC),
    )


def decision_record(row: Any) -> DecisionRecord:
    """Of a row of the decision table."""
    outgoing = None if row.outgoing is None else f"{row.submission}.{row.outgoing}"
    return DecisionRecord(row.id, row.submission + row.about, outgoing, raw(row.body))


def event_record(event: Event) -> EventRecord:
    """Of a line of a timeline."""
    return EventRecord(event.about, event.at.astimezone(UTC), event.what, event.detail)


def events_of(events: Sequence[Event]) -> tuple[str, ...]:
    """Digests of timeline lines."""
    return tuple(digest(event_record(event)) for event in events)


def due(deliveries: Iterable[Delivery]) -> dict[str, str]:
    """What a delivery is, by id."""
    return {d.id: f"{d.destination} {d.payload}" for d in deliveries}


# -- acts ------------------------------------------------------------------------------------------------


def attested(settlement: Settlement, messages: Iterable[Sequence[Any]]) -> Attested:
    """A submission's messages, of which these are the rows, with its answers and deliveries."""
    verdict, staged = settlement.verdict, settlement.staged
    sent = chain((settlement.receipt,), settlement.answers)
    return Attested(
        body=settlement.submission.digest,
        messages=tuple(digest(message_record(row, staged.get(row[1], ""))) for row in messages),
        sent={o.id: digest(outgoing_record(o)) for o in sent},
        due=due(settlement.deliveries),
        mandates=tuple(sorted({m for message in verdict.messages for m in message.mandates})),
        carrier=verdict.carrier and msgspec.structs.replace(verdict.carrier, certificate=b""),
    )


def received(page: Page, settlement: Settlement, columns: Sequence[Any], of: Attested) -> None:
    """A submission; ``columns``: its row, ``of``: as it is attested but for that and its proofs.  A receipt that waits
    nowhere was taken with this."""
    whole = msgspec.structs.replace(
        of,
        ids=() if settlement.receipt_waits else (settlement.receipt.id,),
        record=digest(submission_record(columns)),
        proof=page.kept(settlement.verdict.proof),
        carrier_proof=page.kept(settlement.verdict.carrier_proof),
    )
    page.add(entries.RECEIVED, settlement.submission.id, whole)


def decided(page: Page, one: Recorded, record: DecisionRecord) -> None:
    """A decision with the answer that carries it."""
    of = Attested(
        record=digest(record),
        sent={} if one.outgoing is None else {one.outgoing.id: digest(outgoing_record(one.outgoing))},
        due=due(one.due),
        events=events_of(one.events),
        ids=(one.decision.id,),
    )
    page.add(entries.DECIDED, submission_of(one.decision.message), of)


def held(page: Page, submission: Submission) -> None:
    """A submission is kept until it can be judged."""
    page.add(entries.HELD, submission.id, Attested(body=submission.digest))


def let_go(
    page: Page, submission: str, became: str, told: Sequence[Outgoing], deliveries: Sequence[Delivery]
) -> None:
    """It waits no more; what its sender hears of that beyond what it was settled with."""
    sent = {o.id: digest(outgoing_record(o)) for o in told}
    page.add(entries.LET_GO, became, Attested(ids=(submission,), sent=sent, due=due(deliveries)))


def refused(page: Page, record: RefusalRecord) -> None:
    """A sender that was not proven."""
    page.add(entries.REFUSED, "", Attested(record=digest(record), body=record.digest, note=record.code))


def happened(
    page: Page, kind: str, about: str, ids: Sequence[str], events: Sequence[Event] = (), note: str = ""
) -> None:
    """Something befell deliveries or outgoings of one submission."""
    of = Attested(ids=tuple(ids), events=events_of(events), note=note)
    page.add(kind, submission_of(about), of)


def partner(page: Page, one: Partner) -> None:
    """A partner is now as this says."""
    page.add(entries.PARTNER, f"{entries.PARTNER}:{one.id}", Attested(text=partner_text(body_of(one))))


def mandate(page: Page, row: MandateRow) -> None:
    """A mandate is now as this says."""
    page.add(entries.MANDATE, f"{entries.MANDATE}:{row.id}", Attested(text=mandate_text(row)))


def each(page: Page, batches: Iterable[Sequence[Partner | Mandate]]) -> Iterator[Sequence[Partner | Mandate]]:
    """The batches, each attested as it passes."""
    for batch in batches:
        yield batch
        for one in batch:
            if isinstance(one, Partner):
                partner(page, one)
            else:
                mandate(page, row_of(one))


def partner_text(body: bytes) -> str:
    """A partner's stored JSON as an entry has it: of a token's digest only a digest, as evidence goes to
    others."""
    told = msgspec.json.decode(body)
    if told.get("token_digest"):
        told["token_digest"] = sha256(told["token_digest"].encode())
    return msgspec.json.encode(told).decode()


def mandate_text(row: MandateRow) -> str:
    """A mandate's row as an entry has it."""
    return msgspec.json.encode(row._asdict()).decode()
