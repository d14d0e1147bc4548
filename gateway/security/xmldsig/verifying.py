"""Enveloped XML signatures, narrow and fast: one parse, one tree, and that tree is what is read.

The document is parsed once.  Its signature is taken out of the tree, the tree is canonicalised and
digested, and the very same tree becomes the Verified's document: there is no second reading that
could differ from the first.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from lxml import etree

from gateway.safexml import XSI_NS, XmlLimits, XmlRefused, parse, xpath_of
from gateway.security.algorithms import DIGESTERS, check_signature, der_of_raw
from gateway.security.certificates.trust import Chain, Trust
from gateway.security.policy import Policy
from gateway.security.refused import Refused, refusal
from gateway.security.verified import SEAL, XML, XMLDSIG, Verified
from gateway.security.xmldsig.canonical import EXCLUSIVE, canonical
from gateway.security.xmldsig.signature import XmlSignature, read_signature

_UNBOUNDED = XmlLimits(max_bytes=2**31)
"""Octets made here, of a tree within its bounds; canonical, they may be somewhat longer."""
_XSI = XSI_NS.encode()
_XSI_TYPE = f"{{{XSI_NS}}}type"


def verify_xml(body: bytes, trust: Trust, policy: Policy, now: datetime) -> Verified:
    """Verify with our own engine.  Raises Refused (SIG and XML codes)."""
    root = read_document(body, policy)
    signature = read_signature(root, policy)
    # The key first: the document is not canonicalised for a sender that nobody knows.
    chain = trust.certify(signature.certificates, policy, now)
    value = der_of_raw(chain.key, signature.value, "SignatureValue")
    check_signature(chain.key, signature.profile.algorithm, value, signature.signed_info, "SignatureValue")
    content = detach(root, signature)
    if DIGESTERS[signature.profile.digest](content).digest() != signature.digest_value:
        raise refusal("SIG011", part="DigestValue")
    return verified_xml(root, content, signature, chain)


def read_document(body: bytes, policy: Policy) -> etree._Element:
    """The root element.  Raises Refused with the XML findings."""
    try:
        return parse(body, policy.xml)
    except XmlRefused as error:
        raise Refused(error.findings) from None


def detach(root: etree._Element, signature: XmlSignature) -> bytes:
    """Take the signature out of the tree, leave the text behind it (XML-Signature, 6.6.4), and
    return the canonical octets of the rest."""
    element = signature.element
    tail = element.tail
    if tail:
        before = element.getprevious()
        if before is None:
            root.text = (root.text or "") + tail
        else:
            before.tail = (before.tail or "") + tail
    root.remove(element)
    return canonical(root, signature.profile.content_c14n)


def verified_xml(root: etree._Element, content: bytes, signature: XmlSignature, chain: Chain) -> Verified:
    """The Verified of a tree that was digested as ``content``.  Raises Refused (SIG014)."""
    if signature.profile.content_c14n == EXCLUSIVE and _XSI in content:
        _check_types(root, content)
    signer = msgspec.structs.replace(chain.signer, algorithm=signature.profile.algorithm.name)
    return Verified(content, XML, root, signer, XMLDSIG, seal=SEAL)


def _check_types(root: etree._Element, content: bytes) -> None:
    """Exclusive canonicalisation does not sign a prefix that only an xsi:type's value uses.

    Such a prefix must mean in the signed octets what it means in the document, or whoever carried
    the message could have changed a type.  Raises Refused (SIG014).
    """
    signed = parse(content, _UNBOUNDED).iter(etree.Element)
    for element in root.iter(etree.Element):
        twin = next(signed)
        value = element.get(_XSI_TYPE)
        if value is None:
            continue
        prefix = value.strip().rpartition(":")[0] or None
        if prefix != "xml" and element.nsmap.get(prefix) != twin.nsmap.get(prefix):
            raise refusal("SIG014", found=value, part=xpath_of(element), line=element.sourceline or 0)
