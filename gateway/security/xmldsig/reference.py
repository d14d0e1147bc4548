"""The second opinion on XML signatures: signxml, held to the same policy.

It parses the sender's octets with its own parser and canonicalises and digests on its own; what it
says was signed must be, octet for octet, what our tree canonicalises to.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, VerifyResult, XMLVerifier

from gateway.security.algorithms import RSA_PSS_DEFAULTS, XML_DIGESTS, XML_SIGNATURES
from gateway.security.certificates.certificate import read_certificate
from gateway.security.certificates.trust import Trust
from gateway.security.policy import Policy
from gateway.security.refused import Refused, refusal
from gateway.security.verified import Verified
from gateway.security.xmldsig.signature import read_signature
from gateway.security.xmldsig.verifying import detach, read_document, verified_xml, verify_xml

_LOG = logging.getLogger("gateway.security")


def verify_by_reference(body: bytes, trust: Trust, policy: Policy, now: datetime) -> Verified:
    """Verify with signxml.

    The shape of the signature and the signer's chain are judged as for our own engine, because
    signxml would accept more (a signature over a part, other transforms).  Raises Refused.
    """
    root = read_document(body, policy)
    signature = read_signature(root, policy)
    chain = trust.certify(signature.certificates, policy, now)
    signed = _ask(body, chain.certificates[0], policy, now)
    content = detach(root, signature)
    if content != signed:
        raise refusal("SIG011", part="DigestValue")
    return verified_xml(root, content, signature, chain)


def verify_by_both(body: bytes, trust: Trust, policy: Policy, now: datetime) -> Verified:
    """Verify with both engines and believe them only where they agree.

    A disagreement is refused (SIG090) and logged as an alarm: either engine has a defect.
    """
    ours = _verdict(verify_xml, body, trust, policy, now)
    theirs = _verdict(verify_by_reference, body, trust, policy, now)
    if isinstance(ours, Refused) and isinstance(theirs, Refused):
        raise ours
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


def _ask(body: bytes, certificate: bytes, policy: Policy, now: datetime) -> bytes:
    """The octets that signxml finds signed by the certificate.  Raises Refused (SIG012)."""
    uris = {uri for uri, algorithm in XML_SIGNATURES.items() if algorithm.name in policy.algorithms}
    expected = SignatureConfiguration(
        require_x509=True,
        location="./",
        expect_references=1,
        signature_methods=frozenset(SignatureMethod(uri) for uri in uris - {RSA_PSS_DEFAULTS}),
        digest_algorithms=frozenset(
            DigestAlgorithm(uri) for uri, digest in XML_DIGESTS.items() if digest in policy.digests
        ),
        ignore_ambiguous_key_info=True,  # a KeyValue is not read at all
        verification_time=now,
        default_reference_c14n_method=CanonicalizationMethod.CANONICAL_XML_1_0,
    )
    signer = read_certificate(certificate)
    try:
        result = XMLVerifier().verify(body, x509_cert=signer, expect_config=expected)
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
    assert isinstance(result, VerifyResult)
    return bytes(result.signed_data)
