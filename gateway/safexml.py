"""The one door by which bytes become XML: UTF-8, no document type, no surprises, within bounds.

Every room that reads XML reads the tree that :func:`parse` gives.  Nothing is fetched, expanded or
repaired; comments are dropped, so that neighbouring text is one text; whatever is refused is told
with its line and column.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Any, Final, NoReturn

import msgspec
from lxml import etree

from gateway.model import Finding, Place

MAX_BYTES = 64 * 1024 * 1024
"""A whole document; a door may set less for a partner."""
MAX_DEPTH = 256
"""Where libxml2 itself stops, so that no tree has to be asked; the deepest WCO tree has 18 levels."""
MAX_ATTRIBUTES = 100
"""On one element; the richest class of the schemas in use has 12."""
MAX_NAMESPACES = 32
"""Declared on an element and those around it, the same prefix as often as it is: inclusive canonicalisation
costs their square; the richest envelopes in use have 14."""
MAX_SCOPES = 16_000_000
"""Elements times the namespaces above: what inclusive canonicalisation goes through."""
MAX_NODES = 2_000_000
"""Elements, about 120 octets of memory each; and attributes, twice as much each."""
MAX_TEXT = 8 * 1024 * 1024
"""Characters of one text or attribute value; libxml2 itself stops at 10,000,000."""

XML_NS = "http://www.w3.org/XML/1998/namespace"
XSI_NS = "http://www.w3.org/2001/XMLSchema-instance"

_FOUND = 120
"""Characters of libxml2's explanation that are repeated to the sender."""

_BOM = b"\xef\xbb\xbf"
_UTF8 = ("utf-8", "utf8", "us-ascii", "ascii")
_DECLARATION = re.compile(rb"""<\?xml[ \t\r\n][^>]*?\bencoding[ \t\r\n]*=[ \t\r\n]*["']([^"'>]*)["']""")
DECLARED = re.compile(rb"(?:\xef\xbb\xbf)?<\?xml[ \t\r\n][^?]*\?>")
_BEFORE_ROOT = re.compile(rb"(?:[ \t\r\n]+|<\?(?:[^?]|\?(?!>))*\?>|<!--(?:[^-]|-(?!->))*-->)*")
_ATTRIBUTE = re.compile(rb"""=[ \t\r\n]*["']""")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")

OPTIONS: Final[dict[str, Any]] = {
    "encoding": "utf-8",
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "dtd_validation": False,
    "attribute_defaults": False,
    "huge_tree": False,
    "recover": False,
    "remove_comments": True,
    "remove_pis": False,
    "strip_cdata": True,
    "collect_ids": False,
}
"""Of every parser of what others send."""

_PARSER: etree.XMLParser = etree.XMLParser(**OPTIONS)
_INSTRUCTION = etree.XPath("//processing-instruction()")
_ELEMENTS = etree.XPath("count(//*)")

_LEAST_ELEMENT = len("<a/>")
_LEAST_ATTRIBUTE = len(' a=""')
_SMALL = 65_536
"""Octets in which signs are counted faster than looked for."""


class XmlLimits(msgspec.Struct, frozen=True):
    """Bounds of one document: octets, levels, attributes and namespaces of an element, elements (and as
    many attributes), elements times namespaces, characters of a text.  Beyond libxml2's own (256 levels,
    10,000,000 characters) they do not grow.

    Of a document that comes in a file: ``piece`` octets are read at a time, and so many occurrences of a class
    are ``held``; the others are put by."""

    max_bytes: int = MAX_BYTES
    max_depth: int = MAX_DEPTH
    max_attributes: int = MAX_ATTRIBUTES
    max_namespaces: int = MAX_NAMESPACES
    max_nodes: int = MAX_NODES
    max_scopes: int = MAX_SCOPES
    max_text: int = MAX_TEXT
    piece: int = 65_536
    held: int = 64


_LIMITS = XmlLimits()


class XmlRefused(Exception):
    """The bytes are no XML that the gateway reads; ``findings`` say why and where."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__(", ".join(finding.code for finding in findings))
        self.findings = findings


def parse(data: bytes, limits: XmlLimits = _LIMITS) -> etree._Element:
    """The root element of a document (XML 1.0, fifth edition).

    The tree holds elements, attributes and text only.  Raises XmlRefused (XML001..XML012).
    """
    _check_octets(data, limits)
    try:
        root: etree._Element = etree.fromstring(data, _PARSER)
    except etree.XMLSyntaxError as error:
        refuse_syntax(error, limits)
    _check_tree(root, data, limits)
    return root


def xpath_of(element: etree._Element) -> str:
    """The element's absolute path of local names, indexed from 1 where siblings share a name:
    ``/MetaData/Declaration/GoodsShipment/GovernmentAgencyGoodsItem[2]``."""
    steps: list[str] = []
    here: etree._Element | None = element
    while here is not None:
        steps.append(step_of(here))
        here = here.getparent()
    steps.append("")
    return "/".join(reversed(steps))


def local_name(element: etree._Element) -> str:
    """The element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def step_of(element: etree._Element) -> str:
    """Its step in such a path."""
    name = local_name(element)
    wild = f"{{*}}{name}"
    before = sum(1 for _ in element.itersiblings(wild, preceding=True))
    if before == 0 and next(element.itersiblings(wild), None) is None:
        return name
    return f"{name}[{before + 1}]"


def refuse(code: str, place: Place | None = None, expected: str = "", found: str = "") -> NoReturn:
    """Raise XmlRefused with one finding."""
    raise XmlRefused((Finding(code, place or Place(line=1, column=1), expected, found),))


def _check_octets(data: bytes, limits: XmlLimits) -> None:
    """What can be refused before a parser sees it: size, encoding, document type, instructions."""
    if len(data) > limits.max_bytes:
        refuse("XML001", expected=str(limits.max_bytes), found=str(len(data)))
    if not data.isascii():
        _check_utf8(data)
    start = check_encoding(data)
    # One octet is sought much faster than two, and most documents have no "!" at all.
    if b"!" in data and b"<!DOCTYPE" in data:
        _check_prolog(data, start)
    # An element has one or two tags: what has more than twice the nodes in tags is never built.
    if len(data) > _LEAST_ELEMENT * limits.max_nodes and data.count(b"<") > 2 * limits.max_nodes + 1:
        refuse("XML008", expected=str(limits.max_nodes), found=f"> {limits.max_nodes}")
    if len(data) > _LEAST_ATTRIBUTE * limits.max_nodes and data.count(b"=") > limits.max_nodes:
        attributes = islice(_ATTRIBUTE.finditer(data), limits.max_nodes, None)
        if next(attributes, None) is not None:
            refuse("XML008", expected=str(limits.max_nodes), found=f"> {limits.max_nodes}")


def check_encoding(data: bytes) -> int:
    """Where a document begins behind its byte order mark; raises XmlRefused (XML003) where it says that it is in
    another encoding than UTF-8."""
    start = len(_BOM) if data.startswith(_BOM) else 0
    declared = _DECLARATION.match(data, start)
    if declared is not None and declared[1].lower().decode("ascii", "replace") not in _UTF8:
        refuse("XML003", expected="UTF-8", found=_shown(declared[1].decode("ascii", "replace")))
    return start


def _check_utf8(data: bytes) -> None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        place = _place_of(data, error.start)
        refuse("XML002", place, expected="UTF-8", found=data[error.start : error.start + 1].hex())


def _check_prolog(data: bytes, start: int) -> None:
    """Raise XmlRefused where the document type stands; in a CDATA section the word is only text."""
    before = _BEFORE_ROOT.match(data, start)
    at = start if before is None else before.end()
    if data.startswith(b"<!DOCTYPE", at):
        refuse("XML004", _place_of(data, at), found="<!DOCTYPE")


def _place_of(data: bytes, offset: int) -> Place:
    line = data.count(b"\n", 0, offset) + 1
    return Place(line=line, column=offset - data.rfind(b"\n", 0, offset), offset=offset)


def refuse_syntax(error: etree.XMLSyntaxError, limits: XmlLimits) -> NoReturn:
    """Raise XmlRefused with what libxml2 said."""
    line, column = error.position
    place = Place(line=line or 1, column=max(column or 1, 1))
    text = (error.msg or "").rpartition(", line ")[0] or error.msg or ""
    if "Excessive depth" in text:
        refuse("XML007", place, expected=str(limits.max_depth), found="> 256")
    if "Text node too long" in text or ("AttValue" in text and "too long" in text):
        refuse("XML010", place, expected=str(limits.max_text), found="> 10000000")
    if error.code == etree.ErrorTypes.ERR_DOCUMENT_EMPTY:
        refuse("XML011", place, found=_shown(text))
    refuse("XML005", place, found=_shown(text))


def _shown(text: str) -> str:
    return _CONTROL.sub(" ", text).strip()[:_FOUND]


def _check_tree(root: etree._Element, data: bytes, limits: XmlLimits) -> None:
    """Bounds that need the tree; each is asked only where the octets do not already answer it."""
    if b"!" in data and root.getroottree().docinfo.doctype:
        refuse("XML004", found="<!DOCTYPE")
    declaration = DECLARED.match(data)
    if data.find(b"?", 0 if declaration is None else declaration.end()) != -1:
        _check_instructions(root)
    if limits.max_depth < MAX_DEPTH:
        check_none(root, "XML007", "/*" * (limits.max_depth + 1), limits.max_depth)
    if len(data) > _LEAST_ELEMENT * limits.max_nodes:
        count = int(_ELEMENTS(root))
        if count > limits.max_nodes:
            refuse("XML008", expected=str(limits.max_nodes), found=str(count))
    _check_attributes(root, data, limits)
    if len(data) > limits.max_text:
        longer = f"string-length() > {limits.max_text}"
        check_none(root, "XML010", f"//*[text()[{longer}] or @*[{longer}]]", limits.max_text)


def _check_attributes(root: etree._Element, data: bytes, limits: XmlLimits) -> None:
    signs = data.count(b"=") if len(data) <= _SMALL else len(data)
    if signs > limits.max_attributes and has_long_tag(data, limits.max_attributes):
        wanted = f"//@*[{limits.max_attributes + 1}]/.."
        check_none(root, "XML009", wanted, limits.max_attributes)
    most = signs if signs <= limits.max_namespaces else data.count(b"xmlns")
    if most > limits.max_namespaces or most * len(data) > _LEAST_ELEMENT * limits.max_scopes:
        _check_namespaces(root, limits)


def _check_namespaces(root: etree._Element, limits: XmlLimits) -> None:
    """Raise XmlRefused: XML012 at the first element with too many namespaces, XML008 where so many elements
    could have so many.  Only where one is declared the tree is asked."""
    count = most = 0
    for event, _ in etree.iterwalk(root, events=("start-ns", "end-ns")):
        count += 1 if event == "start-ns" else -1
        most = max(most, count)
    if most > limits.max_namespaces:
        place = _place_beyond(root, limits.max_namespaces)
        refuse("XML012", place, str(limits.max_namespaces), f"> {limits.max_namespaces}")
    elements = int(_ELEMENTS(root))
    if elements * most > limits.max_scopes:
        refuse("XML008", expected=str(limits.max_scopes // most), found=str(elements))


def _place_beyond(root: etree._Element, bound: int) -> Place | None:
    """The first element with more namespaces than the bound."""
    count = 0
    for event, here in etree.iterwalk(root, events=("start-ns", "start", "end-ns")):
        if event != "start":
            count += 1 if event == "start-ns" else -1
        elif count > bound and isinstance(here, etree._Element):
            return Place(line=here.sourceline or 1, xpath=xpath_of(here))
    return None


def has_long_tag(data: bytes, bound: int) -> bool:
    """Whether anything between two ``<`` could be a tag with more attributes than the bound: it is long enough,
    and has as many ``=``.  Most documents have none, and the tree is slower to ask."""
    length = _LEAST_ATTRIBUTE * (bound + 1)
    at = 0
    while at + length < len(data):
        last = data.rfind(b"<", at, at + length)
        if last == -1:
            end = data.find(b"<", at)
            last = len(data) if end == -1 else end
            if data.count(b"=", at, last) > bound:
                return True
        at = last + 1
    return False


def _check_instructions(root: etree._Element) -> None:
    found = _INSTRUCTION(root)
    if isinstance(found, list) and found:
        first = found[0]
        assert isinstance(first, etree._ProcessingInstruction)
        refuse("XML006", Place(line=first.sourceline or 1), found=_shown(f"<?{first.target}"))


_BREACHES: dict[str, etree.XPath] = {}
"""Compiled once for each limit in use; limits come from settings, so there are few."""


def check_none(root: etree._Element, code: str, expression: str, limit: int) -> None:
    """Raise XmlRefused at the first element that the expression selects."""
    path = _BREACHES.get(expression)
    if path is None:
        path = _BREACHES[expression] = etree.XPath(f"({expression})[1]")
    found = path(root)
    if isinstance(found, list) and found:
        element = found[0]
        assert isinstance(element, etree._Element)
        place = Place(line=element.sourceline or 1, xpath=xpath_of(element))
        refuse(code, place, expected=str(limit), found=f"> {limit}")
