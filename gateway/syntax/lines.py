"""Line breaks: between segments they are noise, inside one a defect, at a constant width a wrap."""

from __future__ import annotations

import re

from msgspec.structs import replace

from gateway.model.finding import Finding, Place, Severity

MIN_WRAP = 20  # columns: shorter lines of one length are chance rather than a wrap
MIN_BREAKS = 2  # a single line break shows no regularity
MAX_TOLD = 99  # line breaks told one by one

_BREAK = re.compile(rb"\r\n|\r|\n")


class LineBreaks:
    """Every line break of one interchange, and what they turn out to be when all are seen."""

    def __init__(self) -> None:
        self._line = 0  # offset of the current line's first octet
        self._width = 0
        self._regular = True
        self._first = -1
        self._count = 0
        self._inside: list[Finding] = []

    def between(self, octets: bytes, start: int) -> None:
        """Line breaks between two segments; ``start`` is the offset of the first."""
        self._see(octets, start)

    def inside(self, octets: bytes, place: Place) -> bytes:
        """Line breaks within a segment at ``place``: noted; the segment without them is returned."""
        self._see(octets, place.offset)
        found = _BREAK.search(octets)
        if found is not None and len(self._inside) < MAX_TOLD:
            self._inside.append(Finding("EDI110", replace(place, offset=place.offset + found.start())))
        return octets.replace(b"\r", b"").replace(b"\n", b"")

    def findings(self) -> list[Finding]:
        """One warning for a wrap of constant width, else each break inside a segment; a note for the rest."""
        if self._inside and self._regular and self._count >= MIN_BREAKS and self._width >= MIN_WRAP:
            place = replace(self._inside[0].place, message="", segment=0, tag="")
            return [Finding("EDI111", place, found=str(self._width), severity=Severity.WARNING)]
        if self._inside:
            return self._inside
        if self._first >= 0:
            return [Finding("EDI112", Place(offset=self._first), severity=Severity.NOTE)]
        return []

    def _see(self, octets: bytes, start: int) -> None:
        if not self._regular:
            return  # lines of different widths are no wrap, whatever follows
        for found in _BREAK.finditer(octets):
            width = start + found.start() - self._line
            self._count += 1
            if self._first < 0:
                self._first, self._width = start + found.start(), width
            elif width != self._width:
                self._regular = False
            self._line = start + found.end()
