"""CMS SignedData with exactly one signer (RFC 5652, CAdES), read strictly.

What is believed is only what the signature covers: the content through its message digest, and the
signed attributes as the octets that were received.  Unsigned attributes are believed as far as they prove
themselves: a time stamp by its authority's signature, revocation values by their issuers'.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from typing import Final, Generic, TypeVar

import msgspec
from cryptography.hazmat.asn1 import TLV, decode_der
from cryptography.x509 import ObjectIdentifier

from gateway.model import Finding, Proof, Signer
from gateway.security.algorithms import Algorithm, admitted, check_signature
from gateway.security.certificates.trust import Trust
from gateway.security.cms.ber import NotBer, each_in, to_der
from gateway.security.cms.cades import (
    NO_STAMPS,
    check_level,
    check_signing_time,
    claimed_times,
    level_of,
    read_stamps,
)
from gateway.security.cms.claim import Claim, claim_of
from gateway.security.cms.ess import check_certificate_named, signature_policy
from gateway.security.cms.forms import FORMS, Known
from gateway.security.cms.identifiers import algorithm_of, digest_of
from gateway.security.cms.material import candidates, certify_at_any, shown_by
from gateway.security.cms.signer_info import OneSigner, one_signer
from gateway.security.cms.structures import DATA, SIGNED_DATA, ContentInfo, SignedData
from gateway.security.policy import Policy
from gateway.security.refused import refusal
from gateway.security.stretch import Stretch, digested

MAX_AROUND: Final = 2 * 1024 * 1024
"""Octets of a SignedData beside its content: certificates, a CRL (asking.MAX_EMBEDDED_CRL) and time stamps take
less; a million empty attributes take as much, and fifty times that in memory once they are taken apart."""


Octets = TypeVar("Octets", bound=bytes | Stretch)
"""A content in memory, or one that stays in its file."""


class Signed(msgspec.Struct, Generic[Octets], frozen=True):
    """The content that a CMS signature covers, the digest's name, its signer, what proved it, and what it
    claimed besides and was not believed."""

    content: Octets
    digest: str
    signer: Signer
    proof: Proof = Proof()
    findings: tuple[Finding, ...] = ()


class Content(msgspec.Struct, frozen=True):
    """A ContentInfo: its type, its content, and that read where it is SignedData.

    ``known``: in place of both, where it is SignedData of a known form.  ``body``: the DER, where a form can be
    learnt from it."""

    type: ObjectIdentifier
    content: TLV | None
    signed: SignedData | None
    known: Known | None = None
    body: bytes = b""


def verify_cms(
    body: bytes, detached: Iterable[bytes] | None, trust: Trust, policy: Policy, now: datetime
) -> Signed[bytes]:
    """Verify a ContentInfo (DER, or BER of definite meaning).

    ``detached``: None where the content is inside; otherwise the forms that the content outside may
    have been signed in (as transmitted, and with MIME's line ends), of which the first that has the
    signed digest is the content.  Raises Refused (SIG and certificate codes).
    """
    return verify_signed_data(read_content_info(body), detached, trust, policy, now)


def verify_signed_data(
    info: Content, detached: Iterable[bytes] | None, trust: Trust, policy: Policy, now: datetime
) -> Signed[bytes]:
    """As ``verify_cms``, for what was read already."""
    return _verified(info, _contents(info, detached), trust, policy, now)


def verify_beside_file(
    info: Content, detached: Iterable[Stretch], trust: Trust, policy: Policy, now: datetime
) -> Signed[Stretch]:
    """As ``verify_cms``, for a content that stays in its file."""
    _check_no_content(info)
    return _verified(info, detached, trust, policy, now)


def _verified(
    info: Content, contents: Iterable[Octets], trust: Trust, policy: Policy, now: datetime
) -> Signed[Octets]:
    if info.known is not None:
        claim = info.known.claim
        profile = admitted(claim.algorithm, (claim.digest,), policy, now, "SignerInfo")
        return _verify_claim(claim, profile, None, contents, trust, policy, now)
    try:
        one = one_signer(_signed_data(info))
        digest, algorithm, profile = _admitted(one, policy, now)
        claim = claim_of(one, digest, algorithm, policy)
        verified = _verify_claim(claim, profile, one, contents, trust, policy, now)
    except ValueError:
        raise refusal("SIG040", "DER", "", "SignerInfo") from None
    FORMS.learn(info.body, claim, policy)
    return verified


def attached_content(body: bytes) -> bytes:
    """The content inside a ContentInfo, whoever signed it and whether or not it is true.

    Raises Refused where there is none."""
    (content,) = _contents(read_content_info(body), None)
    return content


def read_content_info(body: bytes) -> Content:
    """Strict DER first; what is no DER is made definite and read strictly again.  Raises Refused (SIG040)."""
    known = FORMS.read(body)
    if known is not None:
        return Content(SIGNED_DATA, None, None, known)
    try:
        return _decoded(body)
    except ValueError:
        pass
    try:
        return _decoded(to_der(body))
    except (NotBer, ValueError):
        raise refusal("SIG040", "DER", "", "ContentInfo") from None


def _decoded(body: bytes) -> Content:
    info = decode_der(ContentInfo, body)
    if info.content_type == SIGNED_DATA and len(body) > MAX_AROUND:
        _check_around(body)
    signed = info.content.parse(SignedData) if info.content_type == SIGNED_DATA else None
    return Content(info.content_type, info.content, signed, body=body if signed is not None else b"")


def _check_around(body: bytes) -> None:
    """Raises Refused (SIG218) where too much is not content, before any of it is taken apart."""
    try:
        (explicit, _) = next(islice(each_in(body, 0), 1, None))
        (signed, _) = next(each_in(body, explicit))
        start, end = next(islice(each_in(body, signed), 2, None))
    except (ValueError, IndexError, StopIteration):
        raise refusal("SIG040", "DER", "", "SignedData") from None
    around = len(body) - (end - start)
    if around > MAX_AROUND:
        raise refusal("SIG218", f"<= {MAX_AROUND} octets", f"{around} octets", "SignedData")


def _signed_data(info: Content) -> SignedData:
    if info.signed is None:
        raise refusal("SIG041", SIGNED_DATA.dotted_string, info.type.dotted_string, "ContentInfo")
    return info.signed


def _contents(info: Content, detached: Iterable[bytes] | None) -> Iterable[bytes]:
    """The forms of the content, which must be in one place only."""
    if detached is not None:
        _check_no_content(info)
        return detached
    inside = _inside(info)
    if inside is None:
        raise refusal("SIG046", "eContent", "", "encapContentInfo")
    return (inside,)


def _inside(info: Content) -> bytes | None:
    """The content in its place, which must be data.  Raises Refused (SIG041, SIG044)."""
    if info.known is not None:
        return info.known.content
    encapsulated = _signed_data(info).encapsulated
    if encapsulated.content_type != DATA:
        found = encapsulated.content_type.dotted_string
        raise refusal("SIG044", DATA.dotted_string, found, "encapContentInfo")
    return encapsulated.content


def _check_no_content(info: Content) -> None:
    if _inside(info) is not None:
        raise refusal("SIG046", "no eContent", "eContent", "encapContentInfo")


def _verify_claim(
    claim: Claim,
    profile: str,
    one: OneSigner | None,
    contents: Iterable[Octets],
    trust: Trust,
    policy: Policy,
    now: datetime,
) -> Signed[Octets]:
    """``one``: where the claim was read from; None for one of a known form, which has no unsigned attributes."""
    attributes, material, unsigned, wanted = claim.attributes, claim.material, claim.unsigned, claim.wanted
    bundle = candidates(material.certificates, wanted, policy)
    # What the sender brought to be judged by is judged, whether or not the operator asks for it.
    asked = policy.revocation == "off" and bool(material.responses)
    asking = msgspec.structs.replace(policy, revocation="accept") if asked else policy
    # The key first: nothing is digested, and no stamp judged, for a sender that nobody knows.
    times = claimed_times(unsigned)
    if times:
        key = certify_at_any(trust, bundle, policy, wanted, now, times).key
    else:
        chain, proof = trust.prove(bundle, asking, now, wanted, material.responses)
        key = chain.key
    check_signature(key, claim.algorithm, claim.value, attributes.octets, "SignerInfo")
    content = _matching(contents, claim.digest, attributes.message_digest)
    stamps = NO_STAMPS
    if times and one is not None:
        stamps = read_stamps(one, content, unsigned, material, trust, policy, now)
        chain, proof = trust.prove(bundle, asking, now, wanted, material.responses, stamps.at)
    named = check_certificate_named(attributes, chain.certificates[0], "signing-certificate")
    check_signing_time(attributes.signed_at, stamps.signature, policy, now)
    shown = shown_by(material, proof, trust, bundle, asking, wanted, now, stamps.at) if times else proof
    level, lowered = level_of(named, attributes.signed_at, stamps, shown, material)
    check_level(level, named, (*stamps.findings, *lowered), policy)
    signer = msgspec.structs.replace(
        chain.signer,
        algorithm=claim.algorithm.name,
        signed_at=attributes.signed_at,
        stamped_at=stamps.at,
        level=level,
        profile=profile,
        policy=signature_policy(attributes),
    )
    return Signed(content, claim.digest, signer, stamps.added_to(proof), (*stamps.findings, *lowered))


def _admitted(one: OneSigner, policy: Policy, now: datetime) -> tuple[str, Algorithm, str]:
    """The digest, the algorithm, and the legacy profile that admits them ("" where the policy does)."""
    digest = digest_of(one.digest_algorithm)
    algorithm = algorithm_of(one.signature_algorithm, digest)
    return digest, algorithm, admitted(algorithm, (digest,), policy, now, "SignerInfo")


def _matching(contents: Iterable[Octets], digest: str, wanted: bytes) -> Octets:
    for content in contents:
        if digested(content, digest) == wanted:
            return content
    raise refusal("SIG011", part="messageDigest")
