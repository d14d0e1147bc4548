"""Answers: verdicts and decisions become drafts in the sender's own syntax, and drafts are signed.

Drafting is pure; only :func:`seal` uses a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from gateway import security, syntax
from gateway.handbook import Handbook
from gateway.model import Decision, Finding, Judged, Outcome, Route, Severity, Verdict
from gateway.outbound import skeletons
from gateway.outbound.drafts import Draft, drafted
from gateway.outbound.response import About, errors_of, response
from gateway.outbound.securing import acknowledging, secured

EDIFACT = "application/edifact"


def receipt(
    verdict: Verdict, interchange: syntax.Interchange | None, handbook: Handbook, number: str, now: datetime
) -> Draft:
    """The acknowledgement of a submission: CONTRL, or a WCO response that says received or rejected.

    ``interchange``: what a CONTRL quotes, for EDIFACT.
    """
    route = verdict.route
    if interchange is not None:
        octets = _contrl(verdict, interchange, handbook, number, now)
        profile, received = handbook.edifact_security, interchange.received
        return Draft(interchange=octets, profile=profile, received=received)
    judged = next(iter(verdict.messages))
    saying = handbook.sayings["rejected" if judged.outcome is Outcome.REJECTED else "received"]
    findings = verdict.findings + judged.findings
    about = About(judged.lrn or verdict.reference)
    if not findings and skeletons.fits(about.lrn):
        return skeletons.filled(saying, about.lrn, number, now, route.language, judged.answer_by, handbook)
    errors = errors_of(findings, handbook, route)
    root = response(saying, about, number, now, route.language, errors=errors, answer_by=judged.answer_by)
    return drafted(root, about, route, handbook, number, now)


def refusal(judged: Judged, route: Route, handbook: Handbook, number: str, now: datetime) -> Draft:
    """The CUSRES for a message whose syntax CONTRL acknowledged but which was rejected further on."""
    about = _about(judged)
    errors = errors_of(judged.findings, handbook, route)
    root = response(handbook.sayings["rejected"], about, number, now, route.language, errors=errors)
    return drafted(root, about, route, handbook, number, now)


def beyond_syntax(judged: Judged, handbook: Handbook) -> bool:
    """True where a rejected message cannot be fully told by CONTRL, so that a CUSRES is due."""
    return judged.outcome is Outcome.REJECTED and not _contrl_findings(judged.findings, handbook)


def decision(
    taken: Decision, about: About, route: Route, handbook: Handbook, number: str, now: datetime
) -> Draft:
    """The message that carries a back end's decision to who filed."""
    saying = handbook.sayings[taken.kind.value]
    root = response(
        saying,
        about,
        number,
        now,
        route.language,
        errors=errors_of(taken.findings, handbook, route),
        taken=taken,
    )
    return drafted(root, about, route, handbook, number, now)


def seal(draft: Draft, route: Route, key: security.SigningKey, now: datetime) -> tuple[str, bytes]:
    """Sign a draft as its route says; (media type, body)."""
    if draft.canonical:
        return "application/xml", security.sign_canonical(draft.canonical, key, now)
    if draft.document is not None:
        return "application/xml", security.sign_xml(draft.document, key, now)
    octets = draft.interchange
    if draft.profile is not None:
        if route.envelope == security.EDIFACT_SECURITY:
            octets = secured(octets, draft.profile, key, now)
        octets = acknowledging(octets, draft.received, draft.profile, key, now)
    if route.envelope == security.EDIFACT_SECURITY:
        return EDIFACT, octets
    return security.sign_cms(octets, EDIFACT, key, route.envelope, now)


def _contrl(
    verdict: Verdict, interchange: syntax.Interchange, handbook: Handbook, number: str, now: datetime
) -> bytes:
    """The CONTRL that the signer's agreement calls for; where it calls for none, that of mere receipt: the
    answer to a submission is its evidence, and is never empty."""
    rejected: Mapping[int, tuple[Finding, ...]] = {
        m.ordinal: told
        for m in verdict.messages
        if m.outcome is Outcome.REJECTED and (told := _contrl_findings(m.findings, handbook))
    }
    agreed = handbook.register.partners[verdict.partner].edifact.acknowledging
    parties = {"sender": interchange.recipient, "recipient": interchange.sender}
    whole = msgspec.structs.replace(interchange, findings=verdict.findings)
    due = syntax.acknowledge(
        whole, rejected, handbook.catalogue, agreed, **parties, reference=number, now=now
    )
    return due or syntax.receipt(interchange, **parties, reference=number, now=now)


def _contrl_findings(findings: tuple[Finding, ...], handbook: Handbook) -> tuple[Finding, ...]:
    """The errors that have an 0085 code; a warning that has one rejects nothing, and is not told there."""
    meanings = handbook.catalogue.meanings
    errors = (f for f in findings if f.severity is Severity.ERROR)
    return tuple(f for f in errors if f.code in meanings and meanings[f.code].contrl)


def _about(judged: Judged) -> About:
    _, version, release = (*judged.identifier.split(":"), "", "")[:3]
    return About(judged.lrn or judged.reference, judged.reference, "", version, release)
