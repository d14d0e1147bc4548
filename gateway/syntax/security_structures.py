"""A structure that security may be applied to, while it is read: headers, body, trailers, and how they pair.

Header groups stand before the body and trailer groups after it; the first header belongs to the last trailer,
as brackets do (ISO 9735-5).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from gateway.model.edifact import Segment
from gateway.model.finding import Finding, Place
from gateway.model.secured import Level, SecurityGroup, Span, Structure, Values
from gateway.syntax.drafts import SECURITY_MESSAGES, composite
from gateway.syntax.elements import quote
from gateway.syntax.findings import Findings
from gateway.syntax.security_segments import (
    read_autack,
    read_certificate,
    read_header,
    read_method,
    read_values,
)

MAX_GROUPS = 99  # header groups, and trailer groups, of one structure (SG1 and SG4 of AUTACK alike)
MAX_METHODS = 3  # USA after USH, and after USC
MAX_CERTIFICATES = 2  # USC groups of a header group
MAX_TOLD = 99  # findings of one structure

ENCRYPTING = frozenset({"USD", "USU"})
AUTACK = "AUTACK"
_OF_AUTACK = frozenset({"USB", "USX", "USY"})
_REFERENCES = {Level.INTERCHANGE: 5, Level.GROUP: 5, Level.MESSAGE: 1, Level.PACKAGE: 1}

HEAD, BODY, TAIL = range(3)


class _Trailer(msgspec.Struct):
    """UST and what follows it; ``begin``: the octet after the terminator before it."""

    segment: Segment
    place: Place
    begin: int
    values: Values = ()
    results: int = 0


class DraftStructure:
    """From a header on (UNB, UNG, UNH, UNO).  ``stage``: among security headers, in the body, or among
    security trailers.  ``around``: its header's octets, and those of all that it is in."""

    def __init__(
        self,
        level: Level,
        header: Segment,
        span: Span,
        inside: int,
        ordinal: int,
        outer: tuple[Span, ...] = (),
    ) -> None:
        self.level = level
        self.header = header
        self.heading = span
        self.around = (*outer, span)
        self.inside = inside
        self.ordinal = ordinal
        self.stage = HEAD
        self.reference = header.get(_REFERENCES[level])
        self.type = header.get(2) if level is Level.MESSAGE else ""
        self._closed: tuple[int, int, int] | None = None  # of its trailer: begin, offset of the tag, end
        self._secured = False
        self._overfull = False
        self._body = Span(span.end, span.end)
        self._groups: list[SecurityGroup] = []
        self._trailers: list[_Trailer] = []
        self._named: list[tuple[Segment, Place]] = []
        self._findings = Findings(MAX_TOLD)

    # Segments.

    def content(self, begin: int) -> bool:
        """Something of the body begins; ``begin``: the octet after the terminator before it.  False where that
        is told as wrong."""
        if self.stage is HEAD:
            self.stage, self._body = BODY, Span(begin, begin)
        return self.stage is BODY

    def after(self, segment: Segment) -> None:
        """What stands after a security trailer and is none: nobody would have signed it."""
        self._tell("SIG402", self._place(segment), found=segment.tag)

    def overfull(self, segment: Segment, most: int) -> None:
        """An interchange's first segment of security that is one too many."""
        if not self._overfull:
            self._secured = self._overfull = True
            self._findings.keep(Finding("SIG440", self._place(segment), str(most), segment.tag))

    def secure(self, segment: Segment, begin: int, end: int) -> None:
        """A segment of security (``US.``)."""
        self._secured = True
        place = self._place(segment)
        if segment.tag in _OF_AUTACK and self.type == AUTACK:
            if self.content(begin):
                self._named.append((segment, place))
            else:
                self._tell("SIG402", place, found=segment.tag)
        elif segment.tag in ENCRYPTING:
            self._tell("SIG418", place, found=segment.tag)
        elif self.type in SECURITY_MESSAGES and self.type != AUTACK:
            self._tell("SIG407", place, AUTACK, self.type)
        elif not _TAKERS.get(segment.tag, DraftStructure._misplaced)(self, segment, place, begin, end):
            self._tell("SIG402", place, found=segment.tag)

    def _misplaced(self, segment: Segment, place: Place, begin: int, end: int) -> bool:
        return False

    def _take_ush(self, segment: Segment, place: Place, begin: int, end: int) -> bool:
        if self.stage is not HEAD or len(self._groups) >= MAX_GROUPS:
            return False
        group = read_header(segment, place)
        self._groups.append(replace(group, segments=1, heading=Span(segment.offset, end)))
        return True

    def _take_usa(self, segment: Segment, place: Place, begin: int, end: int) -> bool:
        if self.stage is not HEAD or not self._groups:
            return False
        group, method = self._groups[-1], read_method(segment, place)
        if group.certificates:
            *before, last = group.certificates
            if len(last.methods) >= MAX_METHODS:
                return False
            last = replace(last, methods=(*last.methods, method))
            self._extend(end, certificates=(*before, last))
        elif len(group.methods) >= MAX_METHODS:
            return False
        else:
            self._extend(end, methods=(*group.methods, method))
        return True

    def _take_usc(self, segment: Segment, place: Place, begin: int, end: int) -> bool:
        if self.stage is not HEAD or not self._groups:
            return False
        certificates = self._groups[-1].certificates
        if len(certificates) >= MAX_CERTIFICATES:
            return False
        self._extend(end, certificates=(*certificates, read_certificate(segment, place)))
        return True

    def _take_usr(self, segment: Segment, place: Place, begin: int, end: int) -> bool:
        if self.stage is HEAD and self._groups and self._groups[-1].certificates:
            self._extend(
                end
            )  # an issuer's signature over a certificate in EDIFACT form, which X.509 needs not
            return True
        if self.stage is not TAIL or self._trailers[-1].results:
            return False
        self._trailers[-1].values = read_values(segment)
        self._trailers[-1].results = 1
        return True

    def _take_ust(self, segment: Segment, place: Place, begin: int, end: int) -> bool:
        if len(self._trailers) >= MAX_GROUPS:
            return False
        if self.stage is not TAIL:
            self._end_body(begin)
        self._trailers.append(_Trailer(segment, place, begin))
        return True

    def _extend(self, end: int, **parts: tuple[object, ...]) -> None:
        """One more segment of the header group at hand."""
        group = self._groups[-1]
        heading = Span(group.heading.start, end)
        self._groups[-1] = replace(group, segments=group.segments + 1, heading=heading, **parts)

    def _end_body(self, begin: int) -> None:
        start = begin if self.stage is HEAD else self._body.start
        self.stage, self._body = TAIL, Span(start, begin)

    # The end.

    def close(self, begin: int, last: int, end: int) -> None:
        """The trailer: ``begin``, its tag's offset, and the octet after its terminator."""
        if self.stage is not TAIL:
            self._end_body(begin)
        self._closed = begin, last, end

    def read(self) -> Structure:
        """The structure."""
        begin, last, end = self._closed or (self.heading.end, -1, self.heading.end)
        groups = tuple(self._paired())
        return Structure(
            level=self.level,
            reference=self.reference,
            span=Span(self.header.offset, end),
            last=last,
            ordinal=self.ordinal,
            identifier=composite(self.header, 2) if self.level is Level.MESSAGE else (),
            inside=self.inside,
            around=self.around,
            inner=Span(self.heading.end, begin),
            body=self._body,
            groups=() if self._findings else groups,
            secured=self._secured,
            findings=tuple(self._findings),
            autack=read_autack(self._named) if self.type == AUTACK else None,
            place=self._place(self.header),
        )

    def _paired(self) -> Iterator[SecurityGroup]:
        """Each header group with its trailer group; what does not pair is told."""
        heads, tails = self._groups, self._trailers[::-1]
        references = [group.reference for group in heads]
        for group, earlier in zip(heads, range(len(heads)), strict=True):
            if group.reference in references[:earlier]:
                self._tell("SIG405", replace(group.place, element=2), found=group.reference)
        trailing = [tail.segment.get(1) for tail in tails]
        if references != trailing:
            self._tell_unpaired(references, trailing)
            return
        for group, tail in zip(heads, tails, strict=True):
            segments = group.segments + 1 + tail.results
            yield replace(
                group,
                values=tail.values,
                count=tail.segment.get(2),
                segments=segments,
                covered=self._covered(group, tail),
                trailer=tail.place,
            )

    def _tell_unpaired(self, references: list[str], trailing: list[str]) -> None:
        if sorted(references) == sorted(trailing):
            wrong = next(n for n, name in enumerate(references) if name != trailing[n])
            tail = self._trailers[len(self._trailers) - 1 - wrong]
            self._tell("SIG404", replace(tail.place, element=1), references[wrong], trailing[wrong])
            return
        for group in self._groups:
            if group.reference not in trailing:
                self._tell("SIG403", replace(group.place, element=2), "UST", group.reference)
        for tail in self._trailers:
            if tail.segment.get(1) not in references:
                self._tell("SIG403", replace(tail.place, element=1), "USH", tail.segment.get(1))

    def _covered(self, group: SecurityGroup, tail: _Trailer) -> tuple[Span, ...]:
        """The octets that 0541 names: 1, this header group and the body; 2, all from this header to the
        terminator before this trailer."""
        if group.scope == "2":
            return (Span(group.heading.start, tail.begin),)
        if group.scope != "1":
            return ()
        if group.heading.end == self._body.start:
            return (Span(group.heading.start, self._body.end),)
        return (group.heading, self._body)

    def _place(self, segment: Segment) -> Place:
        return Place(quote(self.reference), segment.number, segment.tag[:3], offset=segment.offset)

    def _tell(self, code: str, place: Place, expected: str = "", found: str = "") -> None:
        self._findings.append(Finding(code, place, expected, quote(found)))


_TAKERS = {
    "USH": DraftStructure._take_ush,
    "USA": DraftStructure._take_usa,
    "USC": DraftStructure._take_usc,
    "USR": DraftStructure._take_usr,
    "UST": DraftStructure._take_ust,
}
