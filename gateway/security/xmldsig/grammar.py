"""What an element of a signature may hold: attributes of a closed list, base64, nothing between the lines."""

from __future__ import annotations

from itertools import islice
from typing import Final

from lxml import etree

from gateway.safexml import XML_NS, local_name, xpath_of
from gateway.security.base64 import from_base64
from gateway.security.refused import Refused, refusal

_ID: Final = frozenset({"Id"})
_XML_ATTRIBUTES: Final = frozenset(f"{{{XML_NS}}}{name}" for name in ("lang", "space", "base", "id"))
_SHOWN: Final = 20
"""Names of what an element holds that are repeated to the sender; it may hold a million."""


def algorithm_of(element: etree._Element, code: str = "SIG005") -> str:
    """The Algorithm attribute of an element that has no parameters.

    Parameters are how HMACOutputLength, XSLT, XPath and prefix lists come in; none is understood.
    """
    if len(element) or element.keys() != ["Algorithm"]:
        raise misshapen(element, "Algorithm", code)
    check_blank(element)
    return element.get("Algorithm", "")


def octets_of(element: etree._Element, limit: int) -> bytes:
    """The octets of an element that holds nothing but base64, which may be broken into lines."""
    text = element.text or ""
    if len(element) or len(text) > limit:
        raise misshapen(element, f"base64, <= {limit} characters")
    try:
        return from_base64(text.encode())
    except ValueError:
        raise no_base64(element) from None


def no_base64(element: etree._Element) -> Refused:
    """The refusal of an element whose text is none."""
    return refusal("SIG013", expected="base64", part=xpath_of(element), line=element.sourceline or 0)


def check_attributes(element: etree._Element, allowed: frozenset[str] = _ID) -> None:
    """Raises Refused (SIG005) where an element has others; xml: attributes change nothing here."""
    if not allowed.issuperset(element.keys()) and not (allowed | _XML_ATTRIBUTES).issuperset(element.keys()):
        raise misshapen(element, ", ".join(sorted(allowed)))


def check_blank(element: etree._Element) -> None:
    """Raises Refused (SIG005) where text stands in an element, or behind one in it: nothing would read it, and
    another reader might."""
    for text in (element.text, *(child.tail for child in element)):
        if text and not text.isspace():
            raise refusal("SIG005", "no text", text, xpath_of(element), element.sourceline or 0)


def misshapen(element: etree._Element, expected: str, code: str = "SIG005") -> Refused:
    """The refusal of an element that holds something else than expected."""
    return refusal(code, expected, ", ".join(_names(element)), xpath_of(element), element.sourceline or 0)


def _names(element: etree._Element) -> list[str]:
    attributes, children = islice(element.attrib, _SHOWN), islice(element, _SHOWN)
    return [*map(str, attributes), *map(local_name, children)]
