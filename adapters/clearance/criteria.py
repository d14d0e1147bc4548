"""The operator's risk criteria, as risk.toml has them, and what can be wrong in them.

A criterion is a name that stays inside customs, conditions that must all hold, and what follows: a
score, a channel, or (cargo) a consignment that must not be loaded or unloaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from adapters.clearance.states import Channel
from gateway.model import Kind, MandatoryDocument, parse_pointer

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
        written = msgspec.structs.asdict(self)
        return {name: operand for name, operand in written.items() if name != "path" and operand is not None}


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
