"""What the explaining engine says, as findings: the kind of fault, its place, what was expected and found."""

from __future__ import annotations

import re
from collections.abc import Iterable

import xmlschema
from lxml import etree
from xmlschema.validators import facets

from gateway.model import Finding, Place
from gateway.safexml import local_name, xpath_of

MISSING_ELEMENT = "XML021"
UNEXPECTED_ELEMENT = "XML022"
TOO_MANY = "XML023"
BAD_VALUE = "XML024"
LENGTH = "XML025"
PATTERN = "XML026"
ENUMERATION = "XML027"
RANGE = "XML028"
MISSING_ATTRIBUTE = "XML029"
UNEXPECTED_ATTRIBUTE = "XML030"
DIGITS = "XML031"
CONTENT = "XML032"
DOUBLED = "XML033"
OTHER = "XML034"
EMPTY = "XML037"
OUT_OF_PLACE = "XML038"

# As much of a sender's text as a receipt repeats.
MAX_SHOWN = 70

_FACETS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    ((facets.XsdLengthFacet, facets.XsdMinLengthFacet, facets.XsdMaxLengthFacet), LENGTH),
    (facets.XsdPatternFacets, PATTERN),
    (facets.XsdEnumerationFacets, ENUMERATION),
    ((facets.XsdTotalDigitsFacet, facets.XsdFractionDigitsFacet), DIGITS),
    (
        (
            facets.XsdMinInclusiveFacet,
            facets.XsdMinExclusiveFacet,
            facets.XsdMaxInclusiveFacet,
            facets.XsdMaxExclusiveFacet,
        ),
        RANGE,
    ),
)
_ATTRIBUTE = re.compile(r"attribute ([\w.:-]+)=")
_MISSING_ATTRIBUTE = re.compile(r"missing required attribute '([^']+)'")
_UNEXPECTED_ELEMENT = re.compile(
    r"element '([^']+)' (?:is )?not (?:found|allowed)|unavailable namespace '([^']*)'"
)
_UNEXPECTED_ATTRIBUTE = re.compile(r"(?:use of attribute )?'([^']+)' (?:attribute not allowed|is prohibited)")
# One kind of character, once, so often or from so often to so often: [A-Z]{2}, [0-9]{1,4}.
_SIMPLE_PATTERN = re.compile(r"\[([A-Za-z0-9-]+)\](?:\{([0-9]+)(?:,([0-9]+))?\})?")
# A field's value inside a tuple of Python's: 'x', Decimal('1'), 1.
_FIELD_VALUE = re.compile(r"['\"]([^'\"]*)['\"]|[(,] ?([0-9.]+)(?=[,)])")
# Reasons that no facet stands for, and their codes.
_REASONS = (
    ("a simple content element can't have child elements", CONTENT),
    ("character data", CONTENT),
    ("duplicated value", DOUBLED),
    ("duplicated xs:ID value", DOUBLED),
    ("value must be ", RANGE),
    ("must have the fixed value ", ENUMERATION),
    ("value is not a valid", BAD_VALUE),
    ("not a", BAD_VALUE),
)


def finding(error: xmlschema.XMLSchemaValidationError) -> Finding | None:
    """The finding for one of xmlschema's errors; None for one that only repeats another."""
    element = error.elem
    if "field selects multiple values" in (error.reason or ""):
        # The element that occurs too often is told by itself.
        return None
    if not isinstance(element, etree._Element):
        return Finding(OTHER, found=_short(error.reason or error.message))
    if isinstance(error, xmlschema.XMLSchemaChildrenValidationError):
        return _children(error, element)
    return _attributes(error, element) or _value(error, element)


def _children(error: xmlschema.XMLSchemaChildrenValidationError, parent: etree._Element) -> Finding:
    """A content model that does not hold: a child is missing, unknown, too often or out of place."""
    expected = [_local(str(getattr(e, "name", "") or "any element")) for e in error.expected or ()]
    wanted = " or ".join(dict.fromkeys(expected))
    child = _child(parent, error.index, error.invalid_tag)
    present = {local_name(c) for c in parent if isinstance(c.tag, str)}
    if expected and not present.intersection(expected):
        missing = f"/{expected[0]}" if len(expected) == 1 and expected[0].isalnum() else ""
        place = Place(xpath=xpath_of(parent) + missing, line=_line(parent if child is None else child))
        return Finding(MISSING_ELEMENT, place, wanted, "" if child is None else local_name(child))
    if child is None:
        return Finding(CONTENT, _at(parent), wanted, _short(error.reason or ""))
    before = child.getprevious()
    if before is not None and before.tag == child.tag:
        code = TOO_MANY
    elif _belongs(error, child):
        code = OUT_OF_PLACE
    else:
        code = UNEXPECTED_ELEMENT
    return Finding(code, _at(child), wanted, local_name(child))


def _child(parent: etree._Element, index: int, tag: str | None) -> etree._Element | None:
    if tag is None or index >= len(parent):
        return None
    child = parent[index]
    return child if child.tag == tag else next(parent.iterchildren(tag), None)


def _belongs(error: xmlschema.XMLSchemaChildrenValidationError, child: etree._Element) -> bool:
    """True where the class knows the element, only not here."""
    group = error.validator
    elements: Iterable[object] = group.iter_elements() if hasattr(group, "iter_elements") else ()
    return any(getattr(e, "name", None) == child.tag for e in elements)


def _attributes(error: xmlschema.XMLSchemaValidationError, element: etree._Element) -> Finding | None:
    """A missing or unknown attribute, else None."""
    reason = error.reason or ""
    for pattern, code in (
        (_MISSING_ATTRIBUTE, MISSING_ATTRIBUTE),
        (_UNEXPECTED_ATTRIBUTE, UNEXPECTED_ATTRIBUTE),
    ):
        found = pattern.match(reason)
        if found is not None:
            name = _local(found[1])
            given = "" if code == MISSING_ATTRIBUTE else name
            wanted = name if code == MISSING_ATTRIBUTE else ""
            return Finding(code, _at(element, f"/@{name}"), wanted, given)
    return None


def _value(error: xmlschema.XMLSchemaValidationError, element: etree._Element) -> Finding:
    """A value that breaks its type or a facet of it."""
    reason = error.reason or ""
    attribute = _ATTRIBUTE.match(reason)
    place = _at(element, f"/@{_local(attribute[1])}" if attribute else "")
    found = str(error.obj) if isinstance(error.obj, str | int) else _text(element, attribute)
    for kinds, code in _FACETS:
        if isinstance(error.validator, kinds):
            if not found.strip() and code in (PATTERN, LENGTH):
                return Finding(EMPTY, place, "a value")
            return Finding(code, place, _wanted(error.validator), _short(found))
    if isinstance(error, xmlschema.XMLSchemaDecodeError):
        if not found.strip():
            return Finding(EMPTY, place, "a value")
        type_name = getattr(error.validator, "name", None) or ""
        return Finding(BAD_VALUE, place, _local(str(type_name)), _short(found))
    stranger = _UNEXPECTED_ELEMENT.match(reason)
    if stranger is not None:
        # The name of an unknown element, or the namespace that no schema of the pack has.
        wanted = stranger[1] or f"{{{stranger[2]}}}*"
        child = element if element.tag == wanted else next(element.iterchildren(wanted), element)
        return Finding(UNEXPECTED_ELEMENT, _at(child), "", local_name(child))
    for start, code in _REASONS:
        if reason.startswith(start):
            if code == DOUBLED:
                return Finding(code, place, "", _doubled(reason.partition(" for ")[0]))
            if code == CONTENT:
                return Finding(code, place, "", _short(reason.partition(" for ")[0]))
            return Finding(code, place, _short(reason.removeprefix(start)), _short(found))
    return Finding(OTHER, place, "", _short(reason))


def _wanted(facet: object) -> str:
    """What a facet asks for, in its own notation."""
    if isinstance(facet, facets.XsdEnumerationFacets):
        return _short(", ".join(str(v) for v in facet.enumeration), 4 * MAX_SHOWN)
    if isinstance(facet, facets.XsdPatternFacets):
        return _short(" | ".join(_form(facet, n) for n in range(len(facet.regexps))), 4 * MAX_SHOWN)
    names: dict[type, str] = {
        facets.XsdMaxLengthFacet: "at most {} characters",
        facets.XsdMinLengthFacet: "at least {} characters",
        facets.XsdLengthFacet: "{} characters",
        facets.XsdTotalDigitsFacet: "at most {} digits",
        facets.XsdFractionDigitsFacet: "at most {} decimals",
        facets.XsdMinInclusiveFacet: ">= {}",
        facets.XsdMinExclusiveFacet: "> {}",
        facets.XsdMaxInclusiveFacet: "<= {}",
        facets.XsdMaxExclusiveFacet: "< {}",
    }
    return names.get(type(facet), "{}").format(getattr(facet, "value", ""))


def _form(facet: facets.XsdPatternFacets, number: int) -> str:
    """A pattern in words, where the schema has some for it or it is one kind of character; else itself."""
    annotation = facet.get_annotation(number)
    if annotation is not None:
        words = " ".join(e.text or "" for e in annotation.documentation)
        if words.strip():
            return words
    pattern = facet.regexps[number]
    simple = _SIMPLE_PATTERN.fullmatch(pattern)
    if simple is None:
        return pattern
    least, most = simple[2] or "1", simple[3] or simple[2] or "1"
    return f"{least if least == most else f'{least}..{most}'} × {simple[1]}"


def _doubled(reason: str) -> str:
    """The values that an identity constraint found twice, without the explaining engine's own notation."""
    values = [one or other for one, other in _FIELD_VALUE.findall(reason)]
    return ", ".join(values) or _short(reason)


def _text(element: etree._Element, attribute: re.Match[str] | None) -> str:
    if attribute is None:
        return element.text or ""
    return str(element.get(attribute[1]) or "")


def _at(element: etree._Element, suffix: str = "") -> Place:
    return Place(xpath=xpath_of(element) + suffix, line=_line(element))


def _line(element: etree._Element) -> int:
    return element.sourceline or 0


def _local(name: str) -> str:
    return name.rpartition("}")[2].rpartition(":")[2]


def _short(text: str, most: int = MAX_SHOWN) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
