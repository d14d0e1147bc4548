"""Where security stands in an interchange and which octets it covers (ISO 9735-5 and -6), before anything is judged.

A :class:`Surveyor` is fed octets in pieces of any size and gives a :class:`~gateway.model.secured.Survey`: values
and octet ranges, found by the very cutter that reads interchanges.  It keeps what security segments say and where
structures begin and end, never a message; who makes digests takes the ranges from the octets as transmitted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from string import ascii_uppercase

from gateway.model.edifact import Segment
from gateway.model.secured import Level, Span, Structure, Survey
from gateway.syntax.characters import DEFAULT_4
from gateway.syntax.cutter import Begun, Cutter, Octets, Run
from gateway.syntax.drafts import composite
from gateway.syntax.grammar import SECURITY
from gateway.syntax.limits import EdifactLimits
from gateway.syntax.preamble import Opening
from gateway.syntax.security_structures import BODY, DraftStructure
from gateway.syntax.split import Components
from gateway.syntax.tokeniser import Reading

PIECE = 65_536  # octets of a content given to the cutter at a time
MAX_CERTIFICATE = 65_536  # octets of a package that carries a certificate
MAX_CERTIFICATES = 6  # packages of that kind in one interchange

_MARK = b"USH"
_CARRIES_CERTIFICATE = "62"  # 0805: the format of a certificate
_SECURITY = SECURITY | {"USB"}
_PLAIN = frozenset(ascii_uppercase) - {"U"}  # first letters of tags that are none of service segments

_BEGINS = {"UNB": Level.INTERCHANGE, "UNG": Level.GROUP, "UNH": Level.MESSAGE, "UNO": Level.PACKAGE}
_ENDS = {"UNZ": Level.INTERCHANGE, "UNE": Level.GROUP, "UNT": Level.MESSAGE, "UNP": Level.PACKAGE}
_RANK = {Level.INTERCHANGE: 0, Level.GROUP: 1, Level.MESSAGE: 2, Level.PACKAGE: 2}


def may_be_secured(content: bytes) -> bool:
    """True where a look is worth it: a security header seems to begin somewhere.

    A tag with release characters in it is not seen here; the reader does see it, and tells it (EDI027).
    """
    at = content.find(_MARK)
    while at > 0 and content[at - 1 : at].isalnum():
        at = content.find(_MARK, at + 1)
    return at >= 0


def may_be_secured_in(pieces: Iterable[bytes]) -> bool:
    """As ``may_be_secured``, for a content in pieces of any size."""
    before = b""
    for piece in pieces:
        window = before + piece
        if may_be_secured(window):
            return True
        # The digit keeps a mark that was looked at already from being one with nothing before it.
        before = b"0" + window[-len(_MARK) :]
    return False


def survey(
    pieces: Iterable[bytes], limits: EdifactLimits | None = None, tolerated: Collection[str] = ()
) -> Survey:
    """The survey of one interchange given in pieces."""
    surveyor = Surveyor(limits, tolerated)
    for piece in pieces:
        surveyor.feed(piece)
    return surveyor.finish()


class Surveyor:
    """One interchange, in octets of any pieces.  ``tolerated``: as in the agreement by which it is read."""

    def __init__(self, limits: EdifactLimits | None = None, tolerated: Collection[str] = ()) -> None:
        self._limits = limits or EdifactLimits()
        self._cutter = Cutter(limits, False, frozenset(tolerated))
        self._head = b""  # octets before the interchange is open
        self._opening: Opening | None = None
        self._reading: Reading | None = None
        self._header: Segment | None = None  # UNB
        self._start = 0  # of UNA, or of UNB where there is none
        self._number = 0
        self._counts = dict.fromkeys(Level, 0)
        self._security = 0  # segments of security
        self._read: list[Structure | None] = []  # in the order of their headers; None while one is open
        self._open: list[tuple[int, DraftStructure]] = []  # the innermost last
        self._kept: list[bytearray] = []  # objects that carry certificates
        self._keeping = False
        self._stopped = False

    def feed(self, octets: bytes) -> None:
        """The next octets."""
        if self._opening is None and len(self._head) <= self._limits.preamble:
            self._head += octets
        for item in self._cutter.feed(octets):
            self._take(item)

    def finish(self) -> Survey:
        """No more octets come."""
        for item in self._cutter.finish():
            self._take(item)
        self._shut(0)
        opening, header = self._opening, self._header
        if opening is None or header is None:
            return Survey()
        return Survey(
            structures=tuple(one for one in self._read if one is not None),
            version=opening.syntax[1],
            level=opening.syntax[0],
            usual=opening.separators == DEFAULT_4,
            sender=composite(header, 2),
            recipient=composite(header, 3),
            certificates=tuple(bytes(kept) for kept in self._kept),
        )

    def _take(self, item: Begun | Run | Octets) -> None:
        if isinstance(item, Begun):
            self._begin_reading(item.opening)
        elif isinstance(item, Run):
            if self._reading is not None:
                self._take_run(item, self._reading)
        elif self._open:
            self._take_octets(item)

    def _begin_reading(self, opening: Opening) -> None:
        self._opening = opening
        self._reading = Reading(opening.separators, opening.syntax[1])
        first = opening.offset + opening.skip
        self._start = self._head.find(b"UNA", opening.offset) if opening.announced else first
        self._head = b""

    def _take_run(self, run: Run, reading: Reading) -> None:
        begin = run.start
        settled = self._settled()
        for text, offset, size in zip(run.texts, run.offsets, run.sizes, strict=bool(run.texts)):
            end = begin + size + 1
            if (settled and text[:1] in _PLAIN) or (self._overfull and text[:2] == "US"):
                self._number += 1
            elif not self._stopped:
                segment, _ = reading.segment(text, offset, self._number)
                if segment is not None:
                    self._take_segment(segment, begin, end)
                    self._number = 0 if segment.tag == "UNT" else segment.number
                    settled = self._settled()
            begin = end

    def _settled(self) -> bool:
        """True where a message's body is read: most segments of it need no look."""
        return (
            bool(self._open) and self._number > 0 and (innermost := self._open[-1][1]).stage is BODY
        ) and innermost.level is Level.MESSAGE

    @property
    def _overfull(self) -> bool:
        """True where more was sent than is kept: nothing of the interchange is proven, and no more is kept."""
        return self._security > self._limits.security

    def _take_octets(self, piece: Octets) -> None:
        """A package's object."""
        self._open[-1][1].content(piece.offset)
        if self._keeping and len(self._kept[-1]) + len(piece.octets) <= MAX_CERTIFICATE:
            self._kept[-1] += piece.octets

    def _take_segment(self, segment: Segment, begin: int, end: int) -> None:
        tag = segment.tag
        if tag in _BEGINS:
            self._begin(_BEGINS[tag], segment, begin, end)
        elif tag in _ENDS:
            self._end(_ENDS[tag], segment, begin, end)
        elif self._open:
            innermost = self._open[-1][1]
            if tag in _SECURITY:
                self._security += 1
                if self._overfull:
                    self._open[0][1].overfull(segment, self._limits.security)
                else:
                    innermost.secure(segment, begin, end)
            elif not innermost.content(begin):
                innermost.after(segment)

    def _begin(self, level: Level, header: Segment, begin: int, end: int) -> None:
        if not self._open and self._read and level is not Level.INTERCHANGE:
            return  # after UNZ, which the reader tells
        if (level is Level.INTERCHANGE and self._read) or self._counts[level] >= self._most(level):
            self._stopped = True  # a second UNB, or more than is read: there the reader stops too
            return
        depth = len(self._open)
        while depth and _RANK[self._open[depth - 1][1].level] >= _RANK[level]:
            depth -= 1
        self._shut(depth)
        if self._open and not self._open[-1][1].content(begin):
            self._open[-1][1].after(header)
        self._counts[level] += 1
        start = self._start if level is Level.INTERCHANGE else header.offset
        inside, outer = (self._open[-1][0], self._open[-1][1].around) if self._open else (-1, ())
        ordinal = self._counts[level] if level is Level.MESSAGE else 0
        draft = DraftStructure(level, header, Span(start, end), inside, ordinal, outer)
        self._header = self._header or header
        self._open.append((len(self._read), draft))
        self._read.append(None)
        self._keeping = level is Level.PACKAGE and self._wanted(header)

    def _most(self, level: Level) -> int:
        return self._limits.groups if level is Level.GROUP else self._limits.messages

    def _wanted(self, header: Segment) -> bool:
        """True where a package carries a certificate, and there is room for one more."""
        types: list[Components] = [composite(header, 3), *dict(header.repeats).get(3, ())]
        kept = any(found[:1] == (_CARRIES_CERTIFICATE,) for found in types)
        if kept and len(self._kept) < MAX_CERTIFICATES:
            self._kept.append(bytearray())
            return True
        return False

    def _end(self, level: Level, trailer: Segment, begin: int, end: int) -> None:
        depth = next((d for d, (_, draft) in enumerate(self._open) if draft.level is level), None)
        if depth is not None:
            self._open[depth][1].close(begin, trailer.offset, end)
            self._shut(depth)

    def _shut(self, depth: int) -> None:
        """Nothing more comes of the structures from this depth on: what was read of them is all that is kept."""
        for index, draft in self._open[depth:]:
            self._read[index] = draft.read()
        del self._open[depth:]
