"""A directory release as UNECE publishes it: an archive of text files, read into tables.

Only facts are taken: tags, numbers, status, repeats, formats and code values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from gateway.operations.directories import texts
from gateway.operations.directories.archive import BadArchive, Member, Members
from gateway.syntax.tables import Nodes, Tables, is_composite, plain

_ENCODING = "cp437"  # the releases' frames are drawn with its characters
_RULE = f"\n{'-' * 70}\n"  # between parts of a file, and so between the files of one part
_MESSAGE = re.compile(r"([A-Z0-9]{6})_D\.(\w{3})", re.IGNORECASE)
_PARTS = {
    "segments": re.compile(r"(?:EDSD|TRSD)\.\w{3}", re.IGNORECASE),
    "composites": re.compile(r"(?:EDCD|TRCD)\.\w{3}", re.IGNORECASE),
    "elements": re.compile(r"(?:EDED|TRED)\.\w{3}", re.IGNORECASE),
    "codes": re.compile(r"UNCL(?:-\d)?\.\w{3}", re.IGNORECASE),
}


class BadRelease(Exception):
    """No directory can be read from what was given; the text says what is missing or broken."""


class Original(msgspec.Struct, frozen=True):
    """The texts of one release: messages by type, and the segment, composite, element and code files."""

    name: str
    messages: dict[str, str]
    segments: str
    composites: str
    elements: str
    codes: str
    broken: tuple[str, ...] = ()


def open_release(archive: bytes) -> Original:
    """Find the texts in a release's zip.  Raises BadRelease."""
    members = Members(archive)
    messages: dict[str, str] = {}
    parts: dict[str, list[str]] = {part: [] for part in _PARTS}
    names: set[str] = set()
    try:
        for member in members:
            _sort(member, messages, parts, names)
    except BadArchive as error:
        raise BadRelease(f"no archive that can be read: {error}") from error
    missing = [part for part, found in parts.items() if not found]
    missing += [] if messages else ["messages"]
    if missing:
        raise BadRelease(f"no {', no '.join(missing)} in it; is it a release of UN/EDIFACT directories?")
    if len(names) != 1:
        raise BadRelease(f"messages of several directories: {', '.join(sorted(names))}")
    whole = {part: _RULE.join(found) for part, found in parts.items()}
    return Original(f"D.{names.pop()}", messages, **whole, broken=tuple(members.broken))


def _sort(member: Member, messages: dict[str, str], parts: dict[str, list[str]], names: set[str]) -> None:
    message = _MESSAGE.fullmatch(member.name)
    if message is not None:
        text = _text(member)
        if texts.is_batch_message(text):
            messages[message[1].upper()] = text
            names.add(message[2].upper())
        return
    for part, name in _PARTS.items():
        if name.fullmatch(member.name):
            parts[part].append(_text(member))


def _text(member: Member) -> str:
    return member.content.decode(_ENCODING).replace("\r\n", "\n").replace("\r", "\n")


def tables_of(original: Original) -> Tables:
    """The release's tables.  Raises BadRelease naming every message that cannot be read."""
    elements = texts.elements(original.elements)
    segments, composites = plain(
        texts.segments(original.segments), texts.composites(original.composites), elements
    )
    messages: dict[str, Nodes] = {}
    broken: list[str] = []
    for kind, text in sorted(original.messages.items()):
        try:
            messages[kind] = texts.message(text)
        except ValueError as error:
            broken.append(f"{kind}: {error}")
    broken += _unknown(messages.values(), segments.keys())
    if broken:
        raise BadRelease("; ".join(broken))
    return reachable(
        Tables(
            name=original.name,
            messages=messages,
            segments=segments,
            composites=composites,
            elements=elements,
            codes=texts.codes(original.codes),
        )
    )


def reachable(tables: Tables) -> Tables:
    """The same without composites, elements and lists that no segment uses (interactive messages do)."""
    uses = [use for uses in tables.segments.values() for use in uses]
    composites = {use.code: tables.composites[use.code] for use in uses if use.code in tables.composites}
    numbers = {part.code for parts in composites.values() for part in parts}
    numbers |= {part.code for use in uses for part in use.components}
    numbers |= {use.code for use in uses if not is_composite(use.code)}
    return msgspec.structs.replace(
        tables,
        composites=composites,
        elements={number: form for number, form in tables.elements.items() if number in numbers},
        codes={number: values for number, values in tables.codes.items() if number in numbers},
    )


def _unknown(messages: Iterable[Nodes], segments: Iterable[str]) -> list[str]:
    """Segments that messages use and no file describes."""
    used = {tag for nodes in messages for tag in texts.tags(nodes) if not tag.startswith("U")}
    return [f"{tag}: used, not described" for tag in sorted(used - set(segments))]
