"""A XAdES signature judged: whose certificate it names, when it was made, up to which level it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import msgspec

from gateway.model import Finding, Place, Proof, Revocation, Signer
from gateway.model.finding import Severity
from gateway.security.algorithms import PublicKey
from gateway.security.certificates.signer_id import SignerId
from gateway.security.certificates.trust import Chain, Trust
from gateway.security.cms.cades import check_signing_time, needed_of
from gateway.security.cms.material import Material, certify_at_any, shown_by
from gateway.security.policy import LEVELS, Policy
from gateway.security.refused import Refused, refusal
from gateway.security.xmldsig.levels import Stamped, climb, material_of, pieces_of, tokens_of
from gateway.security.xmldsig.properties import Identity, Qualifying, identity_of, signer_named
from gateway.security.xmldsig.shapes import Content
from gateway.security.xmldsig.signature import XmlSignature

_NOW = Stamped(None, (), 0, (), ())
"""Of a signature without stamps: it is known to exist only now."""

Check = Callable[[XmlSignature, bytes, PublicKey], Sequence[bytes] | None]
Take = Callable[[Sequence[bytes] | None], tuple[Content, Sequence[bytes]]]
"""Takes the content and checks every digest; also returns the octets of each reference."""


class Judged(msgspec.Struct, frozen=True):
    """The content, its signer with times and level, what that rests on, and what was not believed."""

    content: Content
    signer: Signer
    proof: Proof
    findings: tuple[Finding, ...]


def judge_qualified(
    signature: XmlSignature,
    properties: Qualifying,
    trust: Trust,
    policy: Policy,
    now: datetime,
    check: Check,
    take: Take,
) -> Judged:
    """Judge a signature with qualifying properties.

    The chain must hold when the signature is first known to have existed: at its time stamp, or now.  Raises
    Refused: SIG011..SIG013, SIG030, SIG048, SIG111, SIG120, SIG216, and the codes of certificates.
    """
    leaf = signer_named(signature.certificates, properties)
    signer = identity_of(leaf)
    wanted = SignerId(issuer=signer.issuer, serial=signer.serial)
    material = material_of(properties.unsigned)
    bundle = _bundle(signature.certificates, material.certificates, policy)
    # What the sender brought to be judged by is judged, whether or not the operator asks for it.
    asked = policy.revocation == "off" and bool(material.responses)
    asking = msgspec.structs.replace(policy, revocation="accept") if asked else policy

    def chain_at(at: datetime | None) -> tuple[Chain, Proof]:
        return trust.prove(bundle, asking, now, wanted, material.responses, at)

    tokens = tokens_of(properties)
    if not tokens:
        chain, proof = chain_at(None)
        content, _ = take(check(signature, chain.certificates[0], chain.key))
        stamped, shown = _NOW, proof
    else:
        # The time at which the chain must hold is not known before the stamps are read.
        times = filter(None, (token.claimed() for token in tokens if token.is_own))
        known = certify_at_any(trust, bundle, policy, wanted, now, times)
        theirs = check(signature, leaf, known.key)
        pieces = pieces_of(signature, properties, tokens)
        content, referenced = take(theirs)
        stamped = climb(tokens, pieces, referenced, trust, policy, now)
        chain, proof = chain_at(stamped.at)
        shown = shown_by(material, proof, trust, bundle, asking, wanted, now, stamped.at)
    check_signing_time(properties.signed_at, stamped.stamps[: stamped.own], policy, now)
    level, findings = _level(signature, properties, stamped, shown, material)
    if LEVELS.index(level) < LEVELS.index(policy.level):
        raise Refused(
            (*refusal("SIG120", policy.level, level or "XML-DSig", "Signature").findings, *findings)
        )
    told = msgspec.structs.replace(
        chain.signer,
        signed_at=properties.signed_at,
        stamped_at=stamped.at,
        level=level,
        policy=properties.policy,
    )
    return Judged(content, told, _with_stamps(proof, stamped), findings)


def _bundle(certificates: Iterable[bytes], more: Iterable[bytes], policy: Policy) -> tuple[bytes, ...]:
    """The certificates that came with the signature, and of those among its unsigned properties (which may
    be the stampers' as well) those that the signer's path can use."""
    found = list(dict.fromkeys(certificates))
    pool = [der for der in dict.fromkeys(more) if der not in found]
    if not pool:
        return tuple(found)
    wanted = {identity_of(der).issuer for der in found}
    grown = True
    while grown:
        grown = False
        for der in list(pool):
            known = _readable(der)
            if known is None or known.subject not in wanted or len(found) >= policy.max_certificates:
                continue
            pool.remove(der)
            found.append(der)
            wanted.add(known.issuer)
            grown = True
    return tuple(found)


def _readable(der: bytes) -> Identity | None:
    try:
        return identity_of(der)
    except Refused:
        return None


def _level(
    signature: XmlSignature, properties: Qualifying, stamped: Stamped, shown: Proof, material: Material
) -> tuple[str, tuple[Finding, ...]]:
    """The level that was proven, and what of a higher one was not believed.  ``shown``: what the revocation
    values that came with the signature show by themselves."""
    findings = list(stamped.findings)
    level = "B"
    if properties.signed_at is None:
        level = ""
        findings.append(_remark("SIG116", expected="SigningTime"))
    if stamped.at is None or not level:
        return level, tuple(findings)
    if not material.responses:
        return "T", tuple(findings)
    if shown.revocation is not Revocation.GOOD:
        findings.append(_remark("SIG122", found=shown.revocation.value))
        return "T", tuple(findings)
    if not stamped.covers:
        return "LT", tuple(findings)
    needed = needed_of(shown, material).difference(signature.certificates)
    for index in stamped.covers:
        covered = material_of(properties.unsigned[:index])
        if needed.issubset((*covered.certificates, *covered.responses)):
            return "LTA", tuple(findings)
    return "LT", (*findings, _remark("SIG220"))


def _remark(code: str, expected: str = "", found: str = "") -> Finding:
    return Finding(code, Place(part="QualifyingProperties"), expected, found, Severity.WARNING)


def _with_stamps(proof: Proof, stamped: Stamped) -> Proof:
    stampers = dict.fromkeys(der for stamp in stamped.stamps for der in stamp.certificates)
    tokens = tuple(stamp.token for stamp in stamped.stamps)
    return msgspec.structs.replace(proof, stamps=tokens, stampers=tuple(stampers))
