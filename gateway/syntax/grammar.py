"""How messages of one type are read: structure, patterns and usual moves under one set of service characters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from gateway.syntax.characters import Separators
from gateway.syntax.elements import Layouts
from gateway.syntax.guides import NodeRule
from gateway.syntax.patterns import UNKNOWN, Pattern
from gateway.syntax.structure import Move, Structure
from gateway.syntax.variants import Varied, varied

# Segments that no message holds: they end it, expected or not.
BOUNDARIES = frozenset({"UNT", "UNH", "UNZ", "UNB", "UNG", "UNE", "UNO", "UNP"})

# Segments of security (ISO 9735-5, 7, 9), which may stand in any message and around messages.
SECURITY = frozenset(
    ["USA", "USB", "USC", "USD", "USE", "USF", "USH", "USL", "USR", "UST", "USU", "USX", "USY"]
)
_LOOKED_AT = BOUNDARIES | SECURITY  # each of these ends the message or is counted apart
NOWHERE = -1  # the node of a segment that has no place in the structure
_NO_RULES: Mapping[str, NodeRule] = {}


# A move that needs no thought, by the first characters of a segment's text: what may follow it; how often it
# may be made (0: it goes on to another node); the node; the pattern of its segment.  A plain tuple: it is
# taken apart for every segment.
Usual: TypeAlias = "tuple[dict[str, Usual], int, int, Pattern]"


class Known(NamedTuple):
    """Grammars that many interchanges share: that of service segments, and messages' by S009 as sent."""

    service: Grammar
    messages: dict[tuple[str, ...], Grammar]


class Grammar:
    """How a message of one type, directory, syntax version and set of service characters is read.

    ``structure`` is None for a message that no directory describes: its segments are taken as they come.
    """

    def __init__(
        self,
        structure: Structure | None,
        layouts: Layouts,
        separators: Separators,
        rules: Mapping[str, NodeRule] = _NO_RULES,
    ) -> None:
        self.structure = structure
        self.layouts = layouts
        self.separators = separators
        self.size = len(structure.nodes) if structure is not None else 0
        self.states: list[dict[str, Usual]] = [{} for _ in range(self.size + 1)]
        self._patterns: dict[int, Pattern | None] = {}
        self._tagged: dict[str, Pattern] = {}
        self._release = separators.release
        self._service = {separators.element, separators.component, separators.repetition, separators.release}
        self._released = re.compile(f"{re.escape(separators.release)}.", re.DOTALL)
        self.varied: dict[int, Varied] = {}
        if structure is not None and rules:
            self._narrow(structure, rules)
        self._counted = frozenset({*self.varied, *(varied.scope for varied in self.varied.values())})

    def tagged(self, tag: str) -> Pattern | None:
        """The pattern of a segment that has no place in the structure, by its tag alone; None as above."""
        found = self._tagged.get(tag)
        if found is None:
            layout = self.layouts.get(tag)
            if layout is None:
                return None  # not remembered: tags are the sender's, and there are many
            found = self._tagged[tag] = Pattern(layout, self.separators)
        return found

    def plain(self, text: str) -> str:
        """The text with each released service character replaced by one that separates nothing."""
        return self._released.sub(self._bare, text) if self._release and self._release in text else text

    def _bare(self, found: re.Match[str]) -> str:
        released = found[0][1]
        return UNKNOWN if released in self._service else released

    def _narrow(self, structure: Structure, rules: Mapping[str, NodeRule]) -> None:
        """Patterns and variants as a guide has them."""
        for index in range(len(structure.nodes)):
            rule = rules.get(structure.path(index))
            layout = self.layouts.get(structure.nodes[index].label[:3])
            if rule is None or layout is None:
                continue
            narrowed = layout.narrowed(rule.elements)
            self._patterns[index] = Pattern(narrowed, self.separators)
            if rule.variant:
                self.varied[index] = varied(structure, index, rule, narrowed, self.separators)

    def pattern(self, node: int, qualifier: str) -> Pattern | None:
        """The pattern of a node's segment with this qualifier; None where no directory describes it."""
        if node in self.varied and qualifier in self.varied[node].patterns:
            return self.varied[node].patterns[qualifier]
        if node not in self._patterns and self.structure is not None:
            layout = self.layouts.get(self.structure.nodes[node].label[:3])
            self._patterns[node] = None if layout is None else Pattern(layout, self.separators)
        return self._patterns.get(node)

    def learn(self, last: int, tag: str, move: Move) -> None:
        """Make a move from a node usual; the first of the possible ones, with nothing missing on the way."""
        if tag in _LOOKED_AT or move.node in self._counted:
            return
        pattern = self.pattern(move.node, "")
        if self.structure is None or pattern is None:
            return
        limit = self.structure.limit(move.node) if move.again else 0
        usual = (self.states[move.node + 1], limit, move.node, pattern)
        self.states[last + 1][tag + self.separators.element] = usual
        self.states[last + 1].setdefault(tag, usual)
