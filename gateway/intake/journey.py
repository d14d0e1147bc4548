"""The journey of one submission, and all that is to be stored of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
from twisted.internet.defer import Deferred, DeferredLock

from gateway import inbound, outbound, routing, security
from gateway.handbook import Handbook
from gateway.model import Delivery, Event, Finding, Judged, Outcome, Outgoing, Revocation, Submission, Verdict
from gateway.model.finding import worst
from gateway.model.shelf import Anew, Pile
from gateway.storage import Ledger, Settlement, declaration_due, lane_of

log = logging.getLogger("gateway.intake")

T = TypeVar("T")


class Refusal(NamedTuple):
    """Of one message, by its ordinal: what tells its sender, signed."""

    ordinal: int
    media_type: str
    body: bytes


HELD = "held"
"""The timeline's word for a submission that waits until it can be judged."""

MANDATED = "mandated"
"""The timeline's word for the mandates that admitted something; its detail names them and the form of
signatures.  It is about the submission where all messages came in by the same, else about each."""


REVOCATION = "revocation"
"""What it waited for: somebody who can tell whether a certificate was revoked."""

DUE = "answer due"
"""The timeline's word for by when customs answers; its detail is the time."""


OUTGOING = "outgoing"
"""The ledger's counter of what the gateway sends."""


class Numbers:
    """Durable, unique numbers for what the gateway sends, taken from the ledger in blocks."""

    BLOCK = 10_000

    ENOUGH = 4_000
    """More than those take that go abreast on a reactor's thread: 256 KiB of the shortest messages."""

    def __init__(self, ledger: Ledger, name: str = OUTGOING) -> None:
        self._ledger = ledger
        self._name = name
        self._left: range = range(0)
        self._next: range = range(0)
        self._fetching = DeferredLock()

    async def ahead(self, call: Callable[..., Deferred[Any]]) -> None:
        """Have enough at hand for `take` to touch no database, which a reactor's thread must never wait for.

        ``call``: ledger work in another thread.  Waits only where there is not enough now; raises what it raises.
        """
        if len(self._left) + len(self._next) < self.ENOUGH:
            await self._fetching.run(self._fetch, call)
        elif not self._next and len(self._left) < 2 * self.ENOUGH and not self._fetching.locked:
            soon = self._fetching.run(self._fetch, call)
            soon.addErrback(lambda failure: log.warning("numbers: %s", failure.getErrorMessage()))

    def _fetch(self, call: Callable[..., Deferred[Any]]) -> Deferred[None] | None:
        if self._next or len(self._left) >= 2 * self.ENOUGH:
            return None  # who waited before has fetched them
        return call("references", self._name, self.BLOCK).addCallback(self._fetched)

    def _fetched(self, block: range) -> None:
        self._next = block

    def take(self, count: int = 1) -> list[str]:
        """``count`` numbers of at most 14 digits (EDIFACT 0020, an..14); unused ones of a block are
        lost when the process ends, never used twice."""
        taken: list[int] = []
        while len(taken) < count:
            if not self._left:
                self._left, self._next = self._next, range(0)
            if not self._left:
                self._left = self._ledger.references(self._name, self.BLOCK)
            want = count - len(taken)
            taken += self._left[:want]
            self._left = self._left[want:]
        return [str(n) for n in taken]


class Worked(msgspec.Struct, frozen=True):
    """What the journey made of a submission, signed and ready to settle; ``register``: the version of the
    register that it was judged by.  ``staged``, ``owner``: as of a Settlement."""

    verdict: Verdict
    receipt: tuple[str, bytes]
    refusals: Iterable[Refusal] = ()
    register: int | None = None
    staged: Mapping[int, str] = {}
    owner: str = ""


def work(
    submission: Submission,
    handbook: Handbook,
    key: security.SigningKey,
    numbers: Callable[[int], Sequence[str]],
    now: datetime,
    sunk: Finding | None = None,
    at: datetime | None = None,
    stage: inbound.Stage | None = None,
) -> Worked:
    """Inspect, draft and sign: in a worker, or on the reactor's thread where the key is at hand.

    The rest is as with `drafting`.
    """
    return inbound.at_once(working(submission, handbook, key, numbers, now, sunk, at, stage))


def working(
    submission: Submission,
    handbook: Handbook,
    key: security.SigningKey,
    numbers: Callable[[int], Sequence[str]],
    now: datetime,
    sunk: Finding | None = None,
    at: datetime | None = None,
    stage: inbound.Stage | None = None,
) -> inbound.Steps[Worked]:
    """The same in steps."""
    drafts = yield from drafting(submission, handbook, numbers, now, sunk, at, stage)
    yield
    return sealed(drafts, key, now, None if stage is None else Path(submission.file).parent)


class Drafted(msgspec.Struct, frozen=True):
    """What the journey made of a submission, not yet signed."""

    verdict: Verdict
    receipt: outbound.Draft
    refusals: Iterable[tuple[int, outbound.Draft]] = ()
    register: int | None = None


def sealed(drafts: Drafted, key: security.SigningKey, now: datetime, shelves: Path | None = None) -> Worked:
    """Sign; the one part that may wait for another device.  ``shelves``: the folder for refusals where there may be
    very many.  Raises security.KeyUnusable."""
    route = drafts.verdict.route
    receipt = outbound.seal(drafts.receipt, route, key, now)
    refusals: list[Refusal] | Pile[Refusal] = [] if shelves is None else Pile(Refusal, shelves)
    for number, draft in drafts.refusals:
        refusals.append(Refusal(number, *outbound.seal(draft, route, key, now)))
    return Worked(drafts.verdict, receipt, refusals, drafts.register)


def drafting(
    submission: Submission,
    handbook: Handbook,
    numbers: Callable[[int], Sequence[str]],
    now: datetime,
    sunk: Finding | None = None,
    at: datetime | None = None,
    stage: inbound.Stage | None = None,
) -> inbound.Steps[Drafted]:
    """Inspect, and draft what is to be answered, in steps.

    ``sunk``: a finding that rejects all, whatever else is found: that this reference was used before for
    other bytes, that nobody could tell whether the signer's certificate was revoked.  ``at``: as of when it is
    judged, where that is not now.  ``stage``: as of inbound.inspect.  Raises security.Refused, and security.Held
    only where nothing else stands against the submission.
    """
    if sunk is not None and at is not None:
        handbook = handbook.asking("off")  # it is answered for what was found, whatever is known now
    inspected = yield from _inspecting(submission, handbook, at or now, now, stage)
    yield
    if sunk is not None:
        inspected = _sunk(inspected, sunk)
    verdict = inspected.verdict
    due = () if verdict.route.syntax == "xml" or worst(verdict.findings) else verdict.messages
    first, *rest = numbers(1 + sum(outbound.beyond_syntax(m, handbook) for m in due))
    receipt = outbound.receipt(verdict, inspected.interchange, handbook, first, now)

    def refusals() -> Iterator[tuple[int, outbound.Draft]]:
        refused = (m for m in due if outbound.beyond_syntax(m, handbook))
        for message, number in zip(refused, rest, strict=True):
            yield message.ordinal, outbound.refusal(message, verdict.route, handbook, number, now)

    made = tuple(refusals()) if stage is None else Anew(refusals)
    return Drafted(verdict, receipt, made, handbook.register.version)


def _inspecting(
    submission: Submission, handbook: Handbook, at: datetime, now: datetime, stage: inbound.Stage | None
) -> inbound.Steps[inbound.Inspected]:
    try:
        return (yield from inbound.inspecting(submission, handbook, at, now, stage))
    except security.Held:
        # What would be refused anyway is refused now: only what is otherwise good is held.
        inbound.inspect(submission, handbook.asking("accept"), at, now, stage)
        raise


def _sunk(inspected: inbound.Inspected, reason: Finding) -> inbound.Inspected:
    """The same reading with every message rejected for one reason."""
    verdict = inspected.verdict
    messages = tuple(
        msgspec.structs.replace(m, outcome=Outcome.REJECTED, declaration=None) for m in verdict.messages
    )
    verdict = msgspec.structs.replace(
        verdict, outcome=Outcome.REJECTED, messages=messages, findings=(*verdict.findings, reason)
    )
    return inbound.Inspected(verdict, inspected.interchange)


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
    it is the answer to the submission itself.  ``publish``: the broker that accepted declarations go to as
    well, "" for none.
    """
    verdict = worked.verdict
    several = _made_anew if worked.owner else _made_once
    receipt = _receipt(submission, worked, now)
    answers = several(lambda: _refusals(submission, worked, now))

    def due() -> Iterator[Delivery]:
        yield from _handovers(submission, verdict, backend, now)
        if publish:
            handovers = _handovers(submission, verdict, backend, now)
            yield from (declaration_due(publish, d.payload, now) for d in handovers)
        if pushed:
            carried = chain((receipt,) if held else (), answers)
            yield from (Delivery(f"{a.id}.p", f"push:{a.partner}", a.id, now) for a in carried)

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


def _refusals(submission: Submission, worked: Worked, now: datetime) -> Iterator[Outgoing]:
    verdict = worked.verdict
    messages = iter(verdict.messages)
    for ordinal, media_type, body in worked.refusals:  # in the order of messages
        lrn = next(message.lrn for message in messages if message.ordinal == ordinal)
        yield Outgoing(
            id=f"{submission.id}.{ordinal}.x",
            partner=verdict.route.partner,
            kind="rejected",
            about=f"{submission.id}.{ordinal}",
            reference=lrn or verdict.reference,
            media_type=media_type,
            body=body,
            created_at=now,
        )


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
