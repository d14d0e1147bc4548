"""Line breaks: between segments they are noise, inside one a defect, at a constant width a wrap."""

from __future__ import annotations

import re
from bisect import bisect_right

from msgspec.structs import replace

from gateway.model.finding import Finding, Place, Severity

MIN_WRAP = 20  # columns: shorter lines of one length are chance rather than a wrap
MIN_BREAKS = 2  # a single line break shows no regularity, unless at a width that is usual
USUAL_WIDTHS = frozenset({64, 70, 72, 76, 78, 79, 80, 132})  # columns of cards, mail and terminals
MAX_KEPT = 32_768  # line starts that can still be told from an offset: those of the octets at hand

_BREAK = re.compile(rb"\r\n|\r|\n")


class LineBreaks:
    """Every line break of one interchange, and what they turn out to be.

    What is asked about an octet depends on the octets before it alone: breaks may be noted ahead of it.
    """

    def __init__(self, line: int = 1, start: int = 0) -> None:
        """``line``: the number of the line at hand (from 1), and the offset of its first octet."""
        self._width = 0
        self._first = -1  # offset of the first break
        self._irregular = -1  # offset of the first break that is not at the first one's width
        self._inside: Place | None = None  # of the first break inside a segment
        self._starts = [start]  # offsets of lines, the last of those passed
        self._forgotten = line - 1  # lines before the first of them
        self._half = -1  # offset after a CR that ended a piece

    def following(self) -> LineBreaks:
        """The line breaks of the interchange that follows in the same file."""
        return LineBreaks(self._forgotten + len(self._starts), self._starts[-1])

    def between(self, octets: bytes, start: int) -> None:
        """Line breaks between two segments; ``start`` is the offset of the first octet."""
        for found in _BREAK.finditer(octets):
            self._see(start + found.start())
            self._begin(start + found.end())

    def inside(self, octets: bytes, place: Place) -> tuple[bytes, Place]:
        """Line breaks within a segment at ``place``: the segment without them, and the first one's place."""
        found = _BREAK.search(octets)
        at = replace(place, offset=place.offset + (found.start() if found else 0))
        self.between(octets, place.offset)
        if self._inside is None:
            self._inside = at
        return octets.replace(b"\r", b"").replace(b"\n", b""), at

    def after(self, octets: bytes, start: int) -> None:
        """Line breaks after the interchange, given in any pieces: they are no part of it."""
        for found in _BREAK.finditer(octets):
            at = start + found.start()
            if found[0] == b"\n" and at == self._half:
                self._starts[-1] = at + 1  # a CR LF that comes in two pieces
            else:
                self._begin(start + found.end())
        if octets:
            self._half = start + len(octets) if octets.endswith(b"\r") else -1

    def wrapped(self, offset: int) -> bool:
        """True where the breaks before an offset are those of a text wrapped at one width."""
        if self._width < MIN_WRAP or 0 <= self._irregular < offset or not 0 <= self._first < offset:
            return False
        passed = self._forgotten + bisect_right(self._starts, offset) - 1
        return passed >= MIN_BREAKS or self._width in USUAL_WIDTHS

    def findings(self, end: int) -> list[Finding]:
        """At the end: one warning for a wrap, one note for breaks between segments."""
        if self._inside is not None and self.wrapped(end):
            place = replace(self._inside, message="", segment=0, tag="")
            return [Finding("EDI111", place, found=str(self._width), severity=Severity.WARNING)]
        if self._inside is None and self._first >= 0:
            return [Finding("EDI112", Place(offset=self._first), severity=Severity.NOTE)]
        return []

    def locate(self, place: Place) -> Place:
        """The place with line and column, both from 1; columns count octets."""
        if place.offset < self._starts[0]:
            return place
        index = bisect_right(self._starts, place.offset) - 1
        return replace(place, line=self._forgotten + index + 1, column=place.offset - self._starts[index] + 1)

    def _see(self, at: int) -> None:
        width = at - self._starts[-1]
        if self._first < 0:
            self._first, self._width = at, width
        elif width != self._width and self._irregular < 0:
            self._irregular = at

    def _begin(self, start: int) -> None:
        self._starts.append(start)
        if len(self._starts) > 2 * MAX_KEPT:
            self._forgotten += len(self._starts) - MAX_KEPT
            del self._starts[:-MAX_KEPT]
