"""Data elements: presence, format and code values of one segment against its directory, each fault named.

This is the definition; :mod:`gateway.syntax.patterns` decides the usual case in its stead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import copy

import msgspec
from msgspec.structs import replace

from gateway.model.edifact import ComponentUse, Directory, ElementUse, Segment, SegmentTable
from gateway.model.finding import Finding, Place, Severity
from gateway.syntax.guides import ElementRule

# Lists whose codes steer the meaning of everything beside them: an unknown value is always an error.
STRICT = frozenset({"1001", "1153", "1225", "2005", "2379", "3035", "3227", "5025"})
# Lists that agreements extend although nothing beside the code can say so.
OPEN = frozenset({"0085", "1131", "3055", "6313", "6411", "7143"})
_AGENCY = "3055"  # what it names may have lists of its own; it has a list itself
QUALIFIERS = ("1131", "3055")  # code list and its agency: they name a list other than the directory's

MAX_CODES = 12  # codes of a guide's list named in a finding
MAX_QUOTED = 70  # characters of a sender's text in a finding

_FORMAT = re.compile(r"(an|a|n)(\.\.)?([0-9]{1,4})\Z")

Components = tuple[str, ...]

_OMITTED: tuple[Components, ...] = ((), ("",))


class Part(msgspec.Struct, frozen=True):
    """A simple data element in its place, ready to check.

    ``codes``: None where no list applies.  ``closed``: another code is an error; ``bound``: even where
    the sender names another list.  ``listed``: how a finding names the list.  ``used``: False where an
    implementation guide leaves the element out.
    """

    code: str
    required: bool
    format: str
    kind: str
    least: int
    most: int
    codes: frozenset[str] | None
    closed: bool
    listed: str
    bound: bool = False
    used: bool = True


class Use:
    """One element position of a segment: a stand-alone element (one part) or a composite."""

    def __init__(self, use: ElementUse, codes: Mapping[str, frozenset[str]]) -> None:
        components = use.components or (ComponentUse(use.code, True, use.format),)
        offers_list = any(c.code in QUALIFIERS for c in use.components)
        self.code = use.code
        self.required = use.required
        self.repeat = use.repeat
        self.composite = bool(use.components)
        self.parts = tuple(_part(c, codes, offers_list) for c in components)
        self.qualifying = tuple(i for i, part in enumerate(self.parts) if part.code in QUALIFIERS)

    def narrowed(self, rule: ElementRule, component: int) -> Use:
        """The use as a guide's rule for it, or for one of its components (from 1; 0: itself), has it."""
        use = copy(self)
        if rule.required is not None and not component:
            use.required = rule.required
        whole = not component and self.composite
        use.parts = tuple(
            _narrowed(part, rule, whole) if component in (0, number) else part
            for number, part in enumerate(self.parts, start=1)
        )
        return use

    def qualifies(self, components: Components) -> bool:
        """True where the sender names a code list or agency: its codes are not the directory's."""
        return any(i < len(components) and components[i] for i in self.qualifying)


class Layout:
    """A segment of one directory, ready to check under one syntax version and decimal mark."""

    def __init__(
        self, table: SegmentTable, codes: Mapping[str, frozenset[str]], marks: str, repeating: bool
    ) -> None:
        uses = table.elements if repeating else _spread(table.elements)
        self.tag = table.tag
        self.marks = marks
        self.uses = tuple(Use(use, codes) for use in uses)

    def narrowed(self, rules: Mapping[str, ElementRule]) -> Layout:
        """The layout as a guide's rules have it, by position: ``2``, or ``2.1`` for a component."""
        layout = copy(self)
        uses = list(self.uses)
        for position, rule in rules.items():
            element, _, component = position.partition(".")
            index = int(element) - 1
            uses[index] = uses[index].narrowed(rule, int(component or 0))
        layout.uses = tuple(uses)
        return layout

    def explain(self, segment: Segment, where: Place) -> Iterator[Finding]:
        """Every fault of the segment; ``where`` is the segment's own place."""
        more = dict(segment.repeats)
        for position, use in enumerate(self.uses, start=1):
            at = replace(where, element=position)
            first = segment.elements[position - 1] if position <= len(segment.elements) else ()
            occurrences = (first, *more.get(position, ()))
            if len(occurrences) > use.repeat:
                yield Finding(
                    "EDI304", replace(at, repetition=use.repeat + 1), str(use.repeat), str(len(occurrences))
                )
            for repetition, components in enumerate(occurrences, start=1):
                place = replace(at, repetition=repetition) if len(occurrences) > 1 else at
                yield from _explain_element(use, components, place, self.marks)
        if len(segment.elements) > len(self.uses):
            at = replace(where, element=len(self.uses) + 1)
            extra = segment.elements[len(self.uses) :]
            yield from _too_many(extra, at, len(self.uses), len(segment.elements))
        elif segment.elements and segment.elements[-1] in _OMITTED:
            yield Finding("EDI045", replace(where, element=len(segment.elements)), severity=Severity.WARNING)


class Layouts:
    """The layouts of a directory and of its syntax version's service segments, made when first used."""

    def __init__(self, directory: Directory | None, service: Directory, marks: str, repeating: bool) -> None:
        self._sources = (service,) if directory is None else (directory, service)
        self._marks = marks
        self._repeating = repeating
        self._made: dict[str, Layout | None] = {}

    def get(self, tag: str) -> Layout | None:
        """The segment's layout, or None where the directory does not know the segment."""
        if tag in self._made:
            return self._made[tag]
        for source in self._sources:
            table = source.segments.get(tag)
            if table is not None:
                self._made[tag] = Layout(table, source.codes, self._marks, self._repeating)
                return self._made[tag]
        return None  # not remembered: tags are the sender's, and there are many


def quote(text: str) -> str:
    """A sender's text as a finding says it: short, and what cannot be printed escaped."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[:MAX_QUOTED])
    return text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 1] + "…"


def _spread(uses: Sequence[ElementUse]) -> tuple[ElementUse, ...]:
    """Syntax 1 to 3 cannot repeat an element: where the last of a segment may, it is sent side by side."""
    if not uses or uses[-1].repeat == 1:
        return tuple(uses)
    last = uses[-1]
    return (
        *uses[:-1],
        replace(last, repeat=1),
        *[replace(last, required=False, repeat=1)] * (last.repeat - 1),
    )


def _part(use: ComponentUse, codes: Mapping[str, frozenset[str]], offers_list: bool) -> Part:
    found = _FORMAT.match(use.format)
    if found is None:
        raise ValueError(f"{use.code}: {use.format!r} is no format")
    most = int(found[3])
    closed = use.code in STRICT or not (offers_list or use.code in OPEN)
    least = 1 if found[2] else most
    listed = codes.get(use.code)
    return Part(use.code, use.required, use.format, found[1], least, most, listed, closed, use.code)


def _narrowed(part: Part, rule: ElementRule, whole: bool) -> Part:
    """The part under a guide's rule; ``whole``: the rule is that of the composite around it."""
    if whole:
        return replace(part, used=part.used and rule.used)
    if rule.format:
        part = replace(
            _part(ComponentUse(part.code, part.required, rule.format), {}, False), codes=part.codes
        )
    if rule.codes:
        listed = ", ".join(rule.codes[:MAX_CODES]) + (" ..." if len(rule.codes) > MAX_CODES else "")
        part = replace(part, codes=frozenset(rule.codes), closed=True, bound=True, listed=listed)
    required = part.required if rule.required is None else rule.required
    return replace(part, required=required, used=rule.used)


def _digits(text: str) -> int:
    """Length of a number: the decimal mark and the minus are not counted (ISO 9735-1, numeric values)."""
    return len(text) - text.count("-") - text.count(".") - text.count(",")


def _too_many(extra: Sequence[Components], at: Place, allowed: int, found: int) -> Iterator[Finding]:
    if any(any(element) for element in extra):
        yield Finding("EDI016", at, str(allowed), str(found))
    else:
        yield Finding("EDI045", at, severity=Severity.WARNING)


def _explain_element(use: Use, components: Components, at: Place, marks: str) -> Iterator[Finding]:
    if not any(components):
        if use.required:
            yield Finding("EDI013", at, expected=use.code)
        elif len(components) > 1:
            yield Finding("EDI045", at, severity=Severity.WARNING)
        return
    if len(components) > len(use.parts):
        place = replace(at, component=len(use.parts) + 1)
        yield from _too_many([components[len(use.parts) :]], place, len(use.parts), len(components))
    elif not components[-1]:
        yield Finding("EDI045", replace(at, component=len(components)), severity=Severity.WARNING)
    qualified = use.qualifies(components)
    for number, part in enumerate(use.parts, start=1):
        text = components[number - 1] if number <= len(components) else ""
        place = replace(at, component=number) if use.composite else at
        if text:
            yield from _explain_text(part, text, place, qualified, marks)
        elif part.required:
            yield Finding("EDI013", place, expected=part.code)


def _explain_text(part: Part, text: str, at: Place, qualified: bool, marks: str) -> Iterator[Finding]:
    if part.required and text.isspace() and at.tag.startswith("UN"):
        yield Finding("EDI013", at, expected=part.code)  # in an envelope, blanks name nobody
        return
    if not part.used:
        yield Finding("EDI015", at, part.code, quote(text))
        return
    if part.kind == "n":
        code = _number_fault(text, marks)
        if code:
            yield Finding(code, at, part.format, quote(text))
            return
    length = _digits(text) if part.kind == "n" else len(text)
    if length > part.most:
        yield Finding("EDI039", at, part.format, quote(text))
    elif length < part.least:
        yield Finding("EDI040", at, part.format, quote(text))
    elif (
        part.codes is not None
        and (part.bound or not qualified or part.code == _AGENCY)
        and text not in part.codes
    ):
        if part.closed:
            yield Finding("EDI012", at, part.listed, quote(text))
        else:
            yield Finding("EDI302", at, part.listed, quote(text), Severity.WARNING)
    if part.kind == "a" and any(c.isdigit() for c in text):
        yield Finding("EDI037", at, part.format, quote(text))
    if text.isspace():
        yield Finding("EDI303", at, part.format, severity=Severity.WARNING)


def _number_fault(text: str, marks: str) -> str:
    """The code of what is wrong with a number, "" where nothing is (facts of ISO 9735, numeric values)."""
    body = text.removeprefix("-")
    if not body or any(c not in "0123456789.," for c in body):
        return "EDI037"
    whole, mark, rest = _divide(body)
    if mark and (mark not in marks or not rest.isdecimal()):
        return "EDI019"
    return "" if whole else "EDI038"


def _divide(body: str) -> tuple[str, str, str]:
    for index, character in enumerate(body):
        if character in ".,":
            return body[:index], character, body[index + 1 :]
    return body, "", ""
