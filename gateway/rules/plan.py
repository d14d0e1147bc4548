"""The rules of one kind and function of message, compiled into the tree they judge: one walk does all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Any

from gateway.model import Entity, Finding, Value
from gateway.rules.gathered import Entered, Gathered
from gateway.rules.judgement import Here, Judgement, Pointers
from gateway.rules.row import Holds, Row, When

# Judges one value; decides fast and tells only what fails.
Test = Callable[[Judgement, Value, Here], None]
# Judges one entity once everything below it was walked and gathered.
Cross = Callable[[Judgement, Here], None]


class Node:
    """What is asked of every entity at one path."""

    __slots__ = (
        "asked",
        "branches",
        "clears",
        "conditions",
        "crosses",
        "entities",
        "entries",
        "forgets",
        "inner",
        "more",
        "needed",
        "required_entities",
        "required_values",
    )

    def __init__(self) -> None:
        self.asked: dict[str, tuple[int, tuple[Test, ...]]] = {}
        self.needed = 0
        self.entities: dict[str, Node] = {}
        self.required_values: dict[str, tuple[Row, ...]] = {}
        self.required_entities: dict[str, tuple[tuple[Row, str], ...]] = {}
        self.branches: list[tuple[Holds, Node]] = []
        self.conditions: list[tuple[When, ...]] = []
        self.inner = False
        self.more = False
        self.crosses: list[Cross] = []
        self.entries: tuple[int, ...] = ()
        self.clears: list[int] = []
        self.forgets: list[int] = []

    def test(self, name: str, test: Test) -> None:
        """Judge every value of the name."""
        bit, tests = self.asked.get(name, (0, ()))
        self.asked[name] = (bit, (*tests, test))

    def require(self, name: str, row: Row) -> None:
        """A value of the name has to be there and hold text: it has a bit of its own in ``needed``."""
        bit, tests = self.asked.get(name, (0, ()))
        bit = bit or 1 << len(self.required_values)
        self.asked[name] = (bit, tests)
        self.needed |= bit
        self.required_values[name] = (*self.required_values.get(name, ()), row)

    def descend(self, path: str) -> Node:
        """The node at a path of classes below this one ("": itself), made where it is not there."""
        node = self
        for name in path.split("/") if path else ():
            node = node.entities.setdefault(name, Node())
        return node

    def branch(self, conditions: tuple[When, ...]) -> Node:
        """The node that is walked where the conditions hold; rules with the same conditions share it."""
        if conditions not in self.conditions:
            self.conditions.append(conditions)
            self.branches.append((_all_hold(conditions), Node()))
        return self.branches[self.conditions.index(conditions)][1]

    def settle(self) -> None:
        """Note, for this node and those below, whether there is more to it than values (most are leaves), and
        more than classes to go into."""
        self.more = bool(self.required_entities or self.entries or self.branches or self.crosses)
        self.inner = bool(self.entities or self.more)
        for node in (*self.entities.values(), *(branch for _, branch in self.branches)):
            node.settle()


def _all_hold(conditions: tuple[When, ...]) -> Holds:
    if len(conditions) == 1:
        return _holds(conditions[0])
    asked = tuple(_holds(condition) for condition in conditions)
    return lambda entity, root: all(holds(entity, root) for holds in asked)


def _holds(condition: When) -> Holds:
    """``condition.holds``; where it asks an entity's own values for codes, as most do, made for just that."""
    path, among, outside = condition.path, condition.among, condition.outside
    if "/" in path or condition.matches or condition.present is not None:
        return condition.holds

    def holds(entity: Entity, root: Entity) -> bool:
        met = not among
        for value in entity.values:
            if value.name == path and value.text:
                if value.text in outside:
                    return False
                met = met or value.text in among
        return met

    return holds


class Site:
    """Where one rule is laid into the plan: the node it starts from, and the plan's slots.

    The node is that of the rule's ``each``; where all its conditions look from the root, they are asked
    once and not for each occurrence.
    """

    def __init__(self, plan: Plan, row: Row) -> None:
        self.plan = plan
        self.each = row.each
        if row.when and all(condition.path.startswith("/") for condition in row.when):
            self.node = plan.root.branch(row.when).descend(row.each)
        else:
            self.node = plan.root.descend(row.each)
            self.node = self.node.branch(row.when) if row.when else self.node

    def test(self, path: str, test: Test) -> None:
        """Judge every value at the path."""
        head, _, leaf = path.rpartition("/")
        self.node.descend(head).test(leaf, test)

    def cross(self, cross: Cross) -> None:
        """Judge the start node's every entity, after all below it."""
        self.node.crosses.append(cross)

    def gather(self, path: str, deep: bool = False) -> int:
        """A slot in which every value at the path stands when the start node's crosses are asked.

        ``deep``: they look at what stands beside the value too.
        """
        slot = self.plan.values
        self.plan.values += 1
        self.plan.each_value.append(self.each)
        if deep:
            self.plan.deep.add(slot)
        self.node.clears.append(slot)

        def keep(judgement: Judgement, value: Value, here: Here) -> None:
            judgement.gathered[slot].append((value, here))

        self.test(path, keep)
        return slot

    def count(self, path: str) -> int:
        """A slot in which every entity at the path stands when the start node's crosses are asked."""
        slot = self.plan.visits
        self.plan.visits += 1
        self.plan.each_entity.append(self.each)
        self.node.forgets.append(slot)
        node = self.node.descend(path)
        node.entries = (*node.entries, slot)
        return slot

    def require(self, row: Row, path: str) -> None:
        """Every occurrence of every step must be there, and hold text at last."""
        node = self.node
        *classes, leaf = path.split("/")
        for depth, name in enumerate(classes):
            tail = "/".join([*classes[depth:], leaf])
            node.required_entities[name] = (*node.required_entities.get(name, ()), (row, tail))
            node = node.entities.setdefault(name, Node())
        node.require(leaf, row)


class Plan:
    """The compiled rules of one kind and function: a tree of nodes and how many slots it gathers in."""

    __slots__ = ("deep", "each_entity", "each_value", "root", "values", "visits")

    def __init__(self) -> None:
        self.root = Node()
        self.values = 0
        self.visits = 0
        self.deep: set[int] = set()  # slots of values whose neighbours are looked at too
        # By slot, the path of the class with whose every occurrence it is emptied.
        self.each_value: list[str] = []
        self.each_entity: list[str] = []

    def judge(self, root: Entity, now: datetime, zone: tzinfo) -> tuple[Finding, ...]:
        """All findings about the tree, in the order of the walk."""
        judgement = Judgement(root, now, zone, self.values, self.visits)
        if not judgement.whole:
            entities: Any = root.entities
            folder, pointers = entities.folder, Pointers()
            long = {"", *entities.longs()}
            for slot, each in enumerate(self.each_value):
                if each in long:
                    judgement.gathered[slot] = Gathered(folder, slot in self.deep, pointers)
            for slot, each in enumerate(self.each_entity):
                if each in long:
                    judgement.entered[slot] = Entered(folder)
        _walk(judgement, self.root, (None, root, 1))
        return tuple(judgement.findings)


def _walk(judgement: Judgement, node: Node, here: Here) -> None:
    _, entity, _ = here
    asked = node.asked
    if asked:
        seen = 0
        for value in entity.values:
            known = asked.get(value.name)
            if known is not None and value.text:
                bit, tests = known
                if bit and not value.text.isspace():
                    seen |= bit
                for test in tests:
                    test(judgement, value, here)
        if seen != node.needed:
            _missing(judgement, node, here, seen)
    if node.inner:
        _inside(judgement, node, here)


def _inside(judgement: Judgement, node: Node, here: Here) -> None:
    nodes = node.entities
    if nodes:
        counts: dict[str, int] = {}
        for child in here[1].entities:
            name = child.name
            inner = nodes.get(name)
            if inner is not None:
                occurrence = counts[name] = counts.get(name, 0) + 1
                _walk(judgement, inner, (here, child, occurrence))
        if not node.more:
            return
        for name, rows in node.required_entities.items():
            if name not in counts:
                for row, tail in rows:
                    judgement.tell(row, here, tail, expected=tail, found="")
    for slot in node.entries:
        judgement.entered[slot].append(here)
    for holds, branch in node.branches:
        if holds(here[1], judgement.root):
            _walk(judgement, branch, here)
    if node.crosses:
        for cross in node.crosses:
            cross(judgement, here)
        for slot in node.clears:
            judgement.gathered[slot].clear()
        for slot in node.forgets:
            judgement.entered[slot].clear()


def _missing(judgement: Judgement, node: Node, here: Here, seen: int) -> None:
    for name, rows in node.required_values.items():
        if not node.asked[name][0] & seen:
            for row in rows:
                judgement.tell(row, here, name, expected=name, found="")
