"""Effects: all that one submission brings about once it is judged, to be committed together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TypeVar

from gateway import routing
from gateway.intake.journey import Worked
from gateway.model import Delivery, Event, Judged, Outcome, Outgoing, Revocation, Submission, Verdict
from gateway.model.shelf import Anew
from gateway.storage import Settlement, declaration_due, lane_of, lane_of_answers, push_of

T = TypeVar("T")

HELD = "held"
"""The timeline's word for a submission that waits until it can be judged."""

MANDATED = "mandated"
"""The timeline's word for the mandates that admitted something; its detail names them and the form of
signatures.  It is about the submission where all messages came in by the same, else about each."""

REVOCATION = "revocation"
"""What it waited for: somebody who can tell whether a certificate was revoked."""

DUE = "answer due"
"""The timeline's word for by when customs answers; its detail is the time."""


def settlement(
    submission: Submission,
    worked: Worked,
    backend: str,
    now: datetime,
    *,
    claim: bool,
    pushed: bool = False,
    held: str = "",
    publish: str = "",
) -> Settlement:
    """All that one submission brings about, to be committed together.

    ``pushed``: who filed gets its messages pushed; the receipt only where the submission was ``held`` (for what), else
    it is the answer to the submission itself, and waits nowhere: nobody would take it out of that mailbox.
    ``publish``: the broker that accepted declarations go to as well, "" for none.
    """
    verdict = worked.verdict
    several = _made_anew if worked.owner else _made_once
    receipt = _receipt(submission, worked, now)
    answers = several(lambda: (one for one, _ in _refusals(submission, worked, now)))

    def due() -> Iterator[Delivery]:
        yield from _handovers(submission, verdict, backend, now)
        if publish:
            handovers = _handovers(submission, verdict, backend, now)
            yield from (declaration_due(publish, d.payload, now) for d in handovers)
        if pushed:
            yield from _pushes(submission, worked, receipt if held else None, now)

    return Settlement(
        submission=submission,
        verdict=verdict,
        receipt=receipt,
        deliveries=several(due),
        events=tuple(_events(submission, verdict, now, held)),
        claim=claim and verdict.outcome is not Outcome.REJECTED,
        answers=answers,
        register=worked.register,
        entitled=tuple(m.ordinal for m in verdict.messages if _entitled(m)),
        staged=worked.staged,
        owner=worked.owner,
        pushed=pushed,
        receipt_waits=not pushed or bool(held),
    )


def _receipt(submission: Submission, worked: Worked, now: datetime) -> Outgoing:
    media_type, body = worked.receipt
    return Outgoing(
        id=f"{submission.id}.r",
        partner=worked.verdict.route.partner,
        kind="receipt",
        about=submission.id,
        reference=worked.verdict.reference,
        media_type=media_type,
        body=body,
        created_at=now,
    )


def _made_once(make: Callable[[], Iterable[T]]) -> Iterable[T]:
    return tuple(make())


def _made_anew(make: Callable[[], Iterable[T]]) -> Iterable[T]:
    return Anew(make)


def _refusals(submission: Submission, worked: Worked, now: datetime) -> Iterator[tuple[Outgoing, str]]:
    """Refusals of messages, each with the message's own reference."""
    verdict = worked.verdict
    messages = iter(verdict.messages)
    for ordinal, media_type, body in worked.refusals:  # in the order of messages
        lrn = next(message.lrn for message in messages if message.ordinal == ordinal)
        answer = Outgoing(
            id=f"{submission.id}.{ordinal}.x",
            partner=verdict.route.partner,
            kind="rejected",
            about=f"{submission.id}.{ordinal}",
            reference=lrn or verdict.reference,
            media_type=media_type,
            body=body,
            created_at=now,
        )
        yield answer, lrn


def _pushes(
    submission: Submission, worked: Worked, receipt: Outgoing | None, now: datetime
) -> Iterator[Delivery]:
    """Each in the lane of the declaration that it is about: a receipt where it is about one only."""
    route, messages = worked.verdict.route, worked.verdict.messages
    if receipt is not None:
        lrn = next(iter(messages)).lrn if len(messages) == 1 else ""
        yield push_of(receipt, lane_of_answers(route.partner, route.principal, lrn))
    for one, lrn in _refusals(submission, worked, now):
        yield push_of(one, lane_of_answers(route.partner, route.principal, lrn))


def _handovers(submission: Submission, verdict: Verdict, backend: str, now: datetime) -> Iterator[Delivery]:
    ids = ((f"{submission.id}.{m.ordinal}", m) for m in verdict.messages if m.outcome is Outcome.ACCEPTED)
    for i, m in ids:
        yield Delivery(i, f"backend:{backend}", i, now, lane=_lane(verdict.route.principal, m))


def _lane(principal: str, message: Judged) -> str:
    """One lane for all that is filed about a declaration: under customs' number for it where the message
    names one, which the ledger knows the original by, else under the principal's own reference."""
    number = "" if message.declaration is None else message.declaration.registration.strip()
    return lane_of(principal, number or message.lrn)


def _entitled(message: Judged) -> bool:
    """True where the message was read, and who filed it is its signer or has its signer's mandate."""
    return message.kind is not None and routing.NOT_ENTITLED.isdisjoint(f.code for f in message.findings)


def _events(submission: Submission, verdict: Verdict, now: datetime, held: str) -> Iterable[Event]:
    yield Event(submission.id, submission.received_at, "received", submission.channel)
    if held:
        yield Event(submission.id, submission.received_at, HELD, held)
    elif Revocation.UNKNOWN in (verdict.proof.revocation, verdict.carrier_proof.revocation):
        yield Event(submission.id, now, "unchecked", "revocation")
    yield Event(submission.id, now, verdict.outcome.value, f"{len(verdict.messages)} message(s)")
    yield from _mandated(submission, verdict, now)
    yield from _due(submission, verdict, now)


def _due(submission: Submission, verdict: Verdict, now: datetime) -> Iterable[Event]:
    """By when customs answers, where that was agreed."""
    timed = ((m.ordinal, m.answer_by) for m in verdict.messages if m.answer_by is not None)
    for about, time in _abouts(submission, timed, len(verdict.messages)):
        yield Event(about, now, DUE, f"{time:%Y-%m-%dT%H:%M:%SZ}")


def _mandated(submission: Submission, verdict: Verdict, now: datetime) -> Iterable[Event]:
    admitted = ((m.ordinal, (m.mandates, m.form)) for m in verdict.messages if m.mandates)
    for about, (mandates, form) in _abouts(submission, admitted, len(verdict.messages)):
        yield Event(about, now, MANDATED, f"{', '.join(mandates)} ({form})")


def _abouts(submission: Submission, found: Iterable[tuple[int, T]], messages: int) -> Iterable[tuple[str, T]]:
    """What was found of messages; once, about the submission, where it is the same of all."""
    values: dict[T, T] = {}
    of = [(ordinal, values.setdefault(value, value)) for ordinal, value in found]
    if len(of) == messages and len(values) == 1:
        return [(submission.id, value) for value in values]
    return ((f"{submission.id}.{ordinal}", value) for ordinal, value in of)
