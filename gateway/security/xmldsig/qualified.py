"""A XAdES signature judged: whose certificate it names, when it was made, up to which level it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import msgspec

from gateway.model import Finding, Place, Proof, Revocation, Signer
from gateway.model.finding import Severity
from gateway.security.algorithms import PublicKey, check_key
from gateway.security.certificates.certificate import public_key_of
from gateway.security.certificates.signer_id import SignerId
from gateway.security.certificates.trust import Chain, Trust
from gateway.security.policy import LEVELS, Policy
from gateway.security.refused import Refused, refusal
from gateway.security.xmldsig.levels import Stamped, climb, imprints_of, is_stamped, material_of
from gateway.security.xmldsig.properties import Identity, Qualifying, identity_of, signer_named
from gateway.security.xmldsig.shapes import Content
from gateway.security.xmldsig.signature import XmlSignature

_NOW = Stamped(None, (), False, ())
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
    Refused: SIG011..SIG013, SIG030, SIG048, SIG111, SIG120, and the codes of certificates.
    """
    _check_time(properties, policy, now)
    leaf = signer_named(signature.certificates, properties)
    signer = identity_of(leaf)
    wanted = SignerId(issuer=signer.issuer, serial=signer.serial)
    material = material_of(properties)
    bundle = _bundle(signature.certificates, material.certificates, policy)
    # What the sender brought to be judged by is judged, whether or not the operator asks for it.
    asked = policy.revocation == "off" and bool(material.responses)
    asking = msgspec.structs.replace(policy, revocation="accept") if asked else policy

    def chain_at(at: datetime | None) -> tuple[Chain, Proof]:
        return trust.prove(bundle, asking, now, wanted, material.responses, at)

    if not is_stamped(properties):
        chain, proof = chain_at(None)
        content, _ = take(check(signature, chain.certificates[0], chain.key))
        stamped = _NOW
    else:
        # The time at which the chain must hold is not known before the stamps are read.
        key = check_key(public_key_of(signer.certificate), policy, "certificate")
        theirs = check(signature, leaf, key)
        imprints = imprints_of(signature, properties)
        content, referenced = take(theirs)
        stamped = climb(properties, imprints, referenced, trust, policy, now)
        chain, proof = chain_at(stamped.at)
    level, findings = _level(properties, stamped, proof, claimed=bool(material.responses))
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


def _check_time(properties: Qualifying, policy: Policy, now: datetime) -> None:
    latest = now + policy.clock_skew
    if properties.signed_at is not None and properties.signed_at > latest:
        raise refusal("SIG048", f"<= {latest.isoformat()}", properties.signed_at.isoformat(), "SigningTime")


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
    properties: Qualifying, stamped: Stamped, proof: Proof, *, claimed: bool
) -> tuple[str, tuple[Finding, ...]]:
    """The level that was proven, and what of a higher one was not believed.  ``claimed``: revocation values
    came with the signature."""
    findings = list(stamped.findings)
    level = "B"
    if properties.signed_at is None:
        level = ""
        findings.append(_remark("SIG116", expected="SigningTime"))
    if stamped.at is None or not level:
        return level, tuple(findings)
    if not claimed:
        return "T", tuple(findings)
    if proof.revocation is not Revocation.GOOD:
        findings.append(_remark("SIG122", found=proof.revocation.value))
        return "T", tuple(findings)
    return ("LTA" if stamped.archived else "LT"), tuple(findings)


def _remark(code: str, expected: str = "", found: str = "") -> Finding:
    return Finding(code, Place(part="QualifyingProperties"), expected, found, Severity.WARNING)


def _with_stamps(proof: Proof, stamped: Stamped) -> Proof:
    stampers = dict.fromkeys(der for stamp in stamped.stamps for der in stamp.certificates)
    tokens = tuple(stamp.token for stamp in stamped.stamps)
    return msgspec.structs.replace(proof, stamps=tokens, stampers=tuple(stampers))
