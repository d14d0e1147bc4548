"""An XML signature in the one shape that is accepted, read from the tree (XML-Signature, 4)."""

from __future__ import annotations

import binascii
from typing import Final

import msgspec
from lxml import etree

from gateway.safexml import XML_NS, xpath_of
from gateway.security.algorithms import RSA_PSS_DEFAULTS, XML_DIGESTS, XML_SIGNATURES, Algorithm
from gateway.security.policy import Policy
from gateway.security.refused import refusal
from gateway.security.xmldsig.canonical import CANONICAL, INCLUSIVE, canonical_part

DS: Final = "http://www.w3.org/2000/09/xmldsig#"
ENVELOPED: Final = f"{DS}enveloped-signature"
MAX_VALUE: Final = 4_096
"""Characters of a digest or signature value in base64; RSA of 8192 bits takes 1,368."""

MAX_CERTIFICATE: Final = 32_768
"""Characters of a certificate in base64."""

_ID: Final = frozenset({"Id"})
_ID_AND_XML: Final = frozenset({"Id", *(f"{{{XML_NS}}}{name}" for name in ("lang", "space", "base", "id"))})
"""SignedInfo also has the xml: attributes that inclusive canonicalisation gave it."""
_ID_AND_URI: Final = frozenset({"Id", "URI"})
_SIGNATURE: Final = f"{{{DS}}}Signature"
_SIGNED_INFO: Final = f"{{{DS}}}SignedInfo"
_SIGNATURE_VALUE: Final = f"{{{DS}}}SignatureValue"
_KEY_INFO: Final = f"{{{DS}}}KeyInfo"
_C14N_METHOD: Final = f"{{{DS}}}CanonicalizationMethod"
_SIGNATURE_METHOD: Final = f"{{{DS}}}SignatureMethod"
_REFERENCE: Final = f"{{{DS}}}Reference"
_TRANSFORMS: Final = f"{{{DS}}}Transforms"
_TRANSFORM: Final = f"{{{DS}}}Transform"
_TRANSFORM_LISTS: Final = ([_TRANSFORM], [_TRANSFORM, _TRANSFORM])
_DIGEST_METHOD: Final = f"{{{DS}}}DigestMethod"
_DIGEST_VALUE: Final = f"{{{DS}}}DigestValue"
_X509_DATA: Final = f"{{{DS}}}X509Data"
_X509_CERTIFICATE: Final = f"{{{DS}}}X509Certificate"
_KEY_HINTS: Final = frozenset({_X509_DATA, f"{{{DS}}}KeyName", f"{{{DS}}}KeyValue"})
"""Children of KeyInfo that may stand there.  Only certificates are read; a KeyValue is no reason to
trust anything, and what would have to be fetched (RetrievalMethod) is refused."""


class Profile(msgspec.Struct, frozen=True):
    """What SignedInfo says apart from the digest's value: the signature's algorithm, the document's
    canonicalisation, the digest's name."""

    algorithm: Algorithm
    content_c14n: str
    digest: str


class XmlSignature(msgspec.Struct, frozen=True):
    """What an accepted signature says; ``signed_info``: the canonical octets that its value covers."""

    element: etree._Element
    signed_info: bytes
    profile: Profile
    digest_value: bytes
    value: bytes
    certificates: tuple[bytes, ...]


def read_signature(root: etree._Element, policy: Policy) -> XmlSignature:
    """The document's only signature, a child of the root that covers the whole document.

    Raises Refused (SIG001, SIG003..SIG010, SIG013, SIG015, SIG020, SIG028) on any other shape.
    """
    signature = _only_signature(root)
    children = list(signature)
    tags = [child.tag for child in children]
    if tags == [_SIGNED_INFO, _SIGNATURE_VALUE]:
        raise refusal("SIG020", "KeyInfo", "", "Signature", signature.sourceline or 0)
    if tags != [_SIGNED_INFO, _SIGNATURE_VALUE, _KEY_INFO]:
        raise _misshapen(signature, "SignedInfo, SignatureValue, KeyInfo")
    _check_attributes(signature)
    signed_info, value, key_info = children
    octets = canonical_part(signed_info, _c14n_of(signed_info))
    profile, digest_value = _read_signed_info(signed_info, octets, policy)
    return XmlSignature(
        element=signature,
        signed_info=octets,
        profile=profile,
        digest_value=digest_value,
        value=_octets(value, MAX_VALUE),
        certificates=_certificates(key_info, policy),
    )


_KNOWN: dict[tuple[object, ...], Profile] = {}
"""Profiles by the canonical octets around the digest's value.

A sender's SignedInfo differs from message to message in that value only.  Canonical octets have one
reading, so the same octets need not be walked again: that saves a third of the work on a small
message."""
_MAX_KNOWN: Final = 1_024
_BEFORE_DIGEST: Final = b"DigestValue>"


def _read_signed_info(signed_info: etree._Element, octets: bytes, policy: Policy) -> tuple[Profile, bytes]:
    start = octets.find(_BEFORE_DIGEST) + len(_BEFORE_DIGEST)
    end = octets.find(b"</", start)
    try:
        value = binascii.a2b_base64(b"".join(octets[start:end].split()), strict_mode=True)
    except ValueError:
        return _walk(signed_info, policy)
    known = (octets[:start], octets[end:], policy.algorithms, policy.digests, policy.engine)
    profile = _KNOWN.get(known)
    if profile is not None:
        return profile, value
    profile, walked = _walk(signed_info, policy)
    if walked == value and len(octets) <= MAX_VALUE:
        if len(_KNOWN) >= _MAX_KNOWN:
            _KNOWN.clear()
        _KNOWN[known] = profile
    return profile, walked


def _walk(signed_info: etree._Element, policy: Policy) -> tuple[Profile, bytes]:
    algorithm, reference = _signed_info(signed_info, policy)
    content_c14n, digest, value = _reference(reference, policy)
    return Profile(algorithm, content_c14n, digest), value


def _c14n_of(signed_info: etree._Element) -> str:
    """How SignedInfo itself is canonicalised."""
    if not len(signed_info) or signed_info[0].tag != _C14N_METHOD:
        raise _misshapen(signed_info, "CanonicalizationMethod")
    uri = _algorithm(signed_info[0])
    if uri not in CANONICAL:
        line = signed_info.sourceline or 0
        raise refusal("SIG008", ", ".join(sorted(CANONICAL)), uri, "SignedInfo", line)
    return uri


def _only_signature(root: etree._Element) -> etree._Element:
    found = list(root.iter(_SIGNATURE))
    if not found:
        raise refusal("SIG001", expected="ds:Signature", part="Signature", line=root.sourceline or 0)
    if len(found) > 1:
        raise refusal("SIG003", "1", str(len(found)), "Signature", found[1].sourceline or 0)
    if found[0].getparent() is not root:
        place = xpath_of(found[0])
        raise refusal("SIG004", f"{xpath_of(root)}/Signature", place, "Signature", found[0].sourceline or 0)
    return found[0]


def _signed_info(signed_info: etree._Element, policy: Policy) -> tuple[Algorithm, etree._Element]:
    """The signature's algorithm and the only reference."""
    _check_attributes(signed_info, _ID_AND_XML)
    children = list(signed_info)
    if len(children) < 2 or children[1].tag != _SIGNATURE_METHOD:
        raise _misshapen(signed_info, "CanonicalizationMethod, SignatureMethod, Reference")
    references = children[2:]
    if len(references) != 1 or references[0].tag != _REFERENCE:
        raise refusal("SIG010", "1", str(len(references)), "Reference", signed_info.sourceline or 0)
    uri = _algorithm(children[1])
    algorithm = XML_SIGNATURES.get(uri)
    # The reference engine does not know this name: where it is asked, nobody may use it.
    if uri == RSA_PSS_DEFAULTS and policy.engine != "fast":
        algorithm = None
    if algorithm is None or algorithm.name not in policy.algorithms:
        allowed = ", ".join(sorted(policy.algorithms))
        raise refusal("SIG006", allowed, uri, "SignedInfo", children[1].sourceline or 0)
    return algorithm, references[0]


def _reference(reference: etree._Element, policy: Policy) -> tuple[str, str, bytes]:
    """The document's canonicalisation, the digest's name and its value."""
    if reference.get("URI") != "":
        raise refusal(
            "SIG010", 'URI=""', f"URI={reference.get('URI')}", "Reference", reference.sourceline or 0
        )
    _check_attributes(reference, _ID_AND_URI)
    children = list(reference)
    if [child.tag for child in children] != [_TRANSFORMS, _DIGEST_METHOD, _DIGEST_VALUE]:
        raise _misshapen(reference, "Transforms, DigestMethod, DigestValue")
    content_c14n = _transforms(children[0])
    uri = _algorithm(children[1])
    digest = XML_DIGESTS.get(uri, "")
    if digest not in policy.digests:
        allowed = ", ".join(sorted(policy.digests))
        raise refusal("SIG007", allowed, uri, "Reference", children[1].sourceline or 0)
    return content_c14n, digest, _octets(children[2], MAX_VALUE)


def _transforms(transforms: etree._Element) -> str:
    """The document's canonicalisation: the named one, or inclusive where none is (4.4.3.2)."""
    children = list(transforms)
    if [child.tag for child in children] not in _TRANSFORM_LISTS:
        raise refusal("SIG009", ENVELOPED, str(len(children)), "Reference", transforms.sourceline or 0)
    uris = [_algorithm(child, "SIG009") for child in children]
    if uris[0] != ENVELOPED or not CANONICAL.issuperset(uris[1:]):
        raise refusal("SIG009", ENVELOPED, ", ".join(uris), "Reference", transforms.sourceline or 0)
    return uris[1] if len(uris) == 2 else INCLUSIVE


def _certificates(key_info: etree._Element, policy: Policy) -> tuple[bytes, ...]:
    found: list[bytes] = []
    for hint in key_info:
        if hint.tag not in _KEY_HINTS:
            raise _misshapen(key_info, "X509Data")
        if hint.tag == _X509_DATA:
            found += [_octets(c, MAX_CERTIFICATE) for c in hint if c.tag == _X509_CERTIFICATE]
    if not found:
        raise refusal("SIG020", "X509Certificate", "", "KeyInfo", key_info.sourceline or 0)
    if len(found) > policy.max_certificates:
        line = key_info.sourceline or 0
        raise refusal("SIG028", f"<= {policy.max_certificates}", str(len(found)), "KeyInfo", line)
    return tuple(found)


def _algorithm(element: etree._Element, code: str = "SIG005") -> str:
    """The Algorithm attribute of an element that has no parameters.

    Parameters are how HMACOutputLength, XSLT, XPath and prefix lists come in; none is understood.
    """
    if len(element) or element.keys() != ["Algorithm"]:
        line = element.sourceline or 0
        raise refusal(code, "Algorithm", ", ".join(_names(element)), xpath_of(element), line)
    return element.get("Algorithm", "")


def _octets(element: etree._Element, limit: int) -> bytes:
    """The octets of an element that holds nothing but base64, which may be broken into lines."""
    text = element.text or ""
    if len(element) or len(text) > limit:
        raise _misshapen(element, f"base64, <= {limit} characters")
    return _decoded(text, element)


def _decoded(text: str, element: etree._Element) -> bytes:
    try:
        return binascii.a2b_base64("".join(text.split()), strict_mode=True)
    except ValueError:
        part, line = xpath_of(element), element.sourceline or 0
        raise refusal("SIG013", expected="base64", part=part, line=line) from None


def _check_attributes(element: etree._Element, allowed: frozenset[str] = _ID) -> None:
    if not allowed.issuperset(element.keys()):
        raise _misshapen(element, ", ".join(sorted(allowed)))


def _misshapen(element: etree._Element, expected: str) -> Exception:
    return refusal("SIG005", expected, ", ".join(_names(element)), xpath_of(element), element.sourceline or 0)


def _names(element: etree._Element) -> list[str]:
    return [*map(str, element.attrib), *(str(child.tag).rpartition("}")[2] for child in element)]
