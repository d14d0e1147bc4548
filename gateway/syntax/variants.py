"""Variants of a segment by its qualifier, as an implementation guide has them: patterns and counts.

A variant counts within the occurrence of the group around it (for a group's first segment: of the group
around that one).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gateway.model.edifact import Segment
from gateway.model.finding import Finding, Place
from gateway.syntax.characters import Separators
from gateway.syntax.elements import Layout
from gateway.syntax.guides import NodeRule
from gateway.syntax.patterns import Pattern
from gateway.syntax.structure import Structure

NOWHERE = -1  # the scope of what stands outside any group


class Varied(NamedTuple):
    """A node with variants: the first segment of the scope they count in, and each one's rule and pattern."""

    tag: str
    scope: int
    trigger: bool
    rules: Mapping[str, tuple[bool, int]]  # required, most (0: as often as the node)
    patterns: Mapping[str, Pattern]


def varied(structure: Structure, node: int, rule: NodeRule, layout: Layout, separators: Separators) -> Varied:
    """The variants that a guide's rule gives a node."""
    at = structure.nodes[node]
    around = at.path[:-1] if at.trigger else at.path
    return Varied(
        tag=at.label,
        scope=structure.groups[around[-1]].first if around else NOWHERE,
        trigger=at.trigger,
        rules={v.when: (v.required, v.repeat) for v in rule.variant},
        patterns={v.when: Pattern(layout.narrowed(v.elements), separators) for v in rule.variant},
    )


class Variants:
    """Counts the variants of one message."""

    def __init__(self, nodes: Mapping[int, Varied]) -> None:
        self._nodes = nodes
        self._counts: dict[int, dict[str, int]] = {}
        self._begun: dict[int, Place] = {NOWHERE: Place(segment=1, tag="UNH")}

    def take(self, node: int, segment: Segment, place: Place) -> Iterator[Finding]:
        """A segment reaches a node: what was missing in the scope it ends, and a variant too many."""
        scope = next((v.scope for v in self._nodes.values() if v.scope == node), None)
        if scope is not None:
            yield from self.missing(scope)
            self._begun[scope] = place
        at = self._nodes.get(node)
        if at is None or segment.get(1) not in at.rules:
            return
        counts = self._counts.setdefault(node, {})
        counts[segment.get(1)] = counts.get(segment.get(1), 0) + 1
        most = at.rules[segment.get(1)][1]
        if most and counts[segment.get(1)] == most + 1:
            code = "EDI036" if at.trigger else "EDI035"
            yield Finding(code, place, str(most), f"{segment.tag}+{segment.get(1)}")

    def end(self) -> Iterator[Finding]:
        """What is missing in the scopes that end with the message."""
        for scope in list(self._begun):
            yield from self.missing(scope)

    def missing(self, scope: int) -> Iterator[Finding]:
        """Variants required in the scope's occurrence that ends, told at its first segment."""
        begun = self._begun.pop(scope, None)
        for node, at in self._nodes.items():
            if at.scope != scope:
                continue
            counts = self._counts.pop(node, {})
            if begun is None:
                continue
            for value, (required, _) in at.rules.items():
                if required and not counts.get(value):
                    yield Finding("EDI201", begun, f"{at.tag}+{value}", begun.tag)
