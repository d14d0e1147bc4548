"""The rule book: rules and code lists read from a deployment's files, checked whole, compiled, and asked."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

import msgspec

from gateway.model import Declaration, Finding, Kind
from gateway.rules.codes import CodeList, read_codes
from gateway.rules.crosses import Atmost, Count, Deadline, Link, Occurs, Order, Same, Sum, Unique
from gateway.rules.moments import zone_of
from gateway.rules.plan import Plan, Site
from gateway.rules.quantities import Amount, Date, Number
from gateway.rules.singles import Coded, Forbidden, Identifier, Pattern, Required

Rule = (
    Amount
    | Atmost
    | Coded
    | Count
    | Date
    | Deadline
    | Forbidden
    | Identifier
    | Link
    | Number
    | Occurs
    | Order
    | Pattern
    | Required
    | Same
    | Sum
    | Unique
)

# Message functions that rules distinguish; "" stands for every other (RUL072 speaks of those).
FUNCTIONS = ("9", "5", "4", "1", "")


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule file.  ``zone``: the office's clock; ``drop``: rules of the general book that a profile
    does without."""

    rule: Sequence[dict[str, Any]] = ()
    zone: str = ""
    drop: Sequence[str] = ()


class RuleLine(msgspec.Struct, frozen=True):
    """One rule as the documentation lists it."""

    name: str
    kinds: tuple[str, ...]
    functions: tuple[str, ...]
    check: str
    severity: str
    codes: tuple[str, ...]
    text: str


class RuleBook:
    """All rules of a deployment, compiled for each kind and function of declaration; frozen."""

    __slots__ = ("_plans", "codes", "rules", "zone")

    def __init__(self, rules: Sequence[Rule], codes: Mapping[str, CodeList], zone: tzinfo) -> None:
        self.rules = tuple(rules)
        self.codes = codes
        self.zone = zone
        self._plans = {
            (kind, function): _plan(self.rules, codes, kind, function)
            for kind in Kind
            for function in FUNCTIONS
        }

    def plan(self, kind: Kind, function: str) -> Plan:
        """The compiled rules for a kind and function (WCO 017)."""
        return self._plans.get((kind, function)) or self._plans[kind, ""]

    def describe(self) -> tuple[RuleLine, ...]:
        """Every rule, sorted by name, for the documentation."""
        lines = (
            RuleLine(
                name=rule.name,
                kinds=tuple(kind.value for kind in rule.kinds),
                functions=tuple(rule.functions),
                check=type(rule).__name__.lower(),
                severity=rule.severity.value,
                codes=rule.codes,
                text=rule.text,
            )
            for rule in self.rules
        )
        return tuple(sorted(lines, key=lambda line: line.name))


def judge(declaration: Declaration, book: RuleBook, now: datetime) -> tuple[Finding, ...]:
    """All findings of the book's rules about a declaration, in the order of its tree.

    Every finding's place is a pointer with occurrences, to what is wrong or to what is missing.
    ``now``: aware; when the message was received.
    """
    plan = book.plan(declaration.kind, declaration.function)
    return plan.judge(declaration.root, now, book.zone)


def load(rules_folder: Path, codes_folder: Path, profile: str = "") -> RuleBook:
    """Read the rule book: every ``*.toml`` of the rules folder, and of the profile ``profiles/NAME.toml``.

    A profile's rule replaces the general one of the same name, its ``drop`` names those left out.
    Raises ValueError listing all that is broken in any file.
    """
    broken: list[str] = []
    codes = read_codes(codes_folder, broken)
    general = _files(sorted(rules_folder.glob("*.toml")), broken)
    special = _files([rules_folder / "profiles" / f"{profile}.toml"] if profile else [], broken)
    rules = _rules(general, codes, broken)
    named = {rule.name: rule for rule in rules}
    own = _rules(special, codes, broken)
    for name in (name for file in special.values() for name in file.drop):
        if named.pop(name, None) is None:
            broken.append(f"profile {profile}: there is no rule {name} to drop")
    named.update((rule.name, rule) for rule in own)
    zone = _zone({**general, **special}, broken)
    if not named:
        broken.append(f"no rules in {rules_folder.name}")
    if broken:
        raise ValueError("; ".join(broken))
    return RuleBook(tuple(named.values()), codes, zone)


def _files(paths: Sequence[Path], broken: list[str]) -> dict[str, _File]:
    files: dict[str, _File] = {}
    for path in paths:
        try:
            files[path.name] = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File)
        except (msgspec.ValidationError, tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            broken.append(f"{path.name}: {error}")
    return files


def _rules(files: Mapping[str, _File], codes: Mapping[str, CodeList], broken: list[str]) -> list[Rule]:
    rules: list[Rule] = []
    for name, file in files.items():
        for ordinal, row in enumerate(file.rule, 1):
            where = f"{name}: {row.get('name', f'rule {ordinal}')}"
            try:
                rule = msgspec.convert(row, Rule)
            except msgspec.ValidationError as error:
                broken.append(f"{where}: {error}")
                continue
            broken.extend(f"{where}: {fault}" for fault in rule.broken(codes))
            rules.append(rule)
    times = Counter(rule.name for rule in rules)
    broken.extend(f"{name}: the name stands {n} times" for name, n in times.items() if n > 1)
    return rules


def _zone(files: Mapping[str, _File], broken: list[str]) -> tzinfo:
    """The zone of the last file that names one: a profile's after the general ones."""
    zone: tzinfo = UTC
    for name, text in ((name, file.zone) for name, file in files.items() if file.zone):
        try:
            zone = zone_of(text)
        except ValueError as error:
            broken.append(f"{name}: {error}")
    return zone


def _plan(rules: Sequence[Rule], codes: Mapping[str, CodeList], kind: Kind, function: str) -> Plan:
    plan = Plan()
    for rule in _for(rules, kind, function):
        rule.lay(Site(plan, rule), codes)
    plan.root.settle()
    return plan


def _for(rules: Sequence[Rule], kind: Kind, function: str) -> Iterator[Rule]:
    for rule in rules:
        if kind in rule.kinds and (not rule.functions or function in rule.functions):
            yield rule
