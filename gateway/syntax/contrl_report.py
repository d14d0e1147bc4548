"""What a CONTRL says of an interchange: UCI, UCF, UCM, UCS and UCD from findings (ISO 9735-4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from gateway.model.edifact import Segment
from gateway.model.finding import Catalogue, Finding, Severity
from gateway.syntax.contrl_codes import OF_SERVICE, UNSPECIFIED, nearest, usable
from gateway.syntax.contrl_copies import Copier, Head
from gateway.syntax.drafts import SECURITY_MESSAGES
from gateway.syntax.interchange import FunctionalGroup, Interchange, Message, Package

ACKNOWLEDGED = "7"
REJECTED = "4"
RECEIVED = "8"

MAX_UCS = 999  # a message (SG2)
MAX_UCD = 99  # a UCS
MAX_UCM = 999_999  # an interchange (SG1), or a group (SG4)
MAX_SEGMENT = 999_999  # 0096 and 0136 are n..6
MAX_POSITION = 999  # 0098 and 0104 are n..3

_AROUND = frozenset({"UNH", "UNT"})
_SECURITY = "US"
# What 0013 can name before syntax 4, and 0135 beside it from then on.
SERVICE_TAGS = frozenset({"UNB", "UNZ", "UNG", "UNE", "UNH", "UNT"})
SERVICE_TAGS_4 = SERVICE_TAGS | {"UNO", "UNP", "USA", "USB", "USC", "USD", "USE", "USF"}
SERVICE_TAGS_4 |= {"USH", "USL", "USR", "UST", "USU", "USX", "USY"}

Findings = Sequence[Finding]
Security = tuple[str, str]  # 0534 and 0138

_NO_SECURITY = ("", "")


class Unnameable(ValueError):
    """What is to be rejected has no reference or identifier that could be copied: CONTRL cannot tell it."""


class Report:
    """The segments of a CONTRL between UNH and UNT.

    ``rejected``: findings of messages by ordinal.  Raises :class:`Unnameable` while it is written.
    """

    def __init__(
        self,
        interchange: Interchange,
        rejected: Mapping[int, tuple[Finding, ...]],
        catalogue: Catalogue,
        copier: Copier,
        version: str,
    ) -> None:
        self._whole = interchange
        self._rejected = rejected
        self._meanings = catalogue.meanings
        self._copy = copier
        self._version = version
        self._four = version == "4"
        self._tags = SERVICE_TAGS_4 if self._four else SERVICE_TAGS
        self._references = {message.reference for message in interchange.messages}

    def segments(self) -> Iterator[Segment]:
        whole = self._whole
        faults = self._errors(whole.findings)
        yield self._told("UCI", _named(self._copy.interchange(whole), "UNB"), faults)
        if faults:
            return
        if not whole.groups:
            yield from islice(self._refused(whole.messages, whole.packages), MAX_UCM)
            return
        by_ordinal = {m.ordinal: m for m in whole.messages}
        packages: dict[str, list[Package]] = {}
        for package in whole.packages:
            packages.setdefault(package.group_reference, []).append(package)
        for group in whole.groups:
            members = [by_ordinal[n] for n in group.messages if n in by_ordinal]
            yield from self._group(group, members, packages.get(group.reference, ()))

    def _group(
        self, group: FunctionalGroup, members: Sequence[Message], packages: Sequence[Package]
    ) -> Iterator[Segment]:
        """A group is named where it, or something in it, is rejected."""
        faults = self._errors(group.findings)
        refused = iter(()) if faults else self._refused(members, packages)
        first = next(refused, None)
        if not faults and first is None:
            return
        yield self._told("UCF", _named(self._copy.group(group), "UNG"), faults)
        if first is not None:
            yield first
            yield from refused

    def _refused(self, messages: Iterable[Message], packages: Iterable[Package]) -> Iterator[Segment]:
        """What is rejected among messages and packages; the others are acknowledged by silence."""
        for message in messages:
            faults = self._errors(self._rejected.get(message.ordinal, ()))
            if faults:
                yield from self._message(message, faults)
        for package in packages if self._four else ():
            faults = self._errors(package.findings)
            if faults:
                yield self._package(package, faults)

    # A message.

    def _message(self, message: Message, faults: Findings) -> Iterator[Segment]:
        """UCM for the first fault of a service segment, or of the message as such; else UCS and UCD."""
        head = self._head(message)
        service: list[Finding] = []
        whole: list[Finding] = []
        body: list[Finding] = []
        for fault in faults:
            kind = service if _is_service(fault, message) else whole if self._is_of_message(fault) else body
            kind.append(fault)
        security = _security(message, service[0]) if service and self._four else _NO_SECURITY
        yield self._told("UCM", head, service or whole, security, rejected=True)
        if not service:
            yield from self._body(body)

    def _head(self, message: Message) -> Head:
        head = _named(self._copy.message(message), "UNH")
        if head[0][0] != message.reference and head[0][0] in self._references:
            raise Unnameable(f"{head[0][0]!r} would name another message")
        return head

    def _is_of_message(self, finding: Finding) -> bool:
        """True where no segment is named, or the code (a duplicate, no agreement ...) is never one of a body."""
        code = self._meant(finding)
        return not finding.place.segment or (code in OF_SERVICE and usable(code, "UCM", self._version))

    def _body(self, faults: Findings) -> Iterator[Segment]:
        """UCS for each faulty segment, UCD for each of its faulty elements."""
        by_segment: dict[int, list[Finding]] = {}
        for finding in faults:
            by_segment.setdefault(min(finding.place.segment, MAX_SEGMENT), []).append(finding)
        left = MAX_UCS
        for number in sorted(by_segment):
            found = by_segment[number]
            codes = dict.fromkeys(self._code(f, "UCS") for f in found if not f.place.element)
            first, *more = codes or ("",)
            yield Segment("UCS", ((str(number),), (first,)))
            for finding in [f for f in found if f.place.element][:MAX_UCD]:
                yield Segment("UCD", ((self._code(finding, "UCD"),), self._s011(finding)))
            for code in more[: left - 1]:
                yield Segment("UCS", ((str(number),), (code,)))
            left -= 1 + len(more)
            if left <= 0:
                return

    def _package(self, package: Package, faults: Findings) -> Segment:
        named = self._copy.package(package)
        if named is None:
            raise Unnameable("a package has no reference")
        reference, objects = named
        told = self._told("UCM", ((), ()), faults)
        padding = ((),) * (6 - len(told.elements))
        elements = (*told.elements, *padding, reference, objects[0] if objects else ())
        return Segment("UCM", elements, repeats=((8, objects[1:]),) if objects[1:] else ())

    # Any level.

    def _told(
        self,
        tag: str,
        head: Head,
        faults: Findings,
        security: Security = _NO_SECURITY,
        rejected: bool = False,
    ) -> Segment:
        """UCI, UCF or UCM: acknowledged, or rejected for the first fault.  ``security``: of UCM only."""
        if not faults:
            return Segment(tag, (*head, (REJECTED if rejected else ACKNOWLEDGED,)))
        first = faults[0]
        faulty = first.place.tag if first.place.tag in self._tags else ""
        s011 = self._s011(first) if faulty and first.place.element else ()
        elements: Head = (*head, (REJECTED,), (self._code(first, tag),), (faulty,), s011)
        if security != _NO_SECURITY:
            elements = (*elements, (), (), (security[0],), (security[1],))
        return Segment(tag, elements)

    def _errors(self, findings: Iterable[Finding]) -> list[Finding]:
        """The errors that CONTRL can tell: those of syntax, and others that have an 0085 code."""
        return [f for f in findings if f.severity is Severity.ERROR and self._tellable(f.code)]

    def _tellable(self, code: str) -> bool:
        return code.startswith("EDI") or (code in self._meanings and bool(self._meanings[code].contrl))

    def _meant(self, finding: Finding) -> str:
        meaning = self._meanings.get(finding.code)
        return meaning.contrl if meaning is not None and meaning.contrl else UNSPECIFIED

    def _code(self, finding: Finding, level: str) -> str:
        return nearest(self._meant(finding), level, self._version)

    def _s011(self, finding: Finding) -> tuple[str, ...]:
        """Position of an element: the segment tag is 1, so the first element is 2 (0098)."""
        place = finding.place
        element, component = min(place.element + 1, MAX_POSITION), min(place.component, MAX_POSITION)
        s011 = [str(element), str(component) if component else ""]
        if self._four and place.repetition:
            s011.append(str(min(place.repetition, MAX_SEGMENT)))
        return tuple(s011)


def _is_service(finding: Finding, message: Message) -> bool:
    tag = finding.place.tag
    return tag in _AROUND or (tag.startswith(_SECURITY) and message.type not in SECURITY_MESSAGES)


def _named(head: Head | None, tag: str) -> Head:
    if head is None:
        raise Unnameable(f"{tag} has no reference or identifier that can be copied")
    return head


def _security(message: Message, finding: Finding) -> Security:
    """Security reference (0534) of the security group that a finding is in, and its segment's position
    there, from 1 at USH or UST (0138)."""
    if not finding.place.tag.startswith(_SECURITY):
        return _NO_SECURITY
    position, reference = 0, ""
    for segment in message.segments:
        if segment.number > finding.place.segment:
            break
        if segment.tag in ("USH", "UST"):
            position, reference = 1, segment.get(2 if segment.tag == "USH" else 1)
        elif position:
            position += 1
    return (reference, str(position)) if position and reference else _NO_SECURITY
