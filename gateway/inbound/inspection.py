"""One submission: proven, read, translated and judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import msgspec

from gateway import routing, rules, security, syntax
from gateway.handbook import Handbook
from gateway.inbound.deadlines import timed
from gateway.inbound.documents import examining_long, examining_xml
from gateway.inbound.examined import Examined, outcome
from gateway.inbound.interchanges import examine_edifact
from gateway.inbound.proof import Proof, agreed, prove, prove_file
from gateway.inbound.senders import senders
from gateway.inbound.steps import Steps, at_once
from gateway.model import (
    Declaration,
    Finding,
    Judged,
    Outcome,
    Partner,
    Place,
    Revocation,
    Severity,
    Submission,
    Verdict,
)


class Inspected(msgspec.Struct, frozen=True):
    """The verdict on a submission and what it rests on."""

    verdict: Verdict
    interchange: syntax.Interchange | None = None


Stage = Callable[[int, Declaration], Declaration]
"""Puts an accepted declaration away, by its message's ordinal; what stands for it: its own values alone."""

_LARGE_PIECE = 65_536  # octets: what they complete, and the trees of its messages, is held at once


def inspect(
    submission: Submission,
    handbook: Handbook,
    now: datetime,
    revoked_by: datetime | None = None,
    stage: Stage | None = None,
) -> Inspected:
    """Prove, read, translate and judge one submission; every message gets an outcome of its own.

    An interchange is read by the agreement with its signer, who made it.  Raises security.Refused where
    the sender is not proven and Unreadable where no answer can be addressed: then there is no verdict
    and no receipt, only the transport's refusal.  ``revoked_by``: where ``now`` is past, the time itself: a
    mandate that was revoked meanwhile admits nothing.  ``stage``: declarations are given to it as soon as
    they are judged, and are not in the verdict.
    """
    return at_once(inspecting(submission, handbook, now, revoked_by, stage))


def inspecting(
    submission: Submission,
    handbook: Handbook,
    now: datetime,
    revoked_by: datetime | None = None,
    stage: Stage | None = None,
) -> Steps[Inspected]:
    """The same in steps."""
    if submission.file:
        proof = prove_file(Path(submission.file), submission.media_type, handbook, now)
    else:
        proof = prove(submission.body, submission.media_type, handbook, now)
    yield
    verified = proof.verified
    security.check_age(verified, handbook.policy, submission.received_at)
    register = handbook.register
    from_ = senders(submission, verified, register, now)
    filer, signer = from_.filer, from_.signer
    if agreed(verified, signer):
        raise security.Refused(agreed(verified, signer))

    yield
    last: list[tuple[Declaration, routing.Admission]] = []

    def admitted(declaration: Declaration) -> routing.Admission:
        # Asked twice for each; a document has one, so what was said last is mostly what is asked again.
        if not last or last[0][0] is not declaration:
            by = routing.admission(
                declaration, filer, signer, register, now, carried=from_.carried, revoked_by=revoked_by
            )
            last[:] = [(declaration, by)]
        return last[0][1]

    def judge(declaration: Declaration) -> tuple[Finding, ...]:
        return rules.judge(declaration, handbook.rulebook, now) + admitted(declaration).findings

    def envelope(interchange: syntax.Interchange) -> tuple[Finding, ...]:
        return routing.sender(interchange, filer, signer)

    zone, at = handbook.rulebook.zone, submission.received_at

    def finished(message: Judged) -> Judged:
        message = timed(_as_agreed(message, signer, admitted), signer, at, zone)
        return message if stage is None else _staged(message, stage)

    if verified.document is None and verified.outline is None and submission.file:
        pieces, book = _in_pieces(verified), _roomy(handbook, verified)
        # An interchange of its own security is held whole anyway, and its trees are cut once more.
        shelves = Path(submission.file).parent if stage is not None and proof.own is None else None
        examined = examine_edifact(pieces, book, judge, envelope, signer.edifact, proof, finished, shelves)
    else:
        if verified.outline is not None:
            examined = yield from examining_long(verified, handbook, judge, Path(submission.file).parent)
        elif verified.document is not None:
            examined = yield from examining_xml(verified.document, handbook, judge)
        else:
            examined = examine_edifact(verified.content, handbook, judge, envelope, signer.edifact, proof)
        examined = msgspec.structs.replace(examined, messages=tuple(map(finished, examined.messages)))
    return Inspected(_verdict(examined, submission, filer, signer, proof), examined.interchange)


def _in_pieces(verified: security.Verified) -> Iterator[bytes]:
    if verified.stretch is not None:
        return verified.stretch.pieces(_LARGE_PIECE)
    return (verified.content[at : at + _LARGE_PIECE] for at in range(0, len(verified.content), _LARGE_PIECE))


def _roomy(handbook: Handbook, verified: security.Verified) -> Handbook:
    """The same knowledge for an interchange as large as the door let in: what it takes of a partner is agreed
    with him, and may be more than what is read of others."""
    if verified.stretch is None:
        return handbook
    limits = handbook.edifact_limits
    room = max(limits.interchange, verified.stretch.size)
    return replace(handbook, edifact_limits=msgspec.structs.replace(limits, interchange=room))


def _staged(message: Judged, stage: Stage) -> Judged:
    if message.declaration is None:
        return message
    return msgspec.structs.replace(message, declaration=stage(message.ordinal, message.declaration))


def _as_agreed(
    message: Judged, signer: Partner, admitted: Callable[[Declaration], routing.Admission]
) -> Judged:
    """The message with what admitted it; rejected where its type was not agreed with the signer."""
    findings = routing.identity.message(signer, message)
    if findings:
        findings = (*message.findings, *findings)
        return msgspec.structs.replace(message, outcome=Outcome.REJECTED, findings=findings, declaration=None)
    if message.declaration is None:
        return message
    by = admitted(message.declaration)
    return msgspec.structs.replace(message, mandates=by.mandates, form=by.form) if by.mandates else message


def _verdict(
    examined: Examined,
    submission: Submission,
    filer: Partner,
    signer: Partner,
    proof: Proof,
) -> Verdict:
    verified = proof.verified
    if examined.interchange is None:
        route = routing.xml_route(submission, filer, signer, examined.table)
    else:
        route = routing.edifact_route(submission, filer, signer, examined.interchange, verified.envelope)
    return Verdict(
        outcome=outcome(examined),
        reference=examined.reference,
        claim=proof.claim or f"{examined.name}:{examined.reference}",
        partner=signer.id,
        route=route,
        messages=examined.messages,
        findings=(*examined.findings, *verified.findings, *_unknown(verified)),
        signer=verified.signer,
        proof=verified.proof,
        carrier=verified.carrier,
        carrier_proof=verified.carrier_proof,
    )


def _unknown(verified: security.Verified) -> tuple[Finding, ...]:
    """The mark of an acceptance although nobody could tell whether a certificate was revoked."""
    proven = ((verified.signer, verified.proof), (verified.carrier, verified.carrier_proof))
    return tuple(
        Finding("SIG303", Place(part="certificate"), "", signer.subject, Severity.WARNING)
        for signer, proof in proven
        if signer is not None and proof.revocation is Revocation.UNKNOWN
    )
