"""When a criterion's condition holds: its path's values in a declaration, and each operator on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from adapters.clearance import money
from adapters.clearance.criteria import Condition
from adapters.clearance.exchange import Exchange
from gateway.model import Declaration, Entity, Value


class Subject(msgspec.Struct, frozen=True):
    """What is judged: the declaration, who filed it for whom, and the rates for its amounts."""

    declaration: Declaration
    principal: str
    filer: str
    exchange: Exchange


def holds(condition: Condition, entity: Entity, subject: Subject) -> bool:
    """True where every operator of the condition holds, on its path from the entity."""
    values = _values(condition.path, entity, subject)
    return all(OPERATORS[name](values, operand, subject) for name, operand in condition.operators().items())


def _values(path: str, entity: Entity, subject: Subject) -> Sequence[Value]:
    """Every value with text on a condition's path."""
    if path == "@principal":
        return (Value(path, subject.principal),)
    if path == "@filer":
        return (Value(path, subject.filer),)
    if path.startswith("/"):
        path, entity = path[1:], subject.declaration.root
    head, _, leaf = path.rpartition("/")
    holders = entity.each(head) if head else iter((entity,))
    return [v for holder in holders for v in holder.values if v.name == leaf and v.text.strip()]


def _numbers(values: Iterable[Value], subject: Subject) -> Iterator[Decimal]:
    """The values as numbers, amounts in the office's currency; what is no number is left out."""
    for value in values:
        number = money.parse(value.text.strip())
        currency = value.attribute("currencyID")
        if number is not None and currency:
            number = subject.exchange.value_of(number, currency)
        if number is not None:
            yield number


def _equals(values: Sequence[Value], operand: str, subject: Subject) -> bool:
    return any(value.text.strip() == operand for value in values)


def _in(values: Sequence[Value], operand: tuple[str, ...], subject: Subject) -> bool:
    return any(value.text.strip() in operand for value in values)


def _prefix(values: Sequence[Value], operand: tuple[str, ...], subject: Subject) -> bool:
    return any(value.text.replace(".", "").strip().startswith(operand) for value in values)


def _above(values: Sequence[Value], operand: Decimal, subject: Subject) -> bool:
    return any(number > operand for number in _numbers(values, subject))


def _below(values: Sequence[Value], operand: Decimal, subject: Subject) -> bool:
    return any(number < operand for number in _numbers(values, subject))


def _missing(values: Sequence[Value], operand: bool, subject: Subject) -> bool:
    return operand is not bool(values)


def _country(values: Sequence[Value], operand: tuple[str, ...], subject: Subject) -> bool:
    return any(value.text.strip()[:2].upper() in operand for value in values)


def _contains(values: Sequence[Value], operand: tuple[str, ...], subject: Subject) -> bool:
    words = tuple(word.casefold() for word in operand)
    return any(word in value.text.casefold() for value in values for word in words)


def _lacks(values: Sequence[Value], operand: tuple[str, ...], subject: Subject) -> bool:
    return not _in(values, operand, subject)


OPERATORS: Mapping[str, Callable[[Sequence[Value], Any, Subject], bool]] = {
    "equals": _equals,
    "in_": _in,
    "prefix": _prefix,
    "above": _above,
    "below": _below,
    "missing": _missing,
    "country": _country,
    "contains": _contains,
    "lacks": _lacks,
}
