"""Signing of XML documents: one canonicalisation, and SignedInfo canonical by construction."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from lxml import etree

from gateway.security.algorithms import DIGESTERS, RSA_PSS_DEFAULTS, XML_DIGESTS, XML_SIGNATURES, Algorithm
from gateway.security.keystore.keys import SigningKey
from gateway.security.xmldsig.canonical import EXCLUSIVE
from gateway.security.xmldsig.signature import DS, ENVELOPED

_URI_OF: Final = {algorithm: uri for uri, algorithm in XML_SIGNATURES.items() if uri != RSA_PSS_DEFAULTS}
DIGEST_URI_OF: Final = {digest: uri for uri, digest in XML_DIGESTS.items()}
NAMESPACE: Final = f' xmlns:ds="{DS}"'
EXCLUSIVELY: Final = f'<ds:Transform Algorithm="{EXCLUSIVE}"></ds:Transform>'
WHOLE: Final = f'<ds:Transform Algorithm="{ENVELOPED}"></ds:Transform>{EXCLUSIVELY}'

_SIGNED_INFO: Final = (
    "<ds:SignedInfo{namespace}>"
    f'<ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"></ds:CanonicalizationMethod>'
    '<ds:SignatureMethod Algorithm="{method}"></ds:SignatureMethod>'
    "{references}</ds:SignedInfo>"
)
_REFERENCE: Final = (
    "<ds:Reference{attributes}>{transforms}"
    '<ds:DigestMethod Algorithm="{method}"></ds:DigestMethod>'
    "<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference>"
)
_SIGNATURE: Final = (
    "<ds:Signature{namespace}{identifier}>"
    "{signed_info}<ds:SignatureValue>{value}</ds:SignatureValue>"
    "<ds:KeyInfo><ds:X509Data>{certificates}</ds:X509Data></ds:KeyInfo>{objects}</ds:Signature>"
)
_CERTIFICATE: Final = "<ds:X509Certificate>{}</ds:X509Certificate>"


def sign_xml(root: etree._Element, key: SigningKey, now: datetime) -> bytes:
    """The document in canonical UTF-8 with an enveloped signature as the root's last child.

    ``root`` stays as it is.  It may hold neither a signature nor comments or instructions; prefixes
    may be used in names only, not in values.  Raises ValueError.
    """
    return sign_canonical(canonical_content(root), key, now)


def sign_canonical(content: bytes, key: SigningKey, now: datetime) -> bytes:
    """The same for a document of our own that is canonical (exclusive, without comments) as it is.

    Nothing here could tell that it is not: receivers would.
    """
    info, parts = _whole(key.algorithm, key.base64)
    digest = base64.b64encode(DIGESTERS[key.algorithm.digest](content).digest())
    value = base64.b64encode(_raw(key, key.sign(digest.join(info), now)))
    return enveloped(content, b"".join((parts[0], digest, parts[1], value, parts[2])))


@lru_cache(maxsize=64)
def _whole(algorithm: Algorithm, certificates: tuple[str, ...]) -> tuple[list[bytes], list[bytes]]:
    """What stands around the digest in the canonical SignedInfo, and around digest and value in the Signature, where
    the whole document is signed: in every message of a key the same."""
    hole = "\0"
    reference = _REFERENCE.format(
        attributes=' URI=""',
        transforms=f"<ds:Transforms>{WHOLE}</ds:Transforms>",
        method=DIGEST_URI_OF[algorithm.digest],
        digest=hole,
    )
    info = _signed_info(NAMESPACE, [reference], algorithm)
    signature = _signature([reference], hole, algorithm, certificates)
    return info.encode().split(hole.encode()), signature.encode().split(hole.encode())


def canonical_content(root: etree._Element) -> bytes:
    """What is signed of a document.  Raises ValueError where it is signed already or holds more than elements,
    attributes and text."""
    if next(root.iter(f"{{{DS}}}Signature", etree.Comment, etree.ProcessingInstruction), None) is not None:
        raise ValueError("the document is signed already, or holds comments or instructions")
    return etree.tostring(root, method="c14n", exclusive=True, with_comments=False)


def reference_to(
    uri: str, transforms: str, covered: bytes, key: SigningKey, *, identifier: str = "", kind: str = ""
) -> str:
    """A canonical Reference to octets; ``transforms``: the canonical Transform elements, or "".

    Attributes come in their canonical order: by name."""
    digest = key.algorithm.digest
    attributes = f' Id="{identifier}"' if identifier else ""
    attributes += f' Type="{kind}"' if kind else ""
    attributes += f' URI="{uri}"'
    return _REFERENCE.format(
        attributes=attributes,
        transforms=f"<ds:Transforms>{transforms}</ds:Transforms>" if transforms else "",
        method=DIGEST_URI_OF[digest],
        digest=base64.b64encode(DIGESTERS[digest](covered).digest()).decode("ascii"),
    )


def value_of(references: Sequence[str], key: SigningKey, now: datetime) -> str:
    """The signature's value in base64."""
    # On its own SignedInfo declares the prefix; inside Signature it inherits the declaration.
    canonical = _signed_info(NAMESPACE, references, key.algorithm)
    return base64.b64encode(_raw(key, key.sign(canonical.encode("ascii"), now))).decode("ascii")


def signature_of(
    references: Sequence[str], value: str, key: SigningKey, *, identifier: str = "", objects: str = ""
) -> bytes:
    """The Signature element with its value, its chain and ``objects`` (markup)."""
    return _signature(references, value, key.algorithm, key.base64, identifier, objects).encode("utf-8")


def _signature(
    references: Sequence[str],
    value: str,
    algorithm: Algorithm,
    certificates: Iterable[str],
    identifier: str = "",
    objects: str = "",
) -> str:
    return _SIGNATURE.format(
        namespace=NAMESPACE,
        identifier=f' Id="{identifier}"' if identifier else "",
        signed_info=_signed_info("", references, algorithm),
        value=value,
        certificates="".join(map(_CERTIFICATE.format, certificates)),
        objects=objects,
    )


def _signed_info(namespace: str, references: Sequence[str], algorithm: Algorithm) -> str:
    method = _URI_OF[algorithm]
    return _SIGNED_INFO.format(namespace=namespace, method=method, references="".join(references))


def enveloped(content: bytes, signature: bytes) -> bytes:
    """The canonical document with the signature as its root's last child."""
    # Canonical XML always has an end tag, and it is the last markup.
    end = content.rindex(b"</")
    return b"".join((content[:end], signature, content[end:]))


def _raw(key: SigningKey, value: bytes) -> bytes:
    """An XML signature's value: r and s side by side for ECDSA (RFC 9231, 2.3.6)."""
    if not key.order_size:
        return value
    r, s = decode_dss_signature(value)
    return r.to_bytes(key.order_size, "big") + s.to_bytes(key.order_size, "big")
