"""The second opinion on XML signatures: signxml, held to the same policy.

It parses the sender's octets with its own parser and canonicalises and digests on its own; what it
says was signed must be, octet for octet, what our tree canonicalises to.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from gateway.security.algorithms import XML_DIGESTS, XML_SIGNATURES, PublicKey
from gateway.security.certificates.certificate import read_certificate
from gateway.security.certificates.trust import Trust
from gateway.security.policy import Policy
from gateway.security.refused import Refused, refusal
from gateway.security.verified import Verified
from gateway.security.xmldsig.signature import XmlSignature
from gateway.security.xmldsig.v5 import is_v5, verify_v5
from gateway.security.xmldsig.verifying import prove, read_document, verified_xml, verify_xml

_LOG = logging.getLogger("gateway.security")

_MISSHAPEN: Final = "SIG005"
_METHODS: Final = {method.value: method for method in SignatureMethod}
_DIGESTS: Final = {digest.value: digest for digest in DigestAlgorithm}


def verify_by_reference(body: bytes, trust: Trust, policy: Policy, now: datetime) -> Verified:
    """Verify with signxml.

    The shape of the signature, its properties and the signer's chain are judged as for our own engine, because
    signxml would accept more (a signature over a part, other transforms).  The version 5 envelope holds no
    XML signature, so there is no second opinion on it.  Raises Refused.
    """
    root = read_document(body, policy)
    if is_v5(root):
        return verify_v5(root, trust, policy, now)

    def ask(signature: XmlSignature, certificate: bytes, key: PublicKey) -> Sequence[bytes]:
        return _ask(body, signature, certificate, now)

    return verified_xml(prove(root, trust, policy, now, ask), policy)


def verify_by_both(body: bytes, trust: Trust, policy: Policy, now: datetime) -> Verified:
    """Verify with both engines and believe them only where they agree.

    A disagreement is refused (SIG090) and logged as an alarm: either engine has a defect.  That signxml asks
    the schema of everything around, which nobody signed and anybody may have changed, is none: that is refused
    as misshapen (SIG005).
    """
    ours = _verdict(verify_xml, body, trust, policy, now)
    theirs = _verdict(verify_by_reference, body, trust, policy, now)
    if isinstance(ours, Refused) and isinstance(theirs, Refused):
        raise ours
    if isinstance(theirs, Refused) and theirs.code == _MISSHAPEN:
        raise theirs
    if isinstance(ours, Verified) and isinstance(theirs, Verified) and ours.content == theirs.content:
        return ours
    said = {"fast": _said(ours), "signxml": _said(theirs)}
    digest = hashlib.sha256(body).hexdigest()
    _LOG.critical("signature engines disagree", extra={"event": "SIG090", "sha256": digest, **said})
    raise refusal("SIG090", expected=f"fast: {said['fast']}", found=f"signxml: {said['signxml']}")


class _Engine(Protocol):
    def __call__(self, body: bytes, trust: Trust, policy: Policy, now: datetime) -> Verified: ...


def _verdict(engine: _Engine, body: bytes, trust: Trust, policy: Policy, now: datetime) -> Verified | Refused:
    try:
        return engine(body, trust, policy, now)
    except Refused as refused:
        return refused


def _said(verdict: Verified | Refused) -> str:
    return verdict.code if isinstance(verdict, Refused) else "verified"


def _ask(body: bytes, signature: XmlSignature, certificate: bytes, now: datetime) -> Sequence[bytes]:
    """The octets that signxml finds each reference to cover, signed by the certificate.

    The algorithms are those that the policy has admitted for this signature.  Raises Refused (SIG005, SIG012)."""
    profile = signature.profile
    methods = [uri for uri, algorithm in XML_SIGNATURES.items() if algorithm == profile.algorithm]
    used = {target.digest for target in profile.targets}
    digests = [uri for uri, digest in XML_DIGESTS.items() if digest in used]
    expected = SignatureConfiguration(
        require_x509=True,
        location="./" if signature.element.getparent() is not None else ".",
        expect_references=len(profile.targets),
        signature_methods=frozenset(_METHODS[uri] for uri in methods if uri in _METHODS),
        digest_algorithms=frozenset(_DIGESTS[uri] for uri in digests if uri in _DIGESTS),
        ignore_ambiguous_key_info=True,  # a KeyValue is not read at all
        verification_time=now,
        default_reference_c14n_method=CanonicalizationMethod.CANONICAL_XML_1_0,
    )
    signer = read_certificate(certificate)
    if signature.element.tail:
        # signxml takes it out together with the signature, wherever anybody has moved that to.
        raise refusal(_MISSHAPEN, "no text behind it", signature.element.tail, "Signature")
    try:
        found = XMLVerifier().verify(body, x509_cert=signer, expect_config=expected)
    except etree.DocumentInvalid as error:
        raise refusal(_MISSHAPEN, "the schema of XML-Signature", str(error), "Signature") from None
    except (
        SignXMLException,
        InvalidSignature,
        UnsupportedAlgorithm,
        etree.LxmlError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
    ) as error:
        # signxml lets Python's own errors through for some malformed values.
        raise refusal("SIG012", found=type(error).__name__, part="SignatureValue") from None
    results = found if isinstance(found, list) else [found]
    return [bytes(result.signed_data) for result in results]
