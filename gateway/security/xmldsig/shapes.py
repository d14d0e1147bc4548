"""Where an XML signature stands and what it covers: resolved here, in a closed list of shapes.

A reference is never looked up by whatever its URI might find.  Each shape says where the content must be;
the reference must name just that place, and its Id must be nobody else's.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Final

import msgspec
from lxml import etree

from gateway.safexml import XML_NS, XSI_NS, xpath_of
from gateway.security import policy as shapes
from gateway.security.base64 import from_base64
from gateway.security.refused import refusal
from gateway.security.xmldsig.canonical import (
    CANONICAL,
    EXCLUSIVE,
    INCLUSIVE,
    canonical,
    canonical_part,
    read_again,
)
from gateway.security.xmldsig.grammar import check_attributes, misshapen
from gateway.security.xmldsig.plain import Plain
from gateway.security.xmldsig.signature import (
    BASE64,
    ENVELOPED,
    PROPERTIES_TYPE,
    Target,
    XmlSignature,
)

_WSU_ID: Final = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd}Id"
_XML_ID: Final = f"{{{XML_NS}}}id"
IDS: Final = ("Id", "ID", "id", _XML_ID, _WSU_ID)
"""Attributes that some reader takes for an identifier; a referenced one must be unique over them all."""
_NAMED: Final = etree.XPath(
    "(//@*[. = $id][string-length(local-name()) = 2][name() = 'Id' or name() = 'ID' or name() = 'id'"
    " or name() = 'xml:id' or (local-name() = 'Id' and namespace-uri() = $wsu)])[position() < 3]"
)
"""Two are enough: there may be a million."""
_OBJECT_ATTRIBUTES: Final = frozenset({"Id", "MimeType", "Encoding"})
_XSI: Final = XSI_NS.encode()
_XSI_TYPE: Final = f"{{{XSI_NS}}}type"
_WRAPPED: Final = 2
"""Children of a detached signature's root: the content and the signature."""


class Place(msgspec.Struct, frozen=True):
    """A signature's shape, its references' parts by index (-1 for none), and the element that is the content
    (the document's root for an enveloped one, an Object or its child for an enveloping one; None outside).

    Beside or inside a signature the content may also be base64, as an interchange has to be."""

    shape: str
    content: int
    properties: int
    key_info: int
    element: etree._Element | None


class Content(msgspec.Struct, frozen=True):
    """The octets that were digested, and the tree that they are the canonical form of, if they are one."""

    octets: bytes
    document: etree._Element | None


def place_of(root: etree._Element, signature: XmlSignature) -> Place:
    """Where the signature stands, and which reference is which.

    Raises Refused (SIG009, SIG010, SIG102..SIG105) where its references are not exactly those of the shape.
    """
    content, properties, key_info = _sorted(signature)
    target = signature.profile.targets[content]
    if signature.element is root:
        shape, element = shapes.ENVELOPING, _enveloped_by(root, signature, target)
    elif target.transforms[:1] == (ENVELOPED,):
        shape, element = shapes.ENVELOPED, root
        _check_whole(root, target)
    elif target.uri == "":
        raise refusal("SIG009", ENVELOPED, ", ".join(target.transforms), "Reference")
    else:
        shape, element = shapes.DETACHED, _beside(root, signature, target)
    if shape != shapes.ENVELOPING:
        _check_objects(signature)
    return Place(shape, content, properties, key_info, element)


def _check_whole(root: etree._Element, target: Target) -> None:
    """An enveloped signature refers to the whole document: by an empty URI, or by the root's own Id."""
    if not CANONICAL.issuperset(target.transforms[1:]):
        raise refusal("SIG009", ENVELOPED, ", ".join(target.transforms), "Reference")
    if target.uri:
        only_named(root, target.uri[1:], root)


def place_outside(root: etree._Element, signature: XmlSignature, content_id: str) -> Place:
    """As ``place_of``, for a signature that is a document of its own, beside the part ``content_id``
    (without angle brackets).  Raises Refused (SIG009, SIG010, SIG106)."""
    content, properties, key_info = _sorted(signature)
    target = signature.profile.targets[content]
    if signature.element is not root:
        raise refusal("SIG004", "/Signature", xpath_of(signature.element), "Signature")
    if not content_id or target.uri != f"cid:{content_id}":
        raise refusal("SIG106", f"cid:{content_id}", target.uri, "Reference")
    if len(target.transforms) > 1 or not CANONICAL.issuperset(target.transforms):
        raise refusal("SIG009", ", ".join(sorted(CANONICAL)), ", ".join(target.transforms), "Reference")
    _check_objects(signature)
    return Place(shapes.OUTSIDE, content, properties, key_info, None)


def _check_objects(signature: XmlSignature) -> None:
    """A signature that is not around its content holds nothing but properties."""
    for held in signature.objects:
        if not is_properties(held):
            raise misshapen(held, "QualifyingProperties")


def _sorted(signature: XmlSignature) -> tuple[int, int, int]:
    """Indices of the references to the content, the signed properties and the key: exactly one to the
    content, at most one to each other."""
    key_id = signature.key_info.get("Id")
    contents, properties, keys = [], [], []
    for index, target in enumerate(signature.profile.targets):
        if target.type == PROPERTIES_TYPE:
            properties.append(index)
        elif key_id and target.uri == f"#{key_id}":
            keys.append(index)
        else:
            contents.append(index)
    if len(contents) != 1 or len(properties) > 1 or len(keys) > 1:
        found = ", ".join(target.uri or '""' for target in signature.profile.targets)
        raise refusal("SIG010", "1", found, "Reference", signature.element.sourceline or 0)
    return contents[0], (properties or [-1])[0], (keys or [-1])[0]


def only_named(root: etree._Element, identifier: str, place: etree._Element) -> None:
    """Raises Refused: SIG103 where ``place`` has not this identifier, SIG102 where another element has it,
    too, under whatever name an identifier may have."""
    if identifier not in [place.get(name) for name in IDS]:
        raise refusal("SIG103", xpath_of(place), f"#{identifier}", "Reference", place.sourceline or 0)
    found = _NAMED(root, id=identifier, wsu=_WSU_ID[1:-3])
    assert isinstance(found, list)
    if len(found) != 1:
        raise refusal("SIG102", "1", f"{len(found)} x {identifier}", "Reference", place.sourceline or 0)


def _enveloped_by(root: etree._Element, signature: XmlSignature, target: Target) -> etree._Element:
    """The Object that holds the content, or the content itself where the reference names it."""
    inside = [o for o in signature.objects if not is_properties(o)]
    if len(inside) != 1:
        raise refusal("SIG104", "1", str(len(inside)), "Object", root.sourceline or 0)
    check_attributes(inside[0], _OBJECT_ATTRIBUTES)
    element = inside[0]
    if target.transforms != (BASE64,):
        if not _holds_only(element, 1):
            raise misshapen(element, "1", "SIG104")
        element = element if target.uri == f"#{element.get('Id')}" else element[0]
    _check_part(root, target, element)
    return element


def _holds_only(element: etree._Element, count: int) -> bool:
    """Whether it has so many children, and no text."""
    if len(element) != count:
        return False
    texts = (element.text, *(child.tail for child in element))
    return not any(text and not text.isspace() for text in texts)


def _beside(root: etree._Element, signature: XmlSignature, target: Target) -> etree._Element:
    """The content next to the signature: both are all that the root holds."""
    if not _holds_only(root, _WRAPPED):
        raise refusal("SIG105", str(_WRAPPED), str(len(root)), xpath_of(root), root.sourceline or 0)
    content = root[1] if root[0] is signature.element else root[0]
    _check_part(root, target, content)
    return content


def _check_part(root: etree._Element, target: Target, element: etree._Element) -> None:
    """A part of the document is referred to by its Id, and is XML, or base64 and nothing else."""
    if target.transforms == (BASE64,):
        if len(element):
            raise misshapen(element, "base64", "SIG104")
    elif len(target.transforms) > 1 or not CANONICAL.issuperset(target.transforms):
        raise refusal("SIG009", ", ".join(sorted(CANONICAL)), ", ".join(target.transforms), "Reference")
    if not target.uri.startswith("#"):
        raise refusal(
            "SIG103", xpath_of(element), target.uri or 'URI=""', "Reference", element.sourceline or 0
        )
    only_named(root, target.uri[1:], element)


def is_properties(element: etree._Element) -> bool:
    """Whether an Object holds qualifying properties (XAdES) and nothing else."""
    return len(element) == 1 and str(element[0].tag).endswith("}QualifyingProperties")


def c14n_of_target(target: Target) -> str:
    """The canonicalisation of a target that is XML: the named one, or inclusive where none is (4.4.3.2)."""
    named = [uri for uri in target.transforms if uri in CANONICAL]
    return named[0] if named else INCLUSIVE


def take(root: etree._Element, signature: XmlSignature, place: Place, plain: Plain | None = None) -> Content:
    """The content in its canonical octets, and as a tree of its own.

    The tree of an enveloped signature's document is what is digested and read; for the other shapes it is a
    copy of the element that the reference names (in an Object: of its only child).  ``plain``: as for `take_whole`.
    Raises Refused (SIG013..SIG015).
    """
    target = signature.profile.targets[place.content]
    element = place.element
    assert element is not None
    method = c14n_of_target(target)
    if place.shape == shapes.ENVELOPED:
        return take_whole(root, signature, target, plain)
    if target.transforms == (BASE64,):
        return Content(_from_base64(element), None)
    octets = canonical_part(element, method)
    # The signature's own Object is around the content; one that lies elsewhere is the content.
    around = any(element is held for held in signature.objects)
    covered = element[0] if around else element
    # A copy has a document of its own: no path leads from it to what stood around the signed element.
    document = deepcopy(covered)
    document.tail = None
    if _XSI in octets:
        signed = read_again(octets)
        _check_types(document, signed[0] if around else signed)
    return Content(octets, document)


def take_whole(
    root: etree._Element, signature: XmlSignature, target: Target, plain: Plain | None = None
) -> Content:
    """The whole document without the signature in it; ``plain``: where it is canonical as it came, perhaps.
    Raises Refused (SIG014, SIG015)."""
    _detach(root, signature.element)
    method = c14n_of_target(target)
    as_it_is = plain is not None and plain.is_canonical(method)
    octets = plain.content() if plain is not None and as_it_is else canonical(root, method)
    if method == EXCLUSIVE and _XSI in octets:
        _check_types(root, read_again(octets))
    return Content(octets, root)


def _detach(root: etree._Element, signature: etree._Element) -> None:
    """Take the signature out of the tree; the text behind it stays (XML-Signature, 6.6.4)."""
    tail = signature.tail
    if tail:
        before = signature.getprevious()
        if before is None:
            root.text = (root.text or "") + tail
        else:
            before.tail = (before.tail or "") + tail
    root.remove(signature)


def _from_base64(element: etree._Element) -> bytes:
    try:
        return from_base64((element.text or "").encode())
    except ValueError:
        part, line = xpath_of(element), element.sourceline or 0
        raise refusal("SIG013", expected="base64", part=part, line=line) from None


def _check_types(root: etree._Element, signed: etree._Element) -> None:
    """Canonicalisation does not keep a prefix that only an xsi:type's value uses, if it is exclusive, nor
    does moving an element out of its document.

    Such a prefix must mean in what is read what it means in the signed octets, or whoever carried the
    message could have changed a type.  Raises Refused (SIG014).
    """
    twins = signed.iter(etree.Element)
    for element in root.iter(etree.Element):
        twin = next(twins)
        value = element.get(_XSI_TYPE)
        if value is None:
            continue
        prefix = value.strip().rpartition(":")[0] or None
        meant, read = twin.nsmap.get(prefix), element.nsmap.get(prefix)
        if prefix != "xml" and (meant != read or (meant is None and prefix is not None)):
            raise refusal("SIG014", found=value, part=xpath_of(element), line=element.sourceline or 0)
