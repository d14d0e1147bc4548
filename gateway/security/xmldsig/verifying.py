"""XML signatures, narrow and fast: one parse, one tree, and that tree is what is read.

The document is parsed once.  What the signature covers is taken out of the tree, canonicalised and digested,
and the very same tree becomes the Verified's document: there is no second reading that could differ from
the first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
from lxml import etree

from gateway.model import Finding, Proof, Signer
from gateway.safexml import XmlRefused, parse
from gateway.security.algorithms import (
    DIGESTERS,
    UNKNOWN_TO_REFERENCE,
    PublicKey,
    admitted,
    check_signature,
    der_of_raw,
)
from gateway.security.certificates.trust import Trust
from gateway.security.content import kind_of
from gateway.security.policy import ENVELOPED, Policy
from gateway.security.refused import Refused, refusal
from gateway.security.verified import EDIFACT, MULTIPART_SIGNED, SEAL, XML, XMLDSIG, Verified
from gateway.security.xmldsig.canonical import canonical, canonical_part
from gateway.security.xmldsig.forms import FORMS
from gateway.security.xmldsig.plain import Plain, PlainStretch, plain_of
from gateway.security.xmldsig.properties import Qualifying, read_properties
from gateway.security.xmldsig.qualified import judge_qualified
from gateway.security.xmldsig.shapes import (
    Content,
    Place,
    c14n_of_target,
    place_of,
    place_outside,
    take,
    take_whole,
)
from gateway.security.xmldsig.signature import XmlSignature, only_signature, read_signature, remember
from gateway.security.xmldsig.v5 import is_v5, verify_v5

Check = Callable[[XmlSignature, bytes, PublicKey], Sequence[bytes] | None]
"""The public-key operation with the signer's certificate (DER) and key.  A second engine also returns the
octets that it found each reference to cover, to be compared with ours.  Raises Refused."""


class Proven(msgspec.Struct, frozen=True):
    """What a signature was proven to cover, in which shape, by whom, resting on what."""

    content: Content
    shape: str
    signer: Signer
    proof: Proof
    findings: tuple[Finding, ...] = ()


def verify_xml(body: bytes, trust: Trust, policy: Policy, now: datetime) -> Verified:
    """Verify a signed document with our own engine.  Raises Refused (SIG and XML codes)."""
    root = read_document(body, policy)
    if is_v5(root):
        return verify_v5(root, trust, policy, now)
    return verified_xml(prove(root, trust, policy, now, body=body), policy)


def verify_beside(
    document: bytes, forms: Sequence[bytes], content_id: str, trust: Trust, policy: Policy, now: datetime
) -> Proven:
    """Verify a signature that is a document of its own, over the part beside it.

    ``forms``: the octets that the part may have been signed in, of which the first that has the signed
    digest is the content; ``content_id``: the part's Content-ID without angle brackets.  Raises Refused."""
    return prove(read_document(document, policy), trust, policy, now, beside=(forms, content_id))


def read_document(body: bytes, policy: Policy) -> etree._Element:
    """The root element.  Raises Refused with the XML findings."""
    try:
        return parse(body, policy.xml)
    except XmlRefused as error:
        raise Refused(error.findings) from None


def check_by_key(signature: XmlSignature, certificate: bytes, key: PublicKey) -> None:
    """Our own public-key operation.  Raises Refused (SIG012, SIG013, SIG030)."""
    value = der_of_raw(key, signature.value, "SignatureValue")
    check_signature(key, signature.profile.algorithm, value, signature.signed_info, "SignatureValue")


def prove(
    root: etree._Element,
    trust: Trust,
    policy: Policy,
    now: datetime,
    check: Check = check_by_key,
    beside: tuple[Sequence[bytes], str] | None = None,
    body: bytes | None = None,
) -> Proven:
    """Prove the document's only signature; ``root`` is taken apart.  ``body``: the octets that it was parsed from,
    which spare much where they are plain.  Raises Refused (SIG codes)."""
    element = only_signature(root)
    plain = None if body is None else plain_of(body, root, element)
    known = None if plain is None else FORMS.read(plain.signature(), element, policy)
    signature = known or read_signature(element, policy)
    profile = signature.profile
    if policy.engine != "fast" and profile.method in UNKNOWN_TO_REFERENCE:
        raise refusal("SIG006", "what both engines know", profile.method, "SignedInfo")
    if profile.whole and beside is None and not signature.objects and signature.element is not root:
        proven = _prove_simple(root, signature, ENVELOPED, trust, policy, now, check, plain=plain)
        if known is None and plain is not None:
            FORMS.learn(plain.signature(), signature, policy)
        return proven
    place = place_of(root, signature) if beside is None else place_outside(root, signature, beside[1])
    properties = read_properties(root, signature, place)
    if properties is None:
        return _prove_simple(root, signature, place, trust, policy, now, check, beside, plain)
    digests = {*(target.digest for target in profile.targets), *properties.digests}
    legacy = admitted(profile.algorithm, digests, policy, now, "SignedInfo", place.shape)

    def take_content(theirs: Sequence[bytes] | None) -> tuple[Content, Sequence[bytes]]:
        return _taken(root, signature, place, properties, policy, theirs, beside, plain)

    judged = judge_qualified(signature, properties, trust, policy, now, check, take_content)
    remember(signature)
    signer = msgspec.structs.replace(judged.signer, algorithm=profile.algorithm.name, profile=legacy)
    return Proven(judged.content, place.shape, signer, judged.proof, judged.findings)


def prove_in_file(
    plain: PlainStretch, trust: Trust, policy: Policy, now: datetime
) -> tuple[Signer, Proof] | None:
    """As `prove`, of a document that is canonical as it came, by a signature of the whole and without properties;
    None for any other.  What was proven is ``plain.content()``.  Raises Refused."""
    root = read_document(plain.hollow(), policy)
    signature = read_signature(only_signature(root), policy)
    profile = signature.profile
    if not profile.whole or signature.objects or not plain.is_canonical(c14n_of_target(profile.targets[0])):
        return None
    signer, proof, _ = _signed_by(signature, ENVELOPED, trust, policy, now, check_by_key)
    target = profile.targets[0]
    if plain.content().digest(target.digest) != signature.digests[0]:
        raise refusal("SIG011", part="DigestValue", found=target.uri)
    return signer, proof


def _prove_simple(
    root: etree._Element,
    signature: XmlSignature,
    place: Place | str,
    trust: Trust,
    policy: Policy,
    now: datetime,
    check: Check,
    beside: tuple[Sequence[bytes], str] | None = None,
    plain: Plain | None = None,
) -> Proven:
    """Prove a signature without properties.  ``place``: a shape's name where the whole document is covered, and
    nothing more has to be known of it: most messages are such, and take the short way."""
    shape = place if isinstance(place, str) else place.shape
    signer, proof, theirs = _signed_by(signature, shape, trust, policy, now, check)
    if isinstance(place, str):
        content = take_whole(root, signature, signature.profile.targets[0], plain)
        _check_digests(signature, (content.octets,), theirs)
    else:
        content, _ = _taken(root, signature, place, None, policy, theirs, beside, plain)
    return Proven(content, shape, signer, proof)


def _signed_by(
    signature: XmlSignature, shape: str, trust: Trust, policy: Policy, now: datetime, check: Check
) -> tuple[Signer, Proof, Sequence[bytes] | None]:
    """Who signed, by a signature without properties; the digests are not looked at yet."""
    profile = signature.profile
    digests = [target.digest for target in profile.targets]
    legacy = admitted(profile.algorithm, digests, policy, now, "SignedInfo", shape)
    if policy.level:
        raise refusal("SIG120", policy.level, "XML-DSig", "Signature", signature.element.sourceline or 0)
    # The key first: the document is not canonicalised for a sender that nobody knows.
    chain, proof = trust.prove(signature.certificates, policy, now)
    theirs = check(signature, chain.certificates[0], chain.key)
    remember(signature)
    signer = msgspec.structs.replace(chain.signer, algorithm=profile.algorithm.name, profile=legacy)
    return signer, proof, theirs


def _taken(
    root: etree._Element,
    signature: XmlSignature,
    place: Place,
    properties: Qualifying | None,
    policy: Policy,
    theirs: Sequence[bytes] | None,
    beside: tuple[Sequence[bytes], str] | None,
    plain: Plain | None,
) -> tuple[Content, Sequence[bytes]]:
    """The content, and what each reference covers, once every digest has held.  Raises Refused (SIG011)."""
    covered = _parts(signature, place, properties)
    content = (
        take(root, signature, place, plain)
        if beside is None
        else _beside(signature, place, beside[0], policy)
    )
    covered[place.content] = content.octets
    _check_digests(signature, covered, theirs)
    return content, covered


def _parts(signature: XmlSignature, place: Place, properties: Qualifying | None) -> list[bytes]:
    """The octets of the references into the signature itself, the content's left empty; they are taken
    while everything stands in its place."""
    covered = [b""] * len(signature.profile.targets)
    parts = (
        (place.properties, properties.signed if properties else None),
        (place.key_info, signature.key_info),
    )
    for index, element in parts:
        if index >= 0 and element is not None:
            target = signature.profile.targets[index]
            covered[index] = canonical_part(element, c14n_of_target(target))
    return covered


def _check_digests(signature: XmlSignature, covered: Sequence[bytes], theirs: Sequence[bytes] | None) -> None:
    if theirs is not None:
        if list(theirs) != list(covered):
            raise refusal("SIG011", part="DigestValue")
        return
    for target, octets, digest in zip(signature.profile.targets, covered, signature.digests, strict=True):
        if DIGESTERS[target.digest](octets).digest() != digest:
            raise refusal("SIG011", part="DigestValue", found=target.uri)


def _beside(signature: XmlSignature, place: Place, forms: Sequence[bytes], policy: Policy) -> Content:
    """The part beside the signature: as it is, or canonical where the reference says so."""
    target, digest = signature.profile.targets[place.content], signature.digests[place.content]
    if target.transforms:
        root = read_document(forms[0], policy)
        return Content(canonical(root, c14n_of_target(target)), root)
    for octets in forms:
        if DIGESTERS[target.digest](octets).digest() == digest:
            return Content(octets, None)
    return Content(forms[0], None)


def verified_xml(proven: Proven, policy: Policy) -> Verified:
    """The Verified of what was proven.  Raises Refused (SIG053) where that is no message."""
    octets, document = proven.content.octets, proven.content.document
    kind = XML
    if document is None:
        kind = kind_of(octets)
        if not kind:
            raise refusal("SIG053", ", ".join((EDIFACT, XML)), "other octets", "content")
        document = read_document(octets, policy) if kind == XML else None
    # An interchange that came signed in XML is answered as any other is.
    envelope = XMLDSIG if kind == XML else MULTIPART_SIGNED
    return Verified(
        octets, kind, document, proven.signer, envelope, proven.proof, findings=proven.findings, seal=SEAL
    )
