"""Canonical XML: the octets that a signature covers."""

from __future__ import annotations

from typing import Final

from lxml import etree

from gateway.safexml import XML_NS, xpath_of
from gateway.security.refused import refusal

EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
INCLUSIVE: Final = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
CANONICAL: Final = frozenset({EXCLUSIVE, INCLUSIVE})
"""Neither with comments; both without an InclusiveNamespaces list."""

_XML: Final = f"{{{XML_NS}}}"


def canonical(root: etree._Element, method: str) -> bytes:
    """A whole document without comments.  Raises Refused (SIG015), as for relative namespace names."""
    try:
        return etree.tostring(root, method="c14n", exclusive=method == EXCLUSIVE, with_comments=False)
    except etree.C14NError:
        raise refusal("SIG015", found=xpath_of(root), part="Signature") from None


def canonical_part(element: etree._Element, method: str) -> bytes:
    """A part of a document, which must be in its place still.  Raises Refused (SIG015).

    Inclusive canonicalisation gives a part its ancestors' namespaces, which the library does, and
    their xml: attributes (Canonical XML, 2.4), which is done here.
    """
    if method == INCLUSIVE:
        for ancestor in element.iterancestors():
            for name, value in ancestor.attrib.items():
                if str(name).startswith(_XML) and name not in element.attrib:
                    element.set(name, value)
    return canonical(element, method)
