"""Who a submission is from: signatures around it, and EDIFACT's own within it, joined into one proof."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from gateway import security, syntax
from gateway.handbook import Handbook
from gateway.model import Finding, Group, Partner, Place, Severity, Signer
from gateway.model.secured import NamedCertificate

EDIFACT = "application/edifact"
_PASSED_OVER = "EDI027"  # the reader's word that there are segments of security, which it does not judge
_SECURITY_GROUPS = frozenset({"USH", "UST"})


class Proof(msgspec.Struct, frozen=True):
    """``verified``: what was signed and by whom.  ``own``: what an interchange's own security proves, None where
    it has none."""

    verified: security.Verified
    own: security.EdifactProof | None = None

    def read(self, message: syntax.Message) -> syntax.Message:
        """A message that was read, with what keeps it from being the signer's, and without its security: that
        declares nothing."""
        findings = _judged(message.findings, self.own is not None)
        own = self.own
        if own is not None and message.ordinal not in own.references:
            findings = (*own.refused.get(message.ordinal, ()), *findings)
            if message.ordinal not in own.refused and own.proven.get(message.ordinal) != message.offsets:
                findings = (_another(message, own), *findings)
        if own is None or message.tree is None:
            return message if findings == message.findings else replace(message, findings=findings)
        return replace(message, findings=findings, tree=_declaring(message.tree))

    def only_refers(self, ordinal: int) -> bool:
        """True for an AUTACK that holds: it secures other messages, and declares nothing itself."""
        return self.own is not None and ordinal in self.own.references

    def around(self, interchange: syntax.Interchange) -> syntax.Interchange:
        """The interchange, and what is to be acknowledged of it."""
        if self.own is None and not any(f.code == _PASSED_OVER for f in interchange.findings):
            return interchange
        findings = _judged(interchange.findings, self.own is not None)
        received = self.own.received if self.own is not None else ()
        return replace(interchange, findings=findings, received=received)

    @property
    def claim(self) -> str:
        """What stands for an interchange whose own reference nobody signed, else ""."""
        return self.own.claim if self.own is not None else ""


def prove(body: bytes, media_type: str, handbook: Handbook, now: datetime) -> Proof:
    """Prove who signed a message: by the envelope around it, the security segments inside it, or both.

    ``media_type``: the full Content-Type value.  Raises security.Refused, and Held where the policy waits.
    """
    policy = handbook.policy
    essence = media_type.partition(";")[0].strip().lower()
    if essence == EDIFACT and len(body) <= policy.max_bytes and syntax.may_be_secured(body):
        survey = _survey(body, handbook)
        if survey.secured:
            own = _prove(body, survey, handbook, now)
            return Proof(security.attest(body, own), own)
    verified = security.verify(body, media_type, handbook.trust, policy, now, handbook.decrypters)
    if verified.document is not None or not syntax.may_be_secured(verified.content):
        return Proof(verified)
    return _with_own(verified, handbook, now)


def prove_file(file: Path, media_type: str, handbook: Handbook, now: datetime) -> Proof:
    """As ``prove``, for a body that stays in its file; one with security segments of its own is held whole,
    within the policy's bound."""
    policy = handbook.policy
    if media_type.partition(";")[0].strip().lower() == EDIFACT:
        return prove(security.whole(security.Stretch.of_file(file), policy), media_type, handbook, now)
    layers = security.Layers(handbook.trust, policy, now, handbook.decrypters)
    verified = security.verify_file(file, media_type, layers)
    if verified.outline is not None:
        return Proof(verified)
    if verified.document is not None or not syntax.may_be_secured_in(verified.pieces()):
        return Proof(verified)
    return _with_own(verified, handbook, now)


def _with_own(verified: security.Verified, handbook: Handbook, now: datetime) -> Proof:
    """With what an interchange's own security proves, where it has any: then it is held whole."""
    stretch, limits = verified.stretch, handbook.edifact_limits
    if stretch is not None:
        limits = replace(limits, interchange=max(limits.interchange, stretch.size))
    survey = syntax.survey(verified.pieces(), limits)
    if not survey.secured:
        return Proof(verified)
    content = verified.content if stretch is None else security.whole(stretch, handbook.policy)
    own = _prove(content, survey, handbook, now, verified.signer)
    return Proof(security.attest(content, own, verified), own)


def agreed(verified: security.Verified, signer: Partner) -> tuple[Finding, ...]:
    """SIG400 where nothing around an interchange is signed, and no agreement with its signer says that its own
    security is enough."""
    if verified.envelope != security.EDIFACT_SECURITY or security.EDIFACT_SECURITY in signer.terms.envelopes:
        return ()
    return (Finding("SIG400", Place(part="USH"), found=signer.id),)


def _survey(content: bytes, handbook: Handbook) -> syntax.Survey:
    pieces = (content[start : start + syntax.PIECE] for start in range(0, len(content), syntax.PIECE))
    return syntax.survey(pieces, handbook.edifact_limits)


def _prove(
    content: bytes,
    survey: syntax.Survey,
    handbook: Handbook,
    now: datetime,
    outer: Signer | None = None,
) -> security.EdifactProof:
    profile, trust = handbook.edifact_security, handbook.trust
    lookup = certificates_named(handbook)
    return security.prove_edifact(content, survey, profile, lookup, trust, handbook.policy, now, outer)


def certificates_named(handbook: Handbook) -> security.Lookup:
    """Certificates that a USC names: the home's own, and those that partners registered; each name looked up once.

    Whose one is, and whether it is in its window, is asked of the register when the signature is proven.
    """
    known: dict[tuple[object, ...], tuple[bytes, ...]] = {}

    def found(named: NamedCertificate) -> tuple[bytes, ...]:
        key = named.reference, named.parties
        if key not in known:
            references = security.references_of(named)
            registered = {der: None for name in references for der in handbook.register.signers(name)}
            fitting = security.Certificates(registered)(named)
            known[key] = tuple(dict.fromkeys((*handbook.signers(named), *fitting)))
        return known[key]

    return found


def _judged(findings: tuple[Finding, ...], proven: bool) -> tuple[Finding, ...]:
    """The reader's findings, now that security was judged; where it was not, its segments secure nothing."""
    if not any(f.code == _PASSED_OVER and f.severity is Severity.WARNING for f in findings):
        return findings
    kept = [f for f in findings if f.code != _PASSED_OVER or f.severity is Severity.ERROR]
    passed = [f for f in findings if f.code == _PASSED_OVER and f.severity is Severity.WARNING]
    if not proven:
        kept += [msgspec.structs.replace(f, code="SIG438", severity=Severity.ERROR) for f in passed]
    return tuple(kept)


def _declaring(tree: Group) -> Group:
    """A message's tree without its groups of security."""
    kept = tuple(c for c in tree.children if not isinstance(c, Group) or c.name not in _SECURITY_GROUPS)
    return tree if len(kept) == len(tree.children) else replace(tree, children=kept)


def _another(message: syntax.Message, own: security.EdifactProof) -> Finding:
    """SIG435: reading and proving must have seen the same message."""
    place = Place(message=message.reference, segment=1, tag="UNH", offset=message.offsets[0])
    expected = own.proven.get(message.ordinal, (-1, -1))
    return Finding("SIG435", place, str(expected), str(message.offsets))
