"""The journey of one submission: inspected, answered, signed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from gateway import inbound, outbound, security
from gateway.handbook import Handbook
from gateway.model import Finding, Outcome, Submission, Verdict
from gateway.model.finding import worst
from gateway.model.shelf import Anew, Pile


class Refusal(NamedTuple):
    """Of one message, by its ordinal: what tells its sender, signed."""

    ordinal: int
    media_type: str
    body: bytes


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
