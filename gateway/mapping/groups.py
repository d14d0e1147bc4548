"""Groups that fill a class alone, where nothing has to be told of them, read in less time.

``_groups.c`` is given the plan as tuples, and says what `reader.Reader` says; where there was no compiler at
installation, that reads all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.mapping.convert import date_read, decimal_read, join, width
from gateway.mapping.plan import KNOWN, SERVICE, Chain, Check, Entry, Field, Plan, Rule, Shape
from gateway.model import Entity, Value
from gateway.model.edifact import Group, Segment

try:
    from gateway.mapping import _groups as compiled
except ImportError:  # nothing was compiled at installation
    compiled = None  # type: ignore[assignment]

NOT_PLAIN = NotImplemented
"""What is said of a group that wants a word."""

Read = Callable[[Entry, Group, int], Any]
"""What a group gives, read by its entry as the class's occurrence of that number: an Entity, None where nothing was
filled in, or NOT_PLAIN."""


def never_plain(entry: Entry, group: Group, ordinal: int) -> Any:
    """Where nothing was compiled."""
    return NOT_PLAIN


def group_reader(plan: Plan) -> Read:
    """What reads a message's groups by the plan's entries that are alone."""
    if compiled is None or not plan.alone:
        return never_plain
    shapes = {shape: number for number, shape in enumerate(_shapes(plan.shape))}
    plans = {plan: number for number, plan in enumerate(_plans(plan))}
    words = (Segment, Group, Value, Entity, SERVICE, decimal_read, date_read, join)
    table = compiled.table(
        tuple(_shape(shape, shapes) for shape in shapes),
        tuple(_plan(each, shapes, plans) for each in plans),
        words,
    )
    read = compiled.read
    spots = {
        entry: (number, at)
        for number, entries in enumerate(plan.groups.values())
        for at, entry in enumerate(entries)
    }

    def reading(entry: Entry, group: Group, ordinal: int) -> Any:
        return read(table, 0, *spots[entry], group, ordinal)

    return reading


def _shapes(first: Shape) -> list[Shape]:
    found = [first]
    for shape in found:
        found += shape.kids
    return found


def _plans(first: Plan) -> list[Plan]:
    found = [first]
    for plan in found:
        found += (entry.plan for entries in plan.groups.values() for entry in entries)
    return found


def _shape(shape: Shape, numbers: dict[Shape, int]) -> tuple[Any, ...]:
    kids = tuple(numbers[kid] for kid in shape.kids)
    return shape.name, shape.value_order, shape.kid_order, kids


def _plan(plan: Plan, shapes: dict[Shape, int], plans: dict[Plan, int]) -> tuple[Any, ...]:
    by_tag = {tag: number for number, tag in enumerate(plan.by_tag)}
    by_first = {key: number for number, key in enumerate(plan.by_first, len(by_tag))}
    rules = (*plan.by_tag.values(), *plan.by_first.values())
    groups = {name: number for number, name in enumerate(plan.groups)}
    return (
        shapes[plan.shape],
        by_tag,
        by_first,
        tuple(tuple(_rule(rule, rule.extra) for rule in several) for several in rules),
        groups,
        tuple(tuple(_entry(entry, plans) for entry in entries) for entries in plan.groups.values()),
    )


def _entry(entry: Entry, plans: dict[Plan, int]) -> tuple[Any, ...]:
    return _checks(entry.trigger.checks), _way(entry), plans[entry.plan]


def _rule(rule: Rule, checks: tuple[Check, ...]) -> tuple[Any, ...]:
    return (
        _checks(checks),
        _way(rule),
        rule.places,
        tuple(tuple(map(_cell, row)) for row in rule.cells),
        tuple(map(_field, rule.wide)),
        tuple(_rule(inner, inner.checks) for inner in rule.inner),
    )


def _checks(checks: tuple[Check, ...]) -> tuple[tuple[int, int, frozenset[str] | None], ...]:
    return tuple((check.element, check.component, check.values) for check in checks)


def _way(holder: Entry | Rule) -> tuple[Chain, bool, str | None, int]:
    """Where it is read into, and what numbers its occurrences."""
    number = holder.sequence if holder.chain and holder.repeat else None
    return holder.chain, holder.repeat, *((None, 0) if number is None else (number.name, number.slot))


def _cell(field: Field | None) -> Any:
    return True if field is KNOWN else None if field is None else _field(field)


def _field(field: Field) -> tuple[Any, ...]:
    return (
        field.name,
        int(field.conversion),
        field.chain,
        field.slot,
        field.element,
        field.component,
        field.span,
        width(field.format),
        tuple((attribute.name, attribute.element, attribute.component) for attribute in field.attributes),
        field.codes,
        frozenset(field.codes.values()),
    )
