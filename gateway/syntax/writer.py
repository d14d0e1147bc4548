"""Interchanges to octets: service segments, counts and references, whole or in pieces of flat memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain

from msgspec.structs import replace

from gateway.model.edifact import Segment
from gateway.syntax.characters import DEFAULT, DEFAULT_4, Separators, codec_of, repertoire_of
from gateway.syntax.folding import LINE_END
from gateway.syntax.outgoing import Components, OutGroup, OutInterchange, OutMessage, OutPackage, Part
from gateway.syntax.pen import Pen
from gateway.syntax.preamble import VERSIONS
from gateway.syntax.tokeniser import OUTSIDE

PIECE = 65_536  # characters gathered before they are given as octets

MAX_PARTS = 999_999  # messages of a group, messages or groups of an interchange: 0036 and 0060 are n..6
MAX_SEGMENTS = 999_999  # of a message, UNH and UNT counted: 0074 is n..6
MAX_SEGMENTS_4 = 9_999_999_999  # n..10 in syntax 4
MAX_OCCURRENCES = 99  # of S020 and of S021 in UNO

_USUAL = ("UNOC", "3")
_AROUND = OUTSIDE | {"UNH", "UNT"}  # segments that no message holds between its own two


def write(
    messages: Iterable[Part],
    *,
    syntax: tuple[str, str] = _USUAL,
    sender: Components,
    recipient: Components,
    reference: str,
    now: datetime,
    separators: Separators | None = None,
    una: bool = True,
    test: bool = False,
    encoding: str = "",
    application: str = "",
    ack_request: bool | str = False,
) -> bytes:
    """One interchange, UNA or UNB to UNZ, without line breaks.

    ``messages``: messages and (syntax 4) packages, or functional groups of them.  ``syntax``: 0001 and
    0002.  ``sender``, ``recipient``: components of S002 and S003.  ``now``: aware; written in its own
    time zone.  UNA is written where asked for or where separators are not default.

    Raises ValueError for what no receiver could read: a syntax that is not supported, a character outside
    the repertoire (see :func:`fold`), a control character, repeats and packages under syntax 1 to 3,
    groups and messages side by side, types that a group may not mix, references used twice, nothing
    to send.  Values are written as they are: :func:`proofread` judges them by the directory.
    """
    interchange = OutInterchange(
        parts=messages,
        sender=sender,
        recipient=recipient,
        reference=reference,
        now=now,
        syntax=syntax,
        separators=separators,
        una=una,
        test=test,
        encoding=encoding,
        application=application,
        ack_request=("1" if ack_request else "") if isinstance(ack_request, bool) else ack_request,
    )
    return b"".join(pieces((interchange,)))


def pieces(interchanges: Iterable[OutInterchange]) -> Iterator[bytes]:
    """The octets of one interchange after another, in pieces; each has a UNA of its own where it needs one.

    Memory is bounded whatever the interchange's size, where its parts, its messages' segments and its
    packages' octets are iterators.  Raises ValueError as :func:`write` does, when it gets there.
    """
    for interchange in interchanges:
        yield from _Writing(interchange).pieces()


class _Writing:
    """One interchange on its way to octets."""

    def __init__(self, interchange: OutInterchange) -> None:
        (identifier, version), encoding = interchange.syntax, interchange.encoding
        codec = codec_of(identifier, encoding)
        if codec is None or version not in VERSIONS:
            raise ValueError(f"syntax {identifier}:{version} with encoding {encoding!r} cannot be written")
        self._out = interchange
        self._four = version == "4"
        default = DEFAULT_4 if self._four else DEFAULT
        marks = default if interchange.separators is None else interchange.separators
        if not self._four and marks.repetition:
            marks = replace(marks, repetition="")
        self._una = marks.una if interchange.una or marks != default else ""
        self._pen = Pen(marks)
        self._codec = codec
        repertoire = repertoire_of(identifier, codec, marks)
        self._wrong = repertoire.wrong
        self._odd = None if interchange.verbatim else repertoire.odd
        day = interchange.now.strftime("%Y%m%d" if self._four else "%y%m%d")
        self._prepared = (day, interchange.now.strftime("%H%M"))

    def pieces(self) -> Iterator[bytes]:
        texts: list[str] = []
        size = 0
        for item in self._items():
            if isinstance(item, bytes):
                yield self._octets(texts)
                yield item
                texts, size = [], 0
                continue
            texts.append(item)
            size += len(item)
            if size >= PIECE:
                yield self._octets(texts)
                texts, size = [], 0
        yield self._octets(texts)

    def _octets(self, texts: list[str]) -> bytes:
        text = "".join(texts)
        wrong = self._wrong.search(text) or LINE_END.search(text)
        if wrong is not None:
            raise ValueError(f"U+{ord(wrong[0]):04X} may not stand in an interchange")
        return text.encode(self._codec)

    def _items(self) -> Iterator[str | bytes]:
        """Segment texts, and the octets of packages."""
        out = self._out
        yield self._una + self._pen.write(self._unb())
        count, grouped, seen = 0, False, set[str]()
        for part in out.parts:
            group = isinstance(part, OutGroup)
            if count and group != grouped:
                raise ValueError("groups and messages cannot stand side by side in an interchange")
            grouped, count = group, count + 1
            if isinstance(part, OutGroup):
                _once(seen, "0048", part.reference)
                yield from self._group(part)
            else:
                yield from self._part(part, seen)
        _bounded(count, "an interchange")
        yield self._pen.write(Segment("UNZ", ((str(count),), (out.reference,))))

    def _unb(self) -> Segment:
        out = self._out
        s001 = (*out.syntax, "", out.encoding)
        last = ((out.ack_request,), (out.agreement,), ("1" if out.test else "",))
        head = (s001, out.sender, out.recipient, self._prepared, (out.reference,), out.password)
        return Segment("UNB", (*head, (out.application,), (out.priority,), *last))

    def _group(self, group: OutGroup) -> Iterator[str | bytes]:
        parts = iter(group.parts)
        first = next(parts, None)
        if first is None:
            raise ValueError("a group must hold a message")
        named = _named(group, first) if not self._four or group.type else ((), (), ())
        kind, agency, version = named
        ung = (kind, group.sender, group.recipient, self._prepared, (group.reference,), agency, version)
        yield self._pen.write(Segment("UNG", (*ung, (group.password,))))
        count, seen = 0, set[str]()
        for part in chain((first,), parts):
            if not self._four and _kind(part) != _kind(first):
                raise ValueError(f"{_kind(first)} and {_kind(part)} cannot share a group before syntax 4")
            count += 1
            yield from self._part(part, seen)
        _bounded(count, "a group")
        yield self._pen.write(Segment("UNE", ((str(count),), (group.reference,))))

    def _part(self, part: OutMessage | OutPackage, seen: set[str]) -> Iterator[str | bytes]:
        if isinstance(part, OutPackage):
            yield from self._package(part)
        else:
            _once(seen, "0062", part.reference)
            yield from self._message(part)

    def _message(self, message: OutMessage) -> Iterator[str]:
        s009 = (message.type, message.version, message.release, message.agency, message.association)
        head = ((message.reference,), s009, (message.common_reference,), *message.more)
        write, odd = self._pen.write, self._odd
        yield write(Segment("UNH", head))
        count = 2
        for segment in message.segments:
            if segment.tag in _AROUND:
                raise ValueError(f"{segment.tag} cannot stand within a message")
            text = write(segment)
            strange = odd.search(text) if odd is not None else None
            if strange is not None:
                raise ValueError(f"{strange[0]!r} may not stand in an interchange of level UNOA")
            count += 1
            yield text
        most = MAX_SEGMENTS_4 if self._four else MAX_SEGMENTS
        if count > most:
            raise ValueError(f"{count} segments are more than a message can count: {most}")
        yield write(Segment("UNT", ((str(count),), (message.reference,))))

    def _package(self, package: OutPackage) -> Iterator[str | bytes]:
        if not self._four:
            raise ValueError("packages are written only under syntax 4")
        for occurrences in (package.references, package.types):
            if not 0 < len(occurrences) <= MAX_OCCURRENCES:
                raise ValueError(f"a package has 1 to {MAX_OCCURRENCES} of S020 and of S021")
        whole = isinstance(package.octets, bytes)
        octets = (package.octets,) if isinstance(package.octets, bytes) else package.octets
        length = len(package.octets) if isinstance(package.octets, bytes) else package.length
        if whole and package.length not in (-1, length):
            raise ValueError(f"{length} octets of an object that is said to have {package.length}")
        first = ((package.reference,), package.references[0], package.types[0], (str(length),))
        more = tuple((n, o[1:]) for n, o in ((2, package.references), (3, package.types)) if len(o) > 1)
        yield self._pen.write(Segment("UNO", first, repeats=more))
        left = length
        for piece in octets:
            left -= len(piece)
            yield piece
        if left:
            raise ValueError(f"{length - left} octets of an object that is said to have {length}")
        yield self._pen.write(Segment("UNP", ((str(length),), (package.reference,))))


def _named(group: OutGroup, first: OutMessage | OutPackage) -> tuple[Components, Components, Components]:
    """0038, 0051 and S008: the group's, or those of its first message."""
    if isinstance(first, OutPackage):
        return (group.type,), (group.agency,), group.version
    version = group.version or (first.version, first.release, first.association)
    return (group.type or first.type,), (group.agency or first.agency,), version


def _kind(part: OutMessage | OutPackage) -> str:
    if isinstance(part, OutPackage):
        return "UNO"
    return ":".join((part.type, part.version, part.release, part.agency, part.association)).rstrip(":")


def _once(seen: set[str], element: str, reference: str) -> None:
    if reference in seen:
        raise ValueError(f"the reference {reference!r} ({element}) is used twice")
    seen.add(reference)


def _bounded(count: int, what: str) -> None:
    if not 0 < count <= MAX_PARTS:
        raise ValueError(f"{what} must hold 1 to {MAX_PARTS} messages or groups, not {count}")
