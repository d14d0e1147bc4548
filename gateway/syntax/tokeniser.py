"""Octets to segments, sans-IO and incremental: any cut of the octets gives the same segments.

A :class:`Tokeniser` is fed octets and gives :class:`Segment` values with exact offsets.  It reads UNA
and UNB's S001, numbers segments from UNH, and stops after UNZ.  A chunk without anything unusual is
cut by ``str.split``; in a chunk with an unusual octet each segment is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat

from gateway.model.edifact import Segment
from gateway.model.finding import Finding, Place, Severity
from gateway.syntax.characters import Repertoire, Separators
from gateway.syntax.elements import quote
from gateway.syntax.limits import EdifactLimits
from gateway.syntax.lines import LineBreaks
from gateway.syntax.preamble import Opening, last_end, open_interchange, show
from gateway.syntax.scrutiny import Scrutiny
from gateway.syntax.split import Elements, Repeats, Splitter, rejoin

CHUNK = 65_536  # octets cut at a time: larger pieces cost memory and the collector's time, measured

_BLANKS = b" \t\r\n"
_TAG = re.compile(r"[A-Z][A-Z0-9]{2}\Z")
# Segments outside messages, and the two that begin one; the number that each gives itself.
_NUMBERS = {"UNB": 0, "UNZ": 0, "UNG": 0, "UNE": 0, "UNO": 0, "UNP": 0, "UNH": 1}


class Tokeniser:
    """One interchange's octets.

    ``findings`` grows while it is fed; each has the number and offset of its segment.  ``opening``
    (separators, syntax) is there once UNB is read.  ``stopped``: a bound or a fatal defect ended the
    reading before UNZ.
    """

    def __init__(self, limits: EdifactLimits | None = None) -> None:
        self.limits = limits or EdifactLimits()
        self.findings: list[Finding] = []
        self.opening: Opening | None = None
        self.stopped = False
        self._ended = False  # nothing more is read, in order or not
        self._step: Callable[[bool], Sequence[Segment]] = self._open
        self._pending = b""
        self._offset = 0  # of the first pending octet
        self._resume = -1  # offset to go on from where a segment ended the cutting
        self._fed = 0
        self._left = 0  # octets of a package's object still to come
        self._number = 0
        self._tags: set[str] = set()  # valid tags met; service tags are never among them
        self._lines = LineBreaks()
        self._chunk = min(CHUNK, self.limits.segment)
        self._separators = Separators()
        self._splitter = Splitter(self._separators)
        self._scrutiny = Scrutiny(Repertoire("ascii", b"", re.compile("(?!)")), self.findings)

    def feed(self, octets: bytes) -> list[Segment]:
        """The segments that these octets complete."""
        segments: list[Segment] = []
        for start in range(0, len(octets), self._chunk):
            piece = octets[start : start + self._chunk]
            self._fed += len(piece)
            if self._fed > self.limits.interchange:
                self._stop("EDI114", self.limits.interchange, self._fed, self._offset)
            if self._ended:
                break
            self._pending += piece
            segments.extend(self._advance(last=False))
        return segments

    def finish(self) -> list[Segment]:
        """The segments of what is left when no more octets come: an unterminated one is told and given."""
        segments = self._advance(last=True)
        self._ended = True
        self.findings.extend(self._lines.findings())
        return segments

    def _advance(self, last: bool) -> list[Segment]:
        segments: list[Segment] = []
        before = None
        while self._step != before and not self._ended:
            before = self._step
            segments.extend(before(last))
        return segments

    # Steps: each takes what it can of the pending octets and names its successor.

    def _open(self, last: bool) -> Sequence[Segment]:
        opening = open_interchange(self._pending, last, self.limits)
        if opening is None:
            return ()
        self.findings.extend(opening.findings)
        self.opening = opening
        if opening.repertoire is None:
            self.stopped = self._ended = True
            return ()
        self._separators = opening.separators
        self._scrutiny = Scrutiny(opening.repertoire, self.findings)
        self._splitter = Splitter(opening.separators)
        self._lines.between(self._pending[: opening.skip], 0)
        self._drop(opening.skip)
        self._step = self._body
        return ()

    def _body(self, last: bool) -> Sequence[Segment]:
        data, base = self._pending, self._offset
        end = last_end(data, self._separators)
        segments: list[Segment] = []
        if end >= 0:
            self._drop(end + 1)
            segments = self._cut(data[:end], base)
        if self._resume >= 0:
            self._pending, self._offset, self._resume = data[self._resume - base :], self._resume, -1
        elif last:
            segments.extend(self._unterminated())
        elif len(self._pending) > self.limits.segment:
            self._stop("EDI115", self.limits.segment, len(self._pending), self._offset)
        return segments

    def _unterminated(self) -> Sequence[Segment]:
        rest, start = self._pending.rstrip(_BLANKS), self._offset
        self._drop(len(self._pending))
        if not rest or self._ended:
            return ()
        if len(rest) > self.limits.segment:
            self._stop("EDI115", self.limits.segment, len(rest), start)
            return ()
        place = Place(tag="UNZ", offset=start + len(rest))
        self.findings.append(Finding("EDI105", place, self._separators.terminator, show(rest[-20:])))
        segment = self._look(rest, start)
        return () if segment is None else (segment,)

    def _trail(self, last: bool) -> Sequence[Segment]:
        """After UNZ nothing but blanks and line ends may come."""
        kept = self._pending.lstrip(_BLANKS)
        self._drop(len(self._pending) - len(kept))
        if len(kept) >= 3 or (last and kept):
            code = "EDI119" if kept[:3] in (b"UNA", b"UNB") else "EDI118"
            self.findings.append(Finding(code, Place(tag="UNZ", offset=self._offset), found=show(kept[:3])))
            self._ended = True
        return ()

    def _skip(self, last: bool) -> Sequence[Segment]:
        """The octets of a package's object (0810), which are counted and never looked at."""
        taken = min(self._left, len(self._pending))
        self._left -= taken
        self._drop(taken)
        if not self._left:
            self._step = self._body
        return ()

    def _drop(self, count: int) -> None:
        self._pending = self._pending[count:]
        self._offset += count

    def _stop(self, code: str, allowed: int, found: int, offset: int) -> None:
        if not self._ended:
            place = Place(segment=self._number, offset=offset)
            self.findings.append(Finding(code, place, str(allowed), str(found)))
            self.stopped = self._ended = True

    # Cutting.

    def _cut(self, chunk: bytes, start: int) -> list[Segment]:
        """The segments of a chunk; it has no terminator at its end."""
        if self._scrutiny.unusual(chunk):
            return list(self._cut_carefully(chunk, start))
        terminator, release = self._separators.terminator, self._separators.release
        text = chunk.decode(self._scrutiny.codec)
        raws = text.split(terminator)
        sizes = list(map(len, chunk.split(terminator.encode()) if len(text) < len(chunk) else raws))
        if release and release in text:
            raws, sizes = rejoin(raws, sizes, release, terminator)
        if sizes[0] > self.limits.segment:  # no other can be: a chunk is no longer than a segment may be
            self._stop("EDI115", self.limits.segment, sizes[0], start)
            return []
        leads: Iterable[int] = repeat(0)
        broken = "\n" in text or "\r" in text
        if broken:
            bare = [raw.lstrip("\r\n") for raw in raws]
            leads = [len(raw) - len(rest) for raw, rest in zip(raws, bare, strict=True)]
            if sum(leads) < text.count("\n") + text.count("\r"):
                return list(self._cut_carefully(chunk, start))
            raws = bare
        segments = self._cut_quickly(zip(raws, sizes, leads, strict=False), start)
        if broken:
            self._lines.between(chunk if self._resume < 0 else chunk[: self._resume - start], start)
        return segments

    def _cut_quickly(self, raws: Iterable[tuple[str, int, int]], start: int) -> list[Segment]:
        """Segments of (text, octets with what leads it, octets of line breaks that lead it)."""
        segments: list[Segment] = []
        append, cut, tags, number = segments.append, self._splitter.cut, self._tags, self._number
        for raw, size, lead in raws:
            tag, elements, repeats = cut(raw)
            if tag in tags:
                if number:
                    number += 1
                append(Segment(tag, elements, number, start + lead, repeats))
                start += size + 1
                continue
            self._number = number
            segment = self._special(tag, elements, repeats, start + lead, size - lead)
            number = self._number
            start += size + 1
            if segment is not None:
                append(segment)
            if self._resume >= 0 or self._ended:
                break
        self._number = number
        return segments

    def _cut_carefully(self, chunk: bytes, start: int) -> Iterator[Segment]:
        terminator, release = self._separators.terminator.encode(), self._separators.release.encode()
        raws = chunk.split(terminator)
        if release and release in chunk:
            raws, _ = rejoin(raws, [0] * len(raws), release, terminator)
        for raw in raws:
            if len(raw) > self.limits.segment:
                self._stop("EDI115", self.limits.segment, len(raw), start)
                return
            segment = self._look(raw, start)
            start += len(raw) + 1
            if segment is not None:
                yield segment
            if self._resume >= 0 or self._ended:
                return

    def _look(self, raw: bytes, start: int) -> Segment | None:
        """One segment with something unusual about it: the unusual is told, the rest is read."""
        body = raw.lstrip(_BLANKS)
        noise = raw[: len(raw) - len(body)]
        self._lines.between(noise, start)
        end = start + len(raw)
        start += len(noise)
        number = self._number + 1 if self._number else 0
        place = Place(segment=number, tag=body[:3].decode("ascii", "replace"), offset=start)
        blanks = noise.lstrip(b"\r\n")
        if blanks:
            self._scrutiny.tell("EDI120", place, show(blanks), Severity.WARNING)
        if b"\n" in body or b"\r" in body:
            body = self._lines.inside(body, place)
        text = self._scrutiny.read(body, place)
        tag, elements, repeats = self._splitter.cut(text)
        if tag in self._tags:
            self._number = number
            return Segment(tag, elements, number, start, repeats)
        return self._special(tag, elements, repeats, start, end - start)

    def _special(
        self, tag: str, elements: Elements, repeats: Repeats, start: int, size: int
    ) -> Segment | None:
        """A segment whose tag is met for the first time, is a service tag, or is none."""
        bare = tag.lstrip(" \t")
        if len(bare) < len(tag):
            blanks = tag[: len(tag) - len(bare)]
            tag, start, size = bare, start + len(blanks), size - len(blanks)
            at = Place(segment=self._number + 1 if self._number else 0, tag=tag[:3], offset=start)
            self._scrutiny.tell("EDI120", at, blanks, Severity.WARNING)
        number = _NUMBERS.get(tag, self._number + 1 if self._number else 0)
        place = Place(segment=number, tag=tag[:3], offset=start)
        if not tag and not elements:
            self._scrutiny.tell("EDI123", place, "", Severity.WARNING)
            return None
        if not _TAG.match(tag):
            tag = self._mend(tag, place)
        elif not tag.startswith("U"):
            self._tags.add(tag)
        self._number = 0 if tag == "UNT" else number
        if tag == "UNZ":
            self._step, self._resume = self._trail, start + size + 1
        elif tag == "UNO":
            self._take_object(elements, start + size + 1, place)
        return Segment(tag, elements, number, start, repeats)

    def _mend(self, tag: str, place: Place) -> str:
        """A tag with nesting indicators (``TAG:1``, syntax 1 to 3) loses them; any other is told."""
        bare, mark, _ = tag.partition(self._separators.component)
        if mark and _TAG.match(bare):
            four = self.opening is not None and self.opening.syntax[1] == "4"
            self._scrutiny.tell("EDI034", place, quote(tag), Severity.ERROR if four else Severity.WARNING)
            return bare
        self._scrutiny.tell("EDI121", place, show(tag.encode("utf-8", "replace")))
        return tag

    def _take_object(self, elements: Elements, resume: int, place: Place) -> None:
        """Skip the object that follows UNO.  Its length is the sender's: bounded, and digits only."""
        text = elements[3][0] if len(elements) > 3 else ""
        length = int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0
        if length > self.limits.package:
            self._stop("EDI117", self.limits.package, length, place.offset)
        elif length:
            self._step, self._left, self._resume = self._skip, length, resume
