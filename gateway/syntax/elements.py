"""Data elements: presence, format and code values of one segment against its directory.

Two halves: ``Layout.fine`` decides with sets and lengths and remembers what it has already judged;
``Layout.explain`` walks the same table again, only for a segment that failed, and names each fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from gateway.model.edifact import ComponentUse, Directory, ElementUse, Segment, SegmentTable
from gateway.model.finding import Finding, Place, Severity

# Lists whose codes steer the meaning of everything beside them: an unknown value is always an error.
STRICT = frozenset({"1001", "1153", "1225", "2005", "2379", "3035", "3227", "5025"})
# Lists that agreements extend although nothing beside the code can say so.
OPEN = frozenset({"0085", "1131", "3055", "6313", "6411", "7143"})
QUALIFIERS = ("1131", "3055")  # code list and its agency: they name a list other than the directory's

MAX_REMEMBERED = 4_096  # judged values an element keeps; beyond it each is judged afresh
MAX_QUOTED = 70  # characters of a sender's text in a finding

_FORMAT = re.compile(r"(an|a|n)(\.\.)?([0-9]{1,3})\Z")

Components = tuple[str, ...]

_OMITTED: tuple[Components, ...] = ((), ("",))


class Part(msgspec.Struct, frozen=True):
    """A simple data element in its place, ready to check: ``codes`` None where no list applies."""

    code: str
    required: bool
    format: str
    kind: str
    least: int
    most: int
    codes: frozenset[str] | None
    closed: bool


class Use:
    """One element position of a segment: a stand-alone element (one part) or a composite."""

    def __init__(self, use: ElementUse, codes: Mapping[str, frozenset[str]], number: re.Pattern[str]) -> None:
        components = use.components or (ComponentUse(use.code, True, use.format),)
        offers_list = any(c.code in QUALIFIERS for c in use.components)
        self.code = use.code
        self.required = use.required
        self.repeat = use.repeat
        self.composite = bool(use.components)
        self.parts = tuple(_part(c, codes, offers_list) for c in components)
        self.qualifying = tuple(i for i, part in enumerate(self.parts) if part.code in QUALIFIERS)
        self.number = number
        self._least = max((i for i, part in enumerate(self.parts, start=1) if part.required), default=1)
        self.seen: set[Components] = set() if use.required else set(_OMITTED)

    def accepts(self, components: Components) -> bool:
        """True where the element is without fault; a True is remembered."""
        if not any(components):
            return False  # an omitted element is among the seen where it may be omitted
        if not self._least <= len(components) <= len(self.parts) or not components[-1]:
            return False
        coded = False
        for part, text in zip(self.parts, components, strict=False):
            if not text:
                if part.required:
                    return False
            elif part.kind == "an":
                if not part.least <= len(text) <= part.most or text.isspace():
                    return False
                coded = coded or (part.codes is not None and text not in part.codes)
            elif not self._typed(part, text):
                return False
        if coded and not self.qualifies(components):
            return False
        if len(self.seen) < MAX_REMEMBERED:
            self.seen.add(components)
        return True

    def _typed(self, part: Part, text: str) -> bool:
        if part.kind == "n":
            return self.number.match(text) is not None and part.least <= _digits(text) <= part.most
        known = part.codes is None or text in part.codes
        fits = known and part.least <= len(text) <= part.most
        return fits and not text.isspace() and not any(c.isdigit() for c in text)

    def qualifies(self, components: Components) -> bool:
        """True where the sender names a code list or agency: its codes are not the directory's."""
        return any(i < len(components) and components[i] for i in self.qualifying)


class Layout:
    """A segment of one directory, ready to check under one syntax version and decimal mark."""

    def __init__(
        self, table: SegmentTable, codes: Mapping[str, frozenset[str]], marks: str, repeating: bool
    ) -> None:
        number = re.compile(rf"-?[0-9]+(?:[{re.escape(marks)}][0-9]+)?\Z")
        uses = table.elements if repeating else _spread(table.elements)
        self.tag = table.tag
        self.marks = marks
        self.uses = tuple(Use(use, codes, number) for use in uses)
        self._least = max((i for i, use in enumerate(self.uses, start=1) if use.required), default=0)
        self._checks = tuple((use.seen, use.accepts) for use in self.uses)

    def fine(self, segment: Segment) -> bool:
        """True where the segment is without fault or warning; False asks for ``explain``."""
        elements = segment.elements
        if not self._least <= len(elements) <= len(self.uses) or segment.repeats:
            return False
        for (seen, accepts), element in zip(self._checks, elements, strict=False):
            if element not in seen and not accepts(element):
                return False
        return not elements or elements[-1] not in _OMITTED

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


def check(segments: Iterable[Segment], layouts: Layouts) -> list[int]:
    """Indexes of the segments that are not fine; those that the directory does not know are passed."""
    failed: list[int] = []
    get = layouts.get
    for index, segment in enumerate(segments):
        layout = get(segment.tag)
        if layout is not None and not layout.fine(segment):
            failed.append(index)
    return failed


def quote(text: str) -> str:
    """A sender's text, short enough for a finding."""
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
    return Part(use.code, use.required, use.format, found[1], least, most, codes.get(use.code), closed)


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
    elif part.codes is not None and not qualified and text not in part.codes:
        if part.closed:
            yield Finding("EDI012", at, part.code, quote(text))
        else:
            yield Finding("EDI302", at, part.code, quote(text), Severity.WARNING)
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
