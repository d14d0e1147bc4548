"""Reads an interchange: tokeniser, envelope, structure and elements brought together."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import islice

from msgspec.structs import replace

from gateway.model.edifact import Directory, Group, Segment
from gateway.model.finding import Finding, Place, Severity
from gateway.syntax.directories import Directories
from gateway.syntax.elements import Layouts, check, quote
from gateway.syntax.envelope import DraftGroup, DraftMessage, Envelope
from gateway.syntax.interchange import FunctionalGroup, Interchange, Message
from gateway.syntax.limits import EdifactLimits
from gateway.syntax.preamble import VERSIONS, Opening
from gateway.syntax.structure import Matcher
from gateway.syntax.tokeniser import Tokeniser

_WHOLE_TAGS = frozenset({"", "UNA", "UNB", "UNZ", "UNG", "UNE"})
_WHOLE_CODES = frozenset({"EDI105", "EDI114", "EDI115", "EDI117"})  # they end the reading
_ANY_VERSION = "3"  # by which service segments of an unknown syntax version are read


_CHUNK = 1_048_576  # octets between two hand-overs from the tokeniser to the envelope


def read(content: bytes, directories: Directories, limits: EdifactLimits | None = None) -> Interchange:
    """Read one interchange; a sender's fault is a finding, never an exception.

    ``content``: the octets from UNA or UNB to UNZ.  Every message is matched against its directory.
    """
    limits = limits or EdifactLimits()
    tokeniser = Tokeniser(limits)
    reader: _Reader | None = None
    for segments in _batches(content, tokeniser):
        if reader is None and tokeniser.opening is not None:
            reader = _Reader(directories, tokeniser.opening, limits)
        if reader is not None:
            reader.envelope.take(segments)
    if reader is None or reader.opening.repertoire is None:
        return Interchange(findings=tuple(tokeniser.findings))
    reader.envelope.finish(tokeniser.stopped)
    return reader.interchange(tokeniser.findings)


def _batches(content: bytes, tokeniser: Tokeniser) -> Iterator[list[Segment]]:
    for start in range(0, len(content), _CHUNK):
        yield tokeniser.feed(content[start : start + _CHUNK])
    yield tokeniser.finish()


class _Reader:
    """What one reading needs at hand."""

    def __init__(self, directories: Directories, opening: Opening, limits: EdifactLimits) -> None:
        self.opening = opening
        self._directories = directories
        self._limits = limits
        self._version = opening.syntax[1] if opening.syntax[1] in VERSIONS else _ANY_VERSION
        fixed = opening.announced and self._version != "4"
        self._marks = opening.separators.decimal if fixed else ".,"
        self.envelope = Envelope(self._layouts(None), self._version, limits)

    def interchange(self, told: list[Finding]) -> Interchange:
        """The interchange of all that the envelope took; ``told``: the tokeniser's findings."""
        envelope, opening = self.envelope, self.opening
        whole, inner = _divide(told, envelope.messages)
        messages = tuple(self._message(draft, inner.get(draft.ordinal, [])) for draft in envelope.messages)
        head = envelope.header or Segment("UNB", ())
        reference = quote(head.get(5))
        findings = [replace(f, place=replace(f.place, message=reference)) for f in whole] + envelope.findings
        findings.sort(key=_by_severity)
        return Interchange(
            reference=head.get(5),
            sender=_composite(head, 2),
            recipient=_composite(head, 3),
            syntax=opening.syntax,
            encoding=head.get(1, 4),
            prepared_at=":".join(_composite(head, 4)),
            application=head.get(7),
            ack_request=head.get(9),
            test=head.get(11) not in ("", "0"),
            separators=opening.separators,
            messages=messages,
            groups=tuple(map(_group, envelope.groups)),
            findings=tuple(findings[: self._limits.findings]),
        )

    def _message(self, draft: DraftMessage, told: list[Finding]) -> Message:
        """Judge one message: identifier, elements, structure."""
        header = draft.segments[0]
        reference = header.get(1)
        findings = draft.findings + [
            replace(f, place=replace(f.place, message=quote(reference))) for f in told
        ]
        tree = None
        if len(draft.segments) <= self._limits.segments:
            unsupported, directory = self._identify(header)
            findings.extend(unsupported)
            tree = self._judge(draft, directory, not unsupported, findings)
        group = self.envelope.groups[draft.group] if draft.group >= 0 else None
        if group is not None:
            findings.extend(group.findings)
        findings.sort(key=_by_segment)
        return Message(
            ordinal=draft.ordinal,
            reference=reference,
            type=header.get(2, 1),
            version=header.get(2, 2),
            release=header.get(2, 3),
            agency=header.get(2, 4),
            association=header.get(2, 5),
            segments=tuple(draft.segments),
            tree=tree,
            findings=tuple(findings[: self._limits.findings]),
            group_reference=group.header.get(5) if group is not None else "",
            common_reference=header.get(3),
        )

    def _identify(self, header: Segment) -> tuple[list[Finding], Directory | None]:
        """The directory of a message, or which component of S009 names none that is supported."""
        kind, version, release, agency = (header.get(2, c) for c in (1, 2, 3, 4))
        place = Place(quote(header.get(1)), 1, "UNH", element=2, component=1, offset=header.offset)
        directory = self._directories.directory(version, release)
        if not kind:
            return [Finding("EDI131", place, "0065")], directory
        if directory is None:
            names = [n for n in self._directories.names() if self._knows(kind, n)]
            at = replace(place, component=3)
            return [Finding("EDI014", at, ", ".join(names), quote(f"{kind}:{version}:{release}"))], None
        if kind not in directory.messages:
            return [Finding("EDI014", place, ", ".join(directory.messages), quote(kind))], None
        if agency not in ("UN", ""):
            return [Finding("EDI014", replace(place, component=4), "UN", quote(agency))], None
        return [], directory

    def _knows(self, kind: str, name: str) -> bool:
        return self._directories.message(kind, name[:1], name[1:]) is not None

    def _judge(
        self, draft: DraftMessage, directory: Directory | None, match: bool, findings: list[Finding]
    ) -> Group | None:
        layouts = self._layouts(directory)
        segments, reference = draft.segments, quote(draft.reference)
        failed = [segments[i] for i in check(segments, layouts)]
        structure = None
        if match and directory is not None:
            kind, version, release = (segments[0].get(2, c) for c in (1, 2, 3))
            structure = self._directories.structure(kind, version, release)
        paths: dict[int, str] = {}
        tree = None
        if structure is not None:
            matcher = Matcher(structure, reference, frozenset(s.number for s in failed))
            tree = matcher.match(segments, self._limits.findings)
            findings.extend(matcher.findings)
            paths = matcher.paths
        room = self._limits.findings
        for segment in failed:
            place = Place(
                reference, segment.number, segment.tag, paths.get(segment.number, ""), offset=segment.offset
            )
            layout = layouts.get(segment.tag)
            if layout is not None and len(findings) < room:
                faults = islice(layout.explain(segment, place), room)
                findings.extend(f for f in faults if not _is_missing_type(f))
        return tree

    def _layouts(self, directory: Directory | None) -> Layouts:
        return self._directories.layouts(directory, self._version, self._marks)


def _is_missing_type(finding: Finding) -> bool:
    """UNH without a message type has a finding of its own, with more to say (EDI131)."""
    place = finding.place
    return finding.code == "EDI013" and (place.tag, place.element, place.component) == ("UNH", 2, 1)


def _divide(
    told: Iterable[Finding], messages: list[DraftMessage]
) -> tuple[list[Finding], dict[int, list[Finding]]]:
    """The tokeniser's findings: those about the whole, and those within messages, by ordinal."""
    starts = [draft.segments[0].offset for draft in messages]
    whole: list[Finding] = []
    inner: dict[int, list[Finding]] = {}
    for finding in told:
        place = finding.place
        within = (place.segment or place.tag == "UNH") and finding.code not in _WHOLE_CODES
        index = bisect_right(starts, place.offset) if within and place.tag not in _WHOLE_TAGS else 0
        if index:
            inner.setdefault(index, []).append(finding)
        else:
            whole.append(finding)
    return whole, inner


def _group(draft: DraftGroup) -> FunctionalGroup:
    head = draft.header
    return FunctionalGroup(
        reference=head.get(5),
        sender=_composite(head, 2),
        recipient=_composite(head, 3),
        type=head.get(1),
        messages=tuple(message.ordinal for message in draft.messages),
        findings=tuple(draft.findings),
    )


def _composite(segment: Segment, element: int) -> tuple[str, ...]:
    """An element's components without empty ones at its end."""
    components = segment.elements[element - 1] if element <= len(segment.elements) else ()
    while components and not components[-1]:
        components = components[:-1]
    return components


def _by_severity(finding: Finding) -> int:
    """Errors first, each kind in the order of discovery: CONTRL tells only the first."""
    return 0 if finding.severity is Severity.ERROR else 1


def _by_segment(finding: Finding) -> tuple[int, int]:
    place = finding.place
    return (place.segment, place.element)
