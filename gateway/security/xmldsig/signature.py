"""An XML signature, read from the tree in a closed grammar (XML-Signature, 4).

Nothing is resolved or computed here but the canonical SignedInfo: what the references mean is for
:mod:`gateway.security.xmldsig.shapes` to say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import Final

import msgspec
from lxml import etree

from gateway.safexml import xpath_of
from gateway.security.algorithms import RSA_PSS_DEFAULTS, XML_DIGESTS, XML_SIGNATURES, Algorithm
from gateway.security.base64 import from_base64
from gateway.security.policy import Policy
from gateway.security.refused import Refused, refusal
from gateway.security.xmldsig.canonical import CANONICAL, EXCLUSIVE, canonical_part
from gateway.security.xmldsig.grammar import (
    algorithm_of,
    check_attributes,
    check_blank,
    misshapen,
    octets_of,
)
from gateway.security.xmldsig.key_info import certificates_of
from gateway.security.xmldsig.parameters import PARAMETERS, pss_of

DS: Final = "http://www.w3.org/2000/09/xmldsig#"
ENVELOPED: Final = f"{DS}enveloped-signature"
BASE64: Final = f"{DS}base64"
OBJECT_TYPE: Final = f"{DS}Object"
PROPERTIES_TYPE: Final = "http://uri.etsi.org/01903#SignedProperties"
MAX_VALUE: Final = 4_096
"""Characters of a digest or signature value in base64; RSA of 8192 bits takes 1,368."""

MAX_REFERENCES: Final = 3
"""The content, the signed properties, the key's certificates: there is nothing else to refer to."""

SIGNATURE: Final = f"{{{DS}}}Signature"
OBJECT: Final = f"{{{DS}}}Object"
C14N_METHOD: Final = f"{{{DS}}}CanonicalizationMethod"
DIGEST_METHOD: Final = f"{{{DS}}}DigestMethod"
DIGEST_VALUE: Final = f"{{{DS}}}DigestValue"
_SIGNED_INFO: Final = f"{{{DS}}}SignedInfo"
_SIGNATURE_VALUE: Final = f"{{{DS}}}SignatureValue"
_KEY_INFO: Final = f"{{{DS}}}KeyInfo"
_SIGNATURE_METHOD: Final = f"{{{DS}}}SignatureMethod"
_REFERENCE: Final = f"{{{DS}}}Reference"
_TRANSFORMS: Final = f"{{{DS}}}Transforms"
_TRANSFORM: Final = f"{{{DS}}}Transform"
_PARTS: Final = [_SIGNED_INFO, _SIGNATURE_VALUE, _KEY_INFO]
_MAX_PARTS: Final = 5
"""Those, an enveloping signature's content, and the properties."""
_MAX_INSIDE: Final = 40
"""Elements inside SignedInfo: three references with all that they may have make 26."""
MAX_SIGNED_INFO: Final = 16_384
"""Octets of SignedInfo, canonical; with the namespaces around it an inclusive one may have some thousands."""
_IS_LARGE: Final = etree.XPath(
    f"count(.//*) > {_MAX_INSIDE} or string-length() > {MAX_SIGNED_INFO}"
    f" or descendant-or-self::*/@*[string-length() > {MAX_VALUE}]"
)

_URI: Final = re.compile(r"(?:#[\w.-]{1,256}|cid:[!-~]{1,256})?")
"""The document, an Id in it, or the part beside it by its Content-ID; nothing that would be fetched, and
no XPointer."""
_NO_URI: Final = "no URI"
_REFERENCE_ATTRIBUTES: Final = frozenset({"Id", "URI", "Type"})
_TYPES: Final = frozenset({"", OBJECT_TYPE, PROPERTIES_TYPE})
_TRANSFORM_URIS: Final = frozenset({ENVELOPED, BASE64, *CANONICAL})


class Target(msgspec.Struct, frozen=True):
    """A reference without its digest's value: its Id, what it refers to, through which transforms (names
    of algorithms), digested how."""

    id: str
    uri: str
    type: str
    transforms: tuple[str, ...]
    digest: str


class Profile(msgspec.Struct, frozen=True):
    """What SignedInfo says apart from the digests' values; ``method``: the algorithm as it is named;
    ``whole``: there is one reference, to the whole document by an empty URI, with the transforms for that;
    ``exclusive``: SignedInfo itself is canonicalised exclusively."""

    method: str
    algorithm: Algorithm
    targets: tuple[Target, ...]
    whole: bool
    exclusive: bool


class XmlSignature(msgspec.Struct, frozen=True):
    """What a signature says; ``signed_info``: the canonical octets that its value covers; ``digests``: the
    values of the references, in their order; ``around``: see `remember`."""

    element: etree._Element
    signed_info: bytes
    profile: Profile
    digests: tuple[bytes, ...]
    value: bytes
    key_info: etree._Element
    certificates: tuple[bytes, ...]
    objects: tuple[etree._Element, ...]
    around: tuple[bytes, bytes] | None = None


def read_signature(signature: etree._Element, policy: Policy) -> XmlSignature:
    """What the document's `only_signature` says.

    Raises Refused (SIG005..SIG010, SIG013, SIG015, SIG020, SIG028) on anything that is not in the grammar.
    Whether the algorithms are admitted is not asked yet.
    """
    children = list(islice(signature, _MAX_PARTS + 1))
    tags = [child.tag for child in children]
    if tags[:2] == _PARTS[:2] and _KEY_INFO not in tags:
        raise refusal("SIG020", "KeyInfo", "", "Signature", signature.sourceline or 0)
    if tags[:3] != _PARTS or len(tags) > _MAX_PARTS or any(tag != OBJECT for tag in tags[3:]):
        raise misshapen(signature, "SignedInfo, SignatureValue, KeyInfo")
    check_attributes(signature)
    signed_info, value, key_info = children[:3]
    octets = _canonical_info(signed_info)
    profile, digests, around = _read_signed_info(signed_info, octets)
    return XmlSignature(
        element=signature,
        signed_info=octets,
        profile=profile,
        digests=digests,
        value=octets_of(value, MAX_VALUE),
        key_info=key_info,
        certificates=certificates_of(key_info, policy),
        objects=tuple(children[3:]),
        around=around,
    )


def _canonical_info(signed_info: etree._Element) -> bytes:
    """Nobody is known yet: what is much larger than its grammar allows is canonicalised at most in the way that
    costs less than its parse did."""
    method = _c14n_of(signed_info)
    if method != EXCLUSIVE and _IS_LARGE(signed_info):
        raise _too_large(signed_info)
    octets = canonical_part(signed_info, method)
    if len(octets) > MAX_SIGNED_INFO:
        raise _too_large(signed_info)
    return octets


def _too_large(signed_info: etree._Element) -> Refused:
    _check_references(list(islice(signed_info.iterchildren(), 2, MAX_REFERENCES + 3)), signed_info)
    return misshapen(signed_info, f"<= {_MAX_INSIDE} elements, {MAX_SIGNED_INFO} octets")


def _check_references(references: Sequence[etree._Element], signed_info: etree._Element) -> None:
    if not 1 <= len(references) <= MAX_REFERENCES or any(r.tag != _REFERENCE for r in references):
        line = signed_info.sourceline or 0
        raise refusal("SIG010", f"1..{MAX_REFERENCES}", str(len(references)), "Reference", line)


_KNOWN: dict[tuple[bytes, bytes], Profile] = {}
"""Profiles by the canonical octets around the digest's value.

A sender's SignedInfo differs from message to message in that value only.  Canonical octets have one
reading, so the same octets need not be walked again: that saves a third of the work on a small
message."""
_MAX_KNOWN: Final = 1_024
_BEFORE_DIGEST: Final = b"DigestValue>"


def remember(signature: XmlSignature) -> None:
    """Spare the next message of the same sender the walk through SignedInfo.  Only for a signature that held:
    a stranger leaves nothing behind here, and drives nobody out."""
    if signature.around is not None and signature.around not in _KNOWN:
        if len(_KNOWN) >= _MAX_KNOWN:
            _KNOWN.clear()
        _KNOWN[signature.around] = signature.profile


def _read_signed_info(
    signed_info: etree._Element, octets: bytes
) -> tuple[Profile, tuple[bytes, ...], tuple[bytes, bytes] | None]:
    """The profile, the digests, and what the profile may be remembered by."""
    start = octets.find(_BEFORE_DIGEST) + len(_BEFORE_DIGEST)
    end = octets.find(b"</", start)
    around = (octets[:start], octets[end:])
    # Of a start tag with attributes the end tag would be found: what stands behind that is no value.
    if octets[octets.rfind(b"<", 0, start) :][:2] == b"</":
        return *_walk(signed_info), None
    try:
        value = from_base64(octets[start:end])
    except ValueError:
        return *_walk(signed_info), None
    profile = _KNOWN.get(around)
    if profile is not None:
        return profile, (value,), around
    profile, walked = _walk(signed_info)
    return profile, walked, around if walked == (value,) and len(octets) <= MAX_VALUE else None


def _walk(signed_info: etree._Element) -> tuple[Profile, tuple[bytes, ...]]:
    check_attributes(signed_info)
    check_blank(signed_info)
    children = list(signed_info)
    if len(children) < 2 or children[1].tag != _SIGNATURE_METHOD:
        raise misshapen(signed_info, "CanonicalizationMethod, SignatureMethod, Reference")
    references = children[2:]
    _check_references(references, signed_info)
    uri, algorithm = _method(children[1])
    read = [_reference(reference) for reference in references]
    targets = tuple(target for target, _ in read)
    exclusive = _c14n_of(signed_info) == EXCLUSIVE
    profile = Profile(uri, algorithm, targets, _is_whole(targets), exclusive)
    return profile, tuple(value for _, value in read)


def _method(method: etree._Element) -> tuple[str, Algorithm]:
    """The signature algorithm, by its name and as it is."""
    if method.get("Algorithm") == RSA_PSS_DEFAULTS and len(method) == 1 and method[0].tag == PARAMETERS:
        return RSA_PSS_DEFAULTS, pss_of(method[0])
    uri = algorithm_of(method)
    algorithm = XML_SIGNATURES.get(uri)
    if algorithm is None:
        line = method.sourceline or 0
        raise refusal("SIG006", "rsa, rsa-pss, ecdsa, ed25519", uri, "SignedInfo", line)
    return uri, algorithm


def _is_whole(targets: tuple[Target, ...]) -> bool:
    only = targets[0]
    whole = len(targets) == 1 and only.uri == "" and only.type != PROPERTIES_TYPE
    return whole and only.transforms[:1] == (ENVELOPED,) and CANONICAL.issuperset(only.transforms[1:])


def _c14n_of(signed_info: etree._Element) -> str:
    """How SignedInfo itself is canonicalised."""
    if not len(signed_info) or signed_info[0].tag != C14N_METHOD:
        raise misshapen(signed_info, "CanonicalizationMethod")
    return c14n_of(signed_info[0], "SignedInfo")


def c14n_of(method: etree._Element, part: str) -> str:
    """The canonicalisation that a method names.  Raises Refused (SIG005, SIG008)."""
    uri = algorithm_of(method)
    if uri not in CANONICAL:
        raise refusal("SIG008", ", ".join(sorted(CANONICAL)), uri, part, method.sourceline or 0)
    return uri


def only_signature(root: etree._Element) -> etree._Element:
    """The document's only signature, which is its root or a child of it.  Raises Refused (SIG001, SIG003, SIG004)."""
    found = list(islice(root.iter(SIGNATURE), 2))
    if not found:
        raise refusal("SIG001", expected="ds:Signature", part="Signature", line=root.sourceline or 0)
    if len(found) > 1:
        raise refusal("SIG003", "1", "> 1", "Signature", found[1].sourceline or 0)
    if found[0] is not root and found[0].getparent() is not root:
        place = xpath_of(found[0])
        raise refusal("SIG004", f"{xpath_of(root)}/Signature", place, "Signature", found[0].sourceline or 0)
    return found[0]


def _reference(reference: etree._Element) -> tuple[Target, bytes]:
    """What it refers to, and the digest's value."""
    line = reference.sourceline or 0
    check_attributes(reference, _REFERENCE_ATTRIBUTES)
    check_blank(reference)
    uri, kind = reference.get("URI"), reference.get("Type", "")
    if uri is None or _URI.fullmatch(uri) is None:
        raise refusal("SIG010", 'URI=""', _NO_URI if uri is None else f"URI={uri}", "Reference", line)
    if kind not in _TYPES:
        raise refusal("SIG010", OBJECT_TYPE, f"Type={kind}", "Reference", line)
    children = list(reference)
    transforms: tuple[str, ...] = ()
    if children and children[0].tag == _TRANSFORMS:
        transforms = _transforms(children.pop(0))
    if [child.tag for child in children] != [DIGEST_METHOD, DIGEST_VALUE]:
        raise misshapen(reference, "Transforms, DigestMethod, DigestValue")
    check_attributes(children[1], frozenset())
    target = Target(reference.get("Id", ""), uri, kind, transforms, digest_of(children[0], "Reference"))
    return target, octets_of(children[1], MAX_VALUE)


def digest_of(method: etree._Element, part: str) -> str:
    """The digest that a DigestMethod names.  Raises Refused (SIG005, SIG007)."""
    uri = algorithm_of(method)
    digest = XML_DIGESTS.get(uri)
    if digest is None:
        raise refusal("SIG007", ", ".join(XML_DIGESTS.values()), uri, part, method.sourceline or 0)
    return digest


def _transforms(transforms: etree._Element) -> tuple[str, ...]:
    """The names of at most two transforms of the closed list."""
    check_blank(transforms)
    children = list(transforms)
    line = transforms.sourceline or 0
    if not 1 <= len(children) <= 2 or any(child.tag != _TRANSFORM for child in children):
        raise refusal("SIG009", ENVELOPED, str(len(children)), "Reference", line)
    uris = tuple(algorithm_of(child, "SIG009") for child in children)
    if not _TRANSFORM_URIS.issuperset(uris):
        raise refusal("SIG009", ENVELOPED, ", ".join(uris), "Reference", line)
    return uris
