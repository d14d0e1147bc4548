"""Which groups of a message fill, each, one occurrence of a class that nothing else fills: a consignment of a manifest,
a goods item of a declaration.  Such a group can be read by itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.mapping.plan import Chain, Entry, Plan, Step


def alone(plan: Plan) -> frozenset[Entry]:
    """The entries of such groups, of those that the message itself holds."""
    repeated = (
        entry for entries in plan.groups.values() for entry in entries if entry.repeat and entry.chain
    )
    return frozenset(entry for entry in repeated if not _is_shared(plan, entry))


def _is_shared(plan: Plan, entry: Entry) -> bool:
    """Whether something else than groups, each its own, fills what the entry stands for."""
    depth = len(entry.chain)
    return any(chain[:depth] == entry.chain for step in plan.steps for chain in _beside(step, entry))


def _beside(step: Step, entry: Entry) -> Iterator[Chain]:
    """What a step of the message fills beside the entry and those that take occurrences as it does."""
    yield from _of_rules(step, ())
    for other in step.entries:
        if not (other.repeat and other.chain == entry.chain):
            yield other.chain
            yield from _below(other.plan, other.chain)


def _below(plan: Plan, chain: Chain) -> Iterator[Chain]:
    for step in plan.steps:
        yield from _of_rules(step, chain)
        for entry in step.entries:
            yield chain + entry.chain
            yield from _below(entry.plan, chain + entry.chain)


def _of_rules(step: Step, chain: Chain) -> Iterator[Chain]:
    for rule in step.rules:
        yield chain + rule.chain
        for holder, own in ((rule, rule.chain), *((inner, rule.chain + inner.chain) for inner in rule.inner)):
            yield chain + own
            yield from (chain + own + field.chain for field in holder.fields)
