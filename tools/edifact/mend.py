"""Mends a directory that is at hand as XML only, by those that are at hand as originals too.

One thought carries all of it: where the XML of two directories says the same, the originals said the
same.  So whatever the XML of this directory shares with the XML of one that has an original is taken from
that original, the nearest in time first; only what is shared with none is taken as the XML has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from gateway.model.edifact import ComponentUse, ElementUse, GroupUse, SegmentUse
from gateway.syntax.tables import Nodes, Tables, flat, is_composite
from tools.edifact.xmlarchive import Copy, Uses

Parts = tuple[ComponentUse, ...]
Shape = tuple[str, bool, tuple[tuple[str, bool], ...]]

CUT = 10_000  # a repeat from here on may have lost digits: the XML has five at most


class Pair(msgspec.Struct, frozen=True):
    """A directory that is at hand both ways; ``formats``: of the copy's data elements."""

    original: Tables
    copy: Copy
    formats: dict[str, str]


class Mending:
    """The mending of one directory; ``told`` counts what was done, ``open`` names what is uncertain."""

    def __init__(self, name: str, copy: Copy, pairs: Sequence[Pair]) -> None:
        """``pairs``: nearest in time first."""
        self._name = name
        self._copy = copy
        self._pairs = pairs
        self.told: Counter[str] = Counter()
        self.open: list[str] = []

    def tables(self) -> Tables:
        """The directory, mended."""
        messages = {kind: self._message(kind, nodes) for kind, nodes in self._copy.messages.items()}
        votes: dict[str, list[tuple[Parts, bool]]] = {}
        segments = {tag: self._segment(tag, uses, votes) for tag, uses in self._copy.segments.items()}
        composites = {code: self._elect(code, found) for code, found in votes.items()}
        numbers = {part.code for parts in composites.values() for part in parts}
        return Tables(
            name=self._name,
            messages=messages,
            segments=segments,
            composites=composites,
            elements=self._elements(numbers),
            codes=self._codes(),
        )

    def _message(self, kind: str, nodes: Nodes) -> Nodes:
        for pair in self._pairs:
            if pair.copy.messages.get(kind) == nodes:
                self.told["messages as in an original"] += 1
                return pair.original.messages[kind]
        self.told["messages of their own"] += 1
        return self._uncut(kind, nodes)

    def _uncut(self, kind: str, nodes: Nodes) -> Nodes:
        """Repeats that may have lost digits, as the nearest original has them at the same place."""
        repeats: dict[tuple[str, int], int] = {}
        for place, node in places(nodes):
            if node.repeat >= CUT:
                repeats[place] = self._repeat(kind, place, node.repeat)
        return _with_repeats(nodes, repeats)

    def _repeat(self, kind: str, place: tuple[str, int], repeat: int) -> int:
        """At the same place, or at another where the same group or segment was cut to the same."""
        for pair in self._pairs:
            cut = dict(places(pair.copy.messages.get(kind, ())))
            whole = dict(places(pair.original.messages.get(kind, ())))
            for other in (place, *(other for other in cut if _leaf(other) == _leaf(place))):
                if other in cut and other in whole and cut[other].repeat == repeat:
                    self.told["repeats as in an original"] += 1
                    return whole[other].repeat
        self.open.append(f"{kind}: {place[0]} has {repeat} repeats or more")
        return repeat

    def _elements(self, restored: set[str]) -> dict[str, str]:
        """Formats; of elements that the XML lost with a composite's components, the nearest original's."""
        lost = {number: [p.original.elements.get(number) for p in self._pairs] for number in restored}
        found = {number: next(filter(None, forms), "") for number, forms in lost.items()}
        for number, form in formats(self._copy.segments).items():
            found[number] = form
            for pair in self._pairs:
                if pair.formats.get(number) == form:
                    found[number] = pair.original.elements.get(number, form)
                    break
            else:
                self.told["formats of their own"] += 1
        return found

    def _segment(self, tag: str, uses: Uses, votes: dict[str, list[tuple[Parts, bool]]]) -> Uses:
        shape = tuple(map(shape_of, uses))
        for pair in self._pairs:
            if tuple(map(shape_of, pair.copy.segments.get(tag, ()))) == shape:
                self.told["segments as in an original"] += 1
                for use in pair.original.segments[tag]:
                    _vote(use.code, pair, votes)
                return pair.original.segments[tag]
        self.told["segments of their own"] += 1
        return tuple(self._use(tag, use, votes) for use in uses)

    def _use(self, tag: str, use: ElementUse, votes: dict[str, list[tuple[Parts, bool]]]) -> ElementUse:
        for pair in self._pairs:
            twin = _twin(tag, use, pair)
            if twin is not None:
                _vote(use.code, pair, votes)
                return twin
        self.told["elements of segments of their own"] += 1
        if is_composite(use.code):
            parts = tuple(ComponentUse(part.code, part.required, "") for part in use.components)
            whole = self._whole(use.code, parts)
            votes.setdefault(use.code, []).append((whole or parts, bool(whole)))
        return ElementUse(use.code, use.required, use.repeat)

    def _whole(self, code: str, parts: Parts) -> Parts:
        """The longer of the two nearest composites of which ``parts`` may be what losses left over.

        The longer, so that a sender is not refused for what his directory may have allowed.
        """
        known = (pair.original.composites.get(code, ()) for pair in self._pairs)
        fitting = [whole for whole in known if within(parts, whole)]
        return max(fitting[:2], key=len, default=())

    def _elect(self, code: str, votes: list[tuple[Parts, bool]]) -> Parts:
        """A composite: what the XML alone says where it says more than an original, else the longest."""
        from_originals = {parts for parts, original in votes if original}
        own = [parts for parts, original in votes if not original]
        if own:
            self.told["composites of their own"] += 1
            self.open.append(f"{code}: as the XML has it, unlike every original")
            return max(own, key=len)
        if len(from_originals) > 1:
            self.open.append(f"{code}: two originals differ, and its segments are like one or the other")
        return max(from_originals, key=len)

    def _codes(self) -> dict[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}
        for number, values in self._copy.codes.items():
            mended = self._list(number, values)
            if mended:
                found[number] = mended
        return found

    def _list(self, number: str, values: frozenset[str]) -> frozenset[str]:
        for pair in self._pairs:
            if pair.copy.codes.get(number) == values:
                self.told["code lists as in an original"] += 1
                return pair.original.codes.get(number, frozenset())
        self.told["code lists of their own"] += 1
        nearest = self._pairs[0]
        told, true = nearest.copy.codes.get(number), nearest.original.codes.get(number)
        if told is None or true is None:
            return values
        lost = {value for value in true - told if value.removeprefix("X") in values}
        return values - (told - true) | lost


def shape_of(use: ElementUse) -> Shape:
    """What the XML says of an element in its place, formats left out."""
    return (use.code, use.required, tuple((part.code, part.required) for part in use.components))


def within(parts: Parts, whole: Parts) -> bool:
    """True where ``parts`` are ``whole``, some perhaps left out, and some no longer mandatory."""
    rest = iter(whole)
    return bool(whole) and all(
        any(part.code == other.code and part.required <= other.required for other in rest) for part in parts
    )


def formats(segments: Mapping[str, Uses]) -> dict[str, str]:
    """The format of every data element that segments use: the most usual one, should there be two."""
    votes: dict[str, Counter[str]] = {}
    for uses in segments.values():
        for use in uses:
            for part in use.components or ((use,) if use.format else ()):
                votes.setdefault(part.code, Counter())[part.format] += 1
    return {number: count.most_common(1)[0][0] for number, count in votes.items()}


def places(nodes: Nodes) -> Iterator[tuple[tuple[str, int], SegmentUse | GroupUse]]:
    """Every node with its place: tags of the triggers on the way, and which of the kind it is."""
    seen: Counter[str] = Counter()
    path: list[str] = []
    for depth, node in flat(nodes):
        del path[depth:]
        group = isinstance(node, GroupUse)
        path.append(f"{_trigger(node)}*" if group else _trigger(node))
        place = "/".join(path)
        seen[place] += 1
        yield (place, seen[place]), node


def _leaf(place: tuple[str, int]) -> str:
    return place[0].rpartition("/")[2]


def _trigger(node: SegmentUse | GroupUse) -> str:
    while isinstance(node, GroupUse):
        node = node.nodes[0]
    return node.segment


def _with_repeats(nodes: Nodes, repeats: Mapping[tuple[str, int], int]) -> Nodes:
    if not repeats:
        return nodes
    chosen = [repeats.get(place, node.repeat) for place, node in places(nodes)]
    return _rebuilt(nodes, iter(chosen))


def _rebuilt(nodes: Nodes, repeats: Iterator[int]) -> Nodes:
    return tuple(
        GroupUse(node.name, node.required, next(repeats), _rebuilt(node.nodes, repeats))
        if isinstance(node, GroupUse)
        else SegmentUse(node.segment, node.required, next(repeats))
        for node in nodes
    )


def _vote(code: str, pair: Pair, votes: dict[str, list[tuple[Parts, bool]]]) -> None:
    if is_composite(code):
        votes.setdefault(code, []).append((pair.original.composites[code], True))


def _twin(tag: str, use: ElementUse, pair: Pair) -> ElementUse | None:
    """The original's use where its XML has one just like this in the same segment."""
    copied, original = pair.copy.segments.get(tag, ()), pair.original.segments.get(tag, ())
    if len(copied) != len(original):
        return None
    shape = shape_of(use)
    return next((o for c, o in zip(copied, original, strict=True) if shape_of(c) == shape), None)
