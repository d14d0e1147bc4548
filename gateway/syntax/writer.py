"""Messages to octets: service segments and counts, escaping, truncation, and the repertoire of a level."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from gateway.model.edifact import Segment
from gateway.syntax.characters import DEFAULT, DEFAULT_4, Separators, codec_of, repertoire_of
from gateway.syntax.preamble import VERSIONS

Components = tuple[str, ...]

# Letters that Unicode does not take apart into a base letter and a mark.
_LETTERS = str.maketrans(
    {"đ": "d", "Đ": "D", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "ß": "ss", "æ": "ae", "Æ": "AE"}
)
_LINE_END = re.compile("[\r\n]")
_UNKNOWN = "."  # stands for what a repertoire cannot say; in every repertoire, and no service character


class OutMessage(msgspec.Struct, frozen=True):
    """A message to be written: S009, 0062 and its segments without UNH and UNT."""

    type: str
    version: str
    release: str
    agency: str
    association: str
    reference: str
    segments: tuple[Segment, ...]
    common_reference: str = ""


def write(
    messages: Sequence[OutMessage],
    *,
    syntax: tuple[str, str] = ("UNOC", "3"),
    sender: Components,
    recipient: Components,
    reference: str,
    now: datetime,
    separators: Separators | None = None,
    una: bool = True,
    test: bool = False,
    encoding: str = "",
    application: str = "",
    ack_request: bool = False,
) -> bytes:
    """One interchange, UNA or UNB to UNZ, without line breaks.

    ``syntax``: 0001 and 0002.  ``sender``, ``recipient``: components of S002 and S003.  ``now``: aware;
    written in its own time zone.  UNA is written where asked for or where separators are not default.
    Raises ValueError for a syntax that is not supported, a character outside the repertoire
    (see :func:`fold`), a control character, and for repeats under syntax 1 to 3.
    """
    identifier, version = syntax
    codec = codec_of(identifier, encoding)
    if codec is None or version not in VERSIONS:
        raise ValueError(f"syntax {identifier}:{version} with encoding {encoding!r} cannot be written")
    default = DEFAULT_4 if version == "4" else DEFAULT
    marks = default if separators is None else separators
    if version != "4" and marks.repetition:
        marks = replace(marks, repetition="")
    prepared = (now.strftime("%Y%m%d" if version == "4" else "%y%m%d"), now.strftime("%H%M"))
    s001 = (identifier, version, "", encoding) if encoding else (identifier, version)
    unb = (s001, sender, recipient, prepared, (reference,), (), (application,), ())
    last = ((("1",) if ack_request else ()), (), (("1",) if test else ()))
    segments = [Segment("UNB", (*unb, *last))]
    for message in messages:
        segments.extend(_enclosed(message))
    segments.append(Segment("UNZ", ((str(len(messages)),), (reference,))))
    text = (marks.una if una or marks != default else "") + "".join(_texts(segments, marks))
    wrong = repertoire_of(identifier, codec, marks).wrong.search(text) or _LINE_END.search(text)
    if wrong is not None:
        raise ValueError(f"U+{ord(wrong[0]):04X} may not stand in an interchange")
    return text.encode(codec)


def fold(text: str, syntax_identifier: str, encoding: str = "") -> str:
    """The text as a level's repertoire can say it: marks dropped, ``.`` for what has no counterpart.

    UNOA has no lower case.  The result is equal to ``text`` where nothing is lost.
    Raises ValueError where the level is not supported.
    """
    codec = codec_of(syntax_identifier, encoding)
    if codec is None:
        raise ValueError(f"no repertoire {syntax_identifier!r}")
    repertoire = repertoire_of(syntax_identifier, codec, DEFAULT)
    folded = text if syntax_identifier != "UNOA" else text.upper()
    if not all(_fits(c, codec) for c in folded):
        folded = "".join(
            c if _fits(c, codec) else _plain(c, codec) for c in unicodedata.normalize("NFC", folded)
        )
    folded = _LINE_END.sub(" ", repertoire.wrong.sub(" ", folded))
    return repertoire.odd.sub(_UNKNOWN, folded) if repertoire.odd is not None else folded


def _enclosed(message: OutMessage) -> Iterable[Segment]:
    s009 = (message.type, message.version, message.release, message.agency, message.association)
    yield Segment("UNH", ((message.reference,), s009, (message.common_reference,)))
    yield from message.segments
    yield Segment("UNT", ((str(len(message.segments) + 2),), (message.reference,)))


def _texts(segments: Iterable[Segment], marks: Separators) -> Iterable[str]:
    service = msgspec.structs.astuple(replace(marks, decimal=""))
    escapes = str.maketrans({c: marks.release + c for c in service if c})
    for segment in segments:
        yield _segment(segment, marks, escapes)


def _segment(segment: Segment, marks: Separators, escapes: dict[int, str]) -> str:
    repeats = dict(segment.repeats)
    if repeats and not marks.repetition:
        raise ValueError(f"{segment.tag}: data elements repeat only under syntax 4")
    parts = [segment.tag]
    for position, components in enumerate(segment.elements, start=1):
        occurrences = [_element(o, marks, escapes) for o in (components, *repeats.get(position, ()))]
        while occurrences and not occurrences[-1]:
            occurrences.pop()
        parts.append(marks.repetition.join(occurrences) if len(occurrences) > 1 else "".join(occurrences))
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return marks.element.join(parts) + marks.terminator


def _element(components: Components, marks: Separators, escapes: dict[int, str]) -> str:
    texts = [c.translate(escapes) for c in components]
    while texts and not texts[-1]:
        texts.pop()
    if not marks.release and any(len(t) == 1 for t in escapes.values()) and texts:
        _refuse_service(components, marks)
    return marks.component.join(texts)


def _refuse_service(components: Components, marks: Separators) -> None:
    for text in components:
        for mark in (marks.component, marks.element, marks.repetition, marks.terminator):
            if mark and mark in text:
                raise ValueError(f"{mark!r} cannot be written without a release character")


def _fits(character: str, codec: str) -> bool:
    try:
        character.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def _plain(character: str, codec: str) -> str:
    bare = unicodedata.normalize("NFKD", character.translate(_LETTERS))
    kept = "".join(c for c in bare if not unicodedata.combining(c))
    return kept if kept and _fits(kept, codec) else _UNKNOWN
