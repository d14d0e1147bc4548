"""One message, segment by segment: compiled moves and patterns decide, a full look explains what failed.

A :class:`Walk` takes the segment texts of one message along a grammar, in memory that does not grow with
the message unless its segments are to be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from gateway.model.edifact import Group, Segment
from gateway.model.finding import Finding, Place
from gateway.model.shelf import Parts
from gateway.syntax.cutter import Run
from gateway.syntax.elements import quote
from gateway.syntax.findings import Findings
from gateway.syntax.grammar import BOUNDARIES, NOWHERE, SECURITY, Grammar, Usual
from gateway.syntax.limits import HELD_SEGMENTS
from gateway.syntax.structure import NO_PLACE, Move, Structure
from gateway.syntax.tokeniser import Reading, is_tag, shown
from gateway.syntax.tree import grow
from gateway.syntax.variants import Variants

_NO_STATE: dict[str, Usual] = {}  # nothing is usual
MAX_FAULTS = 999  # of one segment: CONTRL repeats UCD 99 times


class Walk:
    """Takes one message's body, the segments between UNH and UNT, and these two.

    ``number``: of the last segment taken.  ``findings``: at most ``limit`` errors and as many others;
    ``broken``: how many errors of structure there were; ``untold``: findings beyond the bound.  ``keep``:
    segments are kept and ``tree`` may be asked for.  ``shelves``: the folder for those of messages of more than
    ``held``; ``put_by``: those of security that went there.  ``told`` is called with each finding as it is made and
    gives the finding as it is to stand.
    """

    def __init__(
        self,
        grammar: Grammar,
        reading: Reading,
        reference: str,
        limit: int,
        keep: bool,
        told: Callable[[Finding], Finding],
        shelves: Path | None = None,
        held: int = HELD_SEGMENTS,
    ) -> None:
        self._grammar = grammar
        self._reading = reading
        self._reference = reference
        self._keep = keep
        self._told = told
        self._counts = [0] * grammar.size
        self._last = NOWHERE  # the node reached
        self._others: tuple[int, ...] = ()  # nodes reached if something was left out, while that can be
        # A segment that stands too early, or the UNS that is missing before it: which, its successors show.
        self._doubt: tuple[Finding, tuple[Finding, ...]] | None = None
        self.offset = 0  # of the last segment
        self._nodes: list[int] = []
        self._variants = Variants(grammar.varied) if grammar.varied else None
        self.number = 0
        self.security = 0  # segments of integrated security, which 0074 may leave out
        self.secured: Segment | None = None  # the first of them
        self.broken = 0
        self.untold = 0
        self.findings = Findings(limit)
        self.segments: list[Segment] = []
        self.put_by: list[Segment] = []
        self._shelves = shelves
        self._held = held
        self._parts: Parts | None = None
        self._looked = 0  # segments among which no outermost group begins but the one at hand

    def take(self, run: Run, index: int) -> int:
        """Take the run's texts from ``index`` on; the index of the segment that ends the message, or the end."""
        texts, offsets = run.texts, run.offsets
        states, counts, keep = self._grammar.states, self._counts, self._keep
        element, components = self._reading.element, self._reading.memo.__getitem__
        keep_segment, keep_node = self.segments.append, self._nodes.append
        number, node = self.number, self._last
        here, quick = _NO_STATE if self._others else states[node + 1], False
        for at in range(index, len(texts)):
            text = texts[at]
            usual = here.get(text[:4])
            if usual is not None:
                state, limit, target, pattern = usual
                if not limit or counts[target] < limit:
                    found = pattern.match(text)
                    if found is not None and found.groups() in pattern.known:
                        counts[target] = counts[target] + 1 if limit else 1
                        number, node, here, quick = number + 1, target, state, True
                        if keep:
                            tag, *parts = text.split(element)
                            keep_segment(Segment(tag, tuple(map(components, parts)), number, offsets[at]))
                            keep_node(target)
                        continue
            if quick:
                self.offset, quick = offsets[at - 1], False
            self.number, self._last = number, node
            if self._reading.begins(text) in BOUNDARIES:
                return at
            self.take_text(text, offsets[at])
            number, node = self.number, self._last
            here = _NO_STATE if self._others else states[node + 1]
        self.number, self._last = number, node
        if quick:
            self.offset = offsets[-1]
        if self._shelves is not None and len(self.segments) > self._held:
            self._put_by(self._shelves)
        return len(texts)

    def _put_by(self, shelves: Path) -> None:
        """Hold no more than the outermost group at hand: what is complete goes to a shelf."""
        structure, nodes = self._grammar.structure, self._nodes
        ends = len(nodes)
        if structure is not None and not self.broken:
            triggers = (n for n in range(ends - 1, self._looked, -1) if structure.opens(nodes[n]))
            self._looked, ends = ends - 1, next(triggers, 0)
            if not ends:
                return
            self._looked = 0
            self._parts = self._parts or Parts(shelves)
            self._parts.put(grow(structure, nodes[:ends], self.segments[:ends]).children)
        self.put_by += (s for s in self.segments[:ends] if s.tag in SECURITY)
        del nodes[:ends], self.segments[:ends]

    def take_text(self, text: str, offset: int) -> None:
        """One segment, looked at exactly."""
        segment, faults = self._reading.segment(text, offset, self.number)
        for fault in faults:
            place = replace(fault.place, message=self._reference, group=self.path())
            self.tell(replace(fault, place=place))
        if segment is not None:
            self.take_segment(segment, text)

    def take_segment(self, segment: Segment, text: str) -> None:
        """The same for a segment that is cut already, as UNH and UNT are."""
        self.number = segment.number
        if segment.tag in SECURITY:
            self.security += 1
            self.secured = self.secured or segment
        structure = self._grammar.structure
        reached = self._step(structure, segment) if structure is not None else NOWHERE
        if self._keep:
            self.segments.append(segment)
            self._nodes.append(reached)
        if not self.findings.full:
            self._examine(segment, text, reached)
        self.offset = segment.offset

    def drain(self) -> Iterator[tuple[Segment, tuple[str, ...], bool]]:
        """The segments kept so far, which are kept no longer: each with the groups around it (outermost
        first), and whether it opens the innermost of them."""
        structure = self._grammar.structure
        for segment, index in zip(self.segments, self._nodes, strict=True):
            if structure is None or index == NOWHERE:
                yield segment, (), False
                continue
            node = structure.nodes[index]
            yield segment, tuple(structure.groups[g].name for g in node.path), node.trigger
        self.segments.clear()
        self._nodes.clear()

    def tell(self, finding: Finding) -> None:
        if self.findings.room(finding.severity):
            self.findings.append(self._told(finding))
        else:
            self.untold += 1

    def keep(self, finding: Finding) -> None:
        """The same for a finding that no bound hides."""
        self.findings.keep(self._told(finding))

    def end(self) -> None:
        """The message is over: what is missing with it is told."""
        self._settle(missing=bool(self._others))
        for fault in self._variants.end() if self._variants is not None else ():
            place = replace(fault.place, message=self._reference)
            self._break(replace(fault, place=place))

    def tree(self) -> Group | None:
        """The message's tree, where its segments were kept and its structure is that of a directory."""
        structure = self._grammar.structure
        if structure is None or self.broken or not self._keep:
            return None
        rest = grow(structure, self._nodes, self.segments)
        if self._parts is None:
            return rest
        whole: Any = self._parts.end(rest.children)
        return Group("", whole)

    def path(self, node: int | None = None) -> str:
        """The groups around the last segment, or around a node beyond it: ``SG7[3]/SG8[1]``."""
        structure, last = self._grammar.structure, self._last
        node = last if node is None else node
        if structure is None or node == NOWHERE:
            return ""
        inside = structure.nodes[last].path if last != NOWHERE else ()
        path = structure.nodes[node].path
        named = []
        for depth, index in enumerate(path, start=1):
            group = structure.groups[index]
            number = self._counts[group.first] if path[:depth] == inside[:depth] else 1
            named.append(f"{group.name}[{number}]")
        return "/".join(named)

    # Structure.

    def _step(self, structure: Structure, segment: Segment) -> int:
        """The node that the segment reaches, or NOWHERE."""
        label = structure.label(segment)
        moves = structure.moves(self._last, label)
        counts = self._counts
        move = excess = None
        for other in moves:  # the first of those with the least missing
            if move is None or len(other.missing) < len(move.missing):
                if other.again and counts[other.node] >= structure.limit(other.node):
                    excess = excess or other
                else:
                    move = other
        if self._others and self._follow(structure, label, move):
            return self._others[0]
        if move is None and excess is not None:
            return self._exceed(structure, excess, segment)
        if move is None or (move.missing and structure.leaps(move)):
            self._refuse(structure, segment, move, label)
            return self._others[0] if self._others else NOWHERE
        if move.missing:
            self._miss(structure, move, segment)
        elif move is moves[0] and label == segment.tag:
            self._grammar.learn(self._last, segment.tag, move)
        counts[move.node] = counts[move.node] + 1 if move.again else 1
        self._last = move.node
        if self._variants is not None:
            place = self._place(segment)
            for fault in self._variants.take(move.node, segment, place):
                self._break(fault)
        return move.node

    def _follow(self, structure: Structure, label: str, move: Move | None) -> bool:
        """Go on from where the message is if a trigger was left out; True where that explains more."""
        ways = (structure.moves(other, label) for other in self._others)
        others = [min(moves, key=lambda other: len(other.missing)) for moves in ways if moves]
        self._others = tuple(dict.fromkeys(other.node for other in others))
        if others and (move is None or len(move.missing) > min(len(other.missing) for other in others)):
            return True
        if move is not None and move.node in self._others:
            self._others = ()
        if not self._others:
            self._settle(missing=False)
        return False

    def _settle(self, missing: bool) -> None:
        """Tell what was in doubt, now that the segments after it have shown which it is."""
        doubt, self._doubt = self._doubt, None
        if doubt is not None:
            for finding in doubt[1] if missing else doubt[:1]:
                self._break(finding)

    def _exceed(self, structure: Structure, move: Move, segment: Segment) -> int:
        """A segment or a group comes too often: told the first time, and taken all the same."""
        limit = structure.limit(move.node)
        self._counts[move.node] += 1
        self._last = move.node
        self.broken += 1
        if self._counts[move.node] == limit + 1:
            code = "EDI036" if structure.nodes[move.node].trigger else "EDI035"
            self.tell(Finding(code, self._place(segment), str(limit), segment.tag))
        return move.node

    def _miss(self, structure: Structure, move: Move, segment: Segment) -> None:
        for finding in self._missing(structure, move, segment):
            self._break(finding)

    def _missing(self, structure: Structure, move: Move, segment: Segment) -> Iterator[Finding]:
        """A missing segment is told at the last one handled before it (CONTRL, 0096)."""
        for index in move.missing:
            label = structure.nodes[index].label
            number = segment.number - 1
            offset = self.offset if number else segment.offset
            place = Place(self._reference, number, label[:3], self.path(index), offset=offset)
            yield Finding("EDI201", place, label, quote(segment.tag))

    def _refuse(self, structure: Structure, segment: Segment, move: Move | None, label: str) -> None:
        """A segment has no place here: where it would have one is kept in mind, and what follows there.

        ``move``: the way to it without the UNS before it.  Either that is missing, or the segment stands
        too early: if UNS comes, the segment did.
        """
        self._settle(missing=False)
        astray = structure.astray(self._last, label) if move is None else NO_PLACE
        self._others = astray.nodes if move is None else (move.node,)
        if self.findings.full or not is_tag(segment.tag):  # that it is no tag was told (EDI121)
            self.broken += 1
            self.untold += self.findings.full
            return
        expected = structure.expected(self._last, astray.triggers)
        code = "EDI202" if segment.tag in structure.tags else "EDI203"
        refused = Finding(code, self._place(segment), expected, quote(segment.tag))
        if move is None:
            self._break(refused)
        else:
            self.broken += 1
            self._doubt = refused, tuple(self._missing(structure, move, segment))

    def _place(self, segment: Segment) -> Place:
        return Place(self._reference, segment.number, shown(segment.tag), self.path(), offset=segment.offset)

    def _break(self, finding: Finding) -> None:
        self.broken += 1
        self.tell(finding)

    # Elements.

    def _examine(self, segment: Segment, text: str, node: int) -> None:
        """Every fault of a segment's elements; a text without fault is remembered by its pattern."""
        grammar = self._grammar
        pattern = grammar.pattern(node, segment.get(1)) if node != NOWHERE else grammar.tagged(segment.tag)
        if pattern is None or pattern.decides(grammar.plain(text)):
            return
        place = self._place(segment)
        faults = list(islice(pattern.layout.explain(segment, place), MAX_FAULTS))
        for fault in faults:
            if not _is_missing_type(fault):
                self.tell(fault)
        if not faults:
            pattern.learn(grammar.plain(text))


def _is_missing_type(finding: Finding) -> bool:
    """UNH without a message type has a finding of its own, with more to say (EDI131)."""
    place = finding.place
    return finding.code == "EDI013" and (place.tag, place.element, place.component) == ("UNH", 2, 1)
