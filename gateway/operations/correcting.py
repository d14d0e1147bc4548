"""What an operator may hand over instead of what was accepted: the original read anew, or an officer's words.

Never touched are the octets that were signed, and what the gateway's verdict rested on: who filed what for whom,
which reference it has, and what it does.  Those are the signer's to say, by an amendment of its own.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

from gateway import inbound, rules, security, transport
from gateway.handbook import Handbook
from gateway.model import Change, Correction, Declaration, Finding, How, Kind, Place, Severity, differences
from gateway.storage import Ledger

SIGNERS_OWN = (
    "FunctionCode",
    "FunctionalReferenceID",
    "ID",
    "TypeCode",
    "DeclarationOfficeID",
    "Declarant/ID",
    "Submitter/ID",
    "Agent/ID",
)
"""What mandates, lanes and repetitions were decided by."""


def made(
    how: How, at: datetime, who: str, why: str, original: str, changes: tuple[Change, ...]
) -> Correction:
    """A correction; the ledger gives it its number."""
    return Correction(0, how, at, who, why.strip(), original, changes)


def check(original: Declaration, edited: Declaration, handbook: Handbook, at: datetime) -> None:
    """Raises transport.Refusal (422) where an officer may not hand this over, with every reason."""
    findings = [
        _refusal(f"Declaration/{path}", original.root.text(path), edited.root.text(path))
        for path in SIGNERS_OWN
        if original.root.text(path) != edited.root.text(path)
    ]
    if original.kind is not edited.kind or original.root.name != edited.root.name:
        findings.append(_refusal("kind", original.kind.value, edited.kind.value))
    if original.kind is Kind.PAYMENT:
        findings.append(_refusal("kind", "a declaration: a payment is its bank's word", Kind.PAYMENT.value))
    if not findings and not differences(original, edited):
        findings.append(_refusal("declaration", "something that differs from what was accepted", "the same"))
    if not findings:
        judged = rules.judge(edited, handbook.rulebook, at)
        findings = [f for f in judged if f.severity is Severity.ERROR]
    if findings:
        raise transport.Refusal(findings, 422)


def reread(ledger: Ledger, message: str, handbook: Handbook) -> Declaration:
    """What was signed, proven, read and judged again by today's knowledge, as if it had just come when it came.

    Raises transport.Refusal (422) where it would not be accepted, LedgerError where its octets are not here.
    """
    identity, _, ordinal = message.partition(".")
    submission = ledger.raw(identity)
    if submission is None or not submission.body:
        raise transport.Refusal([_refusal("octets", "the submission as it was signed", "archived")], 422)
    try:
        verdict = inbound.inspect(submission, handbook, submission.received_at).verdict
    except security.Refused as refused:
        raise transport.Refusal(refused.findings, 422) from refused
    except inbound.Unreadable as unreadable:
        raise transport.Refusal(unreadable.findings, 422) from unreadable
    judged = next((m for m in verdict.messages if str(m.ordinal) == ordinal), None)
    if judged is None or judged.declaration is None:
        findings = (*verdict.findings, *(judged.findings if judged is not None else ()))
        none = [_refusal("message", "a message that is accepted", message)]
        raise transport.Refusal([f for f in findings if f.severity is Severity.ERROR] or none, 422)
    return judged.declaration


def check_address(address: str, registered: str) -> None:
    """Raises transport.Refusal (422) for an address that is none, or is of another host than the registered
    one: who gets a partner's messages stands in the register."""
    try:
        transport.checked_push_url(address)
    except transport.PushFailed as failed:
        raise transport.Refusal([failed.finding], 422) from failed
    host = urlsplit(registered).hostname or ""
    if urlsplit(address).hostname != host:
        raise transport.Refusal([_refusal("address", host, urlsplit(address).hostname or "")], 422)


def _refusal(part: str, expected: str, found: str) -> Finding:
    return Finding("API4221", Place(part=part), expected, found)
