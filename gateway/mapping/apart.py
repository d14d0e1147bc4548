"""Which classes of a message are each one group's and nothing else's: a consignment of a manifest, a container of its
list.  Such a group can be read by itself, and what it gave let go of before the next."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.mapping.plan import Entry, Plan


def apart(plan: Plan) -> frozenset[int]:
    """The slots of such classes, of those that the message's outermost class holds."""
    own = {e.chain[0] for e in _entries(plan) if e.repeat and len(e.chain) == 1}
    return frozenset(own - set(_shared(plan)))


def _entries(plan: Plan) -> Iterator[Entry]:
    return (entry for entries in plan.groups.values() for entry in entries)


def _shared(plan: Plan) -> Iterator[int]:
    """The slots of classes that something else fills than a group for each occurrence."""
    for rule in (rule for step in plan.steps for rule in step.rules):
        if rule.chain:
            yield rule.chain[0]
            continue
        chains = (*(field.chain for field in rule.fields), *(inner.chain for inner in rule.inner))
        yield from (chain[0] for chain in chains if chain)
        for inner in (inner for inner in rule.inner if not inner.chain):
            yield from (field.chain[0] for field in inner.fields if field.chain)
    for entry in _entries(plan):
        if not entry.chain:  # it stands for the same class
            yield from _shared(entry.plan)
            yield from (e.chain[0] for e in _entries(entry.plan) if e.chain)
        elif not entry.repeat or len(entry.chain) > 1:
            yield entry.chain[0]
