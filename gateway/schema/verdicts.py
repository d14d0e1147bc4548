"""The deciding engine's own error log as findings, where the explaining engine is too slow or mute."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from lxml import etree

from gateway.model import Finding, Place
from gateway.safexml import xpath_of
from gateway.schema import explain

# libxml2's names of faults (XML Schema part 1, appendix C) and our codes.
_CODES = {
    "SCHEMAV_ELEMENT_CONTENT": explain.UNEXPECTED_ELEMENT,
    "SCHEMAV_CVC_ELT_1": explain.UNEXPECTED_ELEMENT,
    "SCHEMAV_CVC_DATATYPE_VALID_1_2_1": explain.BAD_VALUE,
    "SCHEMAV_CVC_DATATYPE_VALID_1_2_2": explain.BAD_VALUE,
    "SCHEMAV_CVC_LENGTH_VALID": explain.LENGTH,
    "SCHEMAV_CVC_MINLENGTH_VALID": explain.LENGTH,
    "SCHEMAV_CVC_MAXLENGTH_VALID": explain.LENGTH,
    "SCHEMAV_CVC_PATTERN_VALID": explain.PATTERN,
    "SCHEMAV_CVC_ENUMERATION_VALID": explain.ENUMERATION,
    "SCHEMAV_CVC_TOTALDIGITS_VALID": explain.DIGITS,
    "SCHEMAV_CVC_FRACTIONDIGITS_VALID": explain.DIGITS,
    "SCHEMAV_CVC_MININCLUSIVE_VALID": explain.RANGE,
    "SCHEMAV_CVC_MINEXCLUSIVE_VALID": explain.RANGE,
    "SCHEMAV_CVC_MAXINCLUSIVE_VALID": explain.RANGE,
    "SCHEMAV_CVC_MAXEXCLUSIVE_VALID": explain.RANGE,
    "SCHEMAV_CVC_COMPLEX_TYPE_4": explain.MISSING_ATTRIBUTE,
    "SCHEMAV_CVC_COMPLEX_TYPE_3_2_1": explain.UNEXPECTED_ATTRIBUTE,
    "SCHEMAV_CVC_COMPLEX_TYPE_3_2_2": explain.UNEXPECTED_ATTRIBUTE,
    "SCHEMAV_CVC_COMPLEX_TYPE_2_1": explain.CONTENT,
    "SCHEMAV_CVC_COMPLEX_TYPE_2_2": explain.CONTENT,
    "SCHEMAV_CVC_COMPLEX_TYPE_2_3": explain.CONTENT,
    "SCHEMAV_CVC_TYPE_3_1_2": explain.CONTENT,
    "SCHEMAV_CVC_IDC": explain.DOUBLED,
}
_NAMESPACE = re.compile(r"\{[^{}]*\}")
_PREFIX = re.compile(r"Element '[^']*'(?:, attribute '[^']*')?: ")
_EXPECTED = re.compile(r" Expected is (?:one of )?\(?\s*(.*?)\s*\)?\.$")


def findings(log: Iterable[etree._LogEntry], document: etree._Element | None, most: int) -> Iterator[Finding]:
    """The log's errors, at most so many; with names in place of places where there is no document."""
    for entry in islice(log, most):
        element = None if document is None else _element(document, entry.path, entry.line)
        place = Place(line=entry.line)
        if element is not None:
            place = Place(xpath=xpath_of(element), line=element.sourceline or entry.line)
        said = _PREFIX.sub("", _NAMESPACE.sub("", entry.message), count=1)
        wanted = _EXPECTED.search(said)
        code = _CODES.get(entry.type_name, explain.OTHER)
        if entry.type_name == "SCHEMAV_ELEMENT_CONTENT" and said.startswith("Missing"):
            code = explain.MISSING_ELEMENT
        said = _EXPECTED.sub("", said)
        if document is None:
            said = f"{_name(entry)}: {said}"
        yield Finding(code, place, wanted[1] if wanted else "", said[: 2 * explain.MAX_SHOWN])


def _name(entry: etree._LogEntry) -> str:
    """The element that is named where no place is."""
    return _NAMESPACE.sub("", entry.message).partition("'")[2].partition("'")[0]


def _element(document: etree._Element, path: str | None, line: int) -> etree._Element | None:
    """The element that a log entry means: by its positional path, else the first on its line."""
    spaces = {prefix: uri for prefix, uri in document.nsmap.items() if prefix}
    if path:
        try:
            found = document.getroottree().xpath(path, namespaces=spaces)
        except etree.XPathError:
            found = []
        if isinstance(found, list) and found and isinstance(found[0], etree._Element):
            return found[0]
    return next((e for e in document.iter(etree.Element) if e.sourceline == line), None)
