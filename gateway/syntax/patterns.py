"""Segment layouts as compiled patterns: what decides, in one match, that a segment's text is without fault.

A pattern is conservative: what it accepts has no finding at all, what it does not accept is looked at by
:meth:`gateway.syntax.elements.Layout.explain`, which is the definition.  Coded values are captured and
looked up together, because the same few combinations come again and again.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gateway.syntax.characters import Separators
from gateway.syntax.elements import QUALIFIERS, Layout, Part, Use

COMPILED_AFTER = 8  # texts without fault: to compile a pattern costs as much as to explain some dozen texts
MAX_ELEMENTS = 32  # a pattern nests as deep as its segment has elements; the few with more are explained
MAX_REMEMBERED = 4_096  # combinations of coded values a pattern keeps; beyond it each is explained afresh

UNKNOWN = "\ufffd"  # stands for a released service character; codes that hold it are never remembered

# All that str.isspace takes, written out: a plain set is matched by one look at a bitmap.
_BLANKS = "".join(c for c in map(chr, range(0x3001)) if c.isspace())


class Pattern:
    """One layout under one set of service characters.

    ``match``: ``fullmatch`` of the compiled pattern, once it is compiled.  ``known``: combinations of
    captured codes that were found without fault.
    """

    def __init__(self, layout: Layout, separators: Separators) -> None:
        self.layout = layout
        self.match: Callable[[str], re.Match[str] | None] = _none
        self.known: set[tuple[str | None, ...]] = set()
        self._separators = separators
        self._asked = 0

    def decides(self, text: str) -> bool:
        """True where the text, its released characters replaced, is without fault for certain."""
        found = self.match(text)
        return found is not None and found.groups() in self.known

    def learn(self, text: str) -> None:
        """Remember that this text, looked at exactly, was without finding."""
        self._asked += 1
        if self._asked == COMPILED_AFTER:
            self.match = re.compile(_segment(self.layout, self._separators), re.DOTALL).fullmatch
        found = self.match(text)
        if found is not None and len(self.known) < MAX_REMEMBERED:
            codes = found.groups()
            if not any(UNKNOWN in code for code in codes if code is not None):
                self.known.add(codes)


def _none(text: str) -> None:
    """The match of a pattern that is not compiled yet."""


def _segment(layout: Layout, separators: Separators) -> str:
    marks = _Marks(separators, layout.marks)
    uses = layout.uses[:MAX_ELEMENTS]
    least = max((i for i, use in enumerate(layout.uses, start=1) if use.required), default=0)
    tail = ""
    for position in range(len(uses), 0, -1):
        inner = marks.element + _use(uses[position - 1], marks) + tail
        tail = inner if position <= least else f"(?:{inner}|)"
    return re.escape(layout.tag) + tail + (f"(?<!{marks.element})" if layout.uses else "")


class _Marks:
    """Service characters, escaped; ``other``: what a data element's characters exclude."""

    def __init__(self, separators: Separators, decimal: str) -> None:
        self.component = re.escape(separators.component)
        self.element = re.escape(separators.element)
        self.other = re.escape(
            "".join((separators.component, separators.element, separators.release, separators.repetition))
        )
        self.decimal = f"[{re.escape(decimal)}]"


def _use(use: Use, marks: _Marks) -> str:
    if not use.composite:
        body = _part(use.parts[0], marks)
        return body if use.required else f"(?:{body}|)"
    least = max((i for i, part in enumerate(use.parts, start=1) if part.required), default=1)
    tail = ""
    for position in range(len(use.parts), 0, -1):
        part = use.parts[position - 1]
        body = _part(part, marks)
        inner = (marks.component if position > 1 else "") + (body if part.required else f"(?:{body}|)") + tail
        tail = inner if position <= least else f"(?:{inner}|)"
    whole = f"{tail}(?<!{marks.component})"
    if not use.required:
        return f"(?:{whole}|)"
    some = any(part.required for part in use.parts)
    return whole if some else f"(?=[^{marks.element}]){whole}"


def _part(part: Part, marks: _Marks) -> str:
    if not part.used:
        return "(?!)"
    if part.kind == "n":
        body = _number(part, marks)
    else:
        rest = f"[^{marks.other}0-9]" if part.kind == "a" else f"[^{marks.other}]"
        first = (
            rest[:-1] + _BLANKS + "]"
        )  # a value may begin with a blank, but not be one: the exact walk decides
        low, high = part.least - 1, part.most - 1
        body = first + (f"{rest}{{{low},{high}}}" if high else "")
    return f"({body})" if part.codes is not None or part.code in QUALIFIERS else body


def _number(part: Part, marks: _Marks) -> str:
    """Digits are counted, the decimal mark and the minus are not (ISO 9735-1, numeric values)."""
    mark = marks.decimal
    long = f"(?!-?(?:{mark}?[0-9]){{{part.most + 1}}})"
    short = f"(?=-?(?:{mark}?[0-9]){{{part.least}}})" if part.least > 1 else ""
    return f"{long}{short}-?[0-9]+(?:{mark}[0-9]+)?"
