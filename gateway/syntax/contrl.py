"""CONTRL (ISO 9735-4): the syntax report on an interchange, written and read back.

Action 7 acknowledges a level and, below it, all that is not rejected by name; action 4 rejects a level
and all below.  Each UCI, UCF and UCM tells one error, its first; UCS and UCD tell those of a body.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from gateway.model.edifact import Segment
from gateway.model.finding import Catalogue, Finding, Severity
from gateway.syntax.characters import codec_of
from gateway.syntax.interchange import FunctionalGroup, Interchange, Message
from gateway.syntax.preamble import VERSIONS
from gateway.syntax.writer import OutMessage, fold, write

ACKNOWLEDGED = "7"
REJECTED = "4"
UNSPECIFIED = "18"  # 0085 for a finding that has no code of its own

_USUAL_VERSION = "3"  # in which an interchange of an unknown syntax version is answered
_PLAIN = ("UNOB", "")  # level and encoding that any partner can read
_MISSING = "0"  # stands for a mandatory element that the original does not have

MAX_UCS = 999  # a message (SG2)
MAX_UCD = 99  # a UCS
MAX_UCM = 999_999  # an interchange (SG1)

_IDENTIFIERS = {"4": ("4", "1")}  # version and release of CONTRL; "D" and the syntax version before 4
_MESSAGE_TAGS = frozenset({"UNH", "UNT", "UNO", "UNP"})
_SERVICE_TAGS = frozenset({"UNB", "UNZ", "UNG", "UNE"}) | _MESSAGE_TAGS  # that 0013 and 0135 can name
# 0085 codes that the list of syntax 1 to 3 does not have
_LATER_CODES = frozenset({"45", "46", "47", "48"})

Elements = tuple[tuple[str, ...], ...]


class Reported(msgspec.Struct, frozen=True):
    """What a CONTRL says of one message (or group, or the interchange): 0083, 0085, and where.

    ``segments``: (0096, 0085, elements (0085, 0098, 0104)) of each UCS.
    """

    reference: str
    action: str
    error: str = ""
    tag: str = ""
    element: int = 0
    component: int = 0
    segments: tuple[tuple[int, str, tuple[tuple[str, int, int], ...]], ...] = ()


class Acknowledgement(msgspec.Struct, frozen=True):
    """A CONTRL read: on the interchange, on its groups, on its messages in order."""

    interchange: Reported
    groups: tuple[Reported, ...] = ()
    messages: tuple[Reported, ...] = ()


def contrl(
    interchange: Interchange,
    rejected: Mapping[int, tuple[Finding, ...]],
    catalogue: Catalogue,
    *,
    sender: tuple[str, ...],
    recipient: tuple[str, ...],
    reference: str,
    now: datetime,
) -> bytes:
    """The interchange that answers another one, in its syntax version and repertoire.

    ``rejected``: findings of each rejected message by ordinal; of these the errors of syntax (``EDI...``)
    and those with an 0085 code are told, and a message that has none is acknowledged.  ``sender`` and ``recipient``
    are this answer's own.  Raises ValueError where ``interchange.answerable`` is False.
    """
    if not interchange.answerable:
        raise ValueError("the interchange cannot be answered by CONTRL")
    identifier, version, encoding = _answering(interchange)
    copier = _Copier(identifier, encoding, version)
    report = _Report(interchange, catalogue, copier)
    body = tuple(report.segments(rejected))
    message = OutMessage("CONTRL", *_IDENTIFIERS.get(version, ("D", version)), "UN", "", "1", body)
    return write(
        [message],
        syntax=(identifier, version),
        encoding=encoding,
        sender=copier.party(sender),
        recipient=copier.party(recipient),
        reference=reference,
        now=now,
        separators=interchange.separators if interchange.separators.release else None,
        test=interchange.test,
    )


def _answering(interchange: Interchange) -> tuple[str, str, str]:
    """Level, version and encoding of the answer: the sender's own where they are supported."""
    (identifier, version), encoding = interchange.syntax, interchange.encoding
    if codec_of(identifier, encoding) is None:
        identifier, encoding = _PLAIN
    return identifier, version if version in VERSIONS else _USUAL_VERSION, encoding


class _Copier:
    """Copies a sender's elements so that the copy is valid whatever the original is (ISO 9735-4)."""

    def __init__(self, identifier: str, encoding: str, version: str) -> None:
        self._codec = codec_of(identifier, encoding) or "ascii"
        self._level = (identifier, encoding)
        self._later = version == "4"

    def text(self, text: str, most: int) -> str:
        """The text if it can be written, else what the repertoire can say of it; cut to its format."""
        plain = text.isprintable() and text == text.encode(self._codec, "replace").decode(self._codec)
        return (text if plain else fold(text, *self._level))[:most]

    def needed(self, text: str, most: int) -> str:
        """The same for a mandatory element, which may be missing in the original."""
        return self.text(text, most).strip() or _MISSING

    def party(self, party: tuple[str, ...]) -> tuple[str, ...]:
        """S002, S003, S006 or S007."""
        first, *rest = (*party, "")[:4]
        lengths = (4, 35, 35) if self._later else (4, 14)
        return (self.needed(first, 35), *map(self.text, rest, lengths))

    def identifier(self, message: Message) -> tuple[str, ...]:
        """S009."""
        named = ((message.type, 6), (message.version, 3), (message.release, 3), (message.agency, 2))
        return (*(self.needed(text, most) for text, most in named), self.text(message.association, 6))


class _Report:
    def __init__(self, interchange: Interchange, catalogue: Catalogue, copy: _Copier) -> None:
        self._interchange = interchange
        self._meanings = catalogue.meanings
        self._four = interchange.syntax[1] == "4"
        self._copy = copy

    def segments(self, rejected: Mapping[int, tuple[Finding, ...]]) -> Iterable[Segment]:
        whole = self._interchange
        faults = self._errors(whole.findings)
        copy = self._copy
        head = ((copy.needed(whole.reference, 14),), copy.party(whole.sender), copy.party(whole.recipient))
        yield self._told("UCI", head, faults)
        if faults:
            return
        refused = {m.ordinal: self._errors(rejected.get(m.ordinal, ())) for m in whole.messages}
        if whole.groups:
            for group in whole.groups:
                yield from self._group(group, refused)
            return
        for message in whole.messages[:MAX_UCM]:
            yield from self._message(message, refused[message.ordinal])

    def _group(self, group: FunctionalGroup, refused: Mapping[int, Sequence[Finding]]) -> Iterable[Segment]:
        """A group is named where it, or a message in it, is rejected."""
        faults = self._errors(group.findings)
        members = [m for m in self._interchange.messages if m.ordinal in set(group.messages)]
        if not faults and not any(refused[m.ordinal] for m in members):
            return
        copy = self._copy
        head = ((copy.needed(group.reference, 14),), copy.party(group.sender), copy.party(group.recipient))
        yield self._told("UCF", head, faults)
        if not faults:
            for message in members:
                yield from self._message(message, refused[message.ordinal])

    def _message(self, message: Message, faults: Sequence[Finding]) -> Iterable[Segment]:
        if not faults:
            return
        head = ((self._copy.needed(message.reference, 14),), self._copy.identifier(message))
        service = [f for f in faults if f.place.tag in _MESSAGE_TAGS]
        if service:
            yield self._told("UCM", head, service)
            return
        yield Segment("UCM", (*head, (REJECTED,)))
        yield from self._body(faults)

    def _body(self, faults: Sequence[Finding]) -> Iterable[Segment]:
        """UCS for each faulty segment, UCD for each of its faulty elements."""
        by_segment: dict[int, list[Finding]] = {}
        for finding in faults:
            by_segment.setdefault(max(finding.place.segment, 1), []).append(finding)
        for number in sorted(by_segment)[:MAX_UCS]:
            whole = [f for f in by_segment[number] if not f.place.element]
            inner = [f for f in by_segment[number] if f.place.element]
            code = (self._code(whole[0]),) if whole else ()
            yield Segment("UCS", ((str(number),), code))
            for finding in inner[:MAX_UCD]:
                yield Segment("UCD", ((self._code(finding),), self._s011(finding)))

    def _told(self, tag: str, head: Elements, faults: Sequence[Finding]) -> Segment:
        """UCI, UCF or UCM: acknowledged, or rejected for the first fault."""
        if not faults:
            return Segment(tag, (*head, (ACKNOWLEDGED,)))
        first = faults[0]
        faulty = first.place.tag if first.place.tag in _SERVICE_TAGS else ""
        s011 = self._s011(first) if faulty and first.place.element else ()
        return Segment(tag, (*head, (REJECTED,), (self._code(first),), (faulty,), s011))

    def _errors(self, findings: Iterable[Finding]) -> list[Finding]:
        """The errors that CONTRL can tell: those of syntax, and others that have an 0085 code."""
        return [f for f in findings if f.severity is Severity.ERROR and self._tellable(f.code)]

    def _tellable(self, code: str) -> bool:
        return code.startswith("EDI") or (code in self._meanings and bool(self._meanings[code].contrl))

    def _code(self, finding: Finding) -> str:
        meaning = self._meanings.get(finding.code)
        code = meaning.contrl if meaning is not None and meaning.contrl else UNSPECIFIED
        return UNSPECIFIED if code in _LATER_CODES and not self._four else code

    def _s011(self, finding: Finding) -> tuple[str, ...]:
        """Position of an element: the segment tag is 1, so the first element is 2 (0098)."""
        place = finding.place
        s011 = [str(place.element + 1), str(place.component) if place.component else ""]
        if self._four and place.repetition:
            s011.append(str(place.repetition))
        return tuple(s011)


def acknowledgement(message: Message) -> Acknowledgement:
    """Read a CONTRL of any syntax version.  Raises ValueError where the message is none or has no UCI."""
    if message.type != "CONTRL" or message.segments[1:2] == () or message.segments[1].tag != "UCI":
        raise ValueError("not a CONTRL")
    reported: dict[str, list[Reported]] = {"UCI": [], "UCF": [], "UCM": []}
    for segment in message.segments:
        if segment.tag in reported:
            reported[segment.tag].append(_reported(segment, 3 if segment.tag == "UCM" else 4))
        elif segment.tag == "UCS" and reported["UCM"]:
            last = reported["UCM"][-1]
            row = (_integer(segment.get(1)), segment.get(2), ())
            reported["UCM"][-1] = msgspec.structs.replace(last, segments=(*last.segments, row))
        elif segment.tag == "UCD" and reported["UCM"] and reported["UCM"][-1].segments:
            reported["UCM"][-1] = _with_element(reported["UCM"][-1], segment)
    return Acknowledgement(reported["UCI"][0], tuple(reported["UCF"]), tuple(reported["UCM"]))


def _reported(segment: Segment, action: int) -> Reported:
    element, component = (_integer(segment.get(action + 3, c)) for c in (1, 2))
    return Reported(
        segment.get(1),
        segment.get(action),
        segment.get(action + 1),
        segment.get(action + 2),
        element,
        component,
    )


def _with_element(reported: Reported, segment: Segment) -> Reported:
    number, code, elements = reported.segments[-1]
    element = (segment.get(1), _integer(segment.get(2, 1)), _integer(segment.get(2, 2)))
    return msgspec.structs.replace(
        reported, segments=(*reported.segments[:-1], (number, code, (*elements, element)))
    )


def _integer(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
