"""What holds for any octets at all, valid or not: checked by the fuzzer, and by a test on every sample."""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise, zip_longest

from gateway.model import Catalogue, Severity
from gateway.model.edifact import Segment
from gateway.model.finding import Finding, Place
from gateway.syntax import (
    Detail,
    Directories,
    Event,
    Found,
    Interchange,
    Message,
    OutMessage,
    Reader,
    SegmentRead,
    Tokeniser,
    acknowledgement,
    answerable,
    contrl,
    read,
    write,
)

SLOW = 5.0  # seconds for everything that is done with one input of some kilobytes
MAX_CUTS = 12
NOW = datetime(2026, 1, 14, 8, 15, tzinfo=UTC)


class Broken(Exception):
    """An invariant does not hold; ``args``: its name, and what tells this case from others."""


class Case:
    """Octets, what reading them whole gave, and where they are cut: that follows from the octets."""

    def __init__(self, octets: bytes, directories: Directories, catalogue: Catalogue) -> None:
        self.octets = octets
        self.directories = directories
        self.catalogue = catalogue
        chance = random.Random(zlib.crc32(octets))
        self.cuts = sorted(chance.randint(0, len(octets)) for _ in range(chance.randint(1, MAX_CUTS)))
        self.interchange = read(octets, directories)


def violations(octets: bytes, directories: Directories, catalogue: Catalogue) -> Iterator[Exception]:
    """Whatever does not hold, each as a :class:`Broken` or as the exception that escaped."""
    began = time.perf_counter()
    try:
        case = Case(octets, directories, catalogue)
    except Exception as error:  # noqa: BLE001 - that none escapes is what is asked
        yield error
        return
    for holds in (_places, _numbers, _order, _events, _tokens, _answer, _written):
        try:
            holds(case)
        except Exception as error:  # noqa: BLE001 - as above
            yield error
    if time.perf_counter() - began > SLOW:
        yield Broken("time")


def _findings(interchange: Interchange) -> list[Finding]:
    told = [*interchange.findings]
    told += [finding for message in interchange.messages for finding in message.findings]
    told += [finding for group in interchange.groups for finding in group.findings]
    return told + [finding for package in interchange.packages for finding in package.findings]


def _places(case: Case) -> None:
    for finding in _findings(case.interchange):
        place = finding.place
        if not 0 <= place.offset <= len(case.octets):
            raise Broken("place outside the octets", finding.code, place.tag[:3])
        if place.segment < 0 or place.element < 0 or place.component < 0:
            raise Broken("negative place", finding.code)
        if len(place.tag) > 3 or not place.tag.isprintable():
            raise Broken("tag of a place", finding.code)


def _numbers(case: Case) -> None:
    """Segments are numbered from 1 at UNH, and stand where their tags do."""
    release = case.interchange.separators.release.encode()
    for message in case.interchange.messages:
        numbers = [segment.number for segment in message.segments]
        if numbers != list(range(1, len(numbers) + 1)):
            raise Broken("numbers of segments")
        for segment in message.segments:
            first = segment.tag[:1]
            starts = (first.encode(), release) if release else first.encode()  # a tag may be released
            if first.isascii() and first.isalnum() and not case.octets.startswith(starts, segment.offset):
                raise Broken("offset of a segment")


def _order(case: Case) -> None:
    segments = [segment for message in case.interchange.messages for segment in message.segments]
    offsets = [segment.offset for segment in segments]
    if offsets != sorted(offsets):
        raise Broken("order of segments")


def _events(case: Case) -> None:
    whole, pieces = (_stream(case, cuts) for cuts in ([], case.cuts))
    if whole == pieces:
        return
    one, two = ([e.segment for e in told if isinstance(e, SegmentRead)] for told in (whole, pieces))
    if one != two:
        raise Broken("cut", "segments")
    first, second = ([e.finding for e in told if isinstance(e, Found)] for told in (whole, pieces))
    if first == second:
        raise Broken("cut", "order of findings among segments")
    for here, there in zip_longest(first, second):
        if here is None or there is None or here.code != there.code:
            codes = [finding.code if finding is not None else "nothing" for finding in (here, there)]
            raise Broken("cut", "findings", *codes)
        if here != there:
            names = [name for name in Place.__struct_fields__ if _differ(here.place, there.place, name)]
            raise Broken("cut", "findings alike but for", *(names or ["found, expected or severity"]))


def _differ(one: Place, two: Place, name: str) -> bool:
    return bool(getattr(one, name) != getattr(two, name))


def _stream(case: Case, cuts: list[int]) -> list[Event]:
    reader = Reader(case.directories, detail=Detail(segments=True))
    told: list[Event] = []
    for start, end in pairwise([0, *cuts, len(case.octets)]):
        told += reader.feed(case.octets[start:end])
    return told + reader.finish()


def _tokens(case: Case) -> None:
    whole, pieces = (_tokenised(case, cuts) for cuts in ([], case.cuts))
    if whole != pieces:
        raise Broken("cut", "tokens" if whole[0] != pieces[0] else "tokeniser's findings")
    offsets = [segment.offset for segment in whole[0]]
    if offsets != sorted(offsets):
        raise Broken("order of tokens")


def _tokenised(case: Case, cuts: list[int]) -> tuple[list[Segment], list[Finding]]:
    tokeniser = Tokeniser(several=True)
    segments: list[Segment] = []
    for start, end in pairwise([0, *cuts, len(case.octets)]):
        segments += tokeniser.feed(case.octets[start:end])
    return segments + tokeniser.finish(), tokeniser.findings


def _answer(case: Case) -> None:
    """A CONTRL of what was read is itself without fault and says of the whole what became of it."""
    interchange = case.interchange
    rejected = {m.ordinal: m.findings for m in interchange.messages if m.rejected}
    can = answerable(interchange, case.catalogue, rejected)
    try:
        answer = contrl(
            interchange,
            rejected,
            case.catalogue,
            sender=("CUSTOMS", "ZZ"),
            recipient=("SENDER", "ZZ"),
            reference="1",
            now=NOW,
        )
    except ValueError:
        if can:
            raise
        return
    again = read(answer, case.directories)
    wrong = [f"{f.code} {f.place.tag}" for f in _findings(again) if f.severity is Severity.ERROR]
    if wrong or not again.messages:
        raise Broken("CONTRL", *wrong[:1])
    said = acknowledgement(again.messages[0])
    if (said.interchange.action == "4") != interchange.rejected:
        raise Broken("CONTRL", "interchange", said.interchange.action)


def _written(case: Case) -> None:
    """What was accepted can be written, and reads as it was."""
    interchange = case.interchange
    messages = [m for m in interchange.messages if not m.rejected and m.tree is not None]
    if interchange.rejected or not messages or interchange.groups:
        return
    clean = not _findings(interchange)
    try:
        octets = write(
            [_out(message) for message in messages],
            syntax=interchange.syntax,
            encoding=interchange.encoding,
            sender=interchange.sender,
            recipient=interchange.recipient,
            reference=interchange.reference,
            separators=interchange.separators,
            now=NOW,
        )
    except ValueError as error:
        if clean:
            raise Broken("what was accepted cannot be written", str(error)[:20]) from error
        return
    again = read(octets, case.directories)
    if clean and (again.rejected or any(m.rejected for m in again.messages)):
        raise Broken("what was written is not accepted", *sorted({f.code for f in _findings(again)}))
    before, after = [_values(m) for m in messages], [_values(m) for m in again.messages]
    if before != after:
        raise Broken("what was written reads otherwise")


def _out(message: Message) -> OutMessage:
    named = (message.type, message.version, message.release, message.agency, message.association)
    body = message.segments[1:-1]
    return OutMessage(*named, message.reference, body, common_reference=message.common_reference)


def _values(message: Message) -> list[object]:
    """Segments as they mean: without what is empty at the end of a segment or a composite."""
    rows: list[object] = []
    for segment in message.segments[1:-1]:
        elements = [_trimmed(parts) for parts in segment.elements]
        while elements and not elements[-1]:
            elements.pop()
        more = [(position, [_trimmed(parts) for parts in again]) for position, again in segment.repeats]
        rows.append((segment.tag, elements, [row for row in more if any(row[1])]))
    return rows


def _trimmed(parts: tuple[str, ...]) -> tuple[str, ...]:
    while parts and not parts[-1]:
        parts = parts[:-1]
    return parts
