"""Signing of XML documents: one canonicalisation, and SignedInfo canonical by construction."""

from __future__ import annotations

import base64
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from lxml import etree

from gateway.security.algorithms import DIGESTERS, RSA_PSS_DEFAULTS, XML_DIGESTS, XML_SIGNATURES
from gateway.security.keystore.keys import SigningKey
from gateway.security.xmldsig.canonical import EXCLUSIVE
from gateway.security.xmldsig.signature import DS, ENVELOPED

_URI_OF = {algorithm: uri for uri, algorithm in XML_SIGNATURES.items() if uri != RSA_PSS_DEFAULTS}
_DIGEST_URI_OF = {digest: uri for uri, digest in XML_DIGESTS.items()}

_SIGNED_INFO = (
    "<ds:SignedInfo{namespace}>"
    f'<ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"></ds:CanonicalizationMethod>'
    '<ds:SignatureMethod Algorithm="{method}"></ds:SignatureMethod>'
    '<ds:Reference URI=""><ds:Transforms>'
    f'<ds:Transform Algorithm="{ENVELOPED}"></ds:Transform>'
    f'<ds:Transform Algorithm="{EXCLUSIVE}"></ds:Transform>'
    "</ds:Transforms>"
    '<ds:DigestMethod Algorithm="{digest_method}"></ds:DigestMethod>'
    "<ds:DigestValue>{digest}</ds:DigestValue>"
    "</ds:Reference></ds:SignedInfo>"
)
_SIGNATURE = (
    f'<ds:Signature xmlns:ds="{DS}">'
    "{signed_info}<ds:SignatureValue>{value}</ds:SignatureValue>"
    "<ds:KeyInfo><ds:X509Data>{certificates}</ds:X509Data></ds:KeyInfo></ds:Signature>"
)
_CERTIFICATE = "<ds:X509Certificate>{}</ds:X509Certificate>"


def sign_xml(root: etree._Element, key: SigningKey, now: datetime) -> bytes:
    """The document in canonical UTF-8 with an enveloped signature as the root's last child.

    ``root`` stays as it is.  It may hold neither a signature nor comments or instructions; prefixes
    may be used in names only, not in values.  Raises ValueError.
    """
    if next(root.iter(f"{{{DS}}}Signature", etree.Comment, etree.ProcessingInstruction), None) is not None:
        raise ValueError("the document is signed already, or holds comments or instructions")
    content = etree.tostring(root, method="c14n", exclusive=True, with_comments=False)
    digest = key.algorithm.digest
    values = {
        "method": _URI_OF[key.algorithm],
        "digest_method": _DIGEST_URI_OF[digest],
        "digest": base64.b64encode(DIGESTERS[digest](content).digest()).decode("ascii"),
    }
    # On its own SignedInfo declares the prefix; inside Signature it inherits the declaration.
    canonical = _SIGNED_INFO.format(namespace=f' xmlns:ds="{DS}"', **values)
    signature = _SIGNATURE.format(
        signed_info=_SIGNED_INFO.format(namespace="", **values),
        value=base64.b64encode(_raw(key, key.sign(canonical.encode("ascii"), now))).decode("ascii"),
        certificates="".join(map(_CERTIFICATE.format, key.base64)),
    )
    # Canonical XML always has an end tag, and it is the last markup.
    end = content.rindex(b"</")
    return b"".join((content[:end], signature.encode("ascii"), content[end:]))


def _raw(key: SigningKey, value: bytes) -> bytes:
    """An XML signature's value: r and s side by side for ECDSA (RFC 9231, 2.3.6)."""
    if not key.order_size:
        return value
    r, s = decode_dss_signature(value)
    return r.to_bytes(key.order_size, "big") + s.to_bytes(key.order_size, "big")
