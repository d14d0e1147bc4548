"""Security segments put into an interchange that is written already: every other octet stays as it is.

What is signed are the octets that will be sent; so header groups are written first, and trailers when the signer
has seen what they cover.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from msgspec.structs import replace

from gateway.model.edifact import Segment
from gateway.model.secured import (
    Autack,
    Level,
    LinkedResult,
    Received,
    SecuredReference,
    SecurityGroup,
    SecurityTime,
    Structure,
    Survey,
    Values,
)
from gateway.syntax.limits import EdifactLimits
from gateway.syntax.pen import Pen
from gateway.syntax.preamble import Opening, open_interchange
from gateway.syntax.security import PIECE, survey
from gateway.syntax.security_segments import autack_segments, header_segments, trailer_segments

_SYNTAX = "4"
_BASE64 = "7"
_UNOA = "UNOA"
_AUTACK = ("AUTACK", "4", "1", "UN")
_AUTHENTICATES, _ACKNOWLEDGES = "SECAUT", "SECACK"  # 0113
_REFERENCE = "AUTACK{}"  # 0062, an..14
_NO_ANSWER = "1"  # 0503

Octets = Sequence[bytes | memoryview]


class Signing(Protocol):
    """Who makes header groups and signs (``gateway.security.EdifactSigner``)."""

    @property
    def time(self) -> SecurityTime: ...
    def header(self, around: Octets) -> SecurityGroup: ...
    def sign(self, group: SecurityGroup, covered: Octets) -> SecurityGroup: ...
    def linked(self, octets: Iterable[bytes | memoryview]) -> Values: ...
    def filtered(self, digest: bytes) -> Values: ...


def secure(
    content: bytes,
    signing: Signing,
    level: Level = Level.MESSAGE,
    ordinals: Collection[int] = (),
    limits: EdifactLimits | None = None,
) -> bytes:
    """The interchange with a header and a trailer group around each message (or functional group, or itself).

    ``ordinals``: of the messages to secure, all where empty.  What is secured already gets the new pair outside
    the others, which scope 2 countersigns.  UNT's count stays: security segments may be left out of it.  Raises
    ValueError where the syntax version is not 4, where there is nothing to secure, or a structure is not whole.
    """
    writing = _Writing(content, limits)
    wanted = [
        s
        for s in writing.survey.structures
        if s.level is level and (not ordinals or s.ordinal in ordinals or level is not Level.MESSAGE)
    ]
    if not wanted:
        raise ValueError(f"there is no {level.value} to secure")
    for structure in wanted:
        writing.enclose(structure, signing)
    return writing.octets()


def refer(content: bytes, signing: Signing, limits: EdifactLimits | None = None) -> bytes:
    """The interchange with an AUTACK at its end that secures all its messages by reference.

    Raises ValueError as :func:`secure` does, and where there are functional groups.
    """
    writing = _Writing(content, limits)
    whole = writing.survey.structures[0]
    named = []
    for structure in writing.survey.structures[1:]:
        if structure.level is Level.MESSAGE:
            octets = writing.span(structure.span.start, structure.span.end)
            named.append((writing.reference(whole, structure), signing.linked([octets])))
    if not named:
        raise ValueError("there is no message to secure")
    writing.append(_AUTHENTICATES, named, [""] * len(named), signing)
    return writing.octets()


def acknowledge_received(
    content: bytes, received: Sequence[Received], signing: Signing, limits: EdifactLimits | None = None
) -> bytes:
    """The interchange of an answer with an AUTACK at its end that says what was received, and whether it was
    proven.  Raises ValueError as :func:`refer` does."""
    writing = _Writing(content, limits)
    named = [(r.named, () if r.error else signing.filtered(r.digest)) for r in received]
    writing.append(_ACKNOWLEDGES, named, [r.error for r in received], signing)
    return writing.octets()


class _Writing:
    """One interchange, and what is to be put into it."""

    def __init__(self, content: bytes, limits: EdifactLimits | None) -> None:
        opening = open_interchange(content, True, limits or EdifactLimits())
        pieces = (content[start : start + PIECE] for start in range(0, len(content), PIECE))
        self.survey: Survey = survey(pieces, limits)
        if opening is None or opening.repertoire is None or not self.survey.structures:
            raise ValueError("no interchange that can be read")
        if opening.syntax[1] != _SYNTAX:
            raise ValueError(f"security segments need syntax {_SYNTAX}, not {opening.syntax[1]}")
        self._opening: Opening = opening
        self._codec = opening.repertoire.codec
        self._pen = Pen(opening.separators)
        self._content = content
        self._view = memoryview(content)
        self._inserted: list[tuple[int, int, bytes]] = []  # (from, up to, what stands there instead)

    def span(self, start: int, end: int) -> memoryview:
        return self._view[start:end]

    def octets(self) -> bytes:
        """The interchange as it is to be sent."""
        parts: list[bytes | memoryview] = []
        at = 0
        for start, end, text in sorted(self._inserted, key=lambda inserted: inserted[:2]):
            parts += (self._view[at:start], text)
            at = end
        return b"".join((*parts, self._view[at:]))

    def enclose(self, structure: Structure, signing: Signing) -> None:
        """A header and a trailer group for one structure."""
        if structure.last < 0 or structure.findings or structure.level is Level.PACKAGE:
            raise ValueError(f"the {structure.level.value} {structure.reference!r} cannot be secured")
        around = [self.span(found.start, found.end) for found in structure.around]
        group = self._fitting(signing.header(around), structure)
        head = self._written(header_segments(group))
        within = structure.inner if group.scope == "2" else structure.body
        group = signing.sign(group, (head, self.span(within.start, within.end)))
        start, end = structure.inner.start, structure.inner.end
        self._inserted.append((start, start, head))
        self._inserted.append((end, end, self._written(trailer_segments(group))))

    def reference(self, whole: Structure, structure: Structure) -> SecuredReference:
        """How an AUTACK names a message of this interchange."""
        return SecuredReference(
            interchange=whole.reference,
            sender=self.survey.sender,
            recipient=self.survey.recipient,
            message=structure.reference,
            identifier=structure.identifier,
        )

    def append(
        self,
        function: str,
        named: Sequence[tuple[SecuredReference, Values]],
        errors: Sequence[str],
        signing: Signing,
    ) -> None:
        """An AUTACK as the last message, and UNZ with one message more."""
        whole = self.survey.structures[0]
        if any(s.level is Level.GROUP for s in self.survey.structures) or whole.last < 0:
            raise ValueError("an AUTACK is added to interchanges of messages without groups only")
        reference = self._free_reference()
        head = self._written([Segment("UNH", ((reference,), (*_AUTACK, "", "", function)))])
        around = self._view[whole.around[0].start : whole.around[0].end]
        group = self._fitting(signing.header((around, head)), whole)
        autack = Autack(
            response=group.response or _NO_ANSWER,
            time=signing.time,
            sender=self.survey.sender,
            recipient=self.survey.recipient,
            references=tuple(
                replace(name, results=(LinkedResult(group.reference, values, error),))
                for (name, values), error in zip(named, errors, strict=True)
            ),
        )
        header = list(header_segments(group))
        content = list(autack_segments(autack))
        covered = self._written(header) + self._written(content)
        trailer = list(trailer_segments(signing.sign(group, (covered,))))
        count = len(header) + len(content) + len(trailer) + 2
        tail = self._written([*trailer, Segment("UNT", ((str(count),), (reference,)))])
        messages = sum(1 for s in self.survey.structures if s.inside == 0) + 1
        unz = self._written([Segment("UNZ", ((str(messages),), (whole.reference,)))])
        self._inserted.append((whole.last, whole.span.end, head + covered + tail + unz))

    def _free_reference(self) -> str:
        used = {s.reference for s in self.survey.structures if s.level is Level.MESSAGE}
        return next(name for n in range(len(used) + 1) if (name := _REFERENCE.format(n or "")) not in used)

    def _fitting(self, group: SecurityGroup, structure: Structure) -> SecurityGroup:
        """The group, with a reference that no other pair of the structure has."""
        if group.filter == _BASE64 and self._opening.syntax[0] == _UNOA:
            raise ValueError(f"the Base64 filter needs small letters, which {_UNOA} has not")
        used = {found.reference for found in structure.groups}
        numbers = (str(n) for n in range(1, len(used) + 2))
        free = group.reference if group.reference not in used else next(n for n in numbers if n not in used)
        return replace(group, reference=free)

    def _written(self, segments: Iterable[Segment]) -> bytes:
        return "".join(map(self._pen.write, segments)).encode(self._codec)
