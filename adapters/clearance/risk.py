"""Selectivity: the operator's risk criteria against a declaration.

A criterion is a name that stays inside customs, conditions that must all hold, and what follows: a
score, a channel, or (cargo) a consignment that must not be loaded or unloaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from adapters.clearance import money
from adapters.clearance.exchange import Exchange
from adapters.clearance.states import CONTROL, Channel
from gateway.model import Declaration, Entity, Kind, MandatoryDocument, Value, parse_pointer

MAX_STATEMENT = 200
"""Characters of one criterion's public statement: two of them fit the 512 of WCO 225."""

SAMPLED = "random-selection"
"""The name under which a random selection is recorded."""


class Action(StrEnum):
    """What customs tells a carrier about a consignment."""

    DO_NOT_LOAD = "do-not-load"
    DO_NOT_UNLOAD = "do-not-unload"


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A path and one operator.

    ``path``: relative to the criterion's ``each`` (or to the Declaration); with a leading ``/`` always
    to the Declaration; ``@principal`` and ``@filer`` are the partner's ids.  Every occurrence on the
    path is looked at.  ``equals``, ``in``, ``prefix``, ``above``, ``below``, ``country`` and
    ``contains`` hold where one value satisfies them; ``missing`` where there is no value; ``lacks``
    where no value is one of the list.  Amounts are compared in the office's currency.  ``country``
    reads country codes and UN/LOCODEs; ``contains`` ignores case.
    """

    path: str
    equals: str | None = None
    in_: tuple[str, ...] | None = msgspec.field(default=None, name="in")
    prefix: tuple[str, ...] | None = None
    above: Decimal | None = None
    below: Decimal | None = None
    missing: bool | None = None
    country: tuple[str, ...] | None = None
    contains: tuple[str, ...] | None = None
    lacks: tuple[str, ...] | None = None

    def operators(self) -> Mapping[str, Any]:
        """The operators that are written, with their operands."""
        return {name: operand for name in OPERATORS if (operand := getattr(self, name)) is not None}


class Criterion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of risk.toml.

    ``each``: the class that the conditions are tried on, one occurrence at a time; "" for the whole.
    ``lifted_by_amendment``: a stop that a corrected report lifts without an officer.
    ``documents``: what a yellow channel asks for because of this criterion.
    """

    name: str
    kinds: tuple[Kind, ...]
    when: tuple[Condition, ...]
    each: str = ""
    channel: Channel | None = None
    score: int | None = None
    action: Action | None = None
    statement: str = ""
    statement_vi: str = ""
    documents: tuple[MandatoryDocument, ...] = ()
    lifted_by_amendment: bool = False


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From which sum of scores a declaration is yellow, and red."""

    yellow: int = 50
    red: int = 100


class Sampling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Percent of otherwise lighter declarations that are drawn to a channel, and the secret salt."""

    yellow: Decimal = Decimal(0)
    red: Decimal = Decimal(0)
    salt: str = ""
    statement: str = "Selected for control."
    statement_vi: str = "Được chọn để kiểm tra."


class Criteria(msgspec.Struct, frozen=True):
    """Everything in risk.toml."""

    criteria: tuple[Criterion, ...] = ()
    thresholds: Thresholds = Thresholds()
    sampling: Sampling = Sampling()

    def of(self, kind: Kind) -> Iterator[Criterion]:
        """The criteria of a kind."""
        return (criterion for criterion in self.criteria if kind in criterion.kinds)


class Subject(msgspec.Struct, frozen=True):
    """What is judged: the declaration, who filed it for whom, and the rates for its amounts."""

    declaration: Declaration
    principal: str
    filer: str
    exchange: Exchange


class Hit(msgspec.Struct, frozen=True):
    """A criterion met, at a pointer into the declaration; ``criterion`` None: drawn at random."""

    name: str
    pointer: str
    criterion: Criterion | None = None
    score: int = 0
    channel: Channel = Channel.NONE
    statement: str = ""
    statement_vi: str = ""


class Selection(msgspec.Struct, frozen=True):
    """A goods declaration's channel, why, and what the trader may be told of it."""

    channel: Channel
    hits: tuple[Hit, ...]
    documents: tuple[MandatoryDocument, ...] = ()
    statements: tuple[tuple[str, str], ...] = ()


def select(subject: Subject, registration: str, criteria: Criteria) -> Selection:
    """The channel of a goods declaration: the heaviest of direct channels, scores and the draw."""
    hits = list(hits_of(subject, criteria))
    score = sum(hit.score for hit in hits)
    channel = heaviest([hit.channel for hit in hits] + [_by_score(score, criteria.thresholds), Channel.GREEN])
    drawn = _draw(registration, criteria.sampling)
    if CONTROL[drawn] > CONTROL[channel]:
        sampling = criteria.sampling
        said = (sampling.statement, sampling.statement_vi)
        hits.append(Hit(SAMPLED, "Declaration", None, 0, drawn, *said))
        channel = drawn
    decisive = [hit for hit in hits if hit.score > 0 or hit.channel is not Channel.NONE]
    documents = dict.fromkeys(d for hit in decisive if hit.criterion for d in hit.criterion.documents)
    statements = dict.fromkeys((hit.statement, hit.statement_vi) for hit in decisive if hit.statement)
    told = () if channel is Channel.GREEN else tuple(statements)
    return Selection(channel, tuple(hits), tuple(documents), told)


def hits_of(subject: Subject, criteria: Criteria) -> Iterator[Hit]:
    """Every criterion that is met, at every place where it is."""
    for criterion in criteria.of(subject.declaration.kind):
        for pointer, entity in _places(subject.declaration.root, criterion.each):
            if all(_holds(condition, entity, subject) for condition in criterion.when):
                yield Hit(
                    criterion.name,
                    pointer,
                    criterion,
                    criterion.score or 0,
                    criterion.channel or Channel.NONE,
                    criterion.statement,
                    criterion.statement_vi,
                )


def heaviest(channels: Iterable[Channel]) -> Channel:
    """The channel with the most control."""
    return max(channels, key=CONTROL.__getitem__)


def _by_score(score: int, thresholds: Thresholds) -> Channel:
    if score >= thresholds.red:
        return Channel.RED
    return Channel.YELLOW if score >= thresholds.yellow else Channel.GREEN


def _draw(registration: str, sampling: Sampling) -> Channel:
    """The random draw: a keyed hash of the registration number, the same however often it is asked."""
    digest = hashlib.sha256(f"{sampling.salt}:{registration}".encode()).digest()
    percent = Decimal(int.from_bytes(digest[:4], "big") % 10_000) / 100
    if percent < sampling.red:
        return Channel.RED
    return Channel.YELLOW if percent < sampling.red + sampling.yellow else Channel.GREEN


def _places(root: Entity, each: str) -> Iterator[tuple[str, Entity]]:
    """(pointer, entity) of every occurrence of a class; the Declaration itself for ""."""
    found: list[tuple[str, Entity]] = [("Declaration", root)]
    for name in each.split("/") if each else ():
        found = [
            (f"{pointer}/{name}" + (f"[{number}]" if number > 1 else ""), child)
            for pointer, entity in found
            for number, child in enumerate(entity.each(name), start=1)
        ]
    yield from found


def _holds(condition: Condition, entity: Entity, subject: Subject) -> bool:
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


def faults(criteria: Criteria) -> Iterator[str]:
    """What is wrong in criteria whose rows are well-formed one by one."""
    names = [criterion.name for criterion in criteria.criteria]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"criterion {name}: the name is used twice"
    for criterion in criteria.criteria:
        yield from (f"criterion {criterion.name}: {fault}" for fault in _criterion_faults(criterion))
    thresholds, sampling = criteria.thresholds, criteria.sampling
    if not 0 < thresholds.yellow <= thresholds.red:
        yield "thresholds: 0 < yellow <= red is expected"
    if not all(rate.is_finite() and 0 <= rate <= 100 for rate in (sampling.yellow, sampling.red)):
        yield "random: percentages from 0 to 100 are expected"
    elif (sampling.yellow or sampling.red) and not sampling.salt:
        yield "random: a secret salt is needed"


def _criterion_faults(criterion: Criterion) -> Iterator[str]:
    cargo = [kind.is_cargo for kind in criterion.kinds]
    if not all(kind.is_goods or kind.is_cargo for kind in criterion.kinds) or not cargo:
        yield "kinds must be IM, EX, TRT, CRI or CRE"
    elif any(cargo) and not (all(cargo) and criterion.action):
        yield "cargo reports need an action, and a criterion of their own"
    elif not any(cargo) and criterion.action:
        yield "actions are for cargo reports"
    if sum(x is not None for x in (criterion.channel, criterion.score, criterion.action)) != 1:
        yield "exactly one of channel, score and action is expected"
    if criterion.channel in (Channel.NONE, Channel.GREEN):
        yield "channel must be yellow or red"
    if criterion.action and criterion.each.partition("/")[0] != "Consignment":
        yield "an action's each must begin with Consignment"
    if criterion.name == SAMPLED or not criterion.name:
        yield "this name is reserved"
    if not criterion.when:
        yield "when is empty"
    if (criterion.score is None or criterion.score > 0) and not (
        0 < len(criterion.statement) <= MAX_STATEMENT and 0 < len(criterion.statement_vi) <= MAX_STATEMENT
    ):
        yield f"statement and statement_vi need 1 to {MAX_STATEMENT} characters"
    if criterion.each and not _is_path(criterion.each):
        yield f"each is no path: {criterion.each}"
    for condition in criterion.when:
        yield from _condition_faults(condition)


def _condition_faults(condition: Condition) -> Iterator[str]:
    operators = condition.operators()
    if len(operators) != 1:
        yield f"{condition.path}: exactly one operator is expected, found {sorted(operators) or 'none'}"
    if any(operand in ((), "") for operand in operators.values()):
        yield f"{condition.path}: the operand is empty"
    if any(isinstance(n, Decimal) and not n.is_finite() for n in operators.values()):
        yield f"{condition.path}: the operand is no number"
    if condition.country and any(len(c) != 2 or not c.isupper() for c in condition.country):
        yield f"{condition.path}: countries are two capitals"
    if condition.path not in ("@principal", "@filer") and not _is_path(condition.path.removeprefix("/")):
        yield f"no path: {condition.path}"


def _is_path(text: str) -> bool:
    """True for plain names joined by ``/``: criteria look at every occurrence, so none is numbered."""
    try:
        return "[" not in text and len(parse_pointer(text)) > 0
    except ValueError:
        return False
