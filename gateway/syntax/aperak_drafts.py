"""What an APERAK says and how its segments say it in a directory, both ways; see :mod:`gateway.syntax.aperak`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from gateway.model.edifact import Directory, Group, GroupUse, MessageTable, Segment, SegmentUse
from gateway.model.finding import Place, Severity
from gateway.syntax.folding import fold

TYPE = "APERAK"
MINUTES = ("203", "%Y%m%d%H%M")  # 2379, and its form

_DOCUMENTS = {"305": "", "963": "RE", "961": ""}  # 1001 in order of choice; 963 says an error
_RESPONSE = "11"  # 1225
_ERROR_TEXT, _MORE_TEXT = "AAO", "ACB"  # 4451
_INTERCHANGE, _DOCUMENT, _MESSAGE, _PLACE = "ACE", "AGO", "ACW", "LI"  # 1153
_PREPARED = "137"  # 2005
_LETTERS = {Severity.ERROR: "E", Severity.WARNING: "W", Severity.NOTE: "N"}  # 4441, which is an..3 at first
_SEVERITIES = {letter: severity for severity, letter in _LETTERS.items()}

_CUT = "..."  # ends a text that is longer than FTX
_FULL = frozenset({70, 512})  # 4440 is an..70, and an..512 from D.99B on: a line so long may end in a word
_NUMBER = 999_999  # 1156 is an..6
_WHERE = re.compile(r"([A-Z][A-Z0-9]{2})?(?: ?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?)?\Z")


class Response(StrEnum):
    """The verdict on the message, 4343."""

    ACCEPTED = "AP"
    CONDITIONAL = "CA"
    REJECTED = "RE"


class ApplicationError(msgspec.Struct, frozen=True):
    """One ERC: a finding's code, its sentence, severity and place (segment, tag, element, component,
    repetition, and ``pointer``: a path in any syntax)."""

    code: str
    text: str = ""
    severity: Severity = Severity.ERROR
    place: Place = Place()


class ApplicationReport(msgspec.Struct, frozen=True):
    """An APERAK: its own reference (1004), what it is about, the verdict and the errors.

    ``interchange``: 0020; ``document``: 1004; ``message``: 0062 of the original, "" where not told.
    ``prepared``: CCYYMMDDHHMM.
    """

    reference: str
    response: Response | None
    interchange: str = ""
    document: str = ""
    message: str = ""
    prepared: str = ""
    errors: tuple[ApplicationError, ...] = ()


class _Shape(NamedTuple):
    """What an APERAK of one directory can hold: ERC groups, characters and lines of an FTX, and lengths."""

    errors: int
    line: int
    lines: int
    code: int
    reference: int
    document: int


class Draft:
    """Writes reports in one directory, within one repertoire."""

    def __init__(self, directory: Directory, level: str, encoding: str) -> None:
        self._level = (level, encoding)
        self._shape = _shape(directory)
        codes = directory.codes.get("1001", frozenset())
        self._documents = [c for c in _DOCUMENTS if c in codes]

    def holds(self, told: ApplicationReport) -> bool:
        """True where the codes of all errors fit their element (9321 is an..3 in D.95A)."""
        return all(0 < len(error.code) <= self._shape.code for error in told.errors)

    def segments(self, told: ApplicationReport) -> Iterator[Segment]:
        response = told.response.value if told.response is not None else ""
        document = next(c for c in self._documents if _DOCUMENTS[c] in ("", response))
        number = self._fit(told.reference, self._shape.document)
        yield Segment("BGM", ((document,), (number,), (_RESPONSE,), (response,)))
        if told.prepared:
            yield Segment("DTM", ((_PREPARED, told.prepared, MINUTES[0]),))
        named = ((_INTERCHANGE, told.interchange), (_DOCUMENT, told.document), (_MESSAGE, told.message))
        for qualifier, text in named:
            reference = self._fit(text, self._shape.reference)
            if reference:
                yield Segment("RFF", ((qualifier, reference),))
        for error in _bounded(told.errors, self._shape.errors):
            yield from self._error(error)

    def _error(self, error: ApplicationError) -> Iterator[Segment]:
        yield Segment("ERC", ((error.code,),))
        lines = self._lines(error.text)
        if lines:
            severity = _LETTERS[error.severity]
            yield Segment("FTX", ((_ERROR_TEXT,), (), (severity,), lines))
        place = error.place
        where = _where(place)
        path = self._lines(place.pointer or place.xpath)
        if where or place.segment or path:
            line = str(min(place.segment, _NUMBER)) if place.segment else ""
            yield Segment("RFF", ((_PLACE, where, line),))
        if path:
            yield Segment("FTX", ((_MORE_TEXT,), (), (), path))

    def _fit(self, text: str, most: int) -> str:
        return fold(text, *self._level)[:most].strip()

    def _lines(self, text: str) -> tuple[str, ...]:
        """A text as lines of FTX; put together again they are the text, its blanks made single."""
        most = self._shape.line
        lines = list(split(" ".join(fold(text, *self._level).split()), most))
        if len(lines) > self._shape.lines:
            lines = lines[: self._shape.lines]
            lines[-1] = lines[-1][: most - len(_CUT)].rstrip() + _CUT
        return tuple(lines)


def split(text: str, most: int) -> Iterator[str]:
    """Lines of at most ``most`` characters, broken before a blank where there is one: the blank then leads
    the next line, as only blanks at the end are lost on the way."""
    while len(text) > most:
        cut = text.rfind(" ", 1, most + 1)
        cut = cut if cut > 0 else most
        yield text[:cut]
        text = text[cut:]
    if text:
        yield text


def _bounded(errors: Sequence[ApplicationError], most: int) -> Iterable[ApplicationError]:
    """As many as the message holds, in their order; where they are too many, the gravest."""
    if len(errors) <= most:
        return errors
    order = list(Severity)
    kept = sorted(range(len(errors)), key=lambda index: (order.index(errors[index].severity), index))[:most]
    return [errors[index] for index in sorted(kept)]


def _where(place: Place) -> str:
    position = (
        ".".join(str(n) for n in (place.element, place.component, place.repetition)) if place.element else ""
    )
    while position.endswith(".0"):
        position = position[:-2]
    return f"{place.tag[:3]} {position}".strip()


def _shape(directory: Directory) -> _Shape:
    erc = next(node for node in _groups(directory.messages[TYPE]) if _tag(node) == "ERC")
    ftx = next(use for use in directory.segments["FTX"].elements if use.code == "C108")
    document = directory.segments["BGM"].elements[1]
    return _Shape(
        erc.repeat,
        _length(ftx.components[0].format),
        len(ftx.components),
        _length(directory.segments["ERC"].elements[0].components[0].format),
        _length(directory.segments["RFF"].elements[0].components[1].format),
        _length((document.components[0] if document.components else document).format),
    )


def _groups(table: MessageTable) -> Iterator[GroupUse]:
    return (node for node in table.nodes if isinstance(node, GroupUse))


def _tag(group: GroupUse) -> str:
    first = group.nodes[0]
    return first.segment if isinstance(first, SegmentUse) else ""


def _length(format: str) -> int:
    return int(format.lstrip("an."))


def read_tree(tree: Group) -> ApplicationReport:
    """The report that the tree of an APERAK holds."""
    bgm = next(tree.segments("BGM"))
    groups = [(child.children[0], child) for child in tree.children if isinstance(child, Group)]
    references = {
        head.get(1): head.get(1, 2) for head, _ in groups if isinstance(head, Segment) and head.tag == "RFF"
    }
    return ApplicationReport(
        bgm.get(2),
        Response(bgm.get(4)) if bgm.get(4) in {*Response} else None,
        references.get(_INTERCHANGE, ""),
        references.get(_DOCUMENT, ""),
        references.get(_MESSAGE, ""),
        next((d.get(1, 2) for d in tree.segments("DTM") if d.get(1) == _PREPARED), ""),
        tuple(_error(g) for head, g in groups if isinstance(head, Segment) and head.tag == "ERC"),
    )


def _error(group: Group) -> ApplicationError:
    code = group.children[0].get(1) if isinstance(group.children[0], Segment) else ""
    text = next(group.segments("FTX"), None)
    place = Place()
    for child in group.children:
        if isinstance(child, Group):
            place = _place(child)
            break
    if text is None:
        return ApplicationError(code, place=place)
    severity = _SEVERITIES.get(text.get(3), Severity.ERROR)
    return ApplicationError(code, _joined([text]), severity, place)


def _place(group: Group) -> Place:
    head = group.children[0]
    if not isinstance(head, Segment) or head.get(1) != _PLACE:
        return Place()
    path = _joined(group.segments("FTX"))
    line = head.get(1, 3)
    number = int(line) if line.isascii() and line.isdigit() else 0
    found = _WHERE.match(head.get(1, 2))
    if found is None:
        return Place(segment=number, pointer=path)
    element, component, repetition = (int(n or 0) for n in found.groups()[1:])
    tag = found[1] or ""
    return Place("", number, tag, "", element, component, repetition, pointer=path)


def _joined(segments: Iterable[Segment]) -> str:
    """The text of FTX: lines as :func:`split` makes them, or others', which break between words."""
    text, last = "", 0
    for line in (line for s in segments if len(s.elements) > 3 for line in s.elements[3]):
        cut = not text or line[:1] in ("", " ") or last in _FULL
        text += line if cut else f" {line}"
        last = len(line)
    return text
