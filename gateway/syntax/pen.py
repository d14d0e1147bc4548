"""One segment to text: escaping, truncation, repeats (ISO 9735-1)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.model.edifact import Segment
from gateway.syntax.characters import Separators, separators_of

Components = tuple[str, ...]

_TAG = re.compile(r"[A-Z][A-Z0-9]{2}\Z")


class Pen:
    """Writes segments under one set of service characters.  Raises ValueError for a set that UNA cannot
    announce."""

    def __init__(self, marks: Separators) -> None:
        separators_of(marks.una[3:])
        service = (marks.component, marks.element, marks.release, marks.repetition, marks.terminator)
        self._marks = marks
        self._special = re.compile(f"[{re.escape(''.join(service))}]").search
        self._escapes = str.maketrans({c: marks.release + c for c in service if c})
        self._tags: set[str] = set()

    def write(self, segment: Segment) -> str:
        """The segment with its terminator.  Raises ValueError for what has no form under this syntax:
        a tag that is none, repeats without a separator for them, service characters without release."""
        if segment.tag not in self._tags:
            if not _TAG.match(segment.tag):
                raise ValueError(f"{segment.tag!r} is no segment tag")
            self._tags.add(segment.tag)
        if segment.repeats:
            parts = self._repeated(segment)
        else:
            parts = [self._element(components) for components in segment.elements]
        while parts and not parts[-1]:
            parts.pop()
        return self._marks.element.join([segment.tag, *parts]) + self._marks.terminator

    def _repeated(self, segment: Segment) -> list[str]:
        repetition = self._marks.repetition
        if not repetition:
            raise ValueError(f"{segment.tag}: data elements repeat only under syntax 4")
        more = dict(segment.repeats)
        parts = []
        for position in range(1, max(len(segment.elements), *more) + 1):
            first = segment.elements[position - 1] if position <= len(segment.elements) else ()
            occurrences = [self._element(o) for o in (first, *more.get(position, ()))]
            while len(occurrences) > 1 and not occurrences[-1]:
                occurrences.pop()
            parts.append(repetition.join(occurrences))
        return parts

    def _element(self, components: Sequence[str]) -> str:
        if len(components) == 1:
            text = components[0]
            return self._escaped(text) if self._special(text) else text
        texts = [self._escaped(c) if self._special(c) else c for c in components]
        while texts and not texts[-1]:
            texts.pop()
        return self._marks.component.join(texts)

    def _escaped(self, text: str) -> str:
        if not self._marks.release:
            raise ValueError(f"{text!r} cannot be written without a release character")
        return text.translate(self._escapes)
