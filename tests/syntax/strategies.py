"""Arbitrary valid interchanges: any message of any directory, with elements, formats and codes of its tables,
groups, repeats, packages, separators, levels and syntax versions.

``interchanges(directories)`` gives what is to be written (:class:`OutInterchange`); written and read it has
no fault and is what it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

import msgspec
from hypothesis import strategies as st

from gateway.model.edifact import (
    ComponentUse,
    Directory,
    ElementUse,
    GroupUse,
    MessageTable,
    Segment,
    SegmentTable,
    SegmentUse,
)
from gateway.syntax import Directories, OutGroup, OutInterchange, OutMessage, OutPackage, Separators
from gateway.syntax.structure import Structure

NOW = datetime(2024, 1, 31, 12, 30, tzinfo=UTC)
MAX_SEGMENTS = 60  # a message drawn; beyond it only what is mandatory is added

Draw = Callable[..., object]
Components = tuple[str, ...]


class Level(NamedTuple):
    """A level and encoding, from which syntax version on it is used, and letters that show it."""

    identifier: str
    encoding: str
    versions: str
    letters: str


LEVELS = (
    Level("UNOA", "", "1234", "AZ09 .,-()/=!&*;<>"),
    Level("UNOB", "", "1234", "AZaz09 .,-()/={}|~@#$"),
    Level("UNOC", "", "34", "AZaz09 .-éßÆÿ§"),
    Level("UNOD", "", "34", "AZaz09 .-ąŁž"),
    Level("UNOE", "", "34", "AZaz09 .-ЖяЙ"),
    Level("UNOF", "", "34", "AZaz09 .-Ωαή"),
    Level("KECA", "", "34", "AZaz09 .-한국세관"),
    Level("UNOW", "", "4", "AZaz09 .-Đổiệu세Ж"),
    Level("UNOY", "7", "4", "AZaz09 .-Đổiệu세Ж"),
)
SERVICE = "'+:?*"  # and these, which are to be escaped, in any level
MARKS = (
    None,
    Separators(":", "+", ".", "?", "*", "'"),
    Separators("\x1f", "\x1d", ".", "?", "\x1e", "\x1c"),
    Separators("<", "=", ".", "&", "!", ";"),
)


class Style(NamedTuple):
    """What an interchange's texts are drawn from."""

    version: str
    level: Level

    @property
    def four(self) -> bool:
        return self.version == "4"


@st.composite
def styles(draw: st.DrawFn, versions: str = "1234") -> Style:
    version = draw(st.sampled_from(versions))
    return Style(version, draw(st.sampled_from([x for x in LEVELS if version in x.versions])))


# Texts of a format.


_LIKE_UTF8 = re.compile("[\u00c2-\u00f4][\u0080-\u00bf]")
"""Latin-1 whose octets are a character in UTF-8, too: the reader asks which was meant (EDI124)."""


def texts(style: Style, kind: str, least: int, most: int) -> st.SearchStrategy[str]:
    """Values of a data element: never blanks only, never blanks at an end."""
    if kind == "n":
        return numbers(least, most)
    characters = style.level.letters + SERVICE
    if kind == "a":
        characters = "".join(c for c in characters if not c.isdigit())
    inner = st.text(characters, min_size=least, max_size=min(most, max(least, 12)))
    return inner.map(lambda text: _unblank(text, least)).filter(lambda text: not _LIKE_UTF8.search(text))


def numbers(least: int, most: int) -> st.SearchStrategy[str]:
    digits = st.integers(10 ** (least - 1) if least > 1 else 0, 10 ** min(most, 9) - 1).map(str)
    if least > 1 or most < 3:
        return digits
    return st.one_of(digits, digits.map(_decimal), digits.map(lambda text: f"-{text}"))


def _decimal(digits: str) -> str:
    return f"{digits[0]}.{digits[1:] or '5'}" if len(digits) > 1 else digits


def _unblank(text: str, least: int) -> str:
    """The same length without blanks at an end, and something in it."""
    padded = text.ljust(max(least, 1), "X")
    return "".join("X" if c == " " and i in (0, len(padded) - 1) else c for i, c in enumerate(padded))


@lru_cache(maxsize=100_000)
def _format(text: str) -> tuple[str, int, int]:
    kind = text.rstrip("0123456789").rstrip(".")
    most = int(text[len(kind) :].lstrip("."))
    return kind, 1 if ".." in text else most, most


_FITTING: dict[tuple[str, str, str], tuple[str, ...]] = {}


def fitting(directory: Directory, code: str, form: str) -> tuple[str, ...] | None:
    """Codes of an element's list that its format has room for; None where there is no list."""
    key = (f"{directory.agency} {directory.name}", code, form)
    if key not in _FITTING:
        codes = directory.codes.get(code)
        if codes is None:
            return None
        kind, least, most = _format(form)
        right = (c for c in codes if least <= len(c) <= most and (kind != "n" or c.isdigit()))
        _FITTING[key] = tuple(sorted(c for c in right if kind != "a" or not any(map(str.isdigit, c))))
    return _FITTING[key]


# Segments.


class Source(NamedTuple):
    """Where segments of an interchange are looked up: the message's directory, then the service directory."""

    directory: Directory
    service: Directory

    def table(self, tag: str) -> tuple[SegmentTable, Directory] | None:
        for directory in self:
            table = directory.segments.get(tag)
            if table is not None:
                return table, directory
        return None


def value(draw: Draw, use: ComponentUse, directory: Directory, style: Style) -> str:
    codes = fitting(directory, use.code, use.format)
    if codes is not None:
        return str(draw(st.sampled_from(codes))) if codes else ""
    return str(draw(texts(style, *_format(use.format))))


def element(draw: Draw, use: ElementUse, directory: Directory, style: Style, some: bool) -> Components:
    """One occurrence of an element; ``some``: its optional components may be present."""
    components = use.components or (ComponentUse(use.code, True, use.format),)
    drawn = [
        value(draw, c, directory, style) if c.required or (some and draw(st.booleans())) else ""
        for c in components
    ]
    if not any(drawn):
        drawn[0] = value(draw, components[0], directory, style)
    while drawn and not drawn[-1]:
        drawn.pop()
    return tuple(drawn)


def segment(draw: Draw, tag: str, source: Source, style: Style, some: bool = True) -> Segment:
    """A segment with what is mandatory and, where ``some``, some of what is not."""
    found = source.table(tag)
    if found is None:
        return Segment(tag, ())
    table, directory = found
    elements: list[Components] = []
    repeats: list[tuple[int, tuple[Components, ...]]] = []
    for position, use in enumerate(table.elements, start=1):
        wanted = use.required or (some and bool(draw(st.integers(0, 3)) == 0))
        elements.append(element(draw, use, directory, style, some) if wanted else ())
        if not elements[-1] or use.repeat == 1 or not some or draw(st.booleans()):
            continue
        more = tuple(element(draw, use, directory, style, some) for _ in range(min(use.repeat - 1, 2)))
        if style.four and all(more):
            repeats.append((position, more))
        elif not style.four and position == len(table.elements) and all(more):
            elements += more  # before syntax 4 the last element of a segment repeats side by side
    while elements and not elements[-1]:
        elements.pop()
    return Segment(tag, tuple(e or ("",) for e in elements), repeats=tuple(repeats))


# Messages.


def tags(draw: Draw, nodes: Sequence[SegmentUse | GroupUse], left: list[int]) -> Iterator[str]:
    """Tags of a message that its table allows; ``left``: how many may come that need not."""
    sections = iter("DS" if sum(_is_section(n) for n in nodes) == 2 else "")
    for node in nodes:
        least = 1 if node.required else 0
        most = min(node.repeat, 2) if left[0] > 0 else least
        for _ in range(int(str(draw(st.integers(least, max(least, most)))))):
            left[0] -= 1
            if isinstance(node, GroupUse):
                yield from tags(draw, node.nodes, left)
            else:
                yield f"UNS+{next(sections, '')}" if node.segment == "UNS" else node.segment


def _is_section(node: SegmentUse | GroupUse) -> bool:
    return isinstance(node, SegmentUse) and node.segment == "UNS"


def clear(structure: Structure, labels: Sequence[str]) -> bool:
    """True where the walk of a reader, which never turns back, reaches the end of the message.

    Some tables allow what no reader can tell apart (the same segment twice in a row in different
    places); ISO 9735 leaves such messages to their designer.
    """
    last, counts = -1, [0] * len(structure.nodes)
    for label in labels:
        moves = [
            m for m in structure.moves(last, label) if not m.again or counts[m.node] < structure.limit(m.node)
        ]
        move = min(moves, key=lambda m: len(m.missing), default=None)
        if move is None or move.missing:
            return False
        counts[move.node] = counts[move.node] + 1 if move.again else 1
        last = move.node
    return True


@st.composite
def bodies(
    draw: st.DrawFn, table: MessageTable, source: Source, style: Style, some: bool | None = None
) -> tuple[Segment, ...]:
    """The segments of a message between UNH and UNT."""
    labels = list(tags(draw, table.nodes[1:-1], [draw(st.integers(0, MAX_SEGMENTS))]))
    if not clear(Structure(table), ["UNH", *(x if x != "UNS+" else "UNS" for x in labels), "UNT"]):
        labels = list(_mandatory(table.nodes[1:-1]))
    full = draw(st.booleans()) if some is None else some
    made = []
    for label in labels:
        tag, _, value = label.partition("+")
        drawn = segment(draw, tag, source, style, full)
        made.append(Segment(tag, ((value,), *drawn.elements[1:])) if value else drawn)
    return tuple(made)


def _mandatory(nodes: Sequence[SegmentUse | GroupUse]) -> Iterator[str]:
    sections = iter("DS" if sum(_is_section(n) for n in nodes) == 2 else "")
    for node in nodes:
        if not node.required:
            continue
        if isinstance(node, GroupUse):
            yield from _mandatory(node.nodes)
        else:
            yield f"UNS+{next(sections, '')}" if node.segment == "UNS" else node.segment


@st.composite
def out_messages(
    draw: st.DrawFn,
    directories: Directories,
    directory: Directory,
    style: Style,
    reference: str = "1",
    kind: str = "",
) -> OutMessage:
    """A message of a directory, of any type or of one."""
    kind = kind or draw(st.sampled_from(batch_types(directory)))
    table = directory.messages[kind]
    source = Source(directory, directories.service(style.version))
    association = draw(st.sampled_from(["", "", "CVAN1"]))
    return OutMessage(
        kind,
        table.version,
        table.release,
        directory.agency,
        association,
        reference,
        draw(bodies(table, source, style)),
        draw(st.sampled_from(["", "", "ACCESS1"])),
        draw(st.sampled_from([(), (), (("1", "C"),)])),
    )


_BATCH: dict[str, list[str]] = {}


def batch_types(directory: Directory) -> list[str]:
    """Types of message that stand between UNH and UNT; some directories hold interactive ones too."""
    key = f"{directory.agency} {directory.name}"
    if key not in _BATCH:
        firsts = ((kind, directory.messages[kind].nodes[0]) for kind in sorted(directory.messages))
        _BATCH[key] = [k for k, n in firsts if isinstance(n, SegmentUse) and n.segment == "UNH"]
    return _BATCH[key]


def usable(directories: Directories, style: Style) -> list[Directory]:
    """Directories whose messages an interchange of a syntax version may hold: the service directories'
    own messages belong to their own version."""
    found = []
    for directory in directories.all():
        if not batch_types(directory):
            continue
        if directory.name.startswith("S."):
            if directory.name != f"S.{style.version}":
                continue
        elif len(directory.agency) > (3 if style.four else 2):
            continue
        found.append(directory)
    return found


@st.composite
def packages(draw: st.DrawFn, reference: str = "1") -> OutPackage:
    """An object of any octets, whole or in pieces; service characters among them mean nothing."""
    octets = draw(st.one_of(st.binary(max_size=40), st.sampled_from([b"UNP+3+1'", b"??'UNZ+1+1'", b"'" * 9])))
    objects = st.sampled_from([("1", "OBJ1"), ("2", "REF'2")])
    kinds = st.sampled_from([("12", "FILE.PDF"), ("13", "", "GIF")])
    return OutPackage(
        reference,
        tuple(draw(st.lists(objects, min_size=1, max_size=3))),
        tuple(draw(st.lists(kinds, min_size=1, max_size=3))),
        octets,
    )


@st.composite
def interchanges(
    draw: st.DrawFn, directories: Directories, versions: str = "1234", kinds: Sequence[str] = ()
) -> OutInterchange:
    """Any valid interchange, to be written; ``kinds``: only these types of message."""
    style = draw(styles(versions))
    choice = usable(directories, style)
    if kinds:
        choice = [d for d in choice if any(kind in d.messages for kind in kinds)]
    directory = draw(st.sampled_from(choice))
    types = [kind for kind in kinds if kind in directory.messages] or [""]

    def message(reference: str, kind: str = "") -> OutMessage:
        wanted = kind or draw(st.sampled_from(types))
        return draw(out_messages(directories, directory, style, reference, wanted))

    def parts(kind: str, mixed: bool) -> list[OutMessage | OutPackage]:
        made: list[OutMessage | OutPackage] = []
        for number in range(1, draw(st.integers(1, 2)) + 1):
            one = message(str(number), kind)
            alike = made[0] if made and isinstance(made[0], OutMessage) and not mixed else one
            made.append(msgspec.structs.replace(one, association=alike.association))
        if style.four and draw(st.booleans()):
            made.append(draw(packages("P1")))
        return made

    def group(number: int) -> OutGroup:
        kind = (
            "" if style.four else draw(st.sampled_from(sorted(set(types) - {""}) or batch_types(directory)))
        )
        return OutGroup(f"G{number}", ("APP1", "ZZ"), ("APP2",), parts(kind, style.four), password="")

    grouped = draw(st.booleans())
    marks = draw(st.sampled_from(MARKS))
    service = SERVICE[:4] + style.level.letters[:2]
    return OutInterchange(
        parts=[group(n) for n in (1, 2)][: draw(st.integers(1, 2))] if grouped else parts("", mixed=True),
        sender=draw(st.sampled_from([("VAN1", "ZZ"), ("A", "", "SUB"), (service,)])),
        recipient=("CUSTOMS", "ZZ"),
        reference=draw(st.text(service, min_size=1, max_size=14)),
        now=NOW,
        syntax=(style.level.identifier, style.version),
        encoding=style.level.encoding,
        separators=marks,
        una=draw(st.booleans()),
        test=draw(st.booleans()),
        application=draw(st.sampled_from(["", "CUS"])),
        ack_request=draw(st.sampled_from(["", "1"])),
    )
