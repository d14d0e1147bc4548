"""One submission: proven, read, translated and judged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway import routing, rules, security, syntax
from gateway.handbook import Handbook
from gateway.inbound.documents import examine_xml
from gateway.inbound.examined import Examined, outcome
from gateway.inbound.interchanges import examine_edifact
from gateway.model import Declaration, Finding, Partner, Place, Submission, Verdict


@dataclass(frozen=True, slots=True)
class Inspected:
    """The verdict on a submission and what it rests on."""

    verdict: Verdict
    interchange: syntax.Interchange | None = None


def inspect(submission: Submission, handbook: Handbook, now: datetime) -> Inspected:
    """Prove, read, translate and judge one submission; every message gets an outcome of its own.

    An interchange is read by the agreement with its signer, who made it.  Raises security.Refused where
    the sender is not proven and Unreadable where no answer can be addressed: then there is no verdict
    and no receipt, only the transport's refusal.
    """
    verified = security.verify(submission.body, submission.media_type, handbook.trust, handbook.policy, now)
    filer = handbook.register.partners[submission.partner]
    signer = handbook.register.by_subject(verified.signer.subject)
    if signer is None:
        place = Place(part="signature")
        raise security.Refused((Finding("PAR001", place, "a registered subject", verified.signer.subject),))

    def judge(declaration: Declaration) -> tuple[Finding, ...]:
        return rules.judge(declaration, handbook.rulebook, now) + routing.authority(
            declaration, filer, signer, handbook.register, now
        )

    def envelope(interchange: syntax.Interchange) -> tuple[Finding, ...]:
        return routing.sender(interchange, filer, signer)

    if verified.document is None:
        examined = examine_edifact(verified.content, handbook, judge, envelope, signer.edifact)
    else:
        examined = examine_xml(verified.document, handbook, judge)
    return Inspected(_verdict(examined, submission, filer, signer, verified), examined.interchange)


def _verdict(
    examined: Examined,
    submission: Submission,
    filer: Partner,
    signer: Partner,
    verified: security.Verified,
) -> Verdict:
    if examined.interchange is None:
        route = routing.xml_route(submission, filer, signer, examined.table)
    else:
        route = routing.edifact_route(submission, filer, signer, examined.interchange, verified.envelope)
    return Verdict(
        outcome=outcome(examined),
        reference=examined.reference,
        claim=f"{examined.name}:{examined.reference}",
        partner=signer.id,
        route=route,
        messages=examined.messages,
        findings=examined.findings,
        signer=verified.signer,
    )
