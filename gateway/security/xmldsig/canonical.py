"""Canonical XML: the octets that a signature covers."""

from __future__ import annotations

from typing import Final

from lxml import etree

from gateway.safexml import XML_NS, XmlLimits, XmlRefused, parse, xpath_of
from gateway.security.refused import Refused, refusal

EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
INCLUSIVE: Final = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
INCLUSIVE_11: Final = "http://www.w3.org/2006/12/xml-c14n11"
CANONICAL: Final = frozenset({EXCLUSIVE, INCLUSIVE, INCLUSIVE_11})
"""None with comments; none with an InclusiveNamespaces list."""

_WIDER: Final = XmlLimits(max_bytes=2**31, max_attributes=200, max_namespaces=200)
"""Octets made here, of a tree within its bounds; a part has its ancestors' attributes and namespaces besides."""
_XML: Final = f"{{{XML_NS}}}"
_BASE: Final = f"{_XML}base"
_ID: Final = f"{_XML}id"


def canonical(root: etree._Element, method: str) -> bytes:
    """A whole document without comments.  Raises Refused (SIG015), as for relative namespace names.

    Of a whole document both versions of inclusive canonicalisation are the same (Canonical XML 1.1, 1.1).
    """
    try:
        return etree.tostring(root, method="c14n", exclusive=method == EXCLUSIVE, with_comments=False)
    except etree.C14NError:
        raise refusal("SIG015", found=xpath_of(root), part="Signature") from None


def canonical_part(element: etree._Element, method: str) -> bytes:
    """A part of a document, which must be in its place still.  Raises Refused (SIG015, XML codes).

    Inclusive canonicalisation gives a part its ancestors' namespaces, which the library does, and
    their xml: attributes (Canonical XML, 2.4), which is done here.
    """
    if method == EXCLUSIVE:
        return canonical(element, method)
    inherited = _inherited(element, method)
    element.attrib.update(inherited)
    octets = canonical(_by_itself(element), method)
    for name in inherited:
        del element.attrib[name]
    return octets


def _by_itself(element: etree._Element) -> etree._Element:
    """The element, or a copy of its own where namespaces are declared within it again, or a default one is in
    scope.

    The library canonicalises a part under a copied root, and libxml2 (xmlSearchNs) then takes the namespaces
    further down for others than the copy's: it declares them twice, and undeclares the default one.  In what is
    read anew there is only one of each.
    """
    scope = element.nsmap
    if not scope:
        return element
    octets = etree.tostring(element, encoding="utf-8", with_tail=False)
    if None not in scope and octets.count(b"xmlns") == len(scope):
        return element
    return read_again(octets)


def read_again(octets: bytes) -> etree._Element:
    """What was written here, read as it would be elsewhere.  Raises Refused (XML codes), as where two texts
    have become one that is too long."""
    try:
        return parse(octets, _WIDER)
    except XmlRefused as error:
        raise Refused(error.findings) from None


def _inherited(element: etree._Element, method: str) -> dict[str, str]:
    """The xml: attributes of the ancestors, the nearest of each name.

    Version 1.1 leaves xml:id where it stands and resolves xml:base; the latter is not followed here.
    """
    found: dict[str, str] = {}
    for ancestor in element.iterancestors():
        for key, value in ancestor.attrib.items():
            name = str(key)
            if not name.startswith(_XML) or name in element.attrib or name in found:
                continue
            if method == INCLUSIVE_11 and name == _BASE:
                raise refusal("SIG015", found=f"xml:base, {xpath_of(ancestor)}", part="Signature")
            if method != INCLUSIVE_11 or name != _ID:
                found[name] = value
    return found
