"""Octets to segments: numbered, with their octets' offsets, cut into elements and components.

The :class:`Tokeniser` knows no directory: it is the simplest way to look at an interchange.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from msgspec.structs import replace

from gateway.model.edifact import Segment
from gateway.model.finding import Finding, Place, Severity
from gateway.syntax.characters import DEFAULT, Separators
from gateway.syntax.cutter import Begun, Cutter, Run
from gateway.syntax.elements import quote
from gateway.syntax.findings import Findings
from gateway.syntax.limits import EdifactLimits
from gateway.syntax.plain import quick
from gateway.syntax.preamble import Opening, show
from gateway.syntax.split import Memo, splitter_of

OUTSIDE = frozenset({"UNB", "UNZ", "UNG", "UNE", "UNO", "UNP"})  # segments outside messages
_TAG = re.compile(r"[A-Z][A-Z0-9]{2}\Z")
_BOUNDARIES = OUTSIDE | {"UNH", "UNT"}
_ORDINARY: set[str] = set()  # tags met that stand inside messages: 33,696 at most, for so many there are
_AT_ONCE = 64  # segments made before they are given: with more the garbage collector takes its share


class Tokeniser:
    """One file of interchanges, fed in pieces of any size.

    ``findings`` grows while it is fed, up to the bound; each has the number and offset of its segment.  ``opening``
    (separators, syntax) is there once UNB is read.  ``stopped``: a bound or a fatal defect ended the
    reading before UNZ.  Packages' octets are passed over.
    """

    def __init__(self, limits: EdifactLimits | None = None, several: bool = False) -> None:
        self.findings = Findings((limits or EdifactLimits()).findings)
        self.opening: Opening | None = None
        self._cutter = Cutter(limits, several)
        self._number = 0
        self._offset = 0  # of the last segment
        self._reading = _UNOPENED

    @property
    def stopped(self) -> bool:
        return self._cutter.stopped

    def feed(self, octets: bytes) -> list[Segment]:
        """The segments that these octets complete."""
        return list(chain.from_iterable(self.taken(octets)))

    def finish(self) -> list[Segment]:
        """The segments of what is left when no more octets come: an unterminated one is told and given."""
        segments = list(chain.from_iterable(self._taken(self._cutter.finish())))
        self.findings.extend(self._cutter.lines.findings(self._offset))
        return segments

    def taken(self, octets: bytes) -> Iterator[list[Segment]]:
        """The same as :meth:`feed`, some at a time, made when they are asked for; all are to be asked for."""
        return self._taken(self._cutter.feed(octets))

    def _taken(self, given: Iterable[object]) -> Iterator[list[Segment]]:
        for item in given:
            if isinstance(item, Run):
                yield from self._take(item)
            elif isinstance(item, Begun):
                self.opening = item.opening
                self.findings.extend(item.opening.findings)
                self._reading = Reading(item.opening.separators, item.opening.syntax[1])

    def _take(self, run: Run) -> Iterator[list[Segment]]:
        reading, texts, offsets = self._reading, run.texts, run.offsets
        element, component, plain = reading.element, reading.component, run.plain
        number, index, segment = self._number, 0, None
        while index < len(texts):
            if plain and number:
                made = quick(Segment, texts, offsets, index, element, component, _ORDINARY, number, _AT_ONCE)
                yield made
                number += len(made)
                index += len(made)
                if len(made) == _AT_ONCE or index == len(texts):
                    continue
            segment, faults = reading.segment(texts[index], offsets[index], number)
            index += 1
            self.findings.extend(faults)
            if segment is not None:
                number = 0 if segment.tag == "UNT" else segment.number
                yield [segment]
        self._number = number
        self._offset = run.offsets[-1] if run.offsets else self._offset
        if run.faults:
            self.findings.extend(_placed(fault, segment, number) for fault in run.faults)


class Reading:
    """How the segment texts of one interchange are cut.

    ``memo``: components of elements that come again and again.
    """

    def __init__(self, separators: Separators, version: str) -> None:
        self.element = separators.element
        self.component = separators.component
        self._release = separators.release
        self._four = version == "4"
        self.memo = Memo(separators.component)
        self._cut = splitter_of(separators).cut

    def begins(self, text: str) -> str:
        """The tag's three characters: without blanks before them, and whether they are released or not."""
        start = text.lstrip(" \t")[:6]
        return start.replace(self._release, "")[:3] if self._release else start[:3]

    def segment(self, text: str, offset: int, number: int) -> tuple[Segment | None, list[Finding]]:
        """A segment, whatever its tag is, and what is wrong with that; None for an empty one.

        ``number``: that of the segment before, 0 outside a message.
        """
        faults: list[Finding] = []
        tag, elements, repeats = self._cut(text)
        if tag in _ORDINARY or tag in _BOUNDARIES:
            number = 1 if tag == "UNH" else 0 if tag in OUTSIDE or not number else number + 1
            return Segment(tag, elements, number, offset, repeats), faults
        bare = tag.lstrip(" \t")
        named = bare.partition(self.component)[0]
        number = 1 if named == "UNH" else 0 if named in OUTSIDE or not number else number + 1
        place = Place(segment=number, tag=shown(bare), offset=offset + len(tag) - len(bare))
        if len(bare) < len(tag):
            blanks = tag[: len(tag) - len(bare)]
            faults.append(Finding("EDI120", place, found=blanks, severity=Severity.WARNING))
            tag = bare
        if not tag and not elements:
            faults.append(Finding("EDI123", place, severity=Severity.WARNING))
            return None, faults
        if not _TAG.match(tag):
            tag, fault = self._mend(tag, place)
            faults.append(fault)
        elif tag not in _BOUNDARIES:
            _ORDINARY.add(tag)
        return Segment(tag, elements, number, place.offset, repeats), faults

    def _mend(self, tag: str, place: Place) -> tuple[str, Finding]:
        """A tag with nesting indicators (``TAG:1``, syntax 1 to 3) loses them; any other is told."""
        bare, mark, _ = tag.partition(self.component)
        if mark and _TAG.match(bare):
            severity = Severity.ERROR if self._four else Severity.WARNING
            return bare, Finding("EDI034", place, found=quote(tag), severity=severity)
        return tag, Finding("EDI121", place, found=show(tag.encode("utf-8", "replace")))


_UNOPENED = Reading(DEFAULT, "")


def _placed(fault: Finding, segment: Segment | None, number: int) -> Finding:
    """A fault of the octets with the number and tag of its segment."""
    if segment is None:
        return replace(fault, place=replace(fault.place, segment=number))
    return replace(fault, place=replace(fault.place, segment=segment.number, tag=shown(segment.tag)))


def is_tag(text: str) -> bool:
    """Three capital letters or digits, a letter first."""
    return _TAG.match(text) is not None


def shown(tag: str) -> str:
    """A tag as a place names it, whatever a sender put there: three characters that can be printed."""
    tag = tag[:3]
    return tag if tag.isprintable() else "".join(c if c.isprintable() else "?" for c in tag)


def segments(source: Iterable[bytes], limits: EdifactLimits | None = None) -> Iterator[Segment]:
    """The segments of a file given in pieces (``open(path, "rb")`` read in pieces, a list of octets ...)."""
    tokeniser = Tokeniser(limits, several=True)
    for piece in source:
        for some in tokeniser.taken(piece):
            yield from some
    yield from tokeniser.finish()
