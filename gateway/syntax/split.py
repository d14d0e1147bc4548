"""One segment's text cut into tag, elements, repeats and components (ISO 9735-1, separators and release)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import AnyStr

from gateway.syntax.characters import Separators

Components = tuple[str, ...]
Elements = tuple[Components, ...]
Repeats = tuple[tuple[int, Elements], ...]


MAX_REMEMBERED = 16_384  # element texts a memo keeps: a few megabytes at most
MAX_SHORT = 16  # characters: codes, dates and small numbers come again, names do not


class Memo(dict[str, Components]):
    """Components of an element's text; short texts share one value, which saves a tree's memory."""

    def __init__(self, separator: str) -> None:
        super().__init__()
        self._separator = separator

    def __missing__(self, text: str) -> Components:
        found = tuple(text.split(self._separator))
        if len(text) <= MAX_SHORT and len(self) < MAX_REMEMBERED:
            self[text] = found
        return found


class Splitter:
    """Cuts segment texts by one interchange's service characters; :func:`splitter_of` keeps them."""

    def __init__(self, separators: Separators) -> None:
        self._element = separators.element
        self._component = separators.component
        self._marks = {separators.element, separators.component}
        if separators.repetition:
            self._marks.add(separators.repetition)
        self._repetition = separators.repetition
        self._release = separators.release
        special = re.escape("".join(self._marks) + separators.release)
        release = re.escape(separators.release) + "." if separators.release else "(?!)"
        self._pieces = re.compile(f"[^{special}]+|{release}|.", re.DOTALL)

    def cut(self, text: str) -> tuple[str, Elements, Repeats]:
        """(tag, elements, repeats) of a segment without its terminator."""
        if (self._release and self._release in text) or (self._repetition and self._repetition in text):
            return self._cut_exactly(text)
        tag, *parts = text.split(self._element)
        mark = self._component
        return tag, tuple([tuple(p.split(mark)) if mark in p else (p,) for p in parts]), ()

    def _cut_exactly(self, text: str) -> tuple[str, Elements, Repeats]:
        """The same, one piece at a time: the release character takes its meaning from the next one only."""
        rows: list[list[list[list[str]]]] = [[[[]]]]  # element -> occurrence -> component -> pieces
        for piece in self._pieces.findall(text):
            if piece == self._element:
                rows.append([[[]]])
            elif piece not in self._marks:
                released = len(piece) == 2 and piece[0] == self._release
                rows[-1][-1][-1].append(piece[1] if released else piece)
            elif piece == self._repetition:
                rows[-1].append([[]])
            else:
                rows[-1][-1].append([])
        tag, *elements = [tuple(tuple(map("".join, parts)) for parts in occurrences) for occurrences in rows]
        repeats = tuple(
            (position, occurrences[1:])
            for position, occurrences in enumerate(elements, start=1)
            if len(occurrences) > 1
        )
        return self._tag(tag), tuple(occurrences[0] for occurrences in elements), repeats

    def _tag(self, occurrences: Elements) -> str:
        """The tag as sent, with the nesting indicators that may follow it (``TAG:1:2``)."""
        return self._repetition.join(self._component.join(parts) for parts in occurrences)


splitter_of = lru_cache(maxsize=64)(Splitter)


def rejoin(
    raws: list[AnyStr], sizes: list[int], release: AnyStr, terminator: AnyStr
) -> tuple[list[AnyStr], list[int]]:
    """Pieces between terminators put together again where the terminator between them is released."""
    texts: list[AnyStr] = []
    lengths: list[int] = []
    parts: list[AnyStr] = []
    length = 0
    for raw, size in zip(raws, sizes, strict=True):
        parts.append(raw)
        length += size + 1
        if raw.endswith(release) and (len(raw) - len(raw.rstrip(release))) % 2:
            continue  # an odd run of release characters: the last one takes the terminator's meaning away
        texts.append(terminator.join(parts) if len(parts) > 1 else raw)
        lengths.append(length - 1)
        parts, length = [], 0
    return texts, lengths
