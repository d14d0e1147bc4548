"""Octets to segment texts, sans-IO and incremental: any cut of the octets gives the same texts.

A :class:`Cutter` is fed octets and gives :class:`Begun`, :class:`Run` and :class:`Octets` values.  It
reads UNA and UNB's S001, stops after UNZ (or goes on with the next interchange), and counts the octets of
packages without looking at them.  A chunk without anything unusual is cut by ``str.split``; in a chunk
with an unusual octet each segment is looked at and comes as a run of its own, with its faults.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, count
from operator import add
from typing import NamedTuple

from msgspec.structs import replace

from gateway.model.finding import Finding, Place, Severity
from gateway.syntax.characters import DEFAULT, Repertoire
from gateway.syntax.ends import cut_end, first_end
from gateway.syntax.limits import EdifactLimits
from gateway.syntax.lines import LineBreaks
from gateway.syntax.preamble import Opening, open_interchange, show
from gateway.syntax.scrutiny import UTF8, Scrutiny
from gateway.syntax.split import rejoin, splitter_of

CHUNK = 65_536  # octets cut at a time: larger pieces cost memory and the collector's time, measured

_BLANKS = b" \t\r\n"
_END = "UNZ"
_PACKAGE = "UNO"
_UNOPENED = Scrutiny(Repertoire("ascii", b"", re.compile("(?!)")))
MAX_BEFORE = 999  # 0814 is n..3


class Run(NamedTuple):
    """Segment texts without terminators, the offset of each one's first octet, and their faults.

    A run with faults has at most one text; its faults' places have offsets only.  ``plain``: no text
    has a release character or a repetition separator.  ``start``: the octet after the terminator before
    the first text; ``sizes``: octets of each text as sent, from there on, without terminators.
    """

    texts: list[str]
    offsets: list[int]
    faults: tuple[Finding, ...] = ()
    plain: bool = False
    start: int = 0
    sizes: Sequence[int] = ()


class Begun(NamedTuple):
    """An interchange begins: how it is to be read, and its line breaks as they are met."""

    opening: Opening
    lines: LineBreaks


class Octets(NamedTuple):
    """A piece of a package's object, and the offset of its first octet."""

    octets: bytes
    offset: int


class Cutter:
    """One file of interchanges.

    ``several``: interchanges may follow each other.  ``tolerated``: codes of defects that are read on.
    ``stopped``: a bound or a fatal defect ended the reading before UNZ.  ``lines``: the line breaks of
    the interchange at hand.
    """

    def __init__(
        self,
        limits: EdifactLimits | None = None,
        several: bool = False,
        tolerated: frozenset[str] = frozenset(),
    ) -> None:
        self._tolerated = tolerated
        self.limits = limits or EdifactLimits()
        self.stopped = False
        self.lines = LineBreaks()
        self._several = several
        self._ended = False  # nothing more is read, in order or not
        self._step: Callable[[Cutter, bool], None] = Cutter._open
        self._out: list[Begun | Run | Octets] = []
        self._pending = b""
        self._offset = 0  # of the first pending octet
        self._begin = 0  # of the interchange at hand
        self._left = 0  # octets of a package's object still to come
        self._before = 0  # segments of security between UNO and its object
        self._chunk = min(CHUNK, self.limits.segment)
        self._separators = DEFAULT  # these three are the interchange's own once it is open
        self._splitter = splitter_of(DEFAULT)
        self._scrutiny = _UNOPENED

    def feed(self, octets: bytes) -> Iterator[Begun | Run | Octets]:
        """What these octets complete, as it is asked for; all is to be asked for.

        The line breaks of what is given are known until the next is asked for.
        """
        for start in range(0, len(octets), self._chunk):
            if self._ended:
                break
            self._pending += octets[start : start + self._chunk]
            self._advance(last=False)
            yield from self._given()

    def finish(self) -> list[Begun | Run | Octets]:
        """What is left when no more octets come: an unterminated segment is told and given."""
        self._advance(last=True)
        self._ended = True
        return self._given()

    def _given(self) -> list[Begun | Run | Octets]:
        given, self._out = self._out, []
        return given

    def _advance(self, last: bool) -> None:
        before = None
        while self._step != before and not self._ended:
            before = self._step
            before(self, last)

    # Steps: each takes what it can of the pending octets and names its successor.

    def _open(self, last: bool) -> None:
        opening = open_interchange(self._pending, last, self.limits)
        if opening is None:
            return
        shifted = tuple([_shifted(f, self._offset) for f in opening.findings])
        opening = replace(opening, findings=shifted, offset=self._offset)
        self.lines = self.lines.following()
        self._out.append(Begun(opening, self.lines))
        if opening.repertoire is None:
            told = max((f.place.offset for f in shifted), default=self._offset)
            self.lines.between(self._pending[: told - self._offset], self._offset)
            self.stopped = self._ended = True
            return
        self._begin = self._offset
        self._separators = opening.separators
        self._scrutiny = Scrutiny(opening.repertoire, UTF8 in self._tolerated)
        self._splitter = splitter_of(opening.separators)
        self.lines.between(self._pending[: opening.skip], self._offset)
        self._drop(opening.skip)
        self._step = Cutter._body

    def _body(self, last: bool) -> None:
        room = max(0, self._begin + self.limits.interchange - self._offset)
        beyond, data = self._pending[room:], self._pending[:room]
        base, at = self._offset, 0
        while (
            self._step is Cutter._body
            and not self._ended
            and (end := cut_end(data, self._separators, at)) >= 0
        ):
            at += self._cut(data[at:end], base + at)
        self._pending, self._offset = data[at:], base + at
        if self._step is not Cutter._body or self._ended:
            self._pending += beyond
        elif beyond:
            size = self._offset + len(self._pending) + len(beyond) - self._begin
            self._stop("EDI114", self.limits.interchange, size, self._offset)
        elif last:
            self._unterminated()
        elif len(self._pending) > self.limits.segment:
            self._stop("EDI115", self.limits.segment, len(self._pending), self._offset)

    def _unterminated(self) -> None:
        rest, start = self._pending.rstrip(_BLANKS), self._offset
        self._drop(len(self._pending))
        if not rest:
            return
        if len(rest) > self.limits.segment:
            self._stop("EDI115", self.limits.segment, len(rest), start)
            return
        place = Place(tag=_END, offset=start + len(rest))
        self._tell(Finding("EDI105", place, self._separators.terminator, show(rest[-20:])))
        self._look(rest, start)

    def _trail(self, last: bool) -> None:
        """After UNZ nothing but blanks and line ends may come, or the next interchange."""
        kept = self._pending.lstrip(_BLANKS)
        blanks = len(self._pending) - len(kept)
        if blanks:
            self.lines.after(self._pending[:blanks], self._offset)
            self._drop(blanks)
        if len(kept) < 3 and not (last and kept):
            return
        another = kept[:3] in (b"UNA", b"UNB")
        if another and self._several:
            self._step = Cutter._open
            return
        code = "EDI119" if another else "EDI118"
        self._tell(Finding(code, Place(tag=_END, offset=self._offset), found=show(kept[:3])))
        self._ended = True

    def _skip(self, last: bool) -> None:
        """The octets of a package's object (0810), which are counted and never looked at."""
        taken = min(self._left, len(self._pending))
        if taken:
            self._out.append(Octets(self._pending[:taken], self._offset))
        self._left -= taken
        self._drop(taken)
        if not self._left:
            self._step = Cutter._body

    def _secure(self, last: bool) -> None:
        """The security segments between UNO and its object (0814), one at a time."""
        while self._before:
            end = first_end(self._pending, self._separators, 0)
            if end < 0:
                if last:
                    self._unterminated()
                elif len(self._pending) > self.limits.segment:
                    self._stop("EDI115", self.limits.segment, len(self._pending), self._offset)
                return
            raw, start = self._pending[:end], self._offset
            self._drop(end + 1)
            self._before -= 1
            self._look(raw, start, follow=False)
        self._step = Cutter._skip if self._left else Cutter._body

    def _drop(self, count: int) -> None:
        self._pending = self._pending[count:]
        self._offset += count

    def _tell(self, finding: Finding) -> None:
        self._out.append(Run([], [], (finding,)))

    def _stop(self, code: str, allowed: int, found: int, offset: int) -> None:
        if not self._ended:
            self._tell(Finding(code, Place(offset=offset), str(allowed), str(found)))
            self.stopped = self._ended = True

    # Cutting.

    def _cut(self, chunk: bytes, start: int) -> int:
        """The segments of a chunk, which has no terminator at its end; how many octets were taken with it."""
        if self._scrutiny.unusual(chunk):
            return self._cut_carefully(chunk, start)
        terminator, release = self._separators.terminator, self._separators.release
        text = chunk.decode(self._scrutiny.codec)
        texts = text.split(terminator)
        sizes = list(map(len, chunk.split(terminator.encode()) if len(text) < len(chunk) else texts))
        if release and release in text:
            texts, sizes = rejoin(texts, sizes, release, terminator)
        if sizes[0] > self.limits.segment:  # no other can be: a chunk is no longer than a segment may be
            self._stop("EDI115", self.limits.segment, sizes[0], start)
            return 0
        offsets = [start, *map(add, accumulate(sizes[:-1]), count(start + 1))]
        if "\n" in text or "\r" in text:
            bare = [text.lstrip("\r\n") for text in texts]
            if any("\n" in text or "\r" in text for text in bare):
                return self._cut_carefully(chunk, start)
            self.lines.between(chunk, start)
            offsets = [at + len(t) - len(b) for at, t, b in zip(offsets, texts, bare, strict=True)]
            texts = bare
        self._out.append(Run(texts, offsets, (), self._plain(text), start, sizes))
        self._follow(texts[-1], offsets[-1])
        return len(chunk) + 1

    def _plain(self, text: str) -> bool:
        release, repetition = self._separators.release, self._separators.repetition
        return not (release and release in text) and not (repetition and repetition in text)

    def _cut_carefully(self, chunk: bytes, start: int) -> int:
        """One segment at a time; each may be UNZ or UNO once it is cleaned, and what follows none of the body."""
        taken = 0
        while taken <= len(chunk) and self._step is Cutter._body and not self._ended:
            end = first_end(chunk, self._separators, taken)
            raw = chunk[taken : end if end >= 0 else len(chunk)]
            if len(raw) > self.limits.segment:
                self._stop("EDI115", self.limits.segment, len(raw), start + taken)
                break
            self._look(raw, start + taken)
            taken += len(raw) + 1
        return taken

    def _look(self, raw: bytes, start: int, follow: bool = True) -> None:
        """One segment with something unusual about it: the unusual is told, the rest is read.

        ``follow``: what comes after it depends on its tag.
        """
        begin, body = start, raw.lstrip(_BLANKS)
        noise = raw[: len(raw) - len(body)].rstrip(b" \t")  # blanks right before a tag are told with it
        body = raw[len(noise) :]
        self.lines.between(noise, start)
        start += len(noise)
        place = Place(offset=start)
        faults = []
        blanks = noise.lstrip(b"\r\n")
        if blanks:
            faults.append(Finding("EDI120", place, found=show(blanks), severity=Severity.WARNING))
        if b"\n" in body or b"\r" in body:
            body, at = self.lines.inside(body, place)
            faults.append(Finding("EDI110", at))
        text, strange = self._scrutiny.read(body, place)
        if strange and text:  # what was left out before the tag is none of the segment
            start += max(0, raw[len(noise) :].find(text[0].encode(self._scrutiny.codec, "replace")))
        self._out.append(Run([text], [start], (*faults, *strange), False, begin, (len(raw),)))
        if follow:
            self._follow(text, start)

    def _follow(self, text: str, start: int) -> None:
        """What comes after this segment: usually more of the kind."""
        text = text.lstrip(" \t")
        tag = text[: len(_END)]
        if tag not in (_END, _PACKAGE) or text[len(_END) : len(_END) + 1] not in (
            "",
            self._separators.element,
        ):
            return
        if tag == _END:
            self._step = Cutter._trail
            return
        _, elements, _ = self._splitter.cut(text)
        counts = (*(elements[3] if len(elements) > 3 else ()), "", "")
        self._left, self._before = number_of(counts[0]), min(number_of(counts[1]), MAX_BEFORE)
        if self._left > self.limits.package:
            self._stop("EDI117", self.limits.package, self._left, start)
        elif self._before or self._left:
            self._step = Cutter._secure if self._before else Cutter._skip


def number_of(text: str) -> int:
    """A count as sent; 0 for what is no count: it is the sender's and not believed (digits only, 18 at most)."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


def _shifted(finding: Finding, octets: int) -> Finding:
    return replace(finding, place=replace(finding.place, offset=finding.place.offset + octets))
