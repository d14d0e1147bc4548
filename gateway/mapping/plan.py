"""A mapping table compiled against one directory: what the reader and the writer walk.

Positions are counted from 0 here.  A *chain* is the way from one class to another below it, as slots
in each class's shape; a *slot* is the number of a value or of a class in its shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum
from operator import itemgetter
from typing import Any

from gateway.mapping.tree_rows import Node
from gateway.model.edifact import Segment

Chain = tuple[int, ...]

SERVICE = frozenset(("UNH", "UNT", "UNS"))
"""Segments of the envelope and the section separators: no table speaks of them."""


class Conversion(IntEnum):
    """The closed set of conversions."""

    TEXT = 0
    DECIMAL = 1
    DATE = 2
    CODE = 3
    LINES = 4
    PARAGRAPH = 5
    SEQUENCE = 6
    POINTER = 7
    DERIVE = 8


class Shape:
    """A WCO class as far as the table uses it: its values and classes by slot, and their WCO order.

    ``no_values``, ``no_kids``: what an occurrence begins with; ``ranked``: values by slot in WCO order.
    """

    def __init__(self, name: str, node: Node) -> None:
        self.name = name
        self.node = node
        self.value_names: list[str] = []
        self.kids: list[Shape] = []
        self.value_order: tuple[int, ...] = ()
        self.kid_order: tuple[int, ...] = ()
        self.no_values: list[None] = []
        self.no_kids: list[None] = []
        self.ranked: Callable[[list[Any]], Iterable[Any]] = list

    def value(self, name: str) -> int:
        """The slot of an element."""
        if name not in self.value_names:
            self.value_names.append(name)
        return self.value_names.index(name)

    def kid(self, name: str) -> int:
        """The slot of a class; KeyError where the tree has none of that name here."""
        for slot, shape in enumerate(self.kids):
            if shape.name == name:
                return slot
        row = self.node.by_name[name]
        if row.node is None:
            raise KeyError(name)
        self.kids.append(Shape(name, row.node))
        return len(self.kids) - 1

    def settle(self) -> None:
        """Fix the order of values and classes, here and below."""
        rows = self.node.by_name
        self.value_order = _ranked([rows[name].rank for name in self.value_names])
        self.kid_order = _ranked([rows[shape.name].rank for shape in self.kids])
        self.no_values, self.no_kids = [None] * len(self.value_names), [None] * len(self.kids)
        if self.value_order != tuple(range(len(self.value_order))):
            self.ranked = itemgetter(*self.value_order)
        for shape in self.kids:
            shape.settle()


def _ranked(ranks: list[int]) -> tuple[int, ...]:
    return tuple(sorted(range(len(ranks)), key=ranks.__getitem__))


class Check:
    """A required value: ``values`` accepted (None: any), ``write`` written, "" for nothing."""

    __slots__ = ("component", "element", "values", "write")

    def __init__(self, element: int, component: int, values: frozenset[str] | None, write: str) -> None:
        self.element = element
        self.component = component
        self.values = values
        self.write = write


class Attribute:
    """An attribute of a value, from a component of the same segment; ``default`` is written where absent."""

    __slots__ = ("component", "default", "element", "format", "name")

    def __init__(self, name: str, element: int, component: int, default: str, format: str) -> None:
        self.name = name
        self.element = element
        self.component = component
        self.default = default
        self.format = format


class Field:
    """One tie of a value to a component (``span`` components for lines).

    ``plain``: the text as it is, with nothing beside it, of the class itself: most are so.
    """

    __slots__ = (
        "alone",
        "attributes",
        "back",
        "chain",
        "codes",
        "component",
        "conversion",
        "default",
        "element",
        "format",
        "name",
        "path",
        "plain",
        "read_only",
        "slot",
        "slots",
        "span",
        "wco_format",
    )

    def __init__(self, path: str, name: str, conversion: Conversion) -> None:
        self.path = path
        self.name = name
        self.conversion = conversion
        self.chain: Chain = ()
        self.slot = -1
        self.slots: tuple[int, ...] = ()
        self.element = -1
        self.component = 0
        self.span = 1
        self.alone = False
        self.format = ""
        self.wco_format = ""
        self.attributes: tuple[Attribute, ...] = ()
        self.codes: dict[str, str] = {}
        self.back: dict[str, str] = {}
        self.default = ""
        self.read_only = False
        self.plain = False


# Stands where a component is known but gives no value of its own: a qualifier, an attribute, a second line.
KNOWN = Field("", "", Conversion.TEXT)


class Rule:
    """What one segment, or one composite of it, is tied to.

    ``inner``: rules for composites at ``places``.  ``cells``: by element and component the field that
    one component fills, KNOWN, or None for what the rule does not know; ``wide``: fields that need
    more than one component.  ``extra``: the checks that the reader's look-up has not made yet.
    """

    def __init__(self, tag: str, selector: str) -> None:
        self.tag = tag
        self.selector = selector
        self.checks: tuple[Check, ...] = ()
        self.chain: Chain = ()
        self.shape: Shape | None = None
        self.repeat = False
        self.fields: list[Field] = []
        self.sequence: Field | None = None
        self.inner: list[Rule] = []
        self.places: tuple[int, ...] = ()
        self.cells: tuple[tuple[Field | None, ...], ...] = ()
        self.wide: tuple[Field, ...] = ()
        self.extra: tuple[Check, ...] = ()

    def matches(self, elements: tuple[tuple[str, ...], ...], base: int = 0) -> bool:
        """True where the segment, or the composite at ``base``, has every required value."""
        return passes(self.checks, elements, base)

    def accepts_all_of(self, other: Rule) -> bool:
        """True where every segment that the other rule takes would match this one too."""
        for check in self.checks:
            if check.values is None:
                continue
            same = [c for c in other.checks if (c.element, c.component) == (check.element, check.component)]
            if not any(c.values is not None and c.values <= check.values for c in same):
                return False
        return True


def passes(checks: tuple[Check, ...], elements: tuple[tuple[str, ...], ...], base: int = 0) -> bool:
    """True where the segment, or the composite at ``base``, has every required value."""
    for check in checks:
        if check.values is None:
            continue
        at = base + check.element
        components = elements[at] if at < len(elements) else ()
        found = components[check.component] if check.component < len(components) else ""
        if found not in check.values:
            return False
    return True


class Entry:
    """A group in its place: which occurrences it is for, the class it stands for, what it holds."""

    def __init__(self, trigger: Rule, plan: Plan) -> None:
        self.trigger = trigger
        self.plan = plan
        self.chain: Chain = ()
        self.repeat = False
        self.sequence: Field | None = None
        self.otherwise: tuple[Check, ...] = ()


class Step:
    """A node of the message in its order: a segment with its rules, or a group with its entries."""

    def __init__(self, name: str, limit: int, required: bool, is_group: bool) -> None:
        self.name = name
        self.required = required
        self.limit = limit
        self.is_group = is_group
        self.rules: list[Rule] = []
        self.entries: list[Entry] = []
        self.constant: tuple[str, ...] = ()


class Plan:
    """A group, or the whole message: rules by tag, and by tag and first value, and the order to write.

    ``alone``: entries whose groups each fill an occurrence that nothing else fills (see module ``apart``).  ``apart``:
    slots of the message's own classes that are filled so, and can be read one occurrence at a time.
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.steps: list[Step] = []
        self.by_first: dict[tuple[str, str], list[Rule]] = {}
        self.by_tag: dict[str, list[Rule]] = {}
        self.groups: dict[str, list[Entry]] = {}
        self.alone: frozenset[Entry] = frozenset()
        self.apart: frozenset[int] = frozenset()

    def is_apart(self, entry: Entry) -> bool:
        """True where the group fills one occurrence of a class, and nothing else does."""
        return bool(entry.chain) and entry.chain[0] in self.apart

    def add(self, rule: Rule) -> None:
        """Make the rule known; a rule that asks for a first value goes before those that do not."""
        self.step(rule.tag, False).rules.append(rule)
        first = next((c for c in rule.checks if not (c.element or c.component)), None)
        if first is None or first.values is None:
            rule.extra = tuple(c for c in rule.checks if c.values is not None)
            self.by_tag.setdefault(rule.tag, []).append(rule)
            return
        rule.extra = tuple(c for c in rule.checks if c is not first and c.values is not None)
        for value in first.values:
            self.by_first.setdefault((rule.tag, value), []).append(rule)

    def step(self, name: str, is_group: bool) -> Step:
        """The node of that name; KeyError where the message has none here."""
        for step in self.steps:
            if step.name == name and step.is_group is is_group:
                return step
        raise KeyError(name)

    def choose(self, segment: Segment) -> Rule | None:
        """The rule for a segment, or None."""
        elements = segment.elements
        tag = segment.tag
        rules = self.by_first.get((tag, elements[0][0])) if elements and elements[0] else None
        for rule in rules or ():
            if not rule.extra or passes(rule.extra, elements):
                return rule
        for rule in self.by_tag.get(tag, ()):
            if not rule.extra or passes(rule.extra, elements):
                return rule
        return None

    def shadowed(self) -> list[tuple[str, str]]:
        """(hidden, hiding) selectors of rules and groups that can never be chosen."""
        hidden = []
        for rules in (*self.by_first.values(), *self.by_tag.values()):
            for at, rule in enumerate(rules):
                hidden += [(rule.selector, r.selector) for r in rules[:at] if r.accepts_all_of(rule)]
        for entries in self.groups.values():
            for at, entry in enumerate(entries):
                before = (e.trigger for e in entries[:at])
                hidden += [
                    (entry.trigger.selector, t.selector) for t in before if t.accepts_all_of(entry.trigger)
                ]
        return hidden

    def entry(self, name: str, trigger: tuple[tuple[str, ...], ...]) -> Entry | None:
        """The entry for an occurrence of a group, by its trigger segment's elements."""
        for entry in self.groups.get(name, ()):
            if entry.trigger.matches(trigger):
                return entry
        return None
