"""The envelope of electronic customs version 5, an observed legacy format: a signed string beside a certificate.

``Envelope/Body/Content`` is base64 of a Declaration; ``Envelope/Body/Signature`` holds ``data``, the value of a
PKCS #1 v1.5 signature over that base64 string, and ``fileCert``, the signer's certificate.  The header and
everything else is unsigned and is not read.  Only a legacy profile that names the shape admits it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Final

import msgspec
from lxml import etree

from gateway.safexml import XmlRefused, local_name, parse
from gateway.security.algorithms import Algorithm, PublicKey, admitted, check_signature
from gateway.security.certificates.trust import Trust
from gateway.security.policy import V5, Policy
from gateway.security.refused import Refused, refusal
from gateway.security.verified import SEAL, XML, XMLDSIG, Verified
from gateway.security.xmldsig.grammar import misshapen, octets_of
from gateway.security.xmldsig.key_info import MAX_CERTIFICATE
from gateway.security.xmldsig.signature import MAX_VALUE

_ALGORITHMS: Final = (Algorithm("rsa", "sha256"), Algorithm("rsa", "sha1"))
"""The envelope names none: the policy and its profile say which are tried, the stronger first."""
_CODE: Final = "SIG130"


def is_v5(root: etree._Element) -> bool:
    """Whether a document looks like the envelope: it holds a value and a certificate, and no XML signature."""
    if local_name(root) != "Envelope":
        return False
    body = root.find("{*}Body")
    return body is not None and body.find("{*}Signature/{*}fileCert") is not None


def verify_v5(root: etree._Element, trust: Trust, policy: Policy, now: datetime) -> Verified:
    """Verify the envelope.  What is read is the decoded Declaration alone.

    Raises Refused: SIG100, SIG101 where no profile admits it, SIG130 where it is misshapen, SIG012, SIG013,
    and the codes of certificates and XML.
    """
    tried = list(_admitted(policy, now))
    content, value, certificate = _parts(root)
    chain, proof = trust.prove((octets_of(certificate, MAX_CERTIFICATE),), policy, now)
    signed = octets_of(content, policy.xml.max_text)
    algorithm, profile = _check(chain.key, octets_of(value, MAX_VALUE), content.text or "", tried)
    try:
        document = parse(signed, msgspec.structs.replace(policy.xml, max_bytes=len(signed)))
    except XmlRefused as error:
        raise Refused(error.findings) from None
    signer = msgspec.structs.replace(chain.signer, algorithm=algorithm.name, profile=profile)
    return Verified(signed, XML, document, signer, XMLDSIG, proof, seal=SEAL)


def _admitted(policy: Policy, now: datetime) -> Iterator[tuple[Algorithm, str]]:
    """The algorithms that may be tried, with the profile that admits each.  Raises Refused where none is."""
    fault: Refused | None = None
    found = False
    for algorithm in _ALGORITHMS:
        try:
            profile = admitted(algorithm, (algorithm.digest,), policy, now, "Envelope", V5)
        except Refused as refused:
            fault = refused
            continue
        if profile:
            found = True
            yield algorithm, profile
    if not found:
        raise fault or refusal("SIG100", ", ".join(sorted(policy.shapes)), V5, "Envelope")


def _parts(root: etree._Element) -> tuple[etree._Element, etree._Element, etree._Element]:
    """Content, data and fileCert, each there exactly once."""
    body = _one(root, "Body")
    signature = _one(body, "Signature")
    return _one(body, "Content"), _one(signature, "data"), _one(signature, "fileCert")


def _one(parent: etree._Element, name: str) -> etree._Element:
    found = list(islice((child for child in parent if local_name(child) == name), 2))
    if len(found) != 1:
        raise misshapen(parent, f"1 {name}", _CODE)
    if name != "Body" and name != "Signature" and len(found[0]):
        raise misshapen(found[0], "base64", _CODE)
    return found[0]


def _check(
    key: PublicKey, value: bytes, text: str, tried: list[tuple[Algorithm, str]]
) -> tuple[Algorithm, str]:
    """The algorithm that the value was made with, over the string in one of the forms that senders' tools
    sign: as it is, with the line ends that XML has since made one, or in one line.  All decode alike."""
    forms = dict.fromkeys((text, text.replace("\n", "\r\n"), "".join(text.split())))
    fault: Refused | None = None
    for algorithm, profile in tried:
        for form in forms:
            try:
                check_signature(key, algorithm, value, form.encode("utf-8"), "data")
            except Refused as refused:
                fault = refused
                continue
            return algorithm, profile
    raise fault or refusal("SIG012", part="data")
